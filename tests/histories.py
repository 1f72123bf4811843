"""A journal that a test writes, and the process that follows it."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np

from ingest.entries import ORIGIN, Batch, Configuration, Position
from ingest.history.process import HistoryProcess
from ingest.history.store import Reader
from ingest.journal import Journal
from ingest.readings import Readings

START = 1_665_700_000_000
SENSORS = 40
CITY = '[city]\nname = "A"\ntimezone = "Asia/Ho_Chi_Minh"\n[[area]]\ncode = "1"\nname = "B"\nlat = 16.0\nlon = 108.0\n'
CITY += "".join(
    f'[[sensor]]\nid = "s-{n}"\nquantity = "rain"\narea = "1"\nlat = 16.0\nlon = 108.0\nplace = "C"\n'
    for n in range(SENSORS)
)
Row = tuple[int, str, float | None, float | None, int]  # None: missing


class Source:
    """A journal in `data`, and readings for it: in order, late, missing, and some of them twice."""

    def __init__(self, data: Path, seed: int = 0) -> None:
        self.journal = Journal.open(data / "journal")
        self._random = Random(seed)
        self.arrival = START
        if self.journal.last == ORIGIN:
            self.configure(CITY)

    @property
    def position(self) -> int:
        return self.journal.last

    def configure(self, city: str, numbers: int = SENSORS) -> None:
        self.journal.append(Configuration(self.arrival, city, "", tuple(f"s-{n}" for n in range(numbers))))

    def write(self, batches: int, readings: int = 20) -> None:
        entries = []
        for _ in range(batches):
            self.arrival += self._random.randrange(60_000)
            late = [self._random.choice((0, 0, 0, 4, 300)) * 60_000 for _ in range(readings)]
            entries.append(
                Batch(
                    Readings.of(
                        sensor=[self._random.randrange(SENSORS) for _ in late],
                        t=[(self.arrival - ms) // 30_000 * 30_000 for ms in late],
                        value=[self._random.choice((np.nan, 0.2, 0.4)) for _ in late],
                        arrival=[self.arrival] * readings,
                    )
                )
            )
        self.journal.append_many(entries)

    def rows(self) -> list[Row]:
        """What the history must hold of the journal: the first of every (sensor, t)."""
        found: dict[tuple[int, str], Row] = {}
        names: tuple[str, ...] = ()
        for _, entry in self.journal.read(ORIGIN):
            if isinstance(entry, Configuration):
                names = entry.sensor_ids
            elif isinstance(entry, Batch):
                r = entry.readings
                for n, *row in zip(*(c.tolist() for c in (r.sensor, r.t, r.value, r.raw, r.flag)), strict=True):
                    found.setdefault((row[0], names[n]), _row(names[n], *row))
        return [found[key] for key in sorted(found)]


def _row(id_: str, t: int, value: float, raw: float, flag: int) -> Row:
    return (t, id_, None if math.isnan(value) else value, None if math.isnan(raw) else raw, flag)


def rows_of(reader: Reader) -> list[Row]:
    return [
        _row(rows.names[series].id, *row)
        for rows in reader.scan(0, 2**62)
        for series, *row in zip(
            *(column.tolist() for column in (rows.series, rows.t, rows.value, rows.raw, rows.flag)), strict=True
        )
    ]


def same(reader: Reader, source: Source) -> None:
    assert rows_of(reader) == source.rows()


@contextmanager
def followed(
    data: Path, until: Callable[[], int], *arguments: str, environ: Mapping[str, str] = os.environ
) -> Iterator[HistoryProcess]:
    process = HistoryProcess(["--data", str(data), "--zone", "Asia/Ho_Chi_Minh", *arguments], environ, until)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def eventually(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, "not in time"
        pause.wait(0.02)


def caught_up(process: HistoryProcess, position: Position | int) -> None:
    eventually(lambda: process.progress.position == position and not process.fault)


HOLDER = """
import duckdb, sys
held = duckdb.connect(sys.argv[1])
held.execute("CREATE TABLE IF NOT EXISTS mine (a INTEGER)")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(file: Path) -> Iterator[None]:
    """By another process, as somebody's shell would hold it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLDER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("")
