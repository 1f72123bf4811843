"""Time in the wild: each way that devices and networks write a moment, as whole milliseconds UTC, floored.

Exact: what was written is computed in decimal, since the product of a float by 1000 may fall below its millisecond.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
# As a count of seconds the year 5138, as one of milliseconds the year 1973: nothing that is measured now lies near it.
_SECONDS_MAX: Final = 100_000_000_000
_FRACTION: Final = r"(?:\.([0-9]{1,9}))?"
_RFC_3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})" + _FRACTION + r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_CLOCK: Final = rf"[Tt ]([0-9]{{2}}):([0-9]{{2}})(?::([0-9]{{2}}){_FRACTION})?\Z"
_YEAR_FIRST: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})" + _CLOCK)
_DAY_FIRST: Final = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4}|[0-9]{2})" + _CLOCK)
_COUNT: Final = re.compile(rf"[0-9]{{1,16}}{_FRACTION}\Z")


def rfc3339_ms(text: str) -> int:
    """Of an RFC 3339 time with zone and up to 9 decimals. Raises ValueError where there is no zone or no sense."""
    match = _RFC_3339.match(text)
    if match is None:
        raise ValueError("not a time of RFC 3339 with zone")
    day, minute, second, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    if int(second) > 60 or int(offset[4:]) > 59:
        raise ValueError("no such time")
    # The second is added on top: datetime knows no minute of 61 seconds, RFC 3339 does.
    minute_s = int(datetime.fromisoformat(f"{day}T{minute}:00{offset}").timestamp())
    return (minute_s + int(second)) * 1000 + _milliseconds(fraction)


def seconds_ms(seconds: float | Decimal) -> int:
    """Of a count of seconds since 1970. Raises ValueError for what is not finite."""
    if not math.isfinite(seconds):
        raise ValueError("not a number of seconds")
    return math.floor(decimal_of(seconds) * 1000)


def decimal_of(number: float | Decimal) -> Decimal:
    """A finite `number` as it was written: the shortest decimal that is this float."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def local_ms(text: str, zone: ZoneInfo, near: int) -> int:
    """Of a time without zone on the clocks of `zone`: year-month-day or day/month/year (of this century where it has
    two digits), to the minute or finer.

    An hour that clocks show twice is the one nearer to `near` (ms UTC, the arrival). Raises ValueError for an hour that
    they leave out, and for what is no time.
    """
    if match := _YEAR_FIRST.match(text):
        year, month, day, *clock = match.groups()
    elif match := _DAY_FIRST.match(text):
        day, month, year, *clock = match.groups()
    else:
        raise ValueError("no time of any known shape")
    hour, minute, second, fraction = clock
    full_year = int(year) if len(year) == 4 else 2000 + int(year)
    naive = datetime(full_year, int(month), int(day), int(hour), int(minute), int(second or 0))  # noqa: DTZ001  # see below
    moments = [naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    try:
        shown = [moment for moment in moments if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive]
    except OverflowError:
        raise ValueError("no such time") from None
    if not shown:
        raise ValueError("the clocks of the zone leave this hour out")
    return min((_ms(moment) + _milliseconds(fraction) for moment in shown), key=lambda t: abs(t - near))


def device_ms(value: object, zone: ZoneInfo, near: int) -> int:
    """Of whatever a device's own clock says: a count of seconds or milliseconds since 1970, also as text, RFC 3339,
    or a time without zone as in `local_ms`. Raises ValueError for anything else.
    """
    count = Decimal(value) if isinstance(value, str) and _COUNT.match(value) else value
    if isinstance(count, (int, float, Decimal)) and not isinstance(count, bool):
        if math.isfinite(count) and not -_SECONDS_MAX < count < _SECONDS_MAX:
            return math.floor(decimal_of(count))
        return seconds_ms(count)
    if not isinstance(value, str):
        raise ValueError("no time")  # noqa: TRY004  # the one error of this module
    try:
        return rfc3339_ms(value)
    except ValueError:
        return local_ms(value, zone, near)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _milliseconds(fraction: str | None) -> int:
    return int((fraction or "")[:3].ljust(3, "0"))
