"""The published warnings (CONTRACTS section 5): as a list, one by one, in a sentence, and as they happen."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.exceptions import HTTPException

from alerts.incidents.incident import Incident
from alerts.people.user import Role, User
from alerts.web import payloads
from alerts.web.events import EventStream, FanOut
from alerts.web.operators import Door, forbidden
from alerts.web.problems import shown_problems
from alerts.web.rendered import FRESH, Shelf, as_json
from alerts.web.schemas import AlertDetail, AlertList, NoticeEvent, OperatorsAlerts, SituationEvent, SituationOut
from alerts.web.sources import Sources
from alerts.words.names import Lang
from processing.rules import HAZARDS

_PAGE: Final = 100  # warnings, where the caller does not say
_ANSWERS_KEPT: Final = 300  # about three a ward; each at most a page of warnings, usually a few kilobytes
_PLUS_LOST: Final = re.compile(r" (?=\d\d:\d\d\Z)")  # "+07:00" typed into a URL arrives as " 07:00"


def with_plus(text: Any) -> Any:
    return _PLUS_LOST.sub("+", text) if isinstance(text, str) else text


class AlertQuery(BaseModel):
    """Which warnings."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    active: bool | None = Field(None, description="true: open now; false: over; left out: both")
    area: str | None = Field(None, description="code of an area, for it and all that is part of it", examples=["20242"])
    hazard: str | None = Field(None, max_length=64, examples=list(HAZARDS))
    since: Annotated[AwareDatetime, BeforeValidator(with_plus)] | None = Field(
        None, description="changed at or after; RFC 3339 with an offset", examples=["2022-10-14T15:00:00+07:00"]
    )
    cursor: str | None = Field(None, description="`next` of the page before", max_length=200)
    limit: int = Field(_PAGE, ge=1, le=500)
    drill: bool = Field(False, description="true: exercises, and nothing else")
    unpublished: bool = Field(
        False, description="true: also those of which nothing is public, in one's scope; for operators"
    )

    @property
    def is_common(self) -> bool:
        """Asked by many at once, and of few kinds: its answer is kept. Pages of the past are made each time."""
        return not self.unpublished and self.since is None and self.cursor is None and self.limit == _PAGE


def warning_routes(sources: Sources, fan_out: FanOut, door: Door | None = None) -> APIRouter:
    """`fan_out` knows the newest notice: what was answered before it is made anew.

    Handlers run in worker threads: the ledger is a file.
    """
    router = APIRouter(prefix="/api/v1", tags=["public"])
    shelf = Shelf(_ANSWERS_KEPT)

    def answer(request: Request, key: Hashable, make: Callable[[], BaseModel]) -> Response:
        # The mark is taken before the ledger is read: what is written meanwhile has a mark of its own.
        mark = (sources.view().position, fan_out.last_seq)
        return shelf.get(key, mark, lambda: as_json(make())).response(request, FRESH)

    @router.get(
        "/alerts", response_model=AlertList | OperatorsAlerts, summary="Warnings, the newest first",
        responses=_WRONG_CALL,
    )  # fmt: skip
    def alerts(request: Request, query: Annotated[AlertQuery, Query()]) -> Response:
        if query.unpublished:
            return _unpublished(sources, query, request, door)
        if not query.is_common:
            return as_json(_alerts(sources, query)).response(request, FRESH)
        return answer(request, query, lambda: _alerts(sources, query))

    @router.get(
        "/alerts/{id}", response_model=AlertDetail, summary="One warning",
        responses=_WRONG_CALL | shown_problems(HTTPStatus.NOT_FOUND),
    )  # fmt: skip
    def alert(request: Request, id: str) -> Response:  # noqa: A002  # the name in the path is the API's
        incident = sources.ledger.incident(id)
        if incident is None or not incident.version:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no warning {id!r}")
        said = {} if sources.proof is None else sources.proof.codes.said(id)
        detail = payloads.alert_detail(sources.view(), incident, sources.ledger.notices_of(id), said)
        return as_json(detail).response(request, FRESH)

    @router.get(
        "/situation/{area}", response_model=SituationOut,
        summary="One plain sentence on an area (on all of them: `city`), and its facts",
        responses=_WRONG_CALL | shown_problems(HTTPStatus.NOT_FOUND),
    )  # fmt: skip
    def situation(request: Request, area: str, lang: Lang = "vi") -> Response:
        if area != payloads.WHOLE_CITY and area not in sources.view().city.areas:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no area {area!r}; /api/v1/areas lists them")

        def make() -> SituationOut:
            return payloads.situation(sources.view(), area, sources.ledger.open_incidents(), lang)

        return answer(request, (area, lang), make)

    return router


