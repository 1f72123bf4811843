"""One day's file of the journal: its tables, its rows, how it is made and opened. ingest/journal.py joins the days."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from zlib import crc32

from ingest.disk import Disk, Mode, write_ahead
from ingest.entries import ORIGIN, Configuration, DeadLetter, Entry, Position
from ingest.entry_bytes import EntryError, decode, encode, kind_of

_BUSY_S: Final = 10.0  # longest wait for another process's lock; then it counts as a failure like any other
_PAGE_ROWS: Final = 64  # rows that a reader holds at once: bounds its memory, and no read lock outlives a page
_TABLES: Final = """
BEGIN;
CREATE TABLE entry (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, arrival INTEGER NOT NULL, crc INTEGER NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX configuration ON entry (position) WHERE kind = 'configuration';
CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, position INTEGER NOT NULL, arrival INTEGER NOT NULL,
  reason TEXT NOT NULL, detail TEXT NOT NULL, gateway TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL);
CREATE INDEX dead_letter_position ON dead_letter (position, reason);
COMMIT;
"""
_ENTRY: Final = "SELECT position, kind, arrival, crc, body FROM entry "
_LETTER: Final = "SELECT id, position, arrival, topic, payload, reason, detail, gateway FROM dead_letter "


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter as it is kept. `id` grows with time and is unique among those kept."""

    id: int
    position: Position
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters: None leaves a side open. `gateway` "": those that name none. `since`: arrival, ms UTC."""

    reason: str | None = None
    gateway: str | None = None
    since: int | None = None


def make(disk: Disk, path: Path) -> None:
    """A file that others see only once it has its tables and its mode: nobody ever opens half of one."""
    new = path.with_name(f".{path.stem}.new")
    for leftover in disk.names(path.parent):
        if leftover.startswith(new.name):
            disk.unlink(path.with_name(leftover))
    with closing(_connect(disk, new, "rwc")) as db:
        db.executescript(_TABLES)
        write_ahead(db)
    disk.rename(new, path)


def writer(disk: Disk, path: Path) -> sqlite3.Connection:
    db = _connect(disk, path, "rw")
    db.execute("PRAGMA synchronous=FULL")  # the log is on disk when a COMMIT returns
    return db


def reader(disk: Disk, path: Path) -> sqlite3.Connection:
    return _connect(disk, path, "ro")


def entries(db: sqlite3.Connection, after: Position) -> Iterator[tuple[Position, Entry]]:
    """What stands after `after`, in order. Raises EntryError with the position of a damaged row."""
    while True:
        rows = db.execute(_ENTRY + "WHERE position > ? ORDER BY position LIMIT ?", (after, _PAGE_ROWS)).fetchall()
        for row in rows:
            after = Position(row[0])
            try:
                entry = _entry(db, row)
            except EntryError as error:
                raise EntryError(f"position {after}: {error}") from error
            yield after, entry
        if len(rows) < _PAGE_ROWS:
            return


def insert(db: sqlite3.Connection, position: Position, entry: Entry) -> None:
    kind, body = kind_of(entry), encode(entry)
    crc = _crc(position, kind, entry.arrival, body)
    db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (position, kind, entry.arrival, crc, body))


def insert_letters(db: sqlite3.Connection, position: Position, last_id: int, letters: Sequence[DeadLetter]) -> None:
    db.executemany(
        "INSERT INTO dead_letter (id, position, arrival, topic, payload, reason, detail, gateway)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (id_, position, letter.arrival, letter.topic, letter.payload, letter.reason, letter.detail, letter.gateway)
            for id_, letter in enumerate(letters, last_id + 1)
        ),
    )


def is_empty(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM entry LIMIT 1").fetchone() is None


def forget_after(db: sqlite3.Connection, position: Position) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM entry WHERE position > ?", (position,))
    db.execute("DELETE FROM dead_letter WHERE position > ?", (position,))
    db.execute("COMMIT")


def newest(db: sqlite3.Connection) -> tuple[Position, int] | None:
    """Position and arrival (ms UTC) of the last entry; None where there is none."""
    row = db.execute("SELECT position, arrival FROM entry ORDER BY position DESC LIMIT 1").fetchone()
    return None if row is None else (Position(row[0]), int(row[1]))


def newest_configuration(db: sqlite3.Connection, until: Position) -> Configuration:
    """The last at or before `until`. Raises EntryError where there is none that can be read."""
    query = "SELECT max(position) FROM entry WHERE kind = 'configuration' AND position <= ?"
    at = db.execute(query, (until,)).fetchone()[0]
    if at is None:
        raise EntryError("holds no configuration")
    configuration = next(entries(db, Position(at - 1)))[1]
    assert isinstance(configuration, Configuration)
    return configuration


def checksum(db: sqlite3.Connection, position: Position) -> int | None:
    """Of where the row stands, its kind, its arrival and its body; None where there is none."""
    row = db.execute("SELECT crc FROM entry WHERE position = ?", (position,)).fetchone()
    return None if row is None else int(row[0])


def end(db: sqlite3.Connection, which: Literal["min", "max"]) -> Position:
    """The first or the last position of the file; ORIGIN where it holds no entry."""
    position = db.execute(f"SELECT {which}(position) FROM entry").fetchone()[0]  # noqa: S608  # one of two literals
    return Position(position or ORIGIN)


def letters(
    db: sqlite3.Connection, wanted: Wanted, *, limit: int, before_id: int | None = None, after_id: int | None = None
) -> list[KeptLetter]:
    """The newest first; with `after_id` the oldest first."""
    limits = {"id < ?": before_id, "id > ?": after_id, "reason = ?": wanted.reason, "gateway = ?": wanted.gateway,
              "arrival >= ?": wanted.since}  # fmt: skip
    given = {condition: value for condition, value in limits.items() if value is not None}
    where = f"WHERE {' AND '.join(given)} " if given else ""
    order = "DESC" if after_id is None else "ASC"
    return [_kept(row) for row in db.execute(f"{_LETTER}{where}ORDER BY id {order} LIMIT ?", (*given.values(), limit))]


def letter_counts(db: sqlite3.Connection) -> dict[str, int]:
    return dict(db.execute("SELECT reason, count(*) FROM dead_letter GROUP BY reason").fetchall())


def letter_bytes(db: sqlite3.Connection, since: int) -> list[tuple[str, int, int]]:
    """(gateway, how many, bytes of their payloads) of the letters that arrived at or after `since`."""
    query = "SELECT gateway, count(*), sum(length(payload)) FROM dead_letter WHERE arrival >= ? GROUP BY gateway"
    return list(db.execute(query, (since,)))


def _connect(disk: Disk, path: Path, mode: Mode) -> sqlite3.Connection:
    return disk.connect(path, mode, busy_s=_BUSY_S)


def _entry(db: sqlite3.Connection, row: tuple[int, str, int, int, bytes]) -> Entry:
    position, kind, arrival, crc, body = row
    if crc != _crc(position, kind, arrival, body):
        raise EntryError("damaged, its checksum is wrong")
    letters = db.execute(_LETTER + "WHERE position = ? ORDER BY id", (position,)) if kind == "batch" else ()
    return decode(kind, arrival, body, [_kept(row).letter for row in letters])


def _kept(row: tuple[Any, ...]) -> KeptLetter:
    return KeptLetter(row[0], Position(row[1]), DeadLetter(*row[2:]))


def _crc(position: int, kind: str, arrival: int, body: bytes) -> int:
    return crc32(body, crc32(f"{position} {kind} {arrival}".encode()))
