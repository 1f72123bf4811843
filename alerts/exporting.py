"""Which readings an export is asked for, in the words of operators: times, areas, quantities, sensors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from ingest.city import City
from ingest.formats.times import rfc3339_ms
from ingest.history.tidy_files import Wanted

EVER_MS: Final = (0, 253_402_300_800_000)  # up to the end of the year 9999, the newest that is ever taken


@dataclass(frozen=True, slots=True)
class Selection:
    """[start, end) in ms UTC; `sensors` None: all, also those that are no longer in the registry."""

    start: int
    end: int
    sensors: Collection[str] | None
    wanted: Wanted


def selection(
    city: City, sensor_ids: Collection[str], *, since: str | None, until: str | None, sensors: Sequence[str],
    areas: Sequence[str], quantities: Sequence[str],
) -> Selection:  # fmt: skip
    """Empty sequences: all. An area is meant with all that lie in it. Raises ValueError for what nobody can mean."""
    start = EVER_MS[0] if since is None else moment(since, city.timezone)
    end = EVER_MS[1] if until is None else moment(until, city.timezone)
    if start >= end:
        raise ValueError(f"from {since} to {until}: nothing lies between them")
    for given, known, what in (
        (sensors, sensor_ids, "sensor"),
        (areas, city.areas, "area"),
        (quantities, city.quantities, "quantity"),
    ):
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"{what} {unknown[0]!r}: there has never been one in this city")
    within = {code for area in areas for code in city.within(area)} if areas else None
    return Selection(start, end, list(sensors) or None, Wanted(within, list(quantities) or None))


def moment(text: str, zone: ZoneInfo) -> int:
    """RFC 3339 with a zone, or a date: the day of `zone` begins. ms UTC. Raises ValueError."""
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone).timestamp()) * 1000
    except ValueError:
        pass
    try:
        return rfc3339_ms(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: 2022-10-14T18:00:00+07:00, or a day, 2022-10-14") from None
