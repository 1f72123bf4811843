"""Readings as InfluxDB's line protocol: a measurement a quantity; tags sensor, area, gateway, unit; times in ms.

Fields: `value` where the reading counts, `raw`, `flag`; `failed` is the value of one that does not (flag 4 or 9): no
mean takes it in, and nothing is lost. What is missing is left out: there is no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from influxdb_client.client.write.point import Point

from ingest.entries import Position
from ingest.history.store import Named
from ingest.readings import Flag, Readings

FIELDS: Final = ("value", "raw", "flag", "failed")
POSITION: Final = "canhbao/position"  # the measurement of where we are; no quantity can be called so
POSITION_FIELD: Final = "position"
MARK_FIELD: Final = "mark"
UNMARKED: Final = -1  # there is no "nothing" in a field: left out, that of a line before would stay beside it
UNNAMED: Final = "canhbao/unnamed"  # of sensors that are no longer in the registry: nobody knows what they measured
NEWEST_MS: Final = 9_223_372_036_854  # the end of InfluxDB's time (int64 ns), 2262-04-11
_COUNTS_NOT: Final = (Flag.FAIL, Flag.MISSING)


def lines(readings: Readings, sensors: Mapping[int, Named], rows: Sequence[int]) -> list[str]:
    """One line for each of `rows` (row numbers), in their order."""
    heads = {number: _head(sensors[number]) for number in set(readings.sensor[rows].tolist())}
    columns = (readings.sensor, readings.t, readings.value, readings.raw, readings.flag)
    return [
        f"{heads[number]}{','.join(_fields(value, raw, flag))} {t}"
        for number, t, value, raw, flag in zip(*(column[rows].tolist() for column in columns), strict=True)
    ]


def position_line(position: Position, mark: int | None, t: int) -> str:
    """Where we are in the journal, and the mark of what stands there.

    `t` ms: an arrival, which never decreases, so that the last one counts.
    """
    marked = UNMARKED if mark is None else mark
    return f"{POSITION} {POSITION_FIELD}={int(position)}i,{MARK_FIELD}={marked}i {min(t, NEWEST_MS)}"


def _fields(value: float, raw: float, flag: int) -> Iterator[str]:
    if math.isfinite(value):
        yield f"{'failed' if flag in _COUNTS_NOT else 'value'}={value!r}"
    if math.isfinite(raw):
        yield f"raw={raw!r}"
    yield f"flag={flag}i"


def _head(named: Named) -> str:
    """Everything before the fields; the library knows what has to be escaped."""
    tags = {"sensor": named.id, "area": named.area, "gateway": named.gateway, "unit": named.unit}
    point = Point.from_dict({"measurement": named.quantity or UNNAMED, "tags": tags, "fields": {"flag": 0}})
    return str(point.to_line_protocol()).removesuffix("flag=0i")
