"""From a publish to the warning on the stream of events, through the real service, at 1,000 messages a second.

`python -m alerts run` with its own broker, the wall's clock and a city of 2,000 sensors in 100 areas. One MQTT client
publishes for all gateways, one numbered reading a message; one sensor an area changes its level with every reading, so
that some 40 warnings a second begin or grow worse, and those are timed. The floor is the same client, rate, payload and
broker, and one plain subscriber instead of the service. Service and floor take turns.

One JSON line a figure; `ratio` = value / floor; null where nothing comparable can be done without the service.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import TypeAlias

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.formats.native import encode

AREAS = 100
SENSORS_A_GATEWAY = 20  # the first of each changes its level with every reading
SENSORS = AREAS * SENSORS_A_GATEWAY
DEPTHS_M = (0.12, 0.22, 0.32, 0.52, 0.0)  # one after the other: four rises, then the end
RULES_TOML = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 0.5 }
[hazard.flood]
confirm_by = "none"
quiet = "500ms"
"""
BOOT = "00112233445566778899aabbccddeeff"
Times: TypeAlias = dict[tuple[str, int], int]  # ns of the monotonic clock
_now = time.perf_counter_ns
WAIT_S = 20.0  # for what is under way after the last publish; then it counts as lost, and the bench fails


def _city_toml() -> str:
    text = '[city]\nname = "bench"\ntimezone = "Asia/Ho_Chi_Minh"\n'
    for n in range(AREAS):
        text += f'[[area]]\ncode = "a{n}"\nname = "a{n}"\n[[gateway]]\nid = "gw-{n}"\n'
    for n in range(SENSORS):
        area = n // SENSORS_A_GATEWAY
        text += (f'[[sensor]]\nid = "s{n}"\nquantity = "street_depth"\narea = "a{area}"\ngateway = "gw-{area}"\n'
                 f'period = "2s"\nquality.off = "all"\n')  # fmt: skip  # such rises in 2 s are no water
    return text


