"""Following the journal: what it holds after the store's position goes into the store, in bounded steps, for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from ingest.city import City, ConfigError, parse_city
from ingest.entries import ORIGIN, Batch, Configuration, Entry, Position
from ingest.history.store import DAY_MS, Keep, Named, Store, StoreError
from ingest.journal import Journal, JournalError
from ingest.readings import Readings

log = logging.getLogger(__name__)

READINGS_MOST: Final = 50_000  # of one step, but that a batch is never cut
ENTRIES_MOST: Final = 20_000
BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)  # the last one repeats, without end; each is shortened by up to a half
PAUSE_S: Final = 0.5  # at least, between two steps that are not full: a commit for every few readings wears the disk


@dataclass(slots=True)
class Counts:
    """How far, and what came on the way. Written by the follower's thread, read by any."""

    position: Position = ORIGIN
    arrival: int = 0
    fault: str = ""
    readings: int = 0
    retries: int = 0
    gaps: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Chunk:
    """What one step takes: the entries up to `position`."""

    position: Position
    arrival: int = 0
    parts: list[Readings] = field(default_factory=list)
    readings: int = 0
    entries: int = 0
    is_full: bool = False

    def add(self, position: Position, entry: Entry) -> None:
        self.position, self.arrival = position, entry.arrival
        self.entries += 1
        if isinstance(entry, Batch):
            self.parts.append(entry.readings)
            self.readings += len(entry.readings)
        self.is_full = self.readings >= READINGS_MOST or self.entries >= ENTRIES_MOST


class Follower:
    """`folder`: of the journal, which another process writes. `until`: the last position that may be followed."""

    def __init__(self, folder: Path, store: Store, keep: Keep, until: Callable[[], Position], random: Random) -> None:
        self.counts = Counts()
        self._folder, self._store, self._keep, self._until, self._random = folder, store, keep, until, random
        self._names: Mapping[int, Named] = {}
        self._journal: Journal | None = None
        self._retained_on = 0  # day of the last retention
        self._failures = 0

    def run(self, wait: Callable[[float], bool], told: Callable[[], object]) -> None:
        """Until `wait` (seconds; it may end early) says that it is time to end. `told` after every step."""
        pause_s = 0.0
        while not wait(pause_s):
            pause_s = self.turn()
            told()

    def turn(self) -> float:
        """One step; seconds to wait before the next. Nothing is raised: what fails is told, and tried again."""
        try:
            is_full = self.step()
        except (StoreError, JournalError) as error:
            if self.counts.fault != str(error):
                log.warning("history: %s; it is tried again until it succeeds", error)
            self.counts.fault = str(error)
            self.counts.retries += 1
            wait_s = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
            self._failures += 1
            asked_s = error.again_s if isinstance(error, StoreError) else 0.0
            return max(asked_s, wait_s * self._random.uniform(0.5, 1.0))
        if self.counts.fault:
            log.info("history: it goes on, after %d tries", self._failures)
        self.counts.fault, self._failures = "", 0
        return 0.0 if is_full else PAUSE_S

    def step(self) -> bool:
        """Take a chunk into the store; True where more may follow at once. Raises StoreError, JournalError."""
        after = self._store.position()
        self.counts.position = after
        journal = self._open(after)
        chunk, is_gap = _Chunk(after), False
        try:
            self._fill(chunk, journal.read(after))
        except JournalError:
            self._journal = None
            if not _begins_after(journal, after):
                raise  # damaged: nothing is passed over
            is_gap = True
            self._fill(chunk, journal.read(ORIGIN))
        if not chunk.entries:
            return False
        if is_gap:
            log.error(
                "history: the journal no longer has what followed position %d; it is missing here for good", after
            )
        self._put(chunk, journal.checksum_at(chunk.position))
        self.counts.gaps += is_gap
        return chunk.is_full

    def _open(self, after: Position) -> Journal:
        """The journal, checked against the store when it is opened; and the names that were in force at `after`."""
        if self._journal is None:
            journal = Journal.open(self._folder, read_only=True)
            self._check(journal, after)
            configuration = journal.configuration_at(after)
            self._names = {} if configuration is None else names_of(configuration)
            self._journal = journal
        return self._journal

    def _check(self, journal: Journal, after: Position) -> None:
        """That it is the one that was followed: of another one, what it has up to `after` would be missing for good.

        Where retention has taken the entry at `after` there is nothing to compare. Raises StoreError, JournalError.
        """
        kept, found = self._store.mark(), journal.checksum_at(after)
        if after > journal.last:
            other = f"ends at {journal.last}"
        elif None not in (kept, found) and kept != found:  # also when, in time, a shorter one has grown as long
            other = "has another entry there"
        else:
            return
        raise StoreError(
            f"the history stands at position {after}, the journal in {self._folder} {other}: it is not the one that was"
            " followed. Move the history away, it is filled anew from the journal"
        )

    def _fill(self, chunk: _Chunk, entries: Iterator[tuple[Position, Entry]]) -> None:
        until = self._until()
        for position, entry in entries:
            if position > until:
                return
            if isinstance(entry, Configuration):
                names = names_of(entry)
                if names != self._names:
                    if chunk.readings:
                        chunk.is_full = True
                        return  # what was read so far goes by the names of before
                    self._names = names
            chunk.add(position, entry)
            if chunk.is_full:
                return

    def _put(self, chunk: _Chunk, mark: int | None) -> None:
        new = self._store.append(Readings.join(chunk.parts), self._names, chunk.position, mark)
        self.counts.position, self.counts.arrival = chunk.position, chunk.arrival
        self.counts.readings += new
        self.counts.refused = self._store.refused
        day = chunk.arrival // DAY_MS
        if day > self._retained_on:
            self._store.retain(self._keep, chunk.arrival)
            self._retained_on = day


def names_of(configuration: Configuration) -> dict[int, Named]:
    """What the registry says of every number; of a sensor that is no longer in it no more than its id."""
    try:
        city = parse_city(configuration.city_toml)
    except ConfigError as error:  # an older program wrote it; its readings count all the same
        log.warning("history: a registry in the journal cannot be read, its sensors have no words: %s", error)
        return {number: Named(id_, "", "", "", "") for number, id_ in enumerate(configuration.sensor_ids)}
    return {number: _named(city, id_) for number, id_ in enumerate(configuration.sensor_ids)}


def _named(city: City, id_: str) -> Named:
    sensor = city.sensors.get(id_)
    if sensor is None:
        return Named(id_, "", "", "", "")
    return Named(id_, sensor.quantity.name, sensor.quantity.unit, sensor.area, sensor.gateway or "")


def _begins_after(journal: Journal, position: Position) -> bool:
    """Retention has taken what followed `position`."""
    first, _ = next(journal.read(ORIGIN), (ORIGIN, None))
    return first > position