def event_routes(fan_out: FanOut) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["public"])

    @router.get(
        "/events", response_class=EventStream, status_code=200, summary="Warnings as they happen (server-sent events)",
        description=_EVENTS, responses=_STREAM,
    )  # fmt: skip
    async def events(
        request: Request, *, drill: Annotated[bool, Query(description="true: drills, and nothing else")] = False
    ) -> Response:
        return fan_out.listen(request.headers.get("last-event-id", ""), drill=drill)

    return router


def _alerts(sources: Sources, query: AlertQuery) -> AlertList:
    found, after = _found(sources, query)
    view = sources.view()
    as_of = payloads.local_time(view.arrival, view.city.timezone)
    return AlertList(as_of=as_of, alerts=[payloads.alert(view, incident) for incident in found], next=after)


def _unpublished(sources: Sources, query: AlertQuery, request: Request, door: Door | None) -> Response:
    """All that there is within the operator's scope; kept by nobody on the way."""
    if door is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no operators here")
    user = door.admit(request)
    if not user.role.covers(Role.OPERATOR):
        raise forbidden(user, request, f"this needs the role operator; {user.name} is {user.role}")
    found, after = _found(sources, query, user)
    view = sources.view()
    as_of = payloads.local_time(view.arrival, view.city.timezone)
    shown = OperatorsAlerts(as_of=as_of, alerts=[payloads.operators_alert(view, one) for one in found], next=after)
    return as_json(shown).response(request, "no-store")


def _found(sources: Sources, query: AlertQuery, user: User | None = None) -> tuple[Sequence[Incident], str | None]:
    """`user`: within whose scope; None: everywhere."""
    since_ms = None if query.since is None else int(query.since.timestamp() * 1000)
    city = sources.view().city
    if query.area is not None and query.area not in city.areas:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"area: {query.area!r} is not one of /api/v1/areas")
    areas = None if query.area is None else set(city.within(query.area))
    hazards = None if query.hazard is None else {query.hazard}
    if user is not None and user.areas:
        scope = {area for code in user.areas for area in city.within(code)}
        areas = scope if areas is None else areas & scope
    if user is not None and user.hazards:
        hazards = set(user.hazards) if hazards is None else hazards & set(user.hazards)
    try:
        return sources.ledger.incidents(
            active=query.active, areas=areas, hazards=hazards, since=since_ms, cursor=query.cursor,
            limit=query.limit, drill=query.drill, unpublished=query.unpublished,
        )  # fmt: skip
    except (ValueError, OverflowError):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "cursor: not the `next` of any page") from None


_WRONG_CALL: Final = shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY)
_EVENTS: Final = """\
`alert`: one version of a warning (NoticeEvent); its id, sent back as Last-Event-ID, brings first what followed it.
`?drill=true` is a stream of its own, of `drill` events of the same shape; the other never carries one.
`situation`: an area's sentence has changed (SituationEvent). A comment every 15 s keeps the line alive. Who reads too
slowly is disconnected, and misses nothing by coming back with Last-Event-ID."""
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "text/event-stream": {
                "schema": {
                    "description": "the data",
                    "oneOf": [NoticeEvent.model_json_schema(), SituationEvent.model_json_schema()],
                },
                "example": 'event: alert\nid: 42\ndata: {"seq":42,"hazard":"flood","level":3}\n\n',
            }
        }
    },
    **shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
}
