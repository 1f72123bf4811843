"""How the groups stand that a warning concerns: for machines, and as a sheet of paper to walk with."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from starlette.exceptions import HTTPException

from alerts.incidents.incident import Incident, Notice
from alerts.people.user import User
from alerts.residents.group_desk import GroupDesk
from alerts.residents.group_overview import Standing
from alerts.web.group_schemas import AnswerIn, GivenOut, GroupsOfAlert, StandingOut, counts_out
from alerts.web.group_sheet import sheet
from alerts.web.groups import PROBLEMS, able, at
from alerts.web.operators import Door, Who, operator_route
from alerts.web.pages import static_files, templates
from alerts.web.payloads import local_time
from alerts.web.people import IdempotencyKey
from alerts.web.schemas import LEVEL_NAMES
from alerts.web.sources import Sources

_Alert = Annotated[str, Path(max_length=100, examples=["flood.20242.20221014T0803Z"])]
_Group = Annotated[int, Path(ge=1, le=2**63 - 1)]
_State: Final = Query(description="only groups in this state", max_length=20)


def group_alert_routes(sources: Sources, desk: GroupDesk | None, door: Door) -> APIRouter:
    router = APIRouter(tags=["operators"], route_class=operator_route(door, everywhere=False))
    template = templates(static_files()).get_template("groups.html")

    def seen(id_: str, user: User) -> tuple[Incident, int, list[Standing]]:
        incident, notices = _found(sources, id_)
        asked, standings = able(lambda: at(desk).overview(incident, notices, user))
        return incident, asked, standings

    @router.get("/api/v1/alerts/{alert}/groups", summary="Who was told, who answered what", responses=PROBLEMS)
    def groups(alert: _Alert, user: Who, state: Annotated[str, _State] = "") -> GroupsOfAlert:
        incident, asked, standings = seen(alert, user)
        zone = sources.view().city.timezone
        return GroupsOfAlert(
            alert=incident.id, hazard=incident.hazard, area=incident.area, level=incident.level,
            level_name=LEVEL_NAMES[incident.level], as_of=local_time(sources.now_ms(), zone), asked_version=asked,
            counts=counts_out(standings),
            groups=[StandingOut.of(one, zone) for one in standings if state in ("", one.state)],
        )  # fmt: skip

    @router.post(
        "/api/v1/alerts/{alert}/groups/{group}/answer", summary="What a leader said by voice", responses=PROBLEMS
    )
    def answer(alert: _Alert, group: _Group, sent: AnswerIn, user: Who, key: IdempotencyKey = "") -> GivenOut:
        """It counts over all that the group's leaders have answered before."""
        incident, notices = _found(sources, alert)
        one = able(lambda: at(desk).by_user(incident, notices, group, sent.says, sent.note, user, key))
        now = local_time(sources.now_ms(), sources.view().city.timezone)
        return GivenOut(group=one.name, area=one.area, says=sent.says, at=now)

    @router.get("/ioc/alerts/{alert}/groups", include_in_schema=False)
    def paper(alert: _Alert, user: Who) -> Response:
        incident, asked, standings = seen(alert, user)
        shown = sheet(sources.view().city, incident, asked, standings, sources.now_ms(), user.name)
        return Response(template.render(sheet=shown), media_type="text/html")

    return router


def _found(sources: Sources, id_: str) -> tuple[Incident, Sequence[Notice]]:
    incident = sources.ledger.incident(id_)
    if incident is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no warning {id_!r}")
    return incident, [notice for _, notice in sources.ledger.notices_of(id_)]
