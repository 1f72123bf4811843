"""The history in one DuckDB file: rows and position in one transaction, and the buckets beside them.

It is derived: where the file is lost or damaged, move it away, and it is filled anew from what the journal keeps.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb

from ingest.entries import Position
from ingest.history import asked, duck_file, rollups
from ingest.history.known import Known, State
from ingest.history.local_days import midnights
from ingest.history.store import DAY_MS, HOUR_MS, READINGS_MAX, Buckets, Keep, Named, Points, Rows, StoreError
from ingest.readings import Int64, Readings

ASK_S: Final = 10.0  # for one answer; then it is given up
ROOM_BYTES: Final = 64 * 1024 * 1024  # of the disk that are left to the journal, which may be on the same one
OPEN_MS: Final = HOUR_MS  # buckets stay open for so long after their end: most of what is late comes before that


class DuckStore:
    """`file` is made, and opened, when it is first needed, and opened anew after a step that failed.

    `zone`: whose days are days.
    """

    def __init__(self, file: Path, zone: ZoneInfo, room_bytes: int = ROOM_BYTES) -> None:
        self._file, self._zone, self._room_bytes = file, zone, room_bytes
        self._opening = threading.Lock()
        self._opened: tuple[duckdb.DuckDBPyConnection, Known] | None = None

    # -- writing ---------------------------------------------------------------------------------------------------

    def position(self) -> Position:
        with self._as_store_error():
            return self._open()[1].state.position

    def mark(self) -> int | None:
        with self._as_store_error():
            return self._open()[1].state.mark

    def append(
        self, readings: Readings, sensors: Mapping[int, Named], position: Position, mark: int | None = None
    ) -> int:
        with self._step() as (db, known):
            if position <= known.state.position:
                return 0
            self._check_room()
            new = known.take(db, readings, sensors)
            state = replace(known.state, position=position, mark=mark)
            if len(new["t"]):
                db.register("new", new)
                db.execute("INSERT INTO reading SELECT series, t, value, raw, flag FROM new")
                self._add_late(db, state, new["t"])
                db.unregister("new")
                state = self._close_buckets(db, state, int(new["t"].max()))
            duck_file.write(db, state)
            known.state = state
            return len(new["t"])

    def retain(self, keep: Keep, now_ms: int) -> None:
        with self._step() as (db, known):
            state = known.state
            # What no bucket holds yet is kept in any case.
            raw_from = min(now_ms - keep.raw_days * DAY_MS, state.rolled)
            raw_from = rollups.kept_from(db, max(0, raw_from), state.raw_from)
            minutes_from = min(now_ms - keep.minutes_days * DAY_MS, state.days_to)
            minutes_from = rollups.kept_from(db, max(0, minutes_from), state.minutes_from)
            db.execute("DELETE FROM reading WHERE t < $1", [raw_from])
            db.execute("DELETE FROM minute WHERE start < $1", [minutes_from])
            known.state = replace(state, raw_from=raw_from, minutes_from=minutes_from)
            duck_file.write(db, known.state)

    @property
    def refused(self) -> int:
        """None: whatever the journal holds can be held here."""
        return 0

    def close(self) -> None:
        with self._opening:
            self._forget()

    def _add_late(self, db: duckdb.DuckDBPyConnection, state: State, t: Int64) -> None:
        """To the buckets that are closed, what of `new` belongs to them."""
        if not (is_late := t < state.rolled).any():
            return
        days = midnights(self._zone, int(t[is_late].min()), state.rolled)
        late = f"SELECT series, t, value, flag FROM new WHERE t < {state.rolled}"
        rollups.add(db, "minute", late, days)
        rollups.add(db, "hour", late, days)
        if days[0] < state.days_to:
            rollups.add(db, "day", f"{late} AND t < {state.days_to}", days)

    def _close_buckets(self, db: duckdb.DuckDBPyConnection, state: State, newest: int) -> State:
        """Those that `newest` has left behind."""
        to = (newest - OPEN_MS) // HOUR_MS * HOUR_MS
        if to <= state.rolled:
            return state
        rollups.close(db, state.rolled, to)
        first = db.execute("SELECT min(start) FROM minute WHERE start >= $1", [state.days_to]).fetchall()[0][0]
        if first is None:
            return replace(state, rolled=to)
        days = midnights(self._zone, first, to)
        days = days[days <= to]
        if len(days) > 1:
            rollups.close_days(db, days)
        return replace(state, rolled=to, days_to=max(state.days_to, int(days[-1])))

    # -- reading ---------------------------------------------------------------------------------------------------

    def readings(
        self, sensor: str, start: int, end: int, limit: int = READINGS_MAX, quantity: str | None = None
    ) -> Points:
        asked.check_limit(limit)
        with self._asking() as db:
            return asked.readings(db, sensor, start, end, limit, quantity)

    def buckets(
        self, sensors: Sequence[str], start: int, end: int, every_ms: int, quantity: str | None = None
    ) -> Buckets:
        asked.check_buckets(len(sensors), start, end, every_ms)
        with self._asking() as db:
            return asked.buckets(db, sensors, start, end, every_ms, self._zone, quantity)

    def scan(self, start: int, end: int, sensors: Collection[str] | None = None) -> Generator[Rows, None, None]:
        with self._asking() as db:
            stretches = asked.stretches(db, start, end, sensors)
        for first, last in stretches:
            with self._asking() as db:
                rows = asked.rows(db, first, last, sensors)
            yield from asked.parts(rows)

    def span(self) -> tuple[int, int] | None:
        with self._asking() as db:
            first, last = db.execute("SELECT min(t), max(t) FROM reading").fetchall()[0]
            return None if first is None else (first, last)

    # -- the file --------------------------------------------------------------------------------------------------

    def _open(self) -> tuple[duckdb.DuckDBPyConnection, Known]:
        with self._opening:
            if self._opened is None:
                db = duck_file.opened(self._file)
                try:
                    self._opened = db, Known(db, duck_file.state_of(db, self._zone))
                except BaseException:
                    db.close()
                    raise
            return self._opened

    def _check_room(self) -> None:
        if (free := shutil.disk_usage(self._file.parent).free) < self._room_bytes:
            raise OSError(f"{free >> 20} MB free on its disk; {self._room_bytes >> 20} MB are left to the journal")

    def _forget(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
        self._opened = None

    @contextmanager
    def _step(self) -> Iterator[tuple[duckdb.DuckDBPyConnection, Known]]:
        """One transaction. Where it fails, nothing of it is in the file, and what we remember is read anew."""
        with self._as_store_error():
            db, known = self._open()
            try:
                db.begin()
                yield db, known
                db.commit()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def _asking(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One state of the file, whatever is written meanwhile, for ASK_S at most."""
        with self._as_store_error():
            cursor = self._open()[0].cursor()
            timer = threading.Timer(ASK_S, cursor.interrupt)
            timer.daemon = True
            timer.start()
            try:
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                yield cursor
            finally:
                timer.cancel()
                cursor.close()

    @contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except duckdb.InterruptException:
            raise StoreError(f"no answer within {ASK_S:g} s; ask for less at a time") from None
        except (duckdb.Error, OSError) as error:
            raise StoreError(f"{self._file}: {str(error).splitlines()[0]}") from error
