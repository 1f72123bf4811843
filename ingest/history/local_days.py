"""Where the days of a city begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ingest.readings import Int64


def midnights(zone: ZoneInfo, start: int, end: int) -> Int64:
    """Ms UTC, rising: from the last midnight of `zone` at or before `start` to the first at or after `end`.

    A day whose midnight the clocks leave out begins where they jump.
    """
    day = datetime.fromtimestamp(start // 1000, zone).date()
    if _begins(zone, day.toordinal()) > start:  # where clocks go back over midnight it comes twice, the first counts
        day -= timedelta(days=1)
    found = [_begins(zone, day.toordinal())]
    while found[-1] < end:
        found.append(_begins(zone, day.toordinal() + len(found)))
    return np.unique(np.array(found, np.int64))  # a day that the calendar leaves out begins with the next


def _begins(zone: ZoneInfo, ordinal: int) -> int:
    midnight = datetime.fromordinal(ordinal).replace(tzinfo=zone)
    return int(midnight.astimezone(UTC).timestamp()) * 1000
