"""The spine while residents are told: how soon readings are receipted, idle and in the midst of 100,000 messages.

The real service with its post, its own broker and a gateway of short messages on loopback that answers at once.
Readings come all the time (no faster than a gateway may, see ingest/rate_limit.py); then one tower rises, and everybody
of its ward is told: messages are made, and sent as fast as the quota lets them. Idle and busy belong to one round, each
round has a service of its own. A receipt is sent after the journal's commit, and the turn of the spine that follows
ends before the next one begins; its own time is told besides, out of /metrics.

One JSON line a figure; `ratio` = busy / idle, of p99 the bar is 2.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median, quantiles

from surroundings import Client, all_there, now_ns, service, tell

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from post.town import KEY, Contact, Person, Residents

from ingest.formats.native import encode

BOOT = "00112233445566778899aabbccddeeff"
CITY_TOML = (
    '[city]\nname = "bench"\ntimezone = "Asia/Ho_Chi_Minh"\n'
    '[[area]]\ncode = "a"\nname = "a"\n[[gateway]]\nid = "gw"\n'
    '[[sensor]]\nid = "tower"\nquantity = "street_depth"\narea = "a"\ngateway = "gw"\nperiod = "2s"\n'
    'quality.off = "all"\n'
) + "".join(
    f'[[sensor]]\nid = "s{n}"\nquantity = "rain"\narea = "a"\ngateway = "gw"\nperiod = "2s"\nquality.off = "all"\n'
    for n in range(100)
)
RULES_TOML = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 0.5 }
[[rule]]
name = "rain-1h"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "1h"
levels = { danger = 50000 }
[hazard.flood]
confirm_by = "none"
"""


class Sink(asyncio.Protocol):
    """Answers every request with an empty object."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._read = transport, b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            length = re.search(rb"content-length: (\d+)", self._read[:end], re.IGNORECASE)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < whole:
                return
            self._read = self._read[whole:]
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


async def sink(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


def people(data: Path, count: int) -> None:
    residents = Residents(data)
    residents.add(
        [Person(n, "vi", "", 1_000, {("a", "flood"): 2}, (Contact(n, "sms", f"+849{n:08}"),))
         for n in range(1, count + 1)], 0,
    )  # fmt: skip
    residents.close()


class Gateway(Client):
    def __init__(self, url: str) -> None:
        super().__init__(url, "canhbao/v1/gw/receipt", "bench-gw")
        self.seq = 0

    def say(self, sensor: str, value: float) -> tuple[str, int]:
        self.seq += 1
        t = time.time_ns() // 1_000_000
        payload = encode([sensor], [t], [value], boot=BOOT, seq=self.seq, first=max(1, self.seq - 9))
        self.mqtt.publish("canhbao/v1/gw/readings", payload, 1)
        return "gw", self.seq

    def readings(self, rate: int, seconds: float) -> list[float]:
        """Milliseconds from publish to receipt of each."""
        sent, began = {}, now_ns()
        for n in range(int(rate * seconds)):
            time.sleep(max(0, began + n * 1_000_000_000 // rate - now_ns()) / 1e9)
            at = now_ns()
            sent[self.say(f"s{n % 100}", 0.0)] = at
        return all_there(sent, lambda: self.times(through=True))


def metric(page: str, name: str) -> float:
    with urllib.request.urlopen(f"{page}/metrics") as answer:  # noqa: S310  # our own service
        found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def turns(page: str) -> tuple[float, float]:
    return metric(page, "canhbao_turn_seconds_sum"), metric(page, "canhbao_turn_seconds_count")


def one_round(folder: Path, count: int, rate: int, seconds: float, per_s: int) -> dict[str, tuple[float, float]]:
    """Figure -> idle and busy."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    people(folder / "data", count)
    provider = subprocess.Popen([sys.executable, __file__, "--sink", str(port)])
    settings = {
        "CANHBAO_RESIDENTS__KEY": KEY, "CANHBAO_SMS__URL": f"http://127.0.0.1:{port}/send",
        "CANHBAO_SMS__BODY": '{"to": "{to}", "text": "{text}"}', "CANHBAO_SMS__PER_S": str(per_s),
        "CANHBAO_SMS__AT_ONCE": "64",
    }  # fmt: skip
    try:
        with service(folder, CITY_TOML, RULES_TOML, **settings) as (_, page, url):
            gateway = Gateway(url)
            time.sleep(2.0)
            gateway.readings(rate, 2.0)
            start = turns(page)
            idle = gateway.readings(rate, seconds)
            between = turns(page)
            gateway.say("tower", 0.6)
            busy = gateway.readings(rate, seconds)
            end = turns(page)
            made = metric(page, "canhbao_post_messages_made_total")
            sent = metric(page, 'canhbao_messages_sent_total{channel="sms"}')
            gateway.close()
    finally:
        provider.kill()
        provider.wait()
    assert made >= count, f"only {made:g} messages were made"
    turn = [(b[0] - a[0]) * 1000 / max(1.0, b[1] - a[1]) for a, b in ((start, between), (between, end))]
    return {
        "publish to receipt, median, ms": (median(idle), median(busy)),
        "publish to receipt, p99, ms": (quantiles(idle, n=100)[98], quantiles(busy, n=100)[98]),
        "turn of the spine, mean, ms": (turn[0], turn[1]),
        "messages sent meanwhile": (0.0, sent),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000, help="of the ward (default 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="services (default 3)")
    parser.add_argument("--rate", type=int, default=90, help="readings a second (default 90)")
    parser.add_argument("--seconds", type=float, default=20.0, help="idle, and busy (default 20)")
    parser.add_argument("--per-s", type=int, default=1_000, help="quota of the gateway (default 1000)")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        asyncio.run(sink(arguments.sink))
    found = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-spine-") as folder:
            found.append(one_round(Path(folder), arguments.people, arguments.rate, arguments.seconds, arguments.per_s))
    for figure in found[0]:
        idle, busy = (median(one[figure][side] for one in found) for side in (0, 1))
        tell("spine meanwhile", figure, busy, figure.rpartition(", ")[2], idle, arguments.rounds)


if __name__ == "__main__":
    main()
