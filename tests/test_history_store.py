"""The embedded history against a list in memory: what is kept, and what every bucket says, after every step."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
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
from ingest.history import asked, duck_file
from ingest.history import duckdb as duck
from ingest.history.duckdb import DuckStore
from ingest.history.local_days import midnights
from ingest.history.store import DAY_MS, HOUR_MS, MINUTE_MS, Buckets, Keep, Named, StoreError
from ingest.readings import Readings

HERE = ZoneInfo("Asia/Ho_Chi_Minh")
ZONES = (HERE, ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/London"))
START = 1_679_700_000_000  # the day before London's clocks go forward
EVERY = (90_000, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS)
NAMES = {n: Named(f"s-{n}", "rain", "mm", f"a-{n % 2}", "gw-1") for n in range(6)}
ORDER = (4, 3, 1, 2, 9)
WEEKS = (START - 20 * DAY_MS, START + 20 * DAY_MS)


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


def readings(*rows: tuple[int, int, float]) -> Readings:
    """(sensor, t, value), all of them good."""
    sensor, t, value = zip(*rows, strict=True)
    return Readings.of(sensor=sensor, t=t, value=value, flag=[1] * len(rows))


def hours(count: int) -> Readings:
    """One reading a minute of sensor 0, each 1.0."""
    return readings(*((0, START + n * MINUTE_MS, 1.0) for n in range(count * 60)))


def counted(kept: DuckStore, every_ms: int) -> float:
    return float(kept.buckets(["s-0"], *WEEKS, every_ms).count.sum())


def test_of_the_same_moment_the_first_is_kept_in_a_step_and_later_and_after_a_start(tmp_path: Path) -> None:
    with opened(tmp_path / "h" / "a.duckdb") as kept:
        assert kept.position() == ORIGIN
        assert kept.span() is None
        assert kept.append(readings((0, START, 1.0), (0, START, 2.0), (1, START, 3.0)), NAMES, Position(7)) == 2
        assert kept.append(readings((0, START, 4.0), (0, START - 1, 5.0)), NAMES, Position(8)) == 1
        kept.close()
        assert kept.append(readings((0, START, 6.0), (0, START + 1, 7.0)), NAMES, Position(9)) == 1
        assert kept.append(readings((0, START + 2, 8.0)), NAMES, Position(9)) == 0
        assert kept.position() == 9
        assert kept.readings("s-0", 0, 2**42).value.tolist() == [5.0, 1.0, 7.0]
        assert kept.readings("s-0", START, START + 1).t.tolist() == [START]
        assert kept.readings("s-0", 0, 2**42, limit=2).value.tolist() == [5.0, 1.0]
        assert kept.span() == (START - 1, START + 1)


def test_a_position_alone_is_kept_too(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        assert kept.append(Readings.empty(), {}, Position(3)) == 0
    with opened(tmp_path / "a.duckdb") as kept:
        assert kept.position() == 3


def test_what_a_sensor_was_before_is_told_apart_by_its_quantity(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(readings((0, START, 412.0)), {0: Named("s-0", "co2", "ppm", "a", "")}, Position(1))
        kept.append(readings((0, START + 1, 0.2)), {0: Named("s-0", "rain", "mm", "a", "")}, Position(2))

        assert kept.readings("s-0", 0, 2**42).value.tolist() == [412.0, 0.2]
        assert kept.readings("s-0", 0, 2**42, quantity="rain").value.tolist() == [0.2]
        assert kept.buckets(["s-0"], 0, 2**42, DAY_MS, "rain").max.tolist() == [0.2]
        assert kept.buckets(["s-0"], 0, 2**42, DAY_MS, "noise").max.tolist() == []
        [rows] = kept.scan(0, 2**42)
        assert [rows.names[n].quantity for n in rows.series] == ["co2", "rain"]


def test_readings_are_forgotten_before_minutes_and_hours_stay(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(hours(10 * 24), NAMES, Position(1))
        now = START + 10 * DAY_MS
        kept.retain(Keep(raw_days=3, minutes_days=6), now)

        assert kept.span() == (now - 3 * DAY_MS, now - MINUTE_MS)
        assert counted(kept, MINUTE_MS) == 6 * 24 * 60
        assert counted(kept, HOUR_MS) == counted(kept, DAY_MS) == 10 * 24 * 60
        # what comes again is not counted twice, though the readings are gone that it would be compared with
        assert kept.append(hours(10 * 24), NAMES, Position(2)) == 0
        assert kept.append(readings((0, START + 1, 9.0), (0, now - DAY_MS + 1, 9.0)), NAMES, Position(3)) == 1
        assert counted(kept, HOUR_MS) == counted(kept, DAY_MS) == 10 * 24 * 60 + 1
        kept.retain(Keep(raw_days=9, minutes_days=9), now)  # what is forgotten does not come back
        assert kept.append(readings((0, now - 5 * DAY_MS + 1, 9.0)), NAMES, Position(4)) == 0


def test_kept_for_longer_from_now_on_what_was_never_there_is_taken_and_what_was_is_not_twice(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(hours(5), NAMES, Position(1))
        kept.retain(Keep(0, 0), START + 5 * HOUR_MS)
        was = counted(kept, HOUR_MS)
        kept.retain(Keep(30, 60), START + 5 * HOUR_MS)
        older = readings((0, START - 25 * DAY_MS, 1.0), (1, START - 25 * DAY_MS, 1.0), (0, START + MINUTE_MS, 7.0))
        assert kept.append(older, NAMES, Position(2)) == 0, "its hours have been counted, whose readings are gone"
        assert counted(kept, HOUR_MS) == was
    with opened(tmp_path / "b.duckdb") as kept:
        kept.append(hours(5), NAMES, Position(1))
        kept.retain(Keep(10, 20), START + 5 * HOUR_MS)
        assert kept.append(older, NAMES, Position(2)) == 0
        kept.retain(Keep(30, 60), START + 5 * HOUR_MS)
        assert kept.append(older, NAMES, Position(3)) == 2, "nothing was ever there"
        assert kept.append(older, NAMES, Position(4)) == 0
        for every_ms in (MINUTE_MS, HOUR_MS, DAY_MS):
            found = kept.buckets(["s-0", "s-1"], START - 30 * DAY_MS, START + DAY_MS, every_ms)
            assert (found.count.sum(), found.max.max()) == (302, 1.0)


def test_retention_never_takes_what_is_in_no_bucket_yet(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(hours(5), NAMES, Position(1))
        kept.retain(Keep(raw_days=1, minutes_days=1), START + 400 * DAY_MS)

        assert counted(kept, HOUR_MS) == counted(kept, DAY_MS) == 5 * 60


def test_in_another_zone_the_days_are_others(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(hours(72), NAMES, Position(1))
        here = kept.buckets(["s-0"], 0, 2**42, DAY_MS)
    with opened(tmp_path / "a.duckdb", ZoneInfo("UTC")) as kept:
        there = kept.buckets(["s-0"], 0, 2**42, DAY_MS)
        assert counted(kept, DAY_MS) == 72 * 60

    assert {int(t) % DAY_MS for t in here.start} == {17 * HOUR_MS}
    assert {int(t) % DAY_MS for t in there.start} == {0}
    assert here.count.sum() == there.count.sum()


def test_long_answers_come_in_chunks_and_too_long_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "READINGS_MAX", 50)
    with opened(tmp_path / "a.duckdb") as kept:
        rows = [(n % 6, START + n // 6 * 1000, float(n)) for n in range(600)]  # 360 in one minute
        kept.append(readings(*rows), NAMES, Position(1))
        chunks = list(kept.scan(0, 2**42))
        some = list(kept.scan(START + 5000, START + 90_000, ["s-2", "nobody"]))

        assert max(len(chunk.t) for chunk in chunks) == 50
        assert [value for chunk in chunks for value in chunk.value.tolist()] == [float(n) for n in range(600)]
        assert [value for chunk in some for value in chunk.value.tolist()] == [float(n) for n in range(32, 540, 6)]
        for wrong in (0, -1, 51):
            with pytest.raises(ValueError, match="1 to 50"):
                kept.readings("s-0", 0, 1, wrong)
        assert len(kept.buckets(["s-0"], START, START - 3 * DAY_MS, DAY_MS).start) == 0
        with pytest.raises(ValueError, match="can be asked for"):
            kept.buckets(["s-0"] * 400, 0, DAY_MS, MINUTE_MS)
        with pytest.raises(ValueError, match="1 ms or longer"):
            kept.buckets(["s-0"], 0, DAY_MS, 0)


def test_ids_are_words_and_never_statements(tmp_path: Path) -> None:
    bad = "x'); DELETE FROM reading; --"
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(readings((0, START, 1.0)), {0: Named(bad, bad, bad, bad, bad)}, Position(1))

        assert kept.readings(bad, 0, 2**42).value.tolist() == [1.0]
        assert kept.buckets([bad], *WEEKS, HOUR_MS, bad).count.tolist() == [1]
        assert [len(rows.t) for rows in kept.scan(0, 2**42, [bad, "'"])] == [1]


def test_a_step_that_fails_leaves_nothing_and_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise duckdb.IOException("IO Error: no luck\nand more")

    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(readings((0, START, 1.0)), NAMES, Position(1))
        with monkeypatch.context() as patch:
            patch.setattr(duck_file, "write", broken)
            with pytest.raises(StoreError, match=r"a\.duckdb: IO Error: no luck\Z"):
                kept.append(hours(24), NAMES, Position(2))
        assert kept.position() == 1
        assert counted(kept, MINUTE_MS) == 1
        assert kept.append(hours(24), NAMES, Position(2)) == 24 * 60 - 1
        assert counted(kept, MINUTE_MS) == counted(kept, DAY_MS) == 24 * 60


def test_a_file_that_is_none_of_ours_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.duckdb"
    file.write_bytes(b"no database at all" * 1000)
    with opened(file) as kept, pytest.raises(StoreError, match=r"a\.duckdb"):
        kept.position()
    assert file.read_bytes().startswith(b"no database")


def test_a_file_of_another_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with opened(tmp_path / "a.duckdb") as kept:
        kept.append(hours(1), NAMES, Position(1))
    with duckdb.connect(str(tmp_path / "a.duckdb")) as db:
        db.execute("UPDATE state SET schema = 1")
        db.execute("ALTER TABLE state DROP mark")
    for _ in range(2):
        with opened(tmp_path / "a.duckdb") as kept, pytest.raises(StoreError, match=r"schema 1.*schema 2\. Move the"):
            kept.position()


def test_a_question_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duck, "ASK_S", 0.05)
    endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
    monkeypatch.setattr(asked, "readings", lambda db, *_: db.execute(endless).fetchall())
    with opened(tmp_path / "a.duckdb") as kept, pytest.raises(StoreError, match="ask for less"):
        kept.readings("s-0", 0, 1)


def test_on_a_disk_with_little_room_the_rest_is_left_to_the_journal(tmp_path: Path) -> None:
    kept = DuckStore(tmp_path / "a.duckdb", HERE, room_bytes=2**62)
    with pytest.raises(StoreError, match="left to the journal"):
        kept.append(hours(1), NAMES, Position(1))
    assert kept.position() == ORIGIN
    kept.close()


def test_whoever_asks_sees_whole_steps_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    """Each step brings 60 readings and closes an hour: readings, minutes, hours and days must agree at any moment."""
    stop = threading.Event()
    with opened(tmp_path / "a.duckdb") as kept, ThreadPoolExecutor(1) as pool:
        kept.append(hours(1), NAMES, Position(1))

        def ask() -> int:
            seen = 0
            while not stop.is_set():
                with kept._asking() as db:
                    counts = {int(asked.buckets(db, ["s-0"], 0, 2**42, every_ms, HERE, None).count.sum())
                              for every_ms in (MINUTE_MS, HOUR_MS, DAY_MS)}  # fmt: skip
                    counts.add(len(asked.readings(db, "s-0", 0, 2**42, 100_000, None).t))
                assert len(counts) == 1, counts
                assert counts.pop() % 60 == 0
                seen += 1
            return seen

        asking = pool.submit(ask)
        for n in range(2, 30):
            kept.append(hours(n), NAMES, Position(n))
        stop.set()
        assert asking.result() > 0


@pytest.mark.parametrize("zone", ["Asia/Ho_Chi_Minh", "Europe/London", "Asia/Beirut", "America/Havana", "Pacific/Apia"])
def test_midnights_rise_and_lie_around_what_was_asked(zone: str) -> None:
    """Also where clocks jump at midnight, or a whole day is left out."""
    first = 1_262_304_000_000
    for hour in range(0, 3 * 366 * 24, 7):
        t = first + hour * HOUR_MS
        found = midnights(ZoneInfo(zone), t, t + DAY_MS)
        assert found[0] <= t < found[1], (zone, t, found)
        assert found[-1] >= t + DAY_MS
        assert (np.diff(found) > 0).all()
