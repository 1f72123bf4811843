"""What a public sensor has measured: readings, or buckets of them, out of the history (CONTRACTS section 5)."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.exceptions import HTTPException

from alerts.view import View
from alerts.web.asking import Asking
from alerts.web.payloads import local_time, public_sensor
from alerts.web.problems import shown_problems
from alerts.web.rendered import FRESH, as_json
from alerts.web.schemas import BucketOut, PastOut, ReadingOut
from alerts.web.sources import Sources
from alerts.web.warnings import with_plus
from ingest.city import Sensor
from ingest.formats.times import rfc3339_ms
from ingest.history.local_days import midnights
from ingest.history.store import DAY_MS, HOUR_MS, MINUTE_MS, Buckets, Points, Reader

PAGE_MOST: Final = 10_000  # readings or buckets of one answer
_PAGE: Final = 2_000
_EVERY: Final = re.compile(r"([1-9][0-9]{0,3})([mhd])\Z")
_UNIT_MS: Final = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_EARLIEST_MS: Final = 946_684_800_000  # 2000: nothing older is ever taken
_LATEST_MS: Final = 4_102_444_800_000  # 2100
_MILLISECONDS: Final = re.compile(r"[0-9]{12,13}\Z")
_DESCRIPTION: Final = """\
In the order of time, the oldest first. Each reading bears its QARTOD flag; what failed (4) is shown and counts in no
bucket. Buckets are whole, those without a reading are left out; minutes and hours are counted in UTC, days are those of
the city. What comes late appears late: the same stretch may say more tomorrow. Readings are kept for about a year,
buckets of hours and days without end."""


def _moment(text: Any) -> int:
    """RFC 3339 with zone, or a count of milliseconds since 1970, in ms UTC. Raises ValueError."""
    text = with_plus(str(text))
    t = int(text) if _MILLISECONDS.match(text) else rfc3339_ms(text)
    if not _EARLIEST_MS <= t <= _LATEST_MS:
        raise ValueError("a time between 2000 and 2100")
    return t


def _every(text: Any) -> int:
    match = _EVERY.match(str(text))
    every_ms = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if not every_ms or DAY_MS % every_ms:
        raise ValueError("a part of a day, such as 1m 5m 10m 30m 1h 6h 1d")
    return every_ms


_Moment = Annotated[int, BeforeValidator(_moment), WithJsonSchema({"type": "string"})]
_Every = Annotated[int, BeforeValidator(_every), WithJsonSchema({"type": "string"})]


class PastQuery(BaseModel):
    """Which stretch, and how finely."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    start: _Moment | None = Field(
        None, alias="from", description="RFC 3339 with an offset, or ms since 1970; left out: 24 h before `to`",
        examples=["2022-10-14T00:00:00+07:00"],
    )  # fmt: skip
    end: _Moment | None = Field(
        None, alias="to", description="not itself in it; left out: now", examples=["2022-10-15T00:00:00+07:00"]
    )
    every: _Every | None = Field(
        None, description="buckets that last so long; left out: each reading", examples=["10m"]
    )
    limit: int = Field(_PAGE, ge=1, le=PAGE_MOST)
    cursor: _Moment | None = Field(None, description="`next` of the page before")


def past_routes(sources: Sources, asking: Asking) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["public"])

    @router.get(
        "/sensors/{id}/readings", response_model=PastOut, summary="What a public sensor has measured",
        description=_DESCRIPTION, responses=_PROBLEMS,
    )  # fmt: skip
    async def past(request: Request, id: str, query: Annotated[PastQuery, Query()]) -> Response:  # noqa: A002  # the name in the path is the API's
        view = sources.view()
        sensor = public_sensor(view, id)
        if sensor is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no public sensor {id!r}")
        end = sources.now_ms() + 1 if query.end is None else query.end
        start = max(_EARLIEST_MS, end - DAY_MS) if query.start is None else query.start
        if start > end:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "from: it lies after `to`")
        if query.cursor is not None and query.cursor > end:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "cursor: it lies after `to`")
        answer = _readings if query.every is None else _buckets
        rendered = await asking.ask(lambda reader: as_json(answer(reader, view, sensor, start, end, query)))
        return rendered.response(request, FRESH)

    return router


def _readings(reader: Reader, view: View, sensor: Sensor, start: int, end: int, query: PastQuery) -> PastOut:
    points = reader.readings(sensor.id, query.cursor or start, end, query.limit, sensor.quantity.name)
    after = int(points.t[-1]) + 1 if len(points.t) == query.limit else end
    rows = _reading_rows(points, view.city.timezone)
    return PastOut(**_about(view, sensor, start, end, after), every_s=None, readings=rows, buckets=None)


def _buckets(reader: Reader, view: View, sensor: Sensor, start: int, end: int, query: PastQuery) -> PastOut:
    every_ms, zone = query.every, view.city.timezone
    assert every_ms is not None
    # Buckets are whole: the first is the one that `from` lies in.
    start = int(midnights(zone, start, start + 1)[0]) if every_ms == DAY_MS else start // every_ms * every_ms
    since = query.cursor or start
    after = min(end, since + query.limit * every_ms)
    found = reader.buckets([sensor.id], since, after, every_ms, sensor.quantity.name)
    rows = _bucket_rows(found, zone)
    return PastOut(**_about(view, sensor, start, end, after), every_s=every_ms // 1000, readings=None, buckets=rows)


def _about(view: View, sensor: Sensor, start: int, end: int, after: int) -> dict[str, Any]:
    zone = view.city.timezone
    return {
        "sensor": sensor.id, "quantity": sensor.quantity.name, "unit": sensor.quantity.unit,
        "since": local_time(start, zone), "until": local_time(end, zone), "next": str(after) if after < end else None,
    }  # fmt: skip


def _reading_rows(points: Points, zone: ZoneInfo) -> list[ReadingOut]:
    columns = (points.t.tolist(), points.value.tolist(), points.flag.tolist())
    return [ReadingOut(at=local_time(t, zone), value=_or_null(value), flag=flag)
            for t, value, flag in zip(*columns, strict=True)]  # fmt: skip


def _bucket_rows(found: Buckets, zone: ZoneInfo) -> list[BucketOut]:
    columns = (found.start, found.count, found.mean, found.min, found.max, found.sum, found.last, found.flag)
    return [
        BucketOut(start=local_time(start, zone), count=count, mean=_or_null(mean), min=_or_null(low),
                  max=_or_null(high), sum=total, last=_or_null(last), flag=flag)
        for start, count, mean, low, high, total, last, flag in zip(*(column.tolist() for column in columns),
                                                                    strict=True)
    ]  # fmt: skip


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value


_PROBLEMS: Final = shown_problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
