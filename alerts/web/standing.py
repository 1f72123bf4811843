"""What persons say beside the warnings (CONTRACTS section 5): silences, planned outages, the official level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, AwareDatetime, Field
from starlette.exceptions import HTTPException

from alerts.incidents.verbs import POWER, EndSilence, OfficialLevel, Reschedule, Silence
from alerts.ledger.audit import Audit
from alerts.web.bench import AREAS_MOST, PROBLEMS, ActedOut, Bench, Call, Calling, Code, Said
from alerts.web.operators import Door, operator_route
from alerts.web.payloads import local_time
from alerts.web.rendered import FRESH, as_json
from alerts.web.schemas import Shape
from alerts.web.sources import Sources

SILENCE_MS_MOST: Final = 7 * 86_400_000  # a cause that lasts longer is looked at again
AHEAD_MS_MOST: Final = 90 * 86_400_000
OFFICIAL_LEVEL_MOST: Final = 5
OFFICIAL_MS_MOST: Final = 14 * 86_400_000


def _printable(text: str) -> str:
    """It is shown to people: no control characters, none that turn the direction of writing, no markup."""
    if not text.isprintable() or "<" in text or ">" in text:
        raise ValueError("one line of visible characters, without < and >")
    return text


_Id = Annotated[str, Path(alias="id", max_length=64, examples=["silence-1f2e3d4c5b6a"])]
_Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
_Areas = Annotated[list[Code], Field(max_length=AREAS_MOST)]


class OutageIn(Said):
    """An announced outage: what is out because of it counts and confirms nothing until it is over."""

    begins: AwareDatetime | None = Field(None, description="left out: now")
    until: AwareDatetime = Field(description="RFC 3339 with an offset, 7 days after it begins at most")
    reason: _Line = Field(examples=["PC Đà Nẵng: maintenance of feeder 471"])
    sensor: str = Field("", max_length=64)
    areas: _Areas = Field([], description="each with all that is part of it", examples=[["20242"]])


class SilenceIn(OutageIn):
    """What a known cause explains. It covers what fits all that is given, at least one of sensor, hazard and areas."""

    hazard: str = Field("", max_length=64, examples=["flood"])


class TimesIn(Said):
    """Other times of an announced outage. Residents who heard of it are told."""

    begins: AwareDatetime | None = Field(None, description="left out: as it is; it cannot be moved once it has begun")
    until: AwareDatetime | None = Field(None, description="left out: as it is")


class SilenceOut(Shape):
    id: str
    begins: str
    until: str
    reason: str
    by: str
    sensor: str
    hazard: str
    areas: list[str]
    planned: bool

    @classmethod
    def of(cls, one: Silence, zone: ZoneInfo) -> Self:
        return cls(
            id=one.id, begins=local_time(one.begins, zone), until=local_time(one.until, zone), reason=one.reason,
            by=one.by, sensor=one.sensor, hazard=one.hazard, areas=list(one.areas), planned=one.planned,
        )  # fmt: skip


class SilenceList(Shape):
    silences: list[SilenceOut] = Field(description="that are not over, those that begin first before the others")


class MadeOut(ActedOut):
    id: str = Field(description="of what it made")


class OfficialIn(Said):
    """As the hydromet office announced it: entered, never computed. Level 0: no longer in force."""

    level: int = Field(ge=0, le=OFFICIAL_LEVEL_MOST, examples=[3])
    issuer: _Line = Field(examples=["Đài Khí tượng Thủy văn khu vực Trung Trung Bộ"])
    bulletin: _Line = Field(description="its number", examples=["LULU-12/DNAN"])
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    hazard: str = Field("", max_length=64, examples=["flood"])
    areas: _Areas = Field([], description="none: the whole city")


class OfficialOut(Shape):
    level: int = Field(ge=1, le=OFFICIAL_LEVEL_MOST)
    issuer: str
    bulletin: str
    valid_from: str
    valid_until: str
    hazard: str
    areas: list[str] = Field(description="none: the whole city")


class OfficialNow(Shape):
    """The disaster-risk level of the hydromet office. It is not a level of this service's warnings."""

    as_of: str
    official_level: OfficialOut | None = Field(description="null: none is in force")


def official_routes(sources: Sources) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["public"])

    @router.get("/official-level", response_model=OfficialNow, summary="The official disaster-risk level in force")
    def official(request: Request) -> Response:
        zone, now, one = sources.view().city.timezone, sources.now_ms(), sources.standing().official
        shown = None
        if one is not None and one.level and one.valid_from <= now < one.valid_until:
            shown = OfficialOut(
                level=one.level, issuer=one.issuer, bulletin=one.bulletin, hazard=one.hazard, areas=list(one.areas),
                valid_from=local_time(one.valid_from, zone), valid_until=local_time(one.valid_until, zone),
            )  # fmt: skip
        return as_json(OfficialNow(as_of=local_time(now, zone), official_level=shown)).response(request, FRESH)

    return router


