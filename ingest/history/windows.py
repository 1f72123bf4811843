"""How InfluxDB is asked about spans of time: windows that fill up buckets, and runs of moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from ingest.history.local_days import midnights
from ingest.history.store import DAY_MS, HOUR_MS
from ingest.readings import Int64

QUARTER_MS: Final = 900_000  # every zone's clock is set by whole quarters of an hour


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets between two times (ms UTC), and equal windows of `step_ms` that fill them up: a bucket of one or more."""

    first: int
    last: int
    step_ms: int
    offset_ms: int
    every_ms: int
    days: Int64

    @classmethod
    def of(cls, start: int, end: int, every_ms: int, zone: ZoneInfo) -> Grid:
        """Of the whole buckets that begin in [start, end). Days that are not all of 24 hours are filled by quarters."""
        end = max(start, end)
        if every_ms != DAY_MS:
            first, last = (-(-edge // every_ms) * every_ms for edge in (start, end))
            return cls(first, last, every_ms, 0, every_ms, np.empty(0, np.int64))
        days = midnights(zone, start, end)
        first, last = (int(days[np.searchsorted(days, edge)]) for edge in (start, end))
        steady = bool((np.diff(days) == DAY_MS).all())
        return cls(first, last, DAY_MS if steady else QUARTER_MS, first % DAY_MS if steady else 0, every_ms, days)

    def bucket(self, ms: int) -> int:
        """The start of the one that `ms` lies in."""
        if self.every_ms != DAY_MS:
            return ms // self.every_ms * self.every_ms
        return int(self.days[np.searchsorted(self.days, ms, side="right") - 1])


def runs(t: Int64) -> Iterator[tuple[int, int]]:
    """[begin, end) around the moments `t`, cut where an hour is free between two, and none longer than a day."""
    begin = last = None
    for moment in np.unique(t).tolist():
        if begin is not None and last is not None and (moment - last > HOUR_MS or moment - begin >= DAY_MS):
            yield begin, last + 1
            begin = None
        begin, last = moment if begin is None else begin, moment
    if begin is not None and last is not None:
        yield begin, last + 1
