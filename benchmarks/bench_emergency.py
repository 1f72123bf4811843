"""A new emergency while a million lower messages wait: how soon the first of it is with the provider, and the last.

The post is the real process, its provider another one on loopback that writes down what it accepts. Time runs from the
commit of the notice; the post is told of it on standard input, as by the service. The floor is the same with nothing
waiting. One JSON line a figure.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import IO, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from chaos.processes import environment
from post.faults import CALM, Plan
from post.pace import Pace
from post.processes import ProviderProcess
from post.provider import Accepted, accepted
from post.script import Writer
from post.sink import kinds
from post.town import AREAS, KEY, Contact, Person, Residents

from alerts.incidents.incident import EMERGENCY, WARNING, Notice, Reason
from alerts.post.__main__ import main as post_main
from alerts.post.expand import Expander
from alerts.post.follow import Follower
from alerts.post.store import open_post
from ingest.city import DEFAULT_CITY_FILE, parse_city

CITY: Final = DEFAULT_CITY_FILE.read_text("utf-8")
BUSY, STRUCK = AREAS[0], AREAS[1]
STRUCK_PEOPLE: Final = 1_000
WAIT_S: Final = 60.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def person(n: int, area: str) -> Person:
    return Person(n, "vi", "", 1_000, {(area, "flood"): 2}, (Contact(n, "bell", f"+849{n:08}"),))


def notice(name: str, area: str, level: int) -> Notice:
    return Notice(name, 1, Reason.FIRST, "flood", area, level, 0, now_ms(), now_ms(), None)


def wait(data: Path, writer: Writer, notices: int) -> None:
    """So many warnings told to all of the busy area, made and not sent."""
    for n in range(notices):
        writer.write([notice(f"busy-{n}", BUSY, WARNING)], now_ms())
    store = open_post(data)
    Follower(store, writer.ledger).turn(now_ms())
    expander = Expander(store, parse_city(CITY))
    while expander.turn(now_ms()):
        pass
    store.close()


@contextmanager
def post(data: Path, port: int, log: IO[bytes]) -> Iterator[IO[bytes]]:
    """The process; what it yields is its standard input."""
    environ = environment() | {"CANHBAO_DATA__PATH": str(data), "CANHBAO_RESIDENTS__KEY": KEY, "BENCH_PORT": str(port)}
    command = [sys.executable, __file__, "--post"]
    process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=log, stderr=log)
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.kill()
        process.wait()


def emergency(writer: Writer, told: IO[bytes], file: Path, name: str) -> tuple[float, float, int]:
    """Seconds to the first and to the last acceptance, and how many others were accepted meanwhile."""
    before = len(accepted(file))
    writer.write([notice(name, STRUCK, EMERGENCY)], now_ms())
    began = now_ms()
    told.write(b"\n")
    told.flush()
    deadline = time.monotonic() + WAIT_S
    came: list[Accepted] = []
    while len(came) < STRUCK_PEOPLE and time.monotonic() < deadline:
        time.sleep(0.2)
        all_ = accepted(file)[before:]
        came = [one for one in all_ if one.incident == name]
    assert len(came) == STRUCK_PEOPLE, f"{len(came)} of {STRUCK_PEOPLE} came"
    meanwhile = sum(one.incident != name and one.at <= came[-1].at for one in all_)
    return (came[0].at - began) / 1000, (came[-1].at - began) / 1000, meanwhile


def measure(folder: Path, people: int, notices: int, rounds: int) -> tuple[list[tuple[float, float, int]], int]:
    folder.mkdir()
    data = folder / "data"
    residents, writer = Residents(data), Writer(data)
    residents.add([person(n, BUSY if n > STRUCK_PEOPLE else STRUCK) for n in range(1, STRUCK_PEOPLE + people + 1)], 0)
    if notices:
        wait(data, writer, notices)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    provider = ProviderProcess(folder, port, Plan(1, CALM), Pace(time.time(), now_ms()))
    with (folder / "post.log").open("wb") as log, post(data, port, log) as told:
        opening = {"city_toml": CITY, "public_url": "https://canhbao.example/", "log_level": "WARNING"}
        told.write(json.dumps(opening).encode() + b"\n")
        told.flush()
        time.sleep(5.0)  # it has begun, and is in the middle of what waits
        found = [emergency(writer, told, folder / "accepted.jsonl", f"struck-{n}") for n in range(rounds)]
    provider.close()
    left = people * notices - sum(one.incident.startswith("busy") for one in accepted(folder / "accepted.jsonl"))
    residents.close()
    writer.close()
    return found, left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000, help="who wait for the lower ones (default 100000)")
    parser.add_argument("--notices", type=int, default=10, help="lower ones that each waits for (default 10)")
    parser.add_argument("--rounds", type=int, default=5, help="emergencies (default 5)")
    parser.add_argument("--post", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        idle, _ = measure(Path(folder) / "idle", 1, 0, arguments.rounds)
        busy, left = measure(Path(folder) / "busy", arguments.people, arguments.notices, arguments.rounds)
    for column, what in ((0, "first"), (1, f"last of {STRUCK_PEOPLE}")):
        value, floor = (median(one[column] for one in found) for found in (busy, idle))
        line = {"bench": f"emergency: {what} message with the provider", "value": round(value, 3), "unit": "s",
                "most": round(max(one[column] for one in busy), 3), "floor": round(floor, 3), "still_waiting": left,
                "others_meanwhile": sum(one[2] for one in busy), "n": arguments.rounds}  # fmt: skip
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if "--post" in sys.argv:
        sys.argv.remove("--post")
        sys.exit(post_main(kinds(f"http://127.0.0.1:{os.environ['BENCH_PORT']}", 10.0)))
    main()
