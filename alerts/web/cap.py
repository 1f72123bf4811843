"""CAP 1.2 (CONTRACTS section 5): our documents and their feeds for everybody, those of others for operators."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime, BaseModel, Field
from starlette.exceptions import HTTPException

from alerts.ledger.cap import Kept
from alerts.web.cap_feed import ATOM_TYPE, feed
from alerts.web.operators import REFUSALS, Door, Who, operator_route
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.rendered import FRESH, Rendered, Shelf
from alerts.web.sources import Cap, Sources
from alerts.words.cap import MEDIA_TYPE, cap_time
from alerts.words.cap_in import BYTES_MOST, CapError, Received, received

_FOR_EVER: Final = "public, max-age=86400, immutable"  # a document never changes
_FRESH_MS: Final = 2000  # a feed is made at most so often: what expired meanwhile goes with the next making
_LISTED: Final = 100
_DOCUMENT: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}
_FEED: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {ATOM_TYPE: {"schema": {"type": "string"}}}}}
_BODY: Final = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}}


def cap_routes(sources: Sources, cap: Cap) -> APIRouter:
    """Handlers run in worker threads: the ledger is a file."""
    router = APIRouter(prefix="/api/v1", tags=["public"])
    shelf = Shelf(most=2)

    def answer(request: Request, name: str, *, drill: bool) -> Response:
        now = sources.now_ms()
        rendered = shelf.get(name, now // _FRESH_MS, lambda: _rendered(sources, cap, name, now, drill=drill))
        return rendered.response(request, FRESH)

    @router.get("/cap/feed.atom", summary="Warnings in force as CAP 1.2", response_class=Response, responses=_FEED)
    def warnings(request: Request) -> Response:
        """Atom; each entry links to its document."""
        return answer(request, "feed.atom", drill=False)

    @router.get("/cap/drill.atom", summary="Drills as CAP 1.2", response_class=Response, responses=_FEED)
    def drills(request: Request) -> Response:
        """Atom; every document's status is Exercise."""
        return answer(request, "drill.atom", drill=True)

    @router.get(
        "/cap/{id}.xml", summary="One CAP 1.2 document", response_class=Response,
        responses=_DOCUMENT | shown_problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
    )  # fmt: skip
    def document(request: Request, id: str) -> Response:  # noqa: A002  # the name in the path is the API's
        found = cap.store.document(id)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no CAP document {id!r}")
        return Rendered.of(found.xml.encode(), MEDIA_TYPE).response(request, _FOR_EVER)

    return router


def _rendered(sources: Sources, cap: Cap, name: str, now: int, *, drill: bool) -> Rendered:
    standing = [one for one in cap.store.standing(now) if one.drill == drill]
    updated = cap_time(cap.store.last_sent(drill=drill), sources.view().city.timezone)
    return Rendered.of(feed(standing, cap.voice(), name, updated), ATOM_TYPE)


class AreaOut(BaseModel):
    desc: str
    polygons: list[str]
    circles: list[str]
    geocodes: list[tuple[str, str]]


class InfoOut(BaseModel):
    """As the sender wrote it; empty where it says nothing."""

    language: str = Field(examples=["vi-VN"])
    event: str
    urgency: str
    severity: str
    certainty: str
    effective: str
    onset: str
    expires: str
    sender_name: str
    headline: str
    description: str
    instruction: str
    web: str
    contact: str
    categories: list[str]
    response_types: list[str]
    event_codes: list[tuple[str, str]]
    parameters: list[tuple[str, str]]
    areas: list[AreaOut]


class ReceivedOut(BaseModel):
    """A CAP document that somebody else made. Nothing here follows from it by itself."""

    at: AwareDatetime | None = Field(description="when it was brought")
    by: str
    identifier: str
    sender: str
    sent: str
    status: str = Field(examples=["Actual"])
    msg_type: str = Field(examples=["Alert"])
    scope: str
    note: str
    references: list[str]
    incidents: list[str]
    signed: bool = Field(description="it carries a signature, which has not been checked")
    infos: list[InfoOut]


class ReceivedList(BaseModel):
    documents: list[ReceivedOut]


def received_routes(sources: Sources, cap: Cap, door: Door) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=operator_route(door, everywhere=False))

    def shown(kept: Kept, document: Received) -> ReceivedOut:
        at = local_time(kept.at, sources.view().city.timezone)
        return ReceivedOut.model_validate({**asdict(document), "at": at, "by": kept.by})

    @router.post(
        "/cap", summary="Bring a CAP 1.2 document from elsewhere", status_code=HTTPStatus.CREATED,
        responses=REFUSALS | shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        openapi_extra=_BODY,
    )  # fmt: skip
    async def bring(request: Request, response: Response, who: Who) -> ReceivedOut:
        """Shown to operators, and nothing more. 200 where it is here already; the newest 1,000 are kept."""
        body = await request.body()
        if len(body) > BYTES_MOST:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BYTES_MOST} bytes")
        try:
            document = await run_in_threadpool(received, body)
        except CapError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        kept = Kept(sources.now_ms(), who.name, body.decode("utf-8-sig"))
        key = (document.sender, document.identifier, document.sent)
        if not await run_in_threadpool(cap.store.receive, key, kept):
            response.status_code = HTTPStatus.OK
        return shown(kept, document)

    @router.get("/cap", summary="CAP 1.2 documents from elsewhere, the newest first", responses=REFUSALS)
    def documents() -> ReceivedList:
        kept = cap.store.received(_LISTED)
        return ReceivedList(documents=[shown(one, received(one.xml.encode())) for one in kept])

    return router
