"""Why a warning is as it is, for operators: what was decided, on what, what was not sent, who was called, who acted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from alerts.incidents.decision import Decided, Decision
from alerts.incidents.incident import Confirmation, Incident, Member, Notice
from alerts.ledger.why import Kept, Record
from alerts.people.rights import refused
from alerts.people.user import Role
from alerts.view import View
from alerts.web.asking import Asking
from alerts.web.evidence import NOT_KEPT, Judged, Windows, evidence, look_up, wanted_of
from alerts.web.operators import REFUSALS, Door, Who, forbidden, operator_route
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.sources import Sources
from alerts.web.why_schemas import CallOut, ConfirmationOut, DecisionOut, DeliveryOut, VersionOut, WhyOut, WhyQuery
from alerts.words.names import Lang
from alerts.words.why import why_sentence
from ingest.city import Sensor
from ingest.history.store import StoreError

KEPT_BACK: Final = (Decided.UNCONFIRMED, Decided.WAITS, Decided.SILENCED, Decided.HELD_OPEN, Decided.WITHHELD)
_EARTH_KM: Final = 6_371.0
_DESCRIPTION: Final = """\
Decisions in their order, each with its reason in a sentence; those that kept something from being told say `kept_back`.
Readings are what the history has now: what came after the decision stands among them. Thresholds are those of the rules
as they are now."""


def why_routes(sources: Sources, door: Door, asking: Asking | None) -> APIRouter:
    route = operator_route(door, everywhere=False)
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=route)

    @router.get("/alerts/{id}/why", summary="Why a warning is as it is", description=_DESCRIPTION, responses=_PROBLEMS)
    async def why(
        request: Request, id: str, who: Who, query: Annotated[WhyQuery, Query()]  # noqa: A002  # the API's name
    ) -> WhyOut:  # fmt: skip
        view = sources.view()
        incident, notices, record = await run_in_threadpool(_of_ledger, sources, id)
        if lacks := refused(who, Role.VIEWER, incident.hazard, incident.area, view.city):
            raise forbidden(who, request, lacks)
        page = [kept for kept in record.decisions if kept.number > query.after]
        shown = page[: query.limit]
        windows = await _windows(asking, view, _judged(notices, shown))
        answer = partial(
            _answer, view, incident, notices, record, shown, windows, query.lang,
            shown[-1].number if len(page) > len(shown) else None,
        )  # fmt: skip
        return await run_in_threadpool(answer)

    return router


def _of_ledger(sources: Sources, id_: str) -> tuple[Incident, list[Notice], Record]:
    incident = sources.ledger.incident(id_)
    if incident is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no warning {id_!r}")
    return incident, [notice for _, notice in sources.ledger.notices_of(id_)], sources.ledger.why(id_)


def _judged(notices: Sequence[Notice], shown: Sequence[Kept]) -> list[Judged]:
    """What to look up: the newest versions first, then the decisions of this page."""
    versions = (_of_member(notice.cause) for notice in reversed(notices))
    decisions = (_of_decision(kept.decision) for kept in shown)
    return [one for one in (*versions, *decisions) if one is not None]


def _of_member(cause: Member | None) -> Judged | None:
    if cause is None:
        return None
    return Judged(cause.sensor, cause.rule, cause.at, cause.value, cause.level)


def _of_decision(decision: Decision) -> Judged | None:
    """Of a level that rose or fell by a measurement."""
    value, at = decision.detail.get("value"), decision.detail.get("measured_at")
    moved = decision.what in (Decided.ROSE, Decided.FELL)
    if not moved or not isinstance(at, int) or not isinstance(value, (int, float)):
        return None
    rose = decision.what is Decided.ROSE
    return Judged(decision.sensor, decision.rule, at, float(value), decision.level, rose=rose)


async def _windows(asking: Asking | None, view: View, judged: Sequence[Judged]) -> Windows:
    wanted = wanted_of(view, judged)
    if asking is None:
        return {one.window: NOT_KEPT for one, _, _ in wanted}
    if not wanted:
        return {}
    try:
        return await asking.ask(lambda reader: look_up(reader, wanted))
    except StoreError as error:
        return {one.window: f"the history does not answer: {error}" for one, _, _ in wanted}


def _answer(
    view: View, incident: Incident, notices: Sequence[Notice], record: Record, shown: Sequence[Kept],
    windows: Windows, lang: Lang, following: int | None,
) -> WhyOut:  # fmt: skip
    zone = view.city.timezone
    calls = [CallOut(number=c.number, at=local_time(c.at, zone), to=list(c.to), asks=c.asks, level=c.level)
             for c in record.calls]  # fmt: skip
    return WhyOut(
        id=incident.id, hazard=incident.hazard, area=incident.area, drill=incident.drill, level=incident.level,
        version=incident.version, awaiting=incident.awaiting,
        versions=[_version(view, notice, record, windows) for notice in notices],
        decisions=[_decision(view, kept, record, windows, lang) for kept in shown],
        dropped=record.dropped, next=following, calls=calls,
    )  # fmt: skip


def _version(view: View, notice: Notice, record: Record, windows: Windows) -> VersionOut:
    zone, cause = view.city.timezone, notice.cause
    judged = _of_member(cause)
    published = next((kept.number for kept in record.decisions if _publishes(kept.decision, notice)), record.made)
    confirmed = cause is not None and cause.by is not Confirmation.NONE
    return VersionOut(
        version=notice.version, reason=notice.reason.value, level=notice.level, previous_level=notice.previous_level,
        measured_at=local_time(notice.at, zone), published_at=local_time(notice.arrival, zone), by=notice.by,
        told=notice.told, withheld=notice.withheld.value,
        confirmation=_confirmation(view, record, cause.sensor, cause.by, cause.witness, published)
        if cause is not None and confirmed else None,
        evidence=evidence(view, judged, windows) if judged is not None else None,
        deliveries=[DeliveryOut(channel=d.channel, status=d.status, count=d.count)
                    for d in record.delivered if d.version == notice.version],
    )  # fmt: skip


def _publishes(decision: Decision, notice: Notice) -> bool:
    return decision.what is Decided.PUBLISHED and decision.detail.get("version") == notice.version


def _decision(view: View, kept: Kept, record: Record, windows: Windows, lang: Lang) -> DecisionOut:
    one, judged = kept.decision, _of_decision(kept.decision)
    confirmation = None
    if one.what is Decided.CONFIRMED:
        witness = str(one.detail.get("witness", ""))
        confirmation = _confirmation(view, record, one.sensor, one.because, witness, kept.number)
    return DecisionOut(
        number=kept.number, at=local_time(one.at, view.city.timezone), what=one.what, kept_back=one.what in KEPT_BACK,
        text=why_sentence(one, view.city, view.rules, lang), because=one.because, sensor=one.sensor, rule=one.rule,
        level=one.level, detail=dict(one.detail), entry=kept.entry, confirmation=confirmation,
        evidence=evidence(view, judged, windows) if judged is not None else None,
    )  # fmt: skip


def _confirmation(
    view: View, record: Record, sensor: str, by: str, witness: str, number: int
) -> ConfirmationOut:  # fmt: skip
    near = by == Confirmation.NEIGHBOUR
    sensors = view.city.sensors
    return ConfirmationOut(
        by=by, witness=witness, distance_km=_km(sensors.get(sensor), sensors.get(witness)) if near else None,
        witness_level=_level_then(record, witness, number) if near else None,
    )  # fmt: skip


def _level_then(record: Record, sensor: str, number: int) -> int | None:
    """The highest level over its rules before decision `number`; None where its moves are not kept here."""
    by_rule: dict[str, int] = {}
    for kept in record.decisions:
        one = kept.decision
        if kept.number < number and one.sensor == sensor and one.what in (Decided.ROSE, Decided.FELL):
            by_rule[one.rule] = one.level
    return max(by_rule.values(), default=None)


def _km(a: Sensor | None, b: Sensor | None) -> float | None:
    """Along the great circle, by the haversine formula on a sphere; None where either has no place."""
    if a is None or b is None or not any((a.lat, a.lon)) or not any((b.lat, b.lon)):
        return None
    north, south = math.radians(a.lat), math.radians(b.lat)
    across = math.radians(b.lon - a.lon)
    half = math.sin((south - north) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(across / 2) ** 2
    return round(2 * _EARTH_KM * math.asin(math.sqrt(half)), 3)


_PROBLEMS: Final = REFUSALS | shown_problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
