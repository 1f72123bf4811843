"""What every history store is asked, and the columns it answers with. Times are ms UTC, ranges [start, end)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ingest.entries import Position
from ingest.readings import Flag, Float64, Int32, Int64, Readings, UInt8

READINGS_MAX: Final = 100_000  # in one answer; the next is asked for from the last t + 1
BUCKETS_MAX: Final = 500_000  # sensors x buckets that one question may span
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

# The flag of a bucket is the worst of its readings; this order, the worst first. 4 and 9 count in nothing else.
WORST_FIRST: Final = (Flag.FAIL, Flag.SUSPECT, Flag.GOOD, Flag.NOT_EVALUATED, Flag.MISSING)


class StoreError(Exception):
    """The store is away, full, or took too long: the same may be asked again later. Nothing was done by halves.

    `again_s`: not before so many seconds, where the store itself says so; else 0.
    """

    def __init__(self, message: str, again_s: float = 0.0) -> None:
        super().__init__(message)
        self.again_s = again_s


@dataclass(frozen=True, slots=True)
class Named:
    """What the registry said of a sensor when the reading was written down; "" where it says nothing."""

    id: str
    quantity: str
    unit: str
    area: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long. Coarser buckets than minutes are kept without end."""

    raw_days: int
    minutes_days: int


@dataclass(frozen=True, slots=True)
class Points:
    """n readings of one sensor, columns of shape (n,), in the order of `t`; `value` and `raw` NaN where missing."""

    t: Int64
    value: Float64
    raw: Float64
    flag: UInt8


@dataclass(frozen=True, slots=True)
class Buckets:
    """n buckets, columns of shape (n,), in the order of sensor, then start; none where nothing was measured.

    `sensor`: index into the sensors asked for. `count` and what follows but `flag` are of the readings that count: flag
    neither 4 nor 9, value not NaN (NaN where none does; sum 0). `last`: the value at the greatest t. `flag`: the worst
    of all readings.
    """

    sensor: Int32
    start: Int64
    count: Int64
    mean: Float64
    min: Float64
    max: Float64
    sum: Float64
    last: Float64
    flag: UInt8


@dataclass(frozen=True, slots=True)
class Rows:
    """n readings of many sensors, in the order of t, then sensor id. `series`: index into `names`."""

    names: tuple[Named, ...]
    series: Int32
    t: Int64
    value: Float64
    raw: Float64
    flag: UInt8


class Reader(Protocol):
    """What may be asked, by any number of threads. Every call raises StoreError and nothing else, but ValueError for a
    question beyond the limits above.
    """

    def readings(
        self, sensor: str, start: int, end: int, limit: int = READINGS_MAX, quantity: str | None = None
    ) -> Points:
        """The first `limit` of one sensor with start <= t < end; the next begin at the last t + 1.

        `quantity`: only what was measured as that; a sensor may have been another one once. None: everything.
        """
        ...

    def buckets(
        self, sensors: Sequence[str], start: int, end: int, every_ms: int, quantity: str | None = None
    ) -> Buckets:
        """Whole buckets that begin in [start, end). Of DAY_MS: days of the city's zone; else multiples since 1970."""
        ...

    def scan(self, start: int, end: int, sensors: Collection[str] | None = None) -> Generator[Rows, None, None]:
        """Everything (of `sensors`; None: of all) with start <= t < end, in chunks of at most READINGS_MAX rows.

        Close the iterator (`contextlib.closing`) where it is not read to its end.
        """
        ...

    def span(self) -> tuple[int, int] | None:
        """The first and the last t that readings are kept of; None where there are none."""
        ...


class Store(Reader, Protocol):
    """A store of readings: one thread appends and retains."""

    def position(self) -> Position:
        """Of the journal, up to which everything is in here; ORIGIN of a new store."""
        ...

    def mark(self) -> int | None:
        """What `append` was given with that position; None where that was nothing."""
        ...

    def append(
        self, readings: Readings, sensors: Mapping[int, Named], position: Position, mark: int | None = None
    ) -> int:
        """Rows and position in one step: both are kept when this returns, or neither. How many rows were new.

        `mark`: of what stands at `position` (0 or greater), by which its journal is known again: all journals have the
        same positions. `sensors`: number -> name, for every number of `readings`. Of a (sensor id, t) the first is
        kept, also of two in one call. Asked again, or for a position that is not beyond the store's: the same rows,
        nothing twice.
        """
        ...

    def retain(self, keep: Keep, now_ms: int) -> None:
        """Forget what is older. What arrives later and is older than that is not taken any more."""
        ...

    @property
    def refused(self) -> int:
        """Readings that it will never take, whoever asks again, since it was opened."""
        ...

    def close(self) -> None: ...
