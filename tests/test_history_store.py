"""The embedded history against a list in memory: what is kept, and what every bucket says, after every step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from conftest import Tally

from ingest.entries import ORIGIN, Position
from ingest.history import asked, store
from ingest.history import duckdb as duck
from ingest.history.duckdb import DuckStore
from ingest.history.local_days import midnights
from ingest.history.store import DAY_MS, HOUR_MS, MINUTE_MS, Buckets, Keep, Named, StoreError
from ingest.readings import Int64, Readings

HERE = ZoneInfo("Asia/Ho_Chi_Minh")
ZONES = (HERE, ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/London"))
START = 1_679_700_000_000  # the day before London's clocks go forward
EVERY = (90_000, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS)
NAMES = {n: Named(f"s-{n}", "rain", "mm", f"a-{n % 2}", "gw-1") for n in range(6)}
ORDER = (4, 3, 1, 2, 9)


@contextmanager
def opened(file: Path, zone: ZoneInfo = HERE) -> Iterator[DuckStore]:
    found = DuckStore(file, zone)
    try:
        yield found
    finally:
        found.close()


@dataclass
class Memory:
    """What the store must say: (sensor id, t) -> (value, raw, flag)."""

    zone: ZoneInfo
    kept: dict[tuple[str, int], tuple[float, float, int]] = field(default_factory=dict)

    def append(self, readings: Readings, names: Mapping[int, Named]) -> int:
        before = len(self.kept)
        columns = (readings.sensor, readings.t, readings.value, readings.raw, readings.flag)
        for sensor, t, *rest in zip(*(column.tolist() for column in columns), strict=True):
            self.kept.setdefault((names[sensor].id, t), tuple(rest))
        return len(self.kept) - before

    def start_of(self, t: int, every_ms: int) -> int:
        return int(midnights(self.zone, t, t + 1)[0]) if every_ms == DAY_MS else t // every_ms * every_ms

    def buckets(self, sensors: list[str], start: int, end: int, every_ms: int) -> list[tuple[float, ...]]:
        found: dict[tuple[int, int], list[tuple[int, float, int]]] = {}
        for (sensor, t), (value, _, flag) in self.kept.items():
            begins = self.start_of(t, every_ms)
            if sensor in sensors and start <= begins < end:
                found.setdefault((sensors.index(sensor), begins), []).append((t, value, flag))
        return [(*key, *said(rows)) for key, rows in sorted(found.items())]


def said(rows: list[tuple[int, float, int]]) -> tuple[float, ...]:
    worst = min((flag for *_, flag in rows), key=ORDER.index)
    counted = sorted((t, value) for t, value, flag in rows if flag not in (4, 9) and not math.isnan(value))
    values = [value for _, value in counted]
    if not values:
        return (0, math.nan, math.nan, math.nan, 0.0, math.nan, worst)
    total = math.fsum(values)
    return (len(values), total / len(values), min(values), max(values), total, values[-1], worst)


def some(random: Random, newest: int, n: int) -> Readings:
    """In order and out of it, twice the same, hours and days late, missing and failed."""
    late = (0, 0, 0, 0, 10 * MINUTE_MS, 3 * HOUR_MS, 26 * HOUR_MS, 80 * HOUR_MS)
    t = [newest - random.choice(late) - random.randrange(20) * 30_000 for _ in range(n)]
    flag = [random.choice((1, 1, 1, 2, 3, 4, 9)) for _ in range(n)]
    value = [math.nan if f == 9 else random.randrange(-50, 400) / 8 for f in flag]
    return Readings.of(sensor=[random.randrange(len(NAMES)) for _ in range(n)], t=t, value=value, flag=flag,
                       raw=[random.random() for _ in range(n)])  # fmt: skip


def listed(found: Buckets) -> list[tuple[float, ...]]:
    return list(zip(*(getattr(found, column.name).tolist() for column in fields(found)), strict=True))


def same_rows(kept: DuckStore, memory: Memory) -> None:
    expected = [(t, sensor, *rest) for (sensor, t), rest in memory.kept.items()]
    found = []
    for rows in kept.scan(0, 2**62):
        columns = (rows.t, rows.series, rows.value, rows.raw, rows.flag)
        found += [(t, rows.names[series].id, *rest)
                  for t, series, *rest in zip(*(column.tolist() for column in columns), strict=True)]  # fmt: skip
    np.testing.assert_equal(found, sorted(expected, key=lambda row: row[:2]))


def check(seed: int, folder: Path, steps: int = 20) -> None:
    random = Random(seed)
    zone = random.choice(ZONES)
    memory = Memory(zone)
    names: dict[int, Named] = dict(NAMES)
    newest, position = START, 0
    kept = DuckStore(folder / f"{seed}.duckdb", zone)
    asked_for = ["s-0", "nobody", "s-3", "s-5"]
    for _ in range(steps):
        newest += random.choice((0, 60_000, 600_000, HOUR_MS, 9 * HOUR_MS))
        readings = some(random, newest, random.randrange(40))
        if random.random() < 0.1:  # moved in the registry: the same sensor, another series
            names = {**names, 3: replace(names[3], area=f"a-{position}")}
        position += random.randrange(1, 4)
        new = memory.append(readings, names)
        assert kept.append(readings, names, Position(position)) == new
        assert kept.append(readings, names, Position(position)) == 0
        if random.random() < 0.1:
            kept.close()  # opened anew by what follows
        assert kept.position() == position
        start = START + random.randrange(-90, 60) * HOUR_MS - random.randrange(HOUR_MS)
        end = start + random.randrange(100) * HOUR_MS
        for every_ms in random.sample(EVERY, 2):
            np.testing.assert_allclose(
                listed(kept.buckets(asked_for, start, end, every_ms)),
                memory.buckets(asked_for, start, end, every_ms),
                rtol=1e-13,
            )
    same_rows(kept, memory)
    kept.close()


def test_rows_and_buckets_are_those_of_a_list_in_memory(tally: Tally, tmp_path: Path) -> None:
    for seed in tally.seeds(few=3, many=300):
        with tally.trial():
            check(seed, tmp_path)
