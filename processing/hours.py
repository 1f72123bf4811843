"""Opening hours: a rule's local schedule as intervals of UTC milliseconds, so that kernels compare numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from processing.kernels.records import Hours
from processing.rules import Schedule

DAY_MS: Final = 86_400_000
_MARGIN_MS: Final = 40 * DAY_MS  # laid out beyond what is asked, so that a live engine does it once a month
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_LAST_MS: Final = (date(9990, 1, 1).toordinal() - _EPOCH_ORDINAL) * DAY_MS


def intervals(schedule: Schedule, zone: ZoneInfo, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """All [open, close) in ms UTC that touch [from_ms, to_ms], sorted. A night belongs to the day it starts."""
    first = max(from_ms, 0) // DAY_MS - 2
    last = min(to_ms, _LAST_MS) // DAY_MS + 2
    overnight = schedule.to_minute <= schedule.from_minute
    found = []
    for ordinal in range(_EPOCH_ORDINAL + max(first, 0), _EPOCH_ORDINAL + last):
        day = date.fromordinal(ordinal)
        if day.weekday() in schedule.days:
            end_day = day + timedelta(days=1) if overnight else day
            opening, closing = _utc_ms(day, schedule.from_minute, zone), _utc_ms(end_day, schedule.to_minute, zone)
            if opening < closing:  # a change to summer time can swallow a short schedule
                found.append((opening, closing))
    return found


def _utc_ms(day: date, minute: int, zone: ZoneInfo) -> int:
    local = datetime.combine(day, time(minute // 60, minute % 60), zone)
    return int(local.timestamp()) * 1000


class Timetable:
    """The hours of several schedules over a stretch of time that is extended as needed."""

    def __init__(self, schedules: Sequence[Schedule], zone: ZoneInfo) -> None:
        self._schedules, self._zone = tuple(schedules), zone
        self._from, self._to = 0, -1
        self.hours = Hours(*(np.zeros(len(self._schedules) + 1, np.int64), *(np.empty(0, np.int64),) * 2))

    def cover(self, from_ms: int, to_ms: int) -> None:
        """Lay the hours out at least over [from_ms, to_ms]."""
        if not self._schedules or (self._from <= from_ms and to_ms <= self._to):
            return
        self._from = min(from_ms, self._from if self._to >= 0 else from_ms) - _MARGIN_MS
        self._to = max(to_ms, self._to) + _MARGIN_MS
        rows = [intervals(schedule, self._zone, self._from, self._to) for schedule in self._schedules]
        self.hours = Hours(
            first=np.cumsum([0, *map(len, rows)]).astype(np.int64),
            open=np.array([opening for row in rows for opening, _ in row], np.int64),
            close=np.array([closing for row in rows for _, closing in row], np.int64),
        )

    def next_close(self, after_ms: int) -> tuple[int, list[int]]:
        """The first closing later than `after_ms` and the schedules that close then; (2**62, []) without schedules."""
        if not self._schedules:
            return 2**62, []
        # the longest weekly schedule closes within eight days
        self.cover(after_ms, after_ms + 8 * DAY_MS)
        nearest, which = 2**62, list[int]()
        for s in range(len(self._schedules)):
            closes = self.hours.close[self.hours.first[s] : self.hours.first[s + 1]]
            at = int(np.searchsorted(closes, after_ms, side="right"))
            if at == len(closes):
                continue
            if closes[at] < nearest:
                nearest, which = int(closes[at]), []
            if closes[at] == nearest:
                which.append(s)
        return nearest, which
