"""Live warnings while old spools arrive: from a publish to its warning on the stream of events.

`python -m alerts run` with its own broker, the wall's clock and a city of 5,000 sensors, 500 areas and 100 gateways.
Live readings flow all the time, one numbered reading a message; one in five changes the level of its area's first
sensor, and those that begin a warning or make it worse are timed. Idle windows and windows with backfill take turns: in
the latter every gateway empties a part of its spool, as many messages at once as its window lets it, and the part ends
with its last receipt. The floor is the idle window. A bare subscriber hears the live readings too, which tells what the
broker makes of the load. `--hours 6` is a spool of 1.8 million readings.

Afterwards the ledger is read: no transition may speak of more than 15 minutes before its arrival. One JSON line a
figure; `ratio` = value / floor.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from surroundings import Client, Times, all_there, cpu_s, listen, now_ns, service, tell, warnings_in

from ingest.formats import cbor, native

GATEWAYS: Final = 100
SENSORS_A_GATEWAY: Final = 50
SENSORS: Final = GATEWAYS * SENSORS_A_GATEWAY
SENSORS_AN_AREA: Final = 10
AREAS: Final = SENSORS // SENSORS_AN_AREA
DEPTHS_M: Final = (0.12, 0.22, 0.32, 0.52, 0.0)  # one after the other: four rises, then the end
CHANGING: Final = 5  # one message in so many
MINUTE_MS: Final = 60_000
WINDOW: Final = 4  # messages of a gateway on the wire without receipt (docs/gateways.md)
OLD_MS_MAX: Final = 15 * MINUTE_MS  # CONTRACTS section 4: what is not evaluated; periods here are 60 s
BOOTS: Final = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100")  # live, backfill
RULES_TOML: Final = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 0.5 }
[[rule]]
name = "mean"
hazard = "standing-water"
quantity = "street_depth"
statistic = "mean"
window = "1h"
levels = { advisory = 0.6 }
[hazard.flood]
confirm_by = "none"
quiet = "500ms"
"""


@dataclass(frozen=True, slots=True)
class Form:
    topic: str
    encode: Callable[..., bytes]
    minutes: int  # a message, of all sensors of a gateway


@dataclass(frozen=True, slots=True)
class Way:
    """How old messages are sent. `window`: of a gateway, without receipt."""

    form: str
    qos: int
    window: int


FORMS: Final = {  # 100 readings a message, and a thousand
    "json": Form("backfill", native.encode, 2),
    "cbor": Form("backfill/cbor", cbor.encode_columns, 20),
}


_tell = partial(tell, "backfill")


def _city_toml() -> str:
    text = '[city]\nname = "bench"\ntimezone = "Asia/Ho_Chi_Minh"\n'
    text += "".join(f'[[area]]\ncode = "a{area}"\nname = "a{area}"\n' for area in range(AREAS))
    text += "".join(f'[[gateway]]\nid = "gw-{gateway}"\n' for gateway in range(GATEWAYS))
    for n in range(SENSORS):
        # no water jumps as these do
        text += (f'[[sensor]]\nid = "s{n}"\nquantity = "street_depth"\narea = "a{n // SENSORS_AN_AREA}"\n'
                 f'gateway = "gw-{n // SENSORS_A_GATEWAY}"\nperiod = "60s"\nquality.off = "all"\n')  # fmt: skip
    return text


