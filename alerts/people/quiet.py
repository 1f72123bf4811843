"""Quiet hours: a span of the local day, such as "22:00-07:00", in which only what cannot wait makes a sound. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def checked(quiet: str) -> str:
    """`quiet` as it was given. Raises ValueError, saying what is expected."""
    if quiet:
        _span(quiet)
    return quiet


def quiet_until(quiet: str, now_ms: int, zone: ZoneInfo) -> int | None:
    """The moment (ms UTC) at which the quiet hours end that `now_ms` lies in; None outside them.

    From the first time to just before the second, on the clocks of `zone`; a span whose end is not after its beginning
    crosses midnight. Where clocks are put back over the end, it is reached twice, and the first time counts; where they
    are put forward over it, the end comes as long after the jump as it would have lain behind its beginning.
    """
    if not quiet:
        return None
    begins, ends = _span(quiet)
    now = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone)
    clock = now.time()
    inside = begins <= clock < ends if begins < ends else clock >= begins or clock < ends
    if not inside:
        return None
    day = now.date() if clock < ends else now.date() + timedelta(days=1)
    moments = (datetime.combine(day, ends, zone).replace(fold=fold) for fold in (0, 1))
    return min(ms for moment in moments if (ms := int(moment.timestamp()) * 1000) > now_ms)


def _span(quiet: str) -> tuple[time, time]:
    """Raises ValueError."""
    match = _SPAN.fullmatch(quiet)
    if match is None:
        raise ValueError('two times of the day, such as "22:00-07:00"; empty: no quiet hours')
    hour, minute, to_hour, to_minute = map(int, match.groups())
    begins, ends = time(hour, minute), time(to_hour, to_minute)
    if begins == ends:
        raise ValueError("quiet hours end at another time than they begin; empty: none")
    return begins, ends
