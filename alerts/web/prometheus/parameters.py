"""The parameters of a call, in its address or as a form, read as Prometheus reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from alerts.promql.tokens import QueryError, duration_ms

POINTS_OF_A_SERIES_MAX: Final = 11_000
MATCH_MAX: Final = 64  # selectors in one call
FIELDS_MAX: Final = 256
TEXT_MAX: Final = 16_384  # characters of a query: 300 sensors by name fit
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_SECONDS_MAX: Final = 253_402_300_800.0  # the year 10000

Parameters = Mapping[str, list[str]]  # name -> values, in their order


async def parameters(request: Request) -> Parameters:
    """Those of the address and, in a POST, of the form after them. Raises QueryError for more than anybody sends."""
    texts = [request.url.query]
    if request.method == "POST":
        texts.insert(0, (await request.body()).decode("utf-8", "replace"))
    found: dict[str, list[str]] = {}
    for text in texts:
        try:
            fields = parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError:
            raise QueryError(f"more than {FIELDS_MAX} parameters") from None
        for name, values in fields.items():
            found.setdefault(name, []).extend(values)
    return found


def text(given: Parameters, name: str) -> str:
    """Raises QueryError where it is missing, empty or too long."""
    value = given.get(name, [""])[0]
    if not value:
        raise QueryError(f'invalid parameter "{name}": it is missing')
    return _short(value, name)


def time_ms(given: Parameters, name: str, default: int | None = None) -> int:
    """A time in seconds since 1970 or RFC 3339, as ms UTC. Raises QueryError."""
    value = given.get(name, [""])[0]
    if not value and default is not None:
        return default
    try:
        if _RFC3339.fullmatch(value):
            return _ms(datetime.fromisoformat(_to_microseconds(value.upper())).timestamp())
        return _ms(float(value))
    except (ValueError, OverflowError):
        raise QueryError(f'invalid parameter "{name}": cannot parse {value[:64]!r} to a valid timestamp') from None


def step_ms(given: Parameters) -> int:
    """Milliseconds of a step in seconds, or written as a duration. Raises QueryError."""
    value = text(given, "step")
    try:
        ms = _ms(float(value))
    except (ValueError, OverflowError):
        ms = duration_ms(value)
    if ms <= 0:
        raise QueryError('invalid parameter "step": it must be at least a millisecond')
    return ms


def range_ms(given: Parameters) -> tuple[int, int, int]:
    """Start, end and step, ms. Raises QueryError, also for more points than Prometheus gives of a series."""
    start, end, step = time_ms(given, "start"), time_ms(given, "end"), step_ms(given)
    if end < start:
        raise QueryError('invalid parameter "end": end timestamp must not be before start time')
    if (end - start) // step > POINTS_OF_A_SERIES_MAX:
        raise QueryError(
            f"exceeded maximum resolution of {POINTS_OF_A_SERIES_MAX:,} points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return start, end, step


def limit(given: Parameters, name: str = "limit") -> int | None:
    """How many results at most; None: all. Raises QueryError."""
    value = given.get(name, ["0"])[0]
    if not re.fullmatch("[0-9]{1,9}", value):
        raise QueryError(f'invalid parameter "{name}": {value[:64]!r} is no whole number of 0 or more')
    return int(value) or None


def selectors(given: Parameters) -> list[str]:
    """Those of `match[]`. Raises QueryError for more, or longer ones, than anybody sends."""
    found = given.get("match[]", [])
    if len(found) > MATCH_MAX:
        raise QueryError(f"more than {MATCH_MAX} match[] parameters")
    return [_short(selector, "match[]") for selector in found]


def _short(value: str, name: str) -> str:
    if len(value) > TEXT_MAX:
        raise QueryError(f'invalid parameter "{name}": it has {len(value)} characters, at most {TEXT_MAX} are read')
    return value


def _ms(seconds: float) -> int:
    if not math.isfinite(seconds) or abs(seconds) > _SECONDS_MAX:
        raise ValueError("no time")
    return round(seconds * 1000)


def _to_microseconds(value: str) -> str:
    return re.sub(r"(\.\d{6})\d+", r"\1", value)