class Live(Client):
    """Publishes what is measured now, at a steady rate, until told to stop; and hears the receipts."""

    def __init__(self, url: str, rate: int) -> None:
        super().__init__(url, "canhbao/v1/+/receipt", "bench-live")
        self._rate, self._count, self._seq = rate, 0, [0] * GATEWAYS
        self.published: Times = {}  # (gateway, seq)
        self.rises: Times = {}  # (area, t ms) of what begins a warning or makes it worse

    def publish(self, over: Callable[[], bool]) -> None:
        """At least a second, then until `over`."""
        began, n = now_ns(), 0
        while n < self._rate or not over():
            time.sleep(max(0, began + n * 1_000_000_000 // self._rate - now_ns()) / 1e9)
            n, self._count = n + 1, self._count + 1
            turn, rest = divmod(self._count, CHANGING)
            if rest:
                self._say(self._count * 7 % SENSORS // SENSORS_AN_AREA * SENSORS_AN_AREA + rest, 0.0)
            else:
                self._say(turn % AREAS * SENSORS_AN_AREA, DEPTHS_M[(turn // AREAS + turn) % len(DEPTHS_M)])

    def _say(self, sensor: int, depth: float) -> None:
        gateway = sensor // SENSORS_A_GATEWAY
        self._seq[gateway] += 1
        t, seq = time.time_ns() // 1_000_000, self._seq[gateway]
        payload = native.encode([f"s{sensor}"], [t], [depth], boot=BOOTS[0], seq=seq, first=max(1, seq - 9))
        self.published[f"gw-{gateway}", seq] = now = now_ns()
        if depth:
            self.rises[f"a{sensor // SENSORS_AN_AREA}", t] = now
        self.mqtt.publish(f"canhbao/v1/gw-{gateway}/readings", payload, 1)


class Spools(Client):
    """All gateways' old readings, oldest first: minutes of every sensor, up to the start of this bench."""

    def __init__(self, url: str, way: Way, steps: int) -> None:
        super().__init__(url, "canhbao/v1/+/receipt", "bench-spools")
        self._way, self._form = way, FORMS[way.form]
        self._begin_t = time.time_ns() // 1_000_000 - steps * self._form.minutes * MINUTE_MS
        self._sent = [0] * GATEWAYS  # the last seq of each
        self._through = [0] * GATEWAYS  # receipted
        self._asked = 0

    def send(self, steps: int) -> None:
        """So many messages of each gateway, as its window lets it; returns when all have their receipts."""
        self._asked += steps
        while min(self._receipted()) < self._asked:
            for gateway, receipted in enumerate(self._through):
                while self._sent[gateway] < min(self._asked, receipted + self._way.window):
                    self._sent[gateway] += 1
                    self.mqtt.publish(
                        f"canhbao/v1/gw-{gateway}/{self._form.topic}", self._message(gateway), self._way.qos
                    )
            time.sleep(0.01)

    def _receipted(self) -> list[int]:
        while self.came:
            _, gateway, payload = self.came.pop()
            receipt = json.loads(payload)
            if receipt["boot"] == BOOTS[1]:
                number = int(gateway.removeprefix("gw-"))
                self._through[number] = max(self._through[number], receipt.get("seq", 0))
        return self._through

    def _message(self, gateway: int) -> bytes:
        seq, sensor = self._sent[gateway], gateway * SENSORS_A_GATEWAY
        numbers = range(self._form.minutes * SENSORS_A_GATEWAY)
        first_t = self._begin_t + (seq - 1) * self._form.minutes * MINUTE_MS
        return self._form.encode(
            [f"s{sensor + n % SENSORS_A_GATEWAY}" for n in numbers],
            [first_t + n // SENSORS_A_GATEWAY * MINUTE_MS for n in numbers],
            [0.55 if seq % 10 == 7 and n % 10 == 0 else 0.03 for n in numbers],
            boot=BOOTS[1], seq=seq, first=max(1, self._through[gateway]),
        )  # fmt: skip


def _send_spools(url: str, way: Way, steps: int, orders: Connection) -> None:
    """In a process of its own, so that it is not in the way of what is timed."""
    spools = Spools(url, way, steps)
    while part := orders.recv():
        spools.send(part)
        orders.send(part)
    spools.close()


def _old_transitions(data: Path) -> tuple[int, int]:
    """How many transitions speak of more than 15 minutes before their arrival, and how many there are."""
    ledger = sqlite3.connect(f"file:{data / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        old: tuple[int, int] = ledger.execute(
            "SELECT coalesce(sum(at < arrival - ?), 0), count(*) FROM transition", (OLD_MS_MAX,)
        ).fetchone()
        return old
    finally:
        ledger.close()


def _measure(folder: Path, rounds: int, rate: int, seconds: float, hours: float, way: Way) -> None:
    events: list[tuple[int, bytes]] = []
    found: dict[str, list[float]] = {"idle": [], "backfill": []}
    heard: dict[str, list[float]] = {"idle": [], "backfill": []}  # by a bare subscriber: the broker's part
    spans_s, used_s = Counter[str](), Counter[str]()
    with service(folder, _city_toml(), RULES_TOML) as (pid, page, url):
        password = (folder / "data" / "broker" / "collector.password").read_text("utf-8").strip()
        bare = Client(url, "canhbao/v1/+/readings", "bench-subscriber", password)
        live, steps = Live(url, rate), round(hours * 60) // FORMS[way.form].minutes
        orders, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        spawn.Process(target=_send_spools, args=(url, way, steps, theirs), daemon=True).start()
        threading.Thread(target=listen, args=(page, events), daemon=True).start()
        time.sleep(1.0)
        live.publish(lambda: len(live.rises) > rate)  # what comes first warms what it goes through
        for n in range(rounds):
            for name in ("idle", "backfill"):
                live.rises.clear()
                live.published.clear()
                began, cpu_before_s = time.monotonic(), cpu_s(pid)
                if name == "idle":
                    live.publish(lambda began=began: time.monotonic() - began > seconds)  # type: ignore[misc]
                else:
                    orders.send(steps * (n + 1) // rounds - steps * n // rounds)
                    live.publish(orders.poll)
                    orders.recv()
                spans_s[name] += time.monotonic() - began
                used_s[name] += cpu_s(pid) - cpu_before_s
                found[name] += all_there(live.rises, lambda: warnings_in(events))
                heard[name] += all_there(live.published, lambda: bare.times(through=False))
        orders.send(0)
    old, transitions = _old_transitions(folder / "data")
    count = steps * FORMS[way.form].minutes * SENSORS
    for what, times in (("warning", found), ("bare subscriber", heard)):
        for figure, of in (("median", median), ("p99", lambda values: quantiles(values, n=100)[98])):
            beside, idle = of(times["backfill"]), of(times["idle"])
            _tell(f"live publish to {what} beside backfill, {figure}", beside, "ms", idle, len(times["backfill"]))
    _tell("backfill, first publish to last receipt", count / spans_s["backfill"], "readings/s", None, count)
    more_s = used_s["backfill"] - used_s["idle"] * spans_s["backfill"] / spans_s["idle"]
    _tell("processor time of the service, above idle", more_s * 1e6 / count, "us/old reading", None, count)
    _tell("transitions older than 15 min at their arrival", old, "transitions", None, transitions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of idle and backfill (default: 5)")
    parser.add_argument("--rate", type=int, default=250, help="live messages a second (default: 250)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of an idle window (default: 5)")
    parser.add_argument("--hours", type=float, default=0.8, help="of backfill, all windows together (default: 0.8)")
    parser.add_argument("--form", choices=list(FORMS), default="json", help="of the old messages (default: json)")
    parser.add_argument("--qos", type=int, choices=[0, 1], default=1, help="of the old messages (default: 1)")
    parser.add_argument("--window", type=int, default=WINDOW, help=f"of a gateway, in messages (default: {WINDOW})")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on which disk (default: /var/tmp)")  # noqa: S108  # a folder of our own is made in it
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-backfill-", dir=arguments.folder) as folder:
        way = Way(arguments.form, arguments.qos, arguments.window)
        _measure(Path(folder), arguments.rounds, arguments.rate, arguments.seconds, arguments.hours, way)


if __name__ == "__main__":
    main()
