"""How many readings acceptance and engine take a CPU-second, and how much memory a sensor costs.

2,000 rain gauges, one reading a minute each, judged over 10 min, 1 h, 3 h and 24 h with all windows full: once by four
rules (sums), once by eight (sums and greatest values), every rule with four thresholds and their clear values. Showers
come and go, so that levels change. The floor is what no program can avoid: reading the same columns once with numpy,
summing the values and finding the newest time by sensor. For the identities of one sensor (the last figures) it is the
same readings, in order, of a sensor that has none.

One JSON line a figure. Rates: `ratio` = value / floor, the part of numpy's speed that is left. Bytes: value / floor.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import msgspec
import numpy as np

from ingest.entries import Batch, Configuration
from ingest.readings import Flag, Float64, Int32, Int64, UInt8
from processing.acceptance import IDENTITIES_MOST, Acceptance
from processing.engine import Engine
from processing.warm import warm_up

SENSORS = 2_000
PERIOD_MS = 60_000
FILL_MINUTES = 24 * 60 + 60  # the longest window is full, and has begun to let go of what is old
BEGIN_MS = 1_665_720_000_000
WINDOWS = ("10m", "1h", "3h", "24h")
SUM_LEVELS = ((10, 15, 25, 40), (20, 30, 50, 80), (40, 60, 90, 130), (60, 100, 150, 200))
MAX_LEVELS = (1, 2, 4, 6)
BURST = 2_000  # readings of one message
ROUNDS = {100_000: 50, 1_000: 10}  # readings of a batch -> minutes of SENSORS readings a round
LEVELS = ("advisory", "warning", "danger", "emergency")
# While the windows fill: the longest of them, cheap to judge. The rules that are measured then take over what is held.
_FILL_TOML = """
[[rule]]
name = "fill"
hazard = "rain"
quantity = "rain"
statistic = "count"
window = "24h"
levels = { advisory = 1e9 }
"""


@dataclass(frozen=True, slots=True)
class Offered:
    """Columns of shape (n,) in order of arrival, as intake hands them to acceptance."""

    sensor: Int32
    t: Int64
    raw: Float64
    flag: UInt8
    arrival: Int64

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, rows: slice) -> Offered:
        return Offered(self.sensor[rows], self.t[rows], self.raw[rows], self.flag[rows], self.arrival[rows])


class City:
    """Gauges that never stop: each call of `minutes` goes on where the one before ended."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._minute = 0

    def minutes(self, count: int) -> Offered:
        """`count` x SENSORS readings, minute by minute, all gauges within each."""
        minute = np.arange(self._minute, self._minute + count)
        self._minute += count
        shower = np.maximum(0.0, np.sin(minute / 13.0) + np.sin(minute / 5.0) - 0.9)[:, None]  # mm a minute
        rain = np.round(shower * self._random.gamma(1.0, 1.0, (count, SENSORS)) / 0.2) * 0.2  # tips of 0.2 mm
        t = np.repeat(BEGIN_MS + minute * PERIOD_MS, SENSORS)
        late = np.tile(np.linspace(200, 50_000, SENSORS).astype(np.int64), count)
        sensor = np.tile(np.arange(SENSORS, dtype=np.int32), count)
        flag = np.full(len(t), Flag.NOT_EVALUATED, np.uint8)
        return Offered(sensor, t, np.ascontiguousarray(rain.ravel()), flag, t + late)


class Fold:
    """Acceptance and engine, as the service runs them between decoding and the ledger."""

    def __init__(self, sensors: int = SENSORS) -> None:
        self.engine, self.acceptance, self.sensors = Engine(), Acceptance(), sensors
        self.transitions = 0

    def configure(self, rules_toml: str) -> None:
        ids = tuple(f"gauge-{n}" for n in range(self.sensors))
        self.engine.step(Configuration(max(BEGIN_MS, self.engine.alive), _city_toml(ids), rules_toml, ids))
        self.acceptance.configure(self.engine.plan)

    def take(self, offered: Offered) -> None:
        found = self.acceptance.accept(offered.sensor, offered.t, offered.raw, offered.flag, offered.arrival)
        assert len(found.readings) == len(offered), "a reading was taken for a repeated one"
        self.transitions += len(self.engine.step(Batch(found.readings)).transitions)


class Floor:
    """One numpy pass over the columns."""

    def __init__(self) -> None:
        self.total, self.newest = np.zeros(SENSORS), np.zeros(SENSORS, np.int64)

    def take(self, offered: Offered) -> None:
        np.add.at(self.total, offered.sensor, offered.raw)
        np.maximum.at(self.newest, offered.sensor, offered.t)


def _city_toml(ids: tuple[str, ...]) -> str:
    head = '[city]\nname = "bench"\n[[area]]\ncode = "a"\nname = "a"\n'
    gauge = '[[sensor]]\nid = "{}"\nquantity = "rain"\narea = "a"\nperiod = "60s"\n'
    return head + "".join(map(gauge.format, ids))


