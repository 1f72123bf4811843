"""Operators' verbs on warnings (CONTRACTS section 5): each a small body, checked, then handed on as an act."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.exceptions import HTTPException

from alerts.incidents.incident import EMERGENCY, Incident
from alerts.incidents.verbs import Acknowledge, Approve, Assign, Close, Comment, Ease, Verb
from alerts.people.rights import refused
from alerts.people.user import Role, User
from alerts.staff import Staff
from alerts.web.bench import PROBLEMS, ActedOut, Bench, Call, Calling, Said
from alerts.web.operators import Door, operator_route
from alerts.web.sources import Sources
from ingest.city import City

_Id = Annotated[str, Path(alias="id", max_length=200, examples=["flood.20242.20221014T0803Z"])]


class AssignIn(Said):
    to: str = Field(max_length=32, description="a user's name; empty: nobody", examples=["tran.lan"])


class CommentIn(Said):
    text: str = Field(min_length=1, max_length=1_000, examples=["water over the kerb at the market"])


class ApproveIn(Said):
    level: int = Field(default=EMERGENCY, ge=1, le=EMERGENCY, description="up to which what is measured is published")


class BulkIn(ApproveIn):
    event: str = Field(min_length=1, max_length=200, description="everything that waits in this city event")


class EaseIn(Said):
    level: int = Field(ge=1, le=EMERGENCY - 1, description="it counts for no more, until a sensor rises again")


class CloseIn(Said):
    withdraw: bool = Field(default=False, description="it should never have been said (CAP: Cancel)")


_SEEN, _APPROVED, _CLOSED = Said(), ApproveIn(), CloseIn()  # where no body is sent


class _Verbs:
    """One method a route. They run in worker threads: an act waits for the disk."""

    def __init__(self, sources: Sources, staff: Staff, bench: Bench) -> None:
        self._sources, self._staff, self._bench = sources, staff, bench

    def acknowledge(self, alert: _Id, call: Calling, sent: Said = _SEEN) -> ActedOut:
        return self._on_one(call, alert, Acknowledge(alert), sent)

    def assign(self, alert: _Id, call: Calling, sent: AssignIn) -> ActedOut:
        incident, verb = self._bench.incident(alert), Assign(alert, sent.to)
        self._bench.check(call, verb, [(incident.hazard, incident.area)])  # else the answer would tell of users
        if why := _unfit(self._staff.user(sent.to), sent.to, incident, self._bench.city):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"to: {why}")
        return self._on_one(call, alert, verb, sent)

    def comment(self, alert: _Id, call: Calling, sent: CommentIn) -> ActedOut:
        return self._on_one(call, alert, Comment(alert, sent.text), sent)

    def approve(self, alert: _Id, call: Calling, sent: ApproveIn = _APPROVED) -> ActedOut:
        return self._on_one(call, alert, Approve(alert, level=sent.level), sent)

    def ease(self, alert: _Id, call: Calling, sent: EaseIn) -> ActedOut:
        return self._on_one(call, alert, Ease(alert, sent.level), sent)

    def close(self, alert: _Id, call: Calling, sent: CloseIn = _CLOSED) -> ActedOut:
        return self._on_one(call, alert, Close(alert, sent.withdraw), sent)

    def approve_all(self, call: Calling, sent: BulkIn) -> ActedOut:
        # The whole city is asked for: which areas join the event may change while this is under way. So may hazards:
        # those that the person was asked for are named.
        rows = self._sources.ledger.open_incidents(unpublished=True)
        hazards = {row.hazard for row in rows if row.event == sent.event}
        if not hazards:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no city event {sent.event!r} that goes on")
        verb = Approve(event=sent.event, level=sent.level, hazards=tuple(sorted(hazards)))
        return self._bench.do(call, verb, [(hazard, "") for hazard in sorted(hazards)], sent)

    def _on_one(self, call: Call, id_: str, verb: Verb, sent: Said) -> ActedOut:
        incident = self._bench.incident(id_)
        return self._bench.do(call, verb, [(incident.hazard, incident.area)], sent)


def verb_routes(sources: Sources, staff: Staff, bench: Bench, door: Door) -> APIRouter:
    route = operator_route(door, everywhere=False)  # the table of rights says the rest, for each place
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=route)
    verbs = _Verbs(sources, staff, bench)
    table: tuple[tuple[str, Callable[..., ActedOut], str], ...] = (
        ("/alerts/{id}/ack", verbs.acknowledge, "I have seen it: calls stop"),
        ("/alerts/{id}/assign", verbs.assign, "Who sees to it"),
        ("/alerts/{id}/comment", verbs.comment, "A word to colleagues"),
        ("/alerts/{id}/approve", verbs.approve, "It is so: publish what is measured"),
        ("/alerts/{id}/ease", verbs.ease, "It is no more than this"),
        ("/alerts/{id}/close", verbs.close, "It is over, or never was"),
        ("/alerts/approve", verbs.approve_all, "Everything that waits in a city event"),
    )
    for path, handler, summary in table:
        router.add_api_route(path, handler, methods=["POST"], summary=summary, responses=PROBLEMS)
    return router


def _unfit(user: User | None, name: str, incident: Incident, city: City) -> str:
    """Why nothing can be assigned to the user of that name; "" if it can."""
    if not name:
        return ""
    return f"no user {name!r}" if user is None else refused(user, Role.OPERATOR, incident.hazard, incident.area, city)
