"""What became of messages, for operators (CONTRACTS section 5): lists, counts, and one of them sent again by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from alerts.delivery.parcel import Status
from alerts.ledger.deliveries import Asked, Delivered, Deliveries, NotAgainError, SideName
from alerts.ledger.people import By
from alerts.people.rights import refused
from alerts.people.user import Role, User
from alerts.web.bench import PROBLEMS, Calling, Said
from alerts.web.operators import REFUSALS, Door, Who, forbidden, operator_route
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.schemas import Shape
from alerts.web.sources import Sources
from ingest.city import City

PAGE_MOST: Final = 500
_ID_MOST: Final = 2**63 - 2
_WRONG: Final = REFUSALS | shown_problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_SHARES: Final = (0.5, 0.95, 0.99, 1.0)
_SAID: Final = Said()

_Id = Annotated[int, Path(ge=1, le=_ID_MOST)]
_Incident = Annotated[str, Field(max_length=200, examples=["flood.20242.20221014T0803Z"])]


class DeliveryQuery(BaseModel):
    """Which messages, the newest first, of one side: the desk's (operators, machines) or the post's (residents)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    side: SideName = "desk"
    incident: _Incident | None = None
    version: int | None = Field(None, ge=1)
    channel: str | None = Field(
        None, max_length=200, description="`webhook` for all that are called `webhook:…` as well", examples=["mail"]
    )
    status: Status | None = Field(None, description="dead: given up, `error` says why")
    cursor: int | None = Field(None, ge=1, le=_ID_MOST, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=PAGE_MOST)


class DeliveryOut(Shape):
    """One message to one recipient, who stands here by a name or number of ours and never by an address."""

    id: int
    channel: str = Field(examples=["webhook:ioc"])
    recipient: str = Field(examples=["contact 17"])
    incident: str = Field(description="empty: called for by no warning")
    version: int
    status: Status
    attempts: int
    created_at: str
    next_try_at: str | None = Field(description="null: nothing more is to be done")
    sent_at: str | None = Field(description="the provider has answered that it has it")
    received_at: str | None = Field(description="the provider says that it arrived, where it says so at all")
    error: str = Field(description="why it was not sent; no address stands in it")

    @classmethod
    def of(cls, one: Delivered, zone: ZoneInfo) -> Self:
        def time(ms: int | None) -> str | None:
            return None if ms is None else local_time(ms, zone)

        return cls(
            id=one.id, channel=one.channel, recipient=one.recipient, incident=one.incident, version=one.version,
            status=one.status, attempts=one.attempts, created_at=local_time(one.created_at, zone),
            next_try_at=time(one.next_try_at), sent_at=time(one.sent_at), received_at=time(one.received_at),
            error=one.error,
        )  # fmt: skip


class DeliveryList(Shape):
    deliveries: list[DeliveryOut]
    next: int | None = Field(description="cursor of the next page; null: this is the last")


class ChannelReport(Shape):
    side: SideName
    channel: str
    counts: dict[str, int] = Field(description="status -> messages", examples=[{"sent": 812, "superseded": 9}])
    seconds: dict[str, float] | None = Field(
        description="from the warning to the provider's answer: within which half, 95 %, 99 % and all of what was sent "
        "came through; null: nothing was sent",
        examples=[{"p50": 2.1, "p95": 14.0, "p99": 31.5, "max": 44.2}],
    )  # fmt: skip


class Report(Shape):
    incident: str
    channels: list[ChannelReport]


class AgainOut(Shape):
    delivery: DeliveryOut
    already: bool = Field(description="it was asked for before, under the same key")


class _Desk:
    def __init__(self, sources: Sources, sides: Mapping[SideName, Deliveries]) -> None:
        self._sources, self._sides = sources, sides

    def page(self, query: Annotated[DeliveryQuery, Query()], user: Who) -> DeliveryList:
        asked = _asked(user, self._city, query.incident, query.version, query.channel, query.status)
        found, after = self._side(query.side).page(asked, before=query.cursor, limit=query.limit)
        return DeliveryList(deliveries=[DeliveryOut.of(one, self._city.timezone) for one in found], next=after)

    def report(self, incident: Annotated[str, Query(max_length=200)], user: Who) -> Report:
        asked = _asked(user, self._city, incident)
        channels = [row for name, side in self._sides.items() for row in _report(name, side, asked)]
        return Report(incident=incident, channels=channels)

    def again(self, side: SideName, id: _Id, call: Calling, sent: Said = _SAID) -> AgainOut:  # noqa: A002
        deliveries = self._side(side)
        one = deliveries.one(id)
        if one is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no message {id} of the {side}")
        if why := refused(call.user, Role.OPERATOR, one.hazard, one.area, self._city):
            raise forbidden(call.user, call.request, why)
        by = By(call.user.name, self._sources.now_ms(), call.key(sent))
        try:
            new = deliveries.again(one, by, sent.why)
        except NotAgainError as error:
            raise HTTPException(HTTPStatus.CONFLICT, str(error)) from None
        return AgainOut(delivery=DeliveryOut.of(deliveries.one(id) or one, self._city.timezone), already=not new)

    @property
    def _city(self) -> City:
        return self._sources.view().city

    def _side(self, name: SideName) -> Deliveries:
        if (side := self._sides.get(name)) is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"nothing is sent by the {name} here")
        return side


def delivery_routes(sources: Sources, sides: Mapping[SideName, Deliveries], door: Door) -> APIRouter:
    """Handlers run in worker threads. What is shown is cut to the areas and hazards of who asks."""
    route = operator_route(door, read=Role.OPERATOR, everywhere=False)
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=route)
    desk = _Desk(sources, sides)
    router.add_api_route(
        "/deliveries", desk.page, summary="What became of messages, the newest first", responses=_WRONG
    )
    router.add_api_route(
        "/deliveries/report", desk.report, summary="How one warning got through", responses=_WRONG
    )  # fmt: skip
    router.add_api_route(
        "/deliveries/{side}/{id}/again", desk.again, methods=["POST"], responses=PROBLEMS,
        summary="A message that was given up, once more to its one recipient",
    )  # fmt: skip
    return router


def _asked(
    user: User, city: City, incident: str | None, version: int | None = None, channel: str | None = None,
    status: Status | None = None,
) -> Asked:  # fmt: skip
    areas = {area for code in user.areas for area in city.within(code)} if user.areas else None
    return Asked(incident, version, channel, status, areas, set(user.hazards) if user.hazards else None)


def _report(name: SideName, side: Deliveries, asked: Asked) -> list[ChannelReport]:
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for (channel, status), count in side.counts(asked).items():
        counts[channel][status.value] = count
    times: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for channel, ms, count in side.times(asked):
        times[channel].append((ms, count))
    return [
        ChannelReport(side=name, channel=channel, counts=by_status, seconds=_seconds(times[channel]))
        for channel, by_status in counts.items()
    ]


def _seconds(times: Sequence[tuple[int, int]]) -> dict[str, float] | None:
    """Nearest ranks of (ms, how many), ascending."""
    total = sum(count for _, count in times)
    if not total:
        return None
    found, passed, shares = {}, 0, list(_SHARES)
    for ms, count in times:
        passed += count
        while shares and passed >= ceil(shares[0] * total):
            share = shares.pop(0)
            found["max" if share == 1 else f"p{share * 100:.0f}"] = ms / 1000
    return found
