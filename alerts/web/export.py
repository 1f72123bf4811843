"""Readings of any sensor for operators, as a stream of columns: `canhbao export` makes files of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from alerts.exporting import Selection, selection
from alerts.web.asking import Asking
from alerts.web.operators import REFUSALS, Door, operator_route
from alerts.web.problems import shown_problems
from alerts.web.sources import Sources
from alerts.web.warnings import with_plus
from ingest.history import stream
from ingest.history.store import Reader, Rows, StoreError

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/vnd.canhbao.readings+msgpack"
ZONE_HEADER: Final = "Canhbao-Timezone"  # whose days the files are cut at
SEND_S: Final = 60.0  # for one chunk: who takes longer holds up others, of whom the history serves few at a time
NAMES_MOST: Final = 500
_PROBLEMS: Final = REFUSALS | shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
_Names = Annotated[list[str], Field(max_length=NAMES_MOST)]


class ExportQuery(BaseModel):
    """Which readings; nothing: all that are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    since: str | None = Field(None, alias="from", max_length=40, examples=["2022-10-14", "2022-10-14T18:00:00+07:00"])
    until: str | None = Field(None, alias="to", max_length=40, description="not itself in it", examples=["2022-10-15"])
    sensor: _Names = []
    area: _Names = []
    quantity: _Names = []


def export_routes(sources: Sources, door: Door, reader: Reader, asking: Asking) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=operator_route(door))

    @router.get("/export", summary="Readings of any sensor, for canhbao export", responses=_PROBLEMS)
    async def export(query: Annotated[ExportQuery, Query()]) -> Response:
        view = sources.view()
        try:
            asked = selection(
                view.city, view.sensor_ids, since=_plus(query.since), until=_plus(query.until), sensors=query.sensor,
                areas=query.area, quantities=query.quantity,
            )  # fmt: skip
        except ValueError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        rows = _rows(reader, asked)
        first = await asking.ask(lambda _: next(rows, None))  # what fails now is still an answer of its own
        answer = _Stream(asking, rows, first)
        answer.headers[ZONE_HEADER] = view.city.timezone.key
        return answer

    return router


def _plus(text: str | None) -> str | None:
    return None if text is None else with_plus(text)


def _rows(reader: Reader, asked: Selection) -> Generator[Rows, None, None]:
    for rows in reader.scan(asked.start, asked.end, asked.sensors):
        yield asked.wanted.of(rows)


class _Stream(Response):
    """A chunk is asked for when the one before it has gone out."""

    media_type = MEDIA_TYPE

    def __init__(self, asking: Asking, rows: Generator[Rows, None, None], first: Rows | None) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._asking, self._rows, self._first = asking, rows, first

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.create_task(_gone(receive))  # to whom is gone the server sends on without a word
        rows, more = self._first, True
        try:
            while more and not gone.done():
                body, more = stream.frame(rows), rows is not None
                async with asyncio.timeout(SEND_S):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                try:
                    rows = await self._asking.ask(lambda _: next(self._rows, None)) if more else None
                except StoreError as error:
                    log.warning("an export ends early: %s", error)
                    await send({"type": "http.response.body", "body": stream.failure(str(error)), "more_body": True})
                    more = False
        except TimeoutError:
            log.warning("an export ends early: nobody has taken any of it for %g s", SEND_S)
            return
        finally:
            gone.cancel()
            # No room for one more question, or one still under way: then they are closed when they are thrown away.
            with suppress(StoreError, ValueError):
                await self._asking.ask(lambda _: self._rows.close())
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Returns when the caller has closed his connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
