"""The durable log: what the city said, in the order of its arrival, on disk before anybody is told so.

One SQLite file a UTC day of arrival, `YYYY-MM-DD.sqlite` (WAL, synchronous=FULL). Retention unlinks whole files.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from ingest import day_file
from ingest.day_file import KeptLetter, Wanted
from ingest.disk import LOCAL, Disk
from ingest.entries import ORIGIN, Batch, Configuration, Entry, Position
from ingest.entry_bytes import EntryError, kind_of

log = logging.getLogger(__name__)

_DAY_FILE: Final = re.compile(r"\d{4}-\d\d-\d\d\.sqlite\Z")
_ALL_LETTERS: Final = Wanted()
_Found = TypeVar("_Found")


class JournalError(Exception):
    """The journal cannot be written or read. Of the entries given, the first `appended` are on disk, no other is."""

    def __init__(self, message: str, appended: int = 0) -> None:
        super().__init__(message)
        self.appended = appended


class Journal:
    """One process writes (one thread of it); any number read, also while it writes.

    `last`, `last_arrival` (ms UTC) and `configuration` are those of the newest entry; of a read-only journal those
    that stood when it was opened.
    """

    def __init__(self, folder: Path, disk: Disk, *, read_only: bool) -> None:
        self.folder = folder
        self._disk = disk
        self.last: Position = ORIGIN
        self.last_arrival = 0
        self.configuration: Configuration | None = None
        self._read_only = read_only
        self._letter_id = 0
        self._day = ""
        self._writer: sqlite3.Connection | None = None
        self._in_doubt = ""  # the day in whose file a commit failed: nobody knows what of it the file will show

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False, disk: Disk = LOCAL) -> Journal:
        """The journal in `folder`, which is made unless `read_only`. Raises JournalError."""
        journal = cls(folder, disk, read_only=read_only)
        with _as_journal_error(folder):
            if not read_only:
                disk.make_folder(folder)
        journal._find_end()
        return journal

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._day = None, ""

    def append(self, entry: Entry) -> Position:
        """Where `entry` stands; it is on disk when this returns.

        Raises JournalError if it arrived before the newest entry, if it is the first ever and no Configuration, if it
        cannot be encoded, or if the disk refuses: then nothing of it is kept, and it may be appended again.
        """
        return self.append_many([entry])

    def append_many(self, entries: Sequence[Entry]) -> Position:
        """Like `append`, with one fsync a day file: of each day all or none. Raises JournalError (see `appended`)."""
        if self._read_only:
            raise JournalError(f"{self.folder}: opened read-only")
        self._check(entries)
        done = 0
        for day, group in groupby(entries, key=lambda entry: _date(entry.arrival).isoformat()):
            todays = list(group)
            try:
                self._commit(day, todays)
            except Exception as error:  # whatever it was, no transaction stays open, and the journal stays usable
                self._give_up(day)
                raise JournalError(f"{self._path(day)}: {error}", done) from error
            done += len(todays)
        return self.last

    def read(self, after: Position) -> Iterator[tuple[Position, Entry]]:
        """Every entry after `after` with its position, in order; after ORIGIN: every entry that is still kept.

        Ends at the newest; ask again later with the last position. Raises JournalError where an entry is damaged or
        missing: nothing is passed over.
        """
        expected = None if after == ORIGIN else after + 1
        for path in self._files_after(after):
            with self._reading(path) as db:
                for position, entry in day_file.entries(db, after):
                    if expected not in (None, position):
                        raise JournalError(f"{path}: position {expected} is missing, position {position} is there")
                    expected = position + 1
                    yield position, entry

    def configuration_at(self, position: Position) -> Configuration | None:
        """The one in force at `position`; None where retention has taken it. Raises JournalError."""
        return self._at(position, day_file.newest_configuration)

    def checksum_at(self, position: Position) -> int | None:
        """Of the entry there, its arrival included: another journal has another one (but for one in 2^32).

        None where retention has taken it, or nothing stands there yet. Raises JournalError.
        """
        return self._at(position, day_file.checksum)

    def dead_letters(
        self, *, limit: int, before_id: int | None = None, after_id: int | None = None, wanted: Wanted = _ALL_LETTERS
    ) -> list[KeptLetter]:
        """The newest `limit` dead letters, newest first, of those before `before_id`; or, given `after_id`, the oldest
        of those after it, oldest first. From any thread. Raises JournalError.
        """
        found: list[KeptLetter] = []
        oldest = "" if wanted.since is None else _date(wanted.since).isoformat()
        files = [path for path in self._files() if path.stem >= oldest]
        for path in files if after_id is not None else reversed(files):
            with self._reading(path) as db:
                found += day_file.letters(
                    db, wanted, limit=limit - len(found), before_id=before_id, after_id=after_id
                )  # fmt: skip
            if len(found) >= limit:
                break
        return found

    def dead_letter_counts(self) -> dict[str, int]:
        """How many dead letters are kept, by reason. Raises JournalError."""
        counts: Counter[str] = Counter()
        for path in self._files():
            with self._reading(path) as db:
                counts.update(day_file.letter_counts(db))
        return dict(counts)

    def dead_letter_bytes(self, since: int) -> dict[str, tuple[int, int]]:
        """Gateway -> how many dead letters arrived at or after `since` (ms UTC), and the bytes of their payloads.

        Raises JournalError.
        """
        found: dict[str, tuple[int, int]] = {}
        for path in self._files():
            if path.stem < _date(since).isoformat():
                continue
            with self._reading(path) as db:
                for gateway, count, size in day_file.letter_bytes(db, since):
                    before = found.get(gateway, (0, 0))
                    found[gateway] = (before[0] + count, before[1] + size)
        return found

    def retain(self, keep_days: int, now_ms: int, needed_from: Position) -> list[str]:
        """Unlink the day files older than `keep_days` before `now_ms` (ms UTC); returns their names.

        Kept all the same: every file with an entry after `needed_from`, and the one of the newest entry, from which
        the numbering goes on. Raises JournalError.
        """
        oldest = (_date(now_ms) - timedelta(days=keep_days)).isoformat()
        gone: list[str] = []
        with _as_journal_error(self.folder):
            for path in self._files():
                with self._reading(path) as db:
                    last = day_file.end(db, "max")
                if path.stem >= oldest or last > needed_from or last >= self.last:
                    break  # the files are in order: what follows is needed as well
                self._disk.unlink(path)  # before its log: a file without its log would have lost its last entries
                gone.append(path.name)
            names = self._disk.names(self.folder)
            for name in names:
                file, dash, _ = name.rpartition("-")
                if dash and file.endswith(".sqlite") and file not in names:
                    self._disk.unlink(self.folder / name)
        return gone

    def _find_end(self) -> None:
        for path in reversed(self._files()):
            with self._reading(path) as db:
                newest = day_file.newest(db)
                if newest is None:
                    continue  # the file was made, and then its first entry found no room
                (self.last, self.last_arrival), self.configuration = (
                    newest,
                    day_file.newest_configuration(db, newest[0]),
                )
                break
        letters = self.dead_letters(limit=1)
        self._letter_id = letters[0].id if letters else 0

    def _check(self, entries: Sequence[Entry]) -> None:
        if self.last == ORIGIN and entries and not isinstance(entries[0], Configuration):
            raise JournalError(f"{self.folder}: the first entry must be a configuration, not a {kind_of(entries[0])}")
        before = self.last_arrival
        for entry in entries:
            first = _first_arrival(entry)
            if first < before or entry.arrival < first:
                raise JournalError(f"{self.folder}: a {kind_of(entry)} arrives before {before}, where time already is")
            before = entry.arrival

    def _commit(self, day: str, entries: Sequence[Entry]) -> None:
        if self._in_doubt:
            # What failed may have reached the disk all the same; its caller was told that nothing of it is kept.
            day_file.forget_after(self._writer_of(self._in_doubt), self.last)
            self._in_doubt = ""
        db = self._writer_of(day)
        position, letter_id, configuration = self.last, self._letter_id, self.configuration
        db.execute("BEGIN IMMEDIATE")
        if day_file.is_empty(db) and not isinstance(entries[0], Configuration):
            # Every file can be read by itself. The copy bears the arrival of the entry before it, not of this day: it
            # must imply no tick, and a Start that follows must still see how long the collector was away.
            assert configuration is not None
            entries = [replace(configuration, arrival=self.last_arrival), *entries]
        for entry in entries:
            position = Position(position + 1)
            day_file.insert(db, position, entry)
            if isinstance(entry, Configuration):
                configuration = entry
            elif isinstance(entry, Batch):
                day_file.insert_letters(db, position, letter_id, entry.refused)
                letter_id += len(entry.refused)
        db.execute("COMMIT")
        self.last, self.last_arrival = position, entries[-1].arrival
        self._letter_id, self.configuration = letter_id, configuration

    def _give_up(self, day: str) -> None:
        """Back to where the last append ended. The connection stays where it can: after a failed fsync it writes the
        same pages of the log again, whereas a new one might take them for written.
        """
        self._in_doubt = self._in_doubt or day
        try:
            if self._writer is not None and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.warning("journal: rolling back failed, the file is opened anew: %s", error)
            self.close()

    def _writer_of(self, day: str) -> sqlite3.Connection:
        if self._writer is None or self._day != day:
            self.close()
            path = self._path(day)
            if path.name not in self._disk.names(self.folder):
                day_file.make(self._disk, path)
            self._writer, self._day = day_file.writer(self._disk, path), day
        return self._writer

    @contextmanager
    def _reading(self, path: Path) -> Iterator[sqlite3.Connection]:
        with _as_journal_error(path), closing(day_file.reader(self._disk, path)) as db:
            yield db

    def _path(self, day: str) -> Path:
        return self.folder / f"{day}.sqlite"

    def _at(self, position: Position, ask: Callable[[sqlite3.Connection, Position], _Found]) -> _Found | None:
        """Asked of the file that `position` lies in; None where retention has taken it."""
        for path in reversed(self._files()):
            with self._reading(path) as db:
                if ORIGIN < day_file.end(db, "min") <= position:
                    return ask(db, position)
        return None

    def _files(self) -> list[Path]:
        """In the order of their days."""
        with _as_journal_error(self.folder):
            return [self.folder / name for name in self._disk.names(self.folder) if _DAY_FILE.match(name)]

    def _files_after(self, after: Position) -> list[Path]:
        """The files that hold what follows `after`, oldest first."""
        found: list[Path] = []
        for path in reversed(self._files()):
            found.insert(0, path)
            with self._reading(path) as db:
                first = day_file.end(db, "min")
            if ORIGIN < first <= after + 1:
                break
        return found


@contextmanager
def _as_journal_error(where: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, EntryError) as error:
        raise JournalError(f"{where}: {error}") from error


def _first_arrival(entry: Entry) -> int:
    """Of what `entry` holds, in ms UTC; -1 for a batch that itself runs backwards."""
    if not isinstance(entry, Batch):
        return entry.arrival
    columns = (entry.readings.arrival, entry.signs.arrival)
    if any((arrivals[1:] < arrivals[:-1]).any() for arrivals in columns):
        return -1
    firsts = (int(arrivals[0]) for arrivals in columns if len(arrivals))
    parts = (*firsts, *(h.arrival for h in entry.headers), *(d.arrival for d in entry.refused))
    return min(parts, default=entry.arrival)


def _date(ms: int) -> date:
    return datetime.fromtimestamp(ms // 1000, UTC).date()
