"""Ward groups and their leaders, for operators (docs/how-to/ward-groups.md)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Body, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from alerts.residents.ground import GroupError, NoGroupError
from alerts.residents.group_desk import GroupDesk
from alerts.staff import OutsideError
from alerts.web.group_schemas import (
    BroughtOut,
    EndedOut,
    GroupChange,
    GroupIn,
    GroupList,
    GroupOut,
    GroupQuery,
    ImportQuery,
    LeaderIn,
)
from alerts.web.operators import REFUSALS, Door, Who, operator_route
from alerts.web.people import IdempotencyKey
from alerts.web.problems import problem, shown_problems
from alerts.web.sources import Sources

LIST_BYTES_MAX: Final = 1_048_576  # 5,000 lines of 200 bytes
PROBLEMS: Final = REFUSALS | shown_problems(
    HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
)
_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_Csv = Annotated[
    bytes, Body(media_type="text/csv", description="area,group,households,leader_channel,leader_address,lang")
]
T = TypeVar("T")


def group_routes(sources: Sources, desk: GroupDesk | None, door: Door) -> APIRouter:
    """`desk` None: no key seals addresses here, so that none are kept."""
    route = operator_route(door, everywhere=False)  # who may do it where is for the desk to say
    router = APIRouter(prefix="/api/v1/groups", tags=["operators"], route_class=route)

    def zone() -> Any:
        return sources.view().city.timezone

    @router.get("", summary="Ward groups within one's own areas", responses=PROBLEMS)
    def listed(query: Annotated[GroupQuery, Query()], user: Who) -> GroupList:
        found, after = able(lambda: at(desk).groups.listed(user, query.area, query.cursor, query.limit))
        return GroupList(groups=[GroupOut.of(one, zone()) for one in found], next=after)

    @router.post("", summary="A new group; the same again changes nothing", responses=PROBLEMS)
    def add(sent: GroupIn, user: Who, key: IdempotencyKey = "") -> GroupOut:
        return GroupOut.of(able(lambda: at(desk).groups.add(sent.group, user, key)), zone())

    @router.patch("/{group}", summary="Its name, its households", responses=PROBLEMS)
    def change(group: _Id, sent: GroupChange, user: Who, key: IdempotencyKey = "") -> GroupOut:
        changed = able(lambda: at(desk).groups.change(group, sent.name, sent.households, user, key))
        return GroupOut.of(changed, zone())

    @router.delete("/{group}", summary="It ends, and its leaders are told nothing any more", responses=PROBLEMS)
    def end(group: _Id, user: Who, key: IdempotencyKey = "") -> EndedOut:
        return EndedOut(leaders=able(lambda: at(desk).groups.end(group, user, key)))

    @router.post("/{group}/leaders", summary="Appoint a leader; the same again changes nothing", responses=PROBLEMS)
    def appoint(group: _Id, sent: LeaderIn, user: Who, key: IdempotencyKey = "") -> GroupOut:
        return GroupOut.of(able(lambda: at(desk).groups.add_leader(group, sent.leader, user, key)), zone())

    @router.delete("/{group}/leaders/{leader}", summary="His address is overwritten", responses=PROBLEMS)
    def dismiss(group: _Id, leader: _Id, user: Who, key: IdempotencyKey = "") -> EndedOut:
        able(lambda: at(desk).groups.end_leader(group, leader, user, key))
        return EndedOut(leaders=1)

    return router


def group_import_routes(desk: GroupDesk | None, door: Door) -> APIRouter:
    route = operator_route(door, everywhere=False, body_most=LIST_BYTES_MAX)
    router = APIRouter(prefix="/api/v1/groups", tags=["operators"], route_class=route)

    @router.post("/import", summary="A list of groups and leaders", responses=PROBLEMS, response_model=BroughtOut)
    def bring(
        request: Request, sent: _Csv, query: Annotated[ImportQuery, Query()], user: Who, key: IdempotencyKey = ""
    ) -> Response:  # fmt: skip
        """All of it or nothing; the same list again changes nothing; leaders who are not on it stay."""
        try:
            text = sent.decode("utf-8")
        except UnicodeDecodeError as error:
            raise HTTPException(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"the list is no UTF-8 from byte {error.start}"
            ) from None
        brought = able(lambda: at(desk).imports.bring(text, user, key, dry_run=query.dry_run))
        shown = BroughtOut.of(brought)
        if brought.errors and not query.dry_run:
            wrong = f"nothing was changed: {len(brought.errors) + brought.errors_more} lines are wrong"
            return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, wrong, **shown.model_dump())
        return Response(shown.model_dump_json(), media_type="application/json")

    return router


def at(desk: GroupDesk | None) -> GroupDesk:
    """Raises HTTPException."""
    if desk is None:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "ward groups are not set up: residents.key_file")
    return desk


def able(do: Callable[[], T]) -> T:
    try:
        return do()
    except NoGroupError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from None
    except OutsideError as error:
        raise HTTPException(HTTPStatus.FORBIDDEN, str(error)) from None
    except GroupError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
    except ValueError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
