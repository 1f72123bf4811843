"""The history: following a journal, and what is asked of it, beside bare DuckDB with the same columns.

A journal of `--hours` (24) of `--sensors` (2,000) that measure every 60 s, one entry a second.
Following: readings a second of processor, from the journal's bytes to rows, buckets and position on disk; the floor
inserts the same columns into a bare table, in steps of the same size, each committed.

Questions: medians of `--rounds`, through the history's process as the service asks it, while nothing is written. The
floor is one statement over the bare table in our own process, numpy columns out: no buckets are stored there, so that
it adds them up. One JSON line a figure; `ratio` = value / floor.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from surroundings import tell

from ingest.entries import ORIGIN, Batch, Configuration, Entry
from ingest.history.duckdb import DuckStore
from ingest.history.follow import READINGS_MOST, Follower
from ingest.history.process import HistoryProcess
from ingest.history.store import DAY_MS, HOUR_MS, MINUTE_MS, Keep, Reader
from ingest.history.stores import embedded_file
from ingest.journal import Journal
from ingest.readings import Readings

BEGIN_MS: Final = 1_665_680_400_000  # midnight in Đà Nẵng
ZONE: Final = "Asia/Ho_Chi_Minh"
CITY: Final = f'[city]\nname = "A"\ntimezone = "{ZONE}"\n[[area]]\ncode = "1"\nname = "B"\nlat = 16.0\nlon = 108.0\n'
SENSOR: Final = '[[sensor]]\nid = "s{}"\nquantity = "temperature"\narea = "1"\nlat = 16.0\nlon = 108.0\nplace = "C"\n'
GROUP: Final = 600  # entries of one commit of the journal, which is not what is measured
COLUMNS: Final = "series INTEGER, t BIGINT, value DOUBLE, raw DOUBLE, flag UTINYINT"
COUNTED: Final = "avg(value), min(value), max(value), sum(value), arg_max(value, t), max(flag)"


def _entries(sensors: int, hours: int) -> Iterator[Entry]:
    random = np.random.default_rng(7)
    ids = tuple(f"s{n}" for n in range(sensors))
    yield Configuration(BEGIN_MS, CITY + "".join(SENSOR.format(n) for n in range(sensors)), "", ids)
    second = np.array_split(np.arange(sensors), 60)  # who speaks in which second of a minute
    for now in range(hours * 3600):
        sensor = second[now % 60]
        t = np.full(len(sensor), BEGIN_MS + now * 1000)
        value = np.round(20 + 8 * random.random(len(sensor)), 1)
        yield Batch(Readings.of(sensor=sensor, t=t, value=value, flag=np.ones(len(sensor))))


def _write(folder: Path, sensors: int, hours: int) -> Journal:
    journal = Journal.open(folder)
    group: list[Entry] = []
    for entry in _entries(sensors, hours):
        group.append(entry)
        if len(group) == GROUP:
            journal.append_many(group)
            group.clear()
    if group:
        journal.append_many(group)
    return journal


def _follow(data: Path, journal: Journal) -> tuple[int, float, float]:
    """Readings, seconds of processor and of the wall."""
    store = DuckStore(embedded_file(data), ZoneInfo(ZONE))
    follower = Follower(journal.folder, store, Keep(400, 800), lambda: journal.last, Random(0))
    began, wall = time.process_time(), time.perf_counter()
    while store.position() < journal.last:
        follower.turn()
    store.close()
    return follower.counts.readings, time.process_time() - began, time.perf_counter() - wall


def _columns(journal: Journal) -> Iterator[dict[str, Any]]:
    parts: list[Readings] = []
    for _, entry in journal.read(ORIGIN):
        if isinstance(entry, Batch):
            parts.append(entry.readings)
        if sum(map(len, parts)) >= READINGS_MOST:
            yield _as_columns(Readings.join(parts))
            parts.clear()
    if parts:
        yield _as_columns(Readings.join(parts))


def _as_columns(readings: Readings) -> dict[str, Any]:
    return {"series": readings.sensor, "t": readings.t, "value": readings.value, "raw": readings.raw,
            "flag": readings.flag}  # fmt: skip


def _insert(file: Path, journal: Journal) -> tuple[float, float]:
    """Seconds of processor and of the wall, without reading the journal."""
    db = duckdb.connect(str(file), config={"threads": 2})
    db.execute(f"CREATE TABLE reading ({COLUMNS})")
    cpu_s = wall_s = 0.0
    for columns in _columns(journal):
        began, wall = time.process_time(), time.perf_counter()
        db.register("new", columns)
        db.execute("INSERT INTO reading SELECT * FROM new")
        db.unregister("new")
        cpu_s += time.process_time() - began
        wall_s += time.perf_counter() - wall
    began, wall = time.process_time(), time.perf_counter()
    db.close()
    return cpu_s + time.process_time() - began, wall_s + time.perf_counter() - wall


def _read(journal: Journal) -> float:
    began = time.process_time()
    for _ in journal.read(ORIGIN):
        pass
    return time.process_time() - began


def _median_ms(ask: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1000)
    return median(times[1:])  # the first one reads the file


def _questions(sensors: int, end: int) -> dict[str, tuple[Callable[[Reader], object], str]]:
    """By name: what is asked of us, and the statement that asks the same of the bare table."""
    ids, one = [f"s{n}" for n in range(sensors)], sensors // 2
    day = f"t >= {BEGIN_MS} AND t < {end}"

    def summed(every_ms: int, who: str = "") -> str:
        buckets = f"SELECT series, t - t % {every_ms}, count(value), {COUNTED} FROM reading"
        return f"{buckets} WHERE {day} {who} GROUP BY 1, 2 ORDER BY 1, 2"

    return {
        "one sensor, every reading": (
            lambda asked: asked.readings(ids[one], BEGIN_MS, end),
            f"SELECT t, value, raw, flag FROM reading WHERE {day} AND series = {one} ORDER BY t",
        ),
        "one sensor, 10 min": (
            lambda asked: asked.buckets([ids[one]], BEGIN_MS, end, 10 * MINUTE_MS),
            summed(10 * MINUTE_MS, f"AND series = {one}"),
        ),
        "one sensor, 1 h": (
            lambda asked: asked.buckets([ids[one]], BEGIN_MS, end, HOUR_MS), summed(HOUR_MS, f"AND series = {one}"),
        ),
        "all sensors, 10 min": (
            lambda asked: asked.buckets(ids, BEGIN_MS, end, 10 * MINUTE_MS), summed(10 * MINUTE_MS)
        ),
        "all sensors, 1 h": (lambda asked: asked.buckets(ids, BEGIN_MS, end, HOUR_MS), summed(HOUR_MS)),
        "all sensors, 1 day": (lambda asked: asked.buckets(ids, BEGIN_MS, end, DAY_MS), summed(DAY_MS)),
        "all sensors, every reading": (
            lambda asked: [len(rows.t) for rows in asked.scan(BEGIN_MS, end)],
            f"SELECT * FROM reading WHERE {day} ORDER BY t, series",
        ),
    }  # fmt: skip


def _ask(data: Path, bare: Path, journal: Journal, sensors: int, hours: int, rounds: int) -> None:
    running = HistoryProcess(["--data", str(data), "--zone", ZONE], os.environ, lambda: int(journal.last))
    running.start()
    db = duckdb.connect(str(bare), read_only=True, config={"threads": 2})
    try:
        while running.fault or running.progress.position < journal.last:
            time.sleep(0.05)
        for name, (ours, statement) in _questions(sensors, BEGIN_MS + hours * HOUR_MS).items():
            value = _median_ms(lambda ours=ours: ours(running.client), rounds)  # type: ignore[misc]
            floor = _median_ms(lambda statement=statement: db.execute(statement).fetchnumpy(), rounds)  # type: ignore[misc]
            tell("history", f"{hours} h of {name}", value, "ms", floor, rounds)
    finally:
        db.close()
        running.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=2_000)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on which disk (default: /var/tmp)")  # noqa: S108  # a folder of our own is made in it
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-history-", dir=given.folder) as folder:
        data, bare = Path(folder), Path(folder) / "bare.duckdb"
        journal = _write(data / "journal", given.sensors, given.hours)
        read_s = _read(journal)
        n, cpu_s, wall_s = _follow(data, journal)
        floor_s, floor_wall_s = _insert(bare, journal)
        tell("history", "following", n / cpu_s, "readings/cpu-s", n / floor_s, n)
        tell("history", "following", n / wall_s, "readings/s", n / floor_wall_s, n)
        tell("history", "reading the journal alone", n / read_s, "readings/cpu-s", None, n)
        tell("history", "on disk", embedded_file(data).stat().st_size / n, "bytes/reading", bare.stat().st_size / n, n)
        _ask(data, bare, journal, given.sensors, given.hours, given.rounds)


if __name__ == "__main__":
    main()