def _rules_toml(statistics: tuple[str, ...]) -> str:
    text = ""
    for statistic in statistics:
        for window, sums in zip(WINDOWS, SUM_LEVELS, strict=True):
            levels = ", ".join(
                f"{name} = {x}" for name, x in zip(LEVELS, sums if statistic == "sum" else MAX_LEVELS, strict=True)
            )
            text += (
                f'[[rule]]\nname = "{statistic}-{window}"\nhazard = "rain"\nquantity = "rain"\n'
                f'statistic = "{statistic}"\nwindow = "{window}"\nlevels = {{ {levels} }}\nclear = 0.8\n'
            )
    return text


def _rate(take: Callable[[Offered], None], offered: Offered, size: int) -> float:
    """Readings a CPU-second, all threads of the process, user and system."""
    batches = [offered[at : at + size] for at in range(0, len(offered), size)]
    began = time.process_time()
    for batch in batches:
        take(batch)
    return len(offered) / (time.process_time() - began)


def _tell(figure: str, value: float, unit: str, floor: float, n: int) -> None:
    line = {"bench": "kernels", "figure": figure, "value": round(value), "unit": unit, "floor": round(floor),
            "ratio": float(f"{value / floor:.3g}"), "n": n}  # fmt: skip
    print(json.dumps(line), flush=True)


def _fill(fold: Fold, city: City) -> None:
    """Fills the windows and tells what they take."""
    tracemalloc.start(1)
    fold.configure(_FILL_TOML)
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(0, FILL_MINUTES, 50):
        fold.take(city.minutes(50))
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    least = 24 * 60 * 16.0  # a day of times and values
    _tell("memory", held / SENSORS, "bytes/sensor", least, SENSORS)
    _tell("snapshot of the engine", _size(fold.engine.to_state()), "bytes/sensor", least, SENSORS)
    _tell("snapshot of acceptance", _size(fold.acceptance.to_state()), "bytes/sensor", least, SENSORS)


def _measure(fold: Fold, city: City, statistics: tuple[str, ...], rounds: int) -> None:
    rules = f"{len(statistics) * len(WINDOWS)} rules ({' and '.join(statistics)})"
    floor, before = Floor(), fold.transitions
    for size, minutes in ROUNDS.items():
        rates: list[tuple[float, float]] = []
        for _ in range(rounds):
            offered = city.minutes(minutes)
            rates.append((_rate(fold.take, offered, size), _rate(floor.take, offered, size)))
        ours, theirs = (median(column) for column in zip(*rates, strict=True))
        _tell(f"{rules}, batches of {size}", ours, "readings/CPU-s", theirs, rounds)
    assert fold.transitions > before, "no level changed: the rules were too easy to judge"


def _identities(rounds: int, seed: int) -> None:
    """Identities of one sensor that measures nothing, when it has as many as it may: in which order they come."""
    times = 2 * np.arange(IDENTITIES_MOST) + BEGIN_MS
    r = np.random.default_rng(seed)
    new = {"rising": times[-1] + np.arange(1, BURST + 1), "falling": times[-BURST:][::-1] + 1,
           "anywhere": r.choice(times[BURST:], BURST, replace=False) + 1}  # fmt: skip
    orders = {"falling, at the front": (times[:-BURST], times[0] - np.arange(1, BURST + 1))}
    orders |= {order: (times, t) for order, t in new.items()}
    for order, (held, t) in orders.items():
        pairs = [(_accepted(held, t), _accepted(times[:1], new["rising"])) for _ in range(rounds)]
        ours, theirs = (median(column) for column in zip(*pairs, strict=True))
        _tell(f"acceptance, {len(held)} identities held, {order}", ours, "readings/CPU-s", theirs, rounds)


def _accepted(held: Int64, t: Int64) -> float:
    """Readings a CPU-second of one sensor that has identities at `held`; only the burst `t` is timed."""
    fold = Fold(1)
    fold.configure(_FILL_TOML)
    acceptance = fold.acceptance

    def take(times: Int64) -> None:
        n = len(times)
        flag = np.full(n, Flag.NOT_EVALUATED, np.uint8)
        acceptance.accept(np.zeros(n, np.int32), times, np.full(n, np.nan), flag, np.full(n, BEGIN_MS))

    take(held)
    began = time.process_time()
    take(t)
    return len(t) / (time.process_time() - began)


def _size(state: dict[str, object]) -> float:
    return len(msgspec.msgpack.encode(state)) / SENSORS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of ours and floor, in turns (default: 5)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warm_up()
    fold, city = Fold(), City(arguments.seed)
    _fill(fold, city)
    for statistics in (("sum",), ("sum", "max")):
        fold.configure(_rules_toml(statistics))
        _measure(fold, city, statistics, arguments.rounds)
    _identities(arguments.rounds, arguments.seed)


if __name__ == "__main__":
    main()
