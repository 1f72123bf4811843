"""What stories with the whole service share: both brokers behind one face, gateways, a look at the service."""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brokers import CityMosquitto, Client, until

from firmware_sim.gateway import Broker, Gateways
from firmware_sim.spool import Spool
from ingest.broker.nats import NatsBroker
from ingest.entries import ORIGIN, Batch
from ingest.formats import native
from ingest.journal import Journal

GATEWAY = "gw-1"
READINGS = f"canhbao/v1/{GATEWAY}/readings"
RECEIPT = f"canhbao/v1/{GATEWAY}/receipt"
ALERT = "canhbao/v1/alerts/20242/flood"
ALTERED = (sys.executable, "-m", "tests.altered")
BOOT = "9f0c31d2a7b84e65"


class Bundled:
    """nats-server as the service starts it, here on its own, so that it outlives the service."""

    gateway = listener = ("", "")  # anonymous

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self.port = folder, port
        self._broker = NatsBroker.start(folder, port)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "CANHBAO_MQTT__URL": self._broker.url,
            "CANHBAO_MQTT__PASSWORD": self._broker.collector.password,
            "CANHBAO_MQTT__BACKFILL_PASSWORD": self._broker.collector_backfill.password,
            "CANHBAO_MQTT__OUT_PASSWORD": self._broker.collector_out.password,
        }

    def wipe(self) -> None:
        """It comes back and knows nobody."""
        self._broker.stop()
        shutil.rmtree(self._folder / "broker" / "store")
        self._broker = NatsBroker.start(self._folder, self.port)

    def restart(self) -> None:
        self._broker.stop()
        self._broker = NatsBroker.start(self._folder, self.port)

    def stop(self) -> None:
        self._broker.stop()


class City:
    """Mosquitto with the configuration for gateways on a network."""

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.port, self._folder = port, folder
        self._broker = CityMosquitto(program, folder, port, gateways=[GATEWAY])
        self.settings = self._broker.settings
        self.gateway = (GATEWAY, self._broker.password_of(GATEWAY))
        self.listener = ("collector-listener", self._broker.password_of("collector-listener"))
        self._broker.start()

    @property
    def log(self) -> str:
        return self._broker.log

    def wipe(self) -> None:
        self._broker.kill()
        (self._folder / "state" / "mosquitto.db").unlink(missing_ok=True)
        self._broker.start()

    def restart(self) -> None:
        self._broker.terminate()
        self._broker.start()

    def stop(self) -> None:
        self._broker.stop()


Peer = Bundled | City


def connected(peer: Peer, *topics: str, user: tuple[str, str] | None = None) -> Client:
    """A plain client, by default with the rights of gw-1."""
    name, password = user or peer.gateway
    return Client(peer.port, *topics, username=name, password=password)


class Field:
    """Reference gateways with a spool, moved by whoever waits."""

    def __init__(self, spool: Path, port: int, password: str, *ids: str) -> None:
        self._spool = Spool(spool)
        self._gateways = Gateways(ids, self._spool, Broker(port=port, password=password or None))
        self._last_t = 0

    def offer(self, *values: float, sensor: str = "river", gateway: str = GATEWAY) -> list[int]:
        """One message a value, measured now; their times."""
        times = []
        for value in values:
            self._last_t = max(self._last_t + 1, time.time_ns() // 1_000_000)
            times.append(self._last_t)
            self._gateways.offer([(gateway, native.encode([sensor], [self._last_t], [value]))])
        return times

    @property
    def unreceipted(self) -> int:
        return self._gateways.unreceipted()

    @property
    def confirmed(self) -> bool:
        """Whether the broker has acknowledged all that is on the wire."""
        return not any(gateway.link._client._out_messages for gateway in self._gateways.by_id.values())

    @property
    def parked(self) -> int:
        return len(self._spool.parked())

    def until(self, true: Callable[[], Any], what: str, wait_s: float = 30.0) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            self._gateways.news.clear()
            self._gateways.step(int(time.monotonic() * 1000))
            if true():
                return
            assert time.monotonic() < deadline, what
            self._gateways.news.wait(0.05)

    def until_receipted(self, wait_s: float = 30.0) -> None:
        self.until(lambda: self.unreceipted == 0, f"{self.unreceipted} messages have no receipt", wait_s)

    def close(self) -> None:
        self._gateways.stop()
        self._spool.close()


@contextmanager
def field(spool: Path, port: int, password: str = "", *ids: str) -> Iterator[Field]:
    made = Field(spool, port, password, *(ids or (GATEWAY,)))
    made._gateways.start()
    try:
        made.until(made._gateways.ready, "the gateways do not connect")
        yield made
    finally:
        made.close()


def bare(t: int, value: float, sensor: str = "river") -> bytes:
    """A device without numbers."""
    return json.dumps({"sensor": sensor, "t": t, "v": value}).encode()


def numbered(seq: int, t: int, value: float, sensor: str = "river") -> bytes:
    readings = [{"sensor": sensor, "t": t, "v": value}]
    return json.dumps({"boot": BOOT, "seq": seq, "first": 1, "readings": readings}).encode()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- what the service shows ------------------------------------------------------------------------------------------


def get(url: str) -> Any:
    """The JSON of an answer, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


def metrics(page: str) -> Counter[str]:
    """By name with labels; 0 where there is none."""
    with urllib.request.urlopen(f"{page}metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return Counter({name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)
                    if not name.startswith("#")})  # fmt: skip


def part(page: str, name: str) -> tuple[bool, str]:
    """Whether it is ready, and what is said of it."""
    found = get(f"{page}readyz")["parts"][name]
    return found["ready"], found["detail"]


def levels(page: str) -> list[int]:
    return [one["level"] for one in get(f"{page}api/v1/alerts?active=true")["alerts"]]


def pid_of(data: Path) -> int:
    return int((data / "lock").read_text())


def memory_mb(data: Path, field: str = "VmHWM") -> float:
    """Of the service: the most that it ever had, or what it has (VmRSS)."""
    lines = Path(f"/proc/{pid_of(data)}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def stored(data: Path) -> Counter[int]:
    """t -> how often it is in the journal."""
    entries = (entry for _, entry in Journal.open(data / "journal", read_only=True).read(ORIGIN))
    return Counter(t for entry in entries if isinstance(entry, Batch) for t in entry.readings.t.tolist())


def letters(data: Path) -> dict[str, int]:
    return Journal.open(data / "journal", read_only=True).dead_letter_counts()


def until_metric(page: str, name: str, least: float, wait_s: float = 30.0) -> None:
    until(lambda: metrics(page)[name] >= least, f"{name} is {metrics(page)[name]}, not {least}", wait_s)