@contextmanager
def _service(folder: Path) -> Iterator[tuple[int, str, str]]:
    """A running service: its process, its page and its broker."""
    (folder / "city.toml").write_text(_city_toml(), "utf-8")
    (folder / "rules.toml").write_text(RULES_TOML, "utf-8")
    environ = {**os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_MQTT__URL": "embedded:0",
               "CANHBAO_CITY__FILE": str(folder / "city.toml"), "CANHBAO_RULES__FILE": str(folder / "rules.toml"),
               "CANHBAO_DATA__PATH": str(folder / "data")}  # fmt: skip
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "alerts", "run"], env=environ, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 120  # the first start on a machine compiles the kernels
        while not (found := re.search(r"page: (\S+)/   gateways: (\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.05)
        yield process.pid, found[1], found[2]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Client:
    """An MQTT client and what came to it, stamped at once and read later. Times in ns of one clock."""

    def __init__(self, url: str, subscribed: str, client_id: str, password: str = "") -> None:
        self.came: list[tuple[int, str, bytes]] = []
        host, _, port = url.removeprefix("mqtt://").partition(":")
        self.mqtt = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self.mqtt.max_inflight_messages_set(4_000)
        if password:
            self.mqtt.username_pw_set("collector", password)
        self.mqtt.on_message = lambda _c, _u, m: self.came.append((_now(), m.topic.split("/")[2], bytes(m.payload)))
        self.mqtt.connect(host, int(port))
        self.mqtt.loop_start()
        self.mqtt.subscribe(subscribed, 1)

    def times(self, *, through: bool) -> Times:
        """(gateway, seq) -> when; `through`: a receipt, which speaks of every number before its own as well."""
        found: Times = {}
        before: dict[str, int] = {}
        for at, gateway, payload in list(self.came):
            seq = json.loads(payload).get("seq", 0)
            for each in range(before.get(gateway, 0) + 1 if through else seq, seq + 1):
                found.setdefault((gateway, each), at)  # the broker may bring it twice
            before[gateway] = max(seq, before.get(gateway, 0))
        return found


class Gateways(Client):
    """The publishing client: what each sensor says next, and the receipts that come."""

    def __init__(self, url: str, topic: str) -> None:
        super().__init__(url, "canhbao/v1/+/receipt", f"bench-{topic.rpartition('/')[2]}")
        self._topic, self._count, self._seq = topic, 0, [0] * AREAS
        self.published: Times = {}  # (gateway, seq)
        self.rises: Times = {}  # (area, t ms) of what begins a warning or makes it worse

    def publish(self, rate: int, seconds: float) -> None:
        began = _now()
        for n in range(int(rate * seconds)):
            time.sleep(max(0, began + n * 1_000_000_000 // rate - _now()) / 1e9)
            visit, sensor = divmod(self._count, SENSORS)
            gateway, place = divmod(sensor, SENSORS_A_GATEWAY)
            depth = 0.0 if place else DEPTHS_M[visit % len(DEPTHS_M)]
            self._count += 1
            self._seq[gateway] += 1
            t, seq = time.time_ns() // 1_000_000, self._seq[gateway]
            payload = encode([f"s{sensor}"], [t], [depth], boot=BOOT, seq=seq, first=max(1, seq - 9))
            self.published[f"gw-{gateway}", seq] = now = _now()
            if depth:
                self.rises[f"a{gateway}", t] = now
            self.mqtt.publish(self._topic.format(f"gw-{gateway}"), payload, 1)


def _listen(page: str, came: list[tuple[int, bytes]]) -> None:
    """What the stream of events brings, into `came`, for as long as the service runs."""
    with urllib.request.urlopen(f"{page}/api/v1/events") as stream:  # noqa: S310  # our own service
        for line in stream:
            if line.startswith(b"data:"):
                came.append((_now(), line[5:]))  # noqa: PERF401  # read by the other thread meanwhile


def _warnings(came: list[tuple[int, bytes]]) -> Times:
    """(area, t ms) -> when the warning came."""
    found: Times = {}
    for at, line in list(came):
        told = json.loads(line)
        if told.get("reason") in ("first", "worse"):
            found[told["area"], round(datetime.fromisoformat(told["at"]).timestamp() * 1000)] = at
    return found


def _cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used, in all its threads, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _all_there(sent: Times, times: Callable[[], Times]) -> list[float]:
    """Milliseconds from publish to arrival of each; waits for those under way. Raises RuntimeError for the lost."""
    deadline = time.monotonic() + WAIT_S
    while (missing := sent.keys() - (came := times()).keys()) and time.monotonic() < deadline:
        time.sleep(0.1)
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(sent)} never came, such as {min(missing)}")
    return [(came[key] - at) / 1e6 for key, at in sent.items()]


def _tell(figure: str, value: float, unit: str, floor: float | None, n: int) -> None:
    line = {"bench": "latency", "figure": figure, "value": round(value, 3), "unit": unit,
            "floor": None if floor is None else round(floor, 3),
            "ratio": None if floor is None else round(value / floor, 2), "n": n}  # fmt: skip
    print(json.dumps(line), flush=True)


def _measure(folder: Path, rounds: int, rate: int, seconds: float) -> None:
    cpu_s, spans_s = 0.0, []
    with _service(folder) as (pid, page, url):
        password = (folder / "data" / "broker" / "collector.password").read_text("utf-8").strip()
        subscriber = Client(url, "canhbao/v1/+/backfill", "bench-subscriber", password)
        ours, floor = Gateways(url, "canhbao/v1/{}/readings"), Gateways(url, "canhbao/v1/{}/backfill")
        events: list[tuple[int, bytes]] = []
        threading.Thread(target=_listen, args=(page, events), daemon=True).start()
        time.sleep(1.0)
        for _ in range(rounds):
            began, cpu_before_s = _now(), _cpu_s(pid)
            ours.publish(rate, seconds)
            receipts = _all_there(ours.published, lambda: ours.times(through=True))
            warnings = _all_there(ours.rises, lambda: _warnings(events))
            spans_s.append((max(ours.times(through=True).values()) - began) / 1e9)
            cpu_s += _cpu_s(pid) - cpu_before_s
            floor.publish(rate, seconds)
            bare = _all_there(floor.published, lambda: subscriber.times(through=False))
    n = len(ours.published)
    for name, found in (("warning on the stream", warnings), ("receipt", receipts)):
        _tell(f"publish to {name}, median", median(found), "ms", median(bare), len(found))
        _tell(f"publish to {name}, p99", quantiles(found, n=100)[98], "ms", quantiles(bare, n=100)[98], len(found))
    _tell("receipted, first publish to last receipt", int(rate * seconds) / median(spans_s), "readings/s", rate, n)
    _tell("processor time of the service", cpu_s * 1000 / n, "s/1000 messages", None, n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of service and floor (default: 5)")
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second (default: 1000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn (default: 4)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on which disk (default: /var/tmp)")  # noqa: S108  # a folder of our own is made in it
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-latency-", dir=arguments.folder) as folder:
        _measure(Path(folder), arguments.rounds, arguments.rate, arguments.seconds)


if __name__ == "__main__":
    main()
