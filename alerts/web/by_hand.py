"""Warnings by hand, and drills (CONTRACTS sections 5 and 6): from a template, checked by its words."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter
from pydantic import AwareDatetime, Field
from starlette.exceptions import HTTPException

from alerts.incidents.incident import EMERGENCY, Hand
from alerts.incidents.verbs import Raise
from alerts.people.rights import refused
from alerts.people.user import Role
from alerts.web.bench import AREAS_MOST, PROBLEMS, ActedOut, Bench, Calling, Code, Said
from alerts.web.operators import Door, operator_route
from alerts.words.hand import check_hand

FIELDS_MOST: Final = 16
FIELD_MOST: Final = 200  # characters; the templates' own limits are narrower
HAND_MS_MOST: Final = 7 * 86_400_000  # it ends by itself; what lasts longer is given again
_Text = Annotated[str, Field(max_length=FIELD_MOST)]


class HandIn(Said):
    """A warning by hand. An operator's waits for an approver; one that says evacuate for a second approver."""

    template: str = Field(max_length=64, examples=["reservoir"])
    hazard: str = Field("", max_length=64, description="where the template leaves it open")
    level: int = Field(ge=1, le=EMERGENCY, examples=[3])
    areas: list[Code] = Field(min_length=1, max_length=AREAS_MOST, description="each with all that is part of it",
                              examples=[["20242"]])  # fmt: skip
    until: AwareDatetime = Field(description="then it is over by itself; RFC 3339 with an offset, 7 days at most")
    fields: dict[Code, _Text] = Field({}, max_length=FIELDS_MOST, description="what the template asks for")
    drill: bool = Field(default=False, description="an exercise, told as such and apart")


def hand_routes(bench: Bench, door: Door) -> APIRouter:
    """The handler runs in a worker thread: an act waits for the disk."""
    route = operator_route(door, everywhere=False)  # the table of rights says the rest, for each place
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=route)

    @router.post("/alerts", summary="A warning by hand, or a drill", responses=PROBLEMS)
    def give(call: Calling, sent: HandIn) -> ActedOut:
        until_ms = int(sent.until.timestamp() * 1000)
        if not 0 < until_ms - bench.now_ms <= HAND_MS_MOST:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "until: in the future, and within 7 days")
        areas = bench.areas(sent.areas)
        hand = Hand(sent.template, sent.level, until_ms, call.user.name, tuple(sorted(sent.fields.items())))
        try:
            hazard = check_hand(hand, sent.hazard)
        except ValueError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        approver = not any(refused(call.user, Role.APPROVER, hazard, area, bench.city) for area in areas)
        verb = Raise(hand, hazard, areas, sent.drill, approver)
        return bench.do(call, verb, [(hazard, area) for area in areas], sent)

    return router