class _Standing:
    """One method a route. They run in worker threads: an act waits for the disk."""

    def __init__(self, sources: Sources, audit: Audit, bench: Bench) -> None:
        self._sources, self._audit, self._bench = sources, audit, bench

    def silences(self) -> SilenceList:
        return self._listed(planned=False)

    def outages(self) -> SilenceList:
        return self._listed(planned=True)

    def silence(self, call: Calling, sent: SilenceIn) -> MadeOut:
        if not (sent.sensor or sent.hazard or sent.areas):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "sensor, hazard, areas: at least one of them")
        return self._made(call, sent, sent.hazard, planned=False)

    def outage(self, call: Calling, sent: OutageIn) -> MadeOut:
        if not (sent.sensor or sent.areas):
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "sensor, areas: at least one of them")
        return self._made(call, sent, POWER, planned=True)

    def end_silence(self, which: _Id, call: Calling) -> ActedOut:
        return self._ended(which, call, planned=False)

    def move_outage(self, which: _Id, call: Calling, sent: TimesIn) -> ActedOut:
        known = next((one for one in self._sources.standing().silences if one.planned and one.id == which), None)
        if known is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no planned outage of that name that is not over: {which!r}")
        begins = known.begins if sent.begins is None else _ms(sent.begins)
        until = known.until if sent.until is None else _ms(sent.until)
        _check_span(begins, until, self._bench.now_ms)
        return self._bench.do(call, Reschedule(which, begins, until), _places(known, self._bench), sent)

    def end_outage(self, which: _Id, call: Calling) -> ActedOut:
        return self._ended(which, call, planned=True)

    def announce(self, call: Calling, sent: OfficialIn) -> ActedOut:
        since, until = (int(t.timestamp() * 1000) for t in (sent.valid_from, sent.valid_until))
        if not 0 < until - since <= OFFICIAL_MS_MOST:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "valid_until: after valid_from, by 14 days at most")
        self._bench.areas(sent.areas)
        verb = OfficialLevel(sent.level, sent.issuer, sent.bulletin, since, until, sent.hazard, tuple(sent.areas))
        # One is in force at a time: this takes the place of another, and touches what that one does.
        before = self._sources.standing().official
        touched = [verb] if before is None else [verb, before]
        return self._bench.do(call, verb, [(one.hazard, area) for one in touched for area in one.areas or ("",)], sent)

    def _listed(self, *, planned: bool) -> SilenceList:
        now, zone = self._sources.now_ms(), self._bench.city.timezone
        found = [one for one in self._sources.standing().silences if one.planned is planned and one.until > now]
        found.sort(key=lambda one: (one.begins, one.id))
        return SilenceList(silences=[SilenceOut.of(one, zone) for one in found])

    def _made(self, call: Call, sent: OutageIn, hazard: str, *, planned: bool) -> MadeOut:
        bench = self._bench
        begins, until = _span(sent, bench.now_ms)
        if sent.sensor and sent.sensor not in bench.city.sensors:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"sensor: the city has no {sent.sensor!r}")
        verb = Silence(
            f"{'outage' if planned else 'silence'}-{call.new_id(sent)}", begins, until, sent.reason, call.user.name,
            sent.sensor, hazard, bench.areas(sent.areas), planned,
        )  # fmt: skip
        acted = bench.do(call, verb, _places(verb, bench), sent)
        return MadeOut(**acted.model_dump(), id=verb.id)

    def _ended(self, id_: str, call: Call, *, planned: bool) -> ActedOut:
        known = {one.id: one for one in self._sources.standing().silences if one.planned is planned}
        if id_ in known:
            return self._bench.do(call, EndSilence(id_), _places(known[id_], self._bench))
        if self._audit.find(call.user.name, call.key(None)) is not None:  # ended by this very call, sent again
            return self._bench.do(call, EndSilence(id_), ())
        raise HTTPException(HTTPStatus.NOT_FOUND, f"nothing of that name that is not over: {id_!r}")


def standing_routes(sources: Sources, audit: Audit, bench: Bench, door: Door) -> APIRouter:
    route = operator_route(door, everywhere=False)  # the table of rights says the rest, for each place
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=route)
    standing = _Standing(sources, audit, bench)
    table: tuple[tuple[str, str, Callable[..., Shape], str], ...] = (
        ("GET", "/silences", standing.silences, "Silences that are not over"),
        ("POST", "/silences", standing.silence, "What a known cause explains"),
        ("DELETE", "/silences/{id}", standing.end_silence, "It is over from now on"),
        ("GET", "/planned-outages", standing.outages, "Planned outages that are not over"),
        ("POST", "/planned-outages", standing.outage, "An announced outage of power"),
        ("PATCH", "/planned-outages/{id}", standing.move_outage, "It has other times"),
        ("DELETE", "/planned-outages/{id}", standing.end_outage, "It is called off, or over from now on"),
        ("POST", "/official-level", standing.announce, "What the hydromet office has announced"),
    )
    for method, path, handler, summary in table:
        router.add_api_route(path, handler, methods=[method], summary=summary, responses=PROBLEMS)
    return router


def _span(sent: OutageIn, now_ms: int) -> tuple[int, int]:
    """Raises HTTPException."""
    begins, until = now_ms if sent.begins is None else _ms(sent.begins), _ms(sent.until)
    _check_span(begins, until, now_ms)
    return begins, until


def _check_span(begins: int, until: int, now_ms: int) -> None:
    """Raises HTTPException."""
    if until <= now_ms or not 0 < until - begins <= SILENCE_MS_MOST:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "until: in the future, and within 7 days of the beginning")
    if begins - now_ms > AHEAD_MS_MOST:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "begins: within 90 days")


def _ms(moment: AwareDatetime) -> int:
    return int(moment.timestamp() * 1000)


def _places(silence: Silence, bench: Bench) -> Sequence[tuple[str, str]]:
    """Hazard and area of all that it can keep from being told."""
    if not silence.sensor:
        return [(silence.hazard, area) for area in silence.areas or ("",)]
    sensor = bench.city.sensors.get(silence.sensor)
    spoken_for = ("",) if sensor is None else sensor.affects
    covered = [area for area in spoken_for if not silence.areas or area in silence.areas]
    return [(silence.hazard, area) for area in covered or silence.areas]
