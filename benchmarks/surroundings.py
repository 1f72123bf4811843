"""What benches share: the service as a process, MQTT clients and a listener around it, and how a figure is told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

Times: TypeAlias = dict[tuple[str, int], int]  # ns of the monotonic clock
now_ns = time.perf_counter_ns
WAIT_S = 20.0  # for what is under way after the last publish; then it counts as lost, and the bench fails


@contextmanager
def service(
    folder: Path, city_toml: str, rules_toml: str, **settings: str
) -> Iterator[tuple[int, str, str]]:  # fmt: skip
    """A running service: its process, its page and its broker. `settings`: variables besides."""
    (folder / "city.toml").write_text(city_toml, "utf-8")
    (folder / "rules.toml").write_text(rules_toml, "utf-8")
    environ = {**os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_MQTT__URL": "embedded:0",
               "CANHBAO_CITY__FILE": str(folder / "city.toml"), "CANHBAO_RULES__FILE": str(folder / "rules.toml"),
               "CANHBAO_DATA__PATH": str(folder / "data"), **settings}  # fmt: skip
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
        self.mqtt.on_message = lambda _c, _u, m: self.came.append((now_ns(), m.topic.split("/")[2], bytes(m.payload)))
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

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def listen(page: str, came: list[tuple[int, bytes]]) -> None:
    """What the stream of events brings, into `came`, for as long as the service runs."""
    with urllib.request.urlopen(f"{page}/api/v1/events") as stream:  # noqa: S310  # our own service
        for line in stream:
            if line.startswith(b"data:"):
                came.append((now_ns(), line[5:]))  # noqa: PERF401  # read by the other thread meanwhile


def warnings_in(came: list[tuple[int, bytes]]) -> Times:
    """(area, t ms) -> when the warning came."""
    found: Times = {}
    for at, line in list(came):
        told = json.loads(line)
        if told.get("reason") in ("first", "worse"):
            found[told["area"], round(datetime.fromisoformat(told["at"]).timestamp() * 1000)] = at
    return found


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used, in all its threads, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def all_there(sent: Times, times: Callable[[], Times], wait_s: float = WAIT_S) -> list[float]:
    """Milliseconds from publish to arrival of each; waits for those under way. Raises RuntimeError for the lost."""
    deadline = time.monotonic() + wait_s
    while (missing := sent.keys() - (came := times()).keys()) and time.monotonic() < deadline:
        time.sleep(0.1)
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(sent)} never came, such as {min(missing)}")
    return [(came[key] - at) / 1e6 for key, at in sent.items()]


def tell(bench: str, figure: str, value: float, unit: str, floor: float | None, n: int) -> None:
    """One line of JSON; `ratio` = value / floor, both null where nothing comparable can be done without us."""
    line = {"bench": bench, "figure": figure, "value": round(value, 3), "unit": unit,
            "floor": None if floor is None else round(floor, 3),
            "ratio": None if not floor else round(value / floor, 2), "n": n}  # fmt: skip
    print(json.dumps(line), flush=True)
