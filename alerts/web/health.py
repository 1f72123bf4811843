"""How gateways and sensors do, for operators (CONTRACTS sections 4 and 5): by gateway, since one cause is one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from alerts.view import View
from alerts.web.operators import REFUSALS, Door, operator_route
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.schemas import Shape
from alerts.web.sources import Sources
from ingest.gateways import GatewayState
from processing.transitions import LateBreach, Status

LATE_MOST: Final = 500
_PROBLEMS: Final = REFUSALS | shown_problems(HTTPStatus.UNPROCESSABLE_ENTITY)


class HealthQuery(BaseModel):
    """Which sensors; gateways that have none of them are left out, but for those that say they are away."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    gateway: str | None = Field(None, max_length=64, description="empty: those of none", examples=["gw-1"])
    status: Status | None = Field(None, description="without it: all but `ok`")
    late: int = Field(100, ge=0, le=LATE_MOST, description="how many of the newest late breaches")


class SensorHealth(Shape):
    id: str
    quantity: str
    area: str
    status: Status
    t: str | None = Field(description="of the newest reading; null: none yet")
    heard: str | None = Field(description="when the newest reading arrived; null: none yet")
    flag: int = Field(description="QARTOD, of the newest reading", examples=[1])


class GatewayHealth(Shape):
    """Counts since the start of the service."""

    id: str = Field(description="empty: sensors that belong to none")
    online: bool | None = Field(description="as it says itself, or its last will; null: it has not said")
    status_at: str | None
    heard: str | None = Field(description="when its newest message arrived")
    clock_offset_ms: int | None = Field(description="how far its clock is ahead of ours; null: unknown")
    messages: int
    refused: int = Field(description="readings")
    duplicates: int = Field(description="readings, known already with the same value")
    conflicts: int = Field(description="readings, known already with another value")
    statuses: dict[Status, int] = Field(description="status -> how many of its sensors, whatever was asked for")
    sensors: list[SensorHealth]


class DeviceHealth(Shape):
    """Of another network. Counts since the start of the service."""

    id: str = Field(description="network/id, as the registry's decoders have it", examples=["tasmota/pump-1"])
    online: bool | None = Field(description="by its own word or its last will; null: it has not said, or never does")
    status_at: str | None
    heard: str | None = Field(description="when its newest message arrived")
    clock_offset_ms: int | None = Field(description="how far the clock of its readings is ahead of ours; null: unknown")
    messages: int
    refused: int = Field(description="readings")
    duplicates: int = Field(description="readings, known already with the same value")
    conflicts: int = Field(description="readings, known already with another value")
    sensors: list[str] = Field(description="that it speaks for, whatever was asked for")


class LateOut(Shape):
    """A reading that came too late to be judged and would have reached danger."""

    sensor: str
    rule: str
    at: str
    value: float
    arrival: str

    @classmethod
    def of(cls, late: LateBreach, zone: ZoneInfo) -> LateOut:
        at, arrival = local_time(late.at, zone), local_time(late.arrival, zone)
        return cls(sensor=late.sensor, rule=late.rule, at=at, value=late.value, arrival=arrival)


class Health(Shape):
    at: str
    gateways: list[GatewayHealth]
    devices: list[DeviceHealth] = Field(description="with a sensor that is shown above, or away")
    late_breaches: list[LateOut] = Field(description="the newest first")


def health_routes(sources: Sources, door: Door) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["operators"], route_class=operator_route(door))

    @router.get("/health/sensors", summary="Sensors that are not well, by gateway", responses=_PROBLEMS)
    def sensors(query: Annotated[HealthQuery, Query()]) -> Health:
        view = sources.view()
        zone = view.city.timezone
        late = sources.ledger.late_breaches(query.late)
        return Health(
            at=local_time(sources.now_ms(), zone), gateways=list(_gateways(view, query)),
            devices=list(_devices(view, query)), late_breaches=[LateOut.of(one, zone) for one in late],
        )  # fmt: skip

    return router


def _gateways(view: View, query: HealthQuery) -> Iterable[GatewayHealth]:
    """Those with a sensor that is asked for, that are away or asked for; last the sensors that belong to none."""
    numbers: dict[str, list[int]] = {id_: [] for id_ in [*view.city.gateways, ""]}
    for n, id_ in enumerate(view.sensor_ids):
        if id_ in view.city.sensors:
            numbers[view.city.sensors[id_].gateway or ""].append(n)
    states = {state.id: state for state in view.gateways}
    for gateway, its in numbers.items():
        if query.gateway not in (None, gateway):
            continue
        wanted = [n for n in its if _is_wanted(view.status[n], query.status)]
        state = states.get(gateway, GatewayState(gateway))
        away = state.online is False and query.status is None
        if wanted or away or query.gateway == gateway:
            yield _gateway(view, state, its, wanted)


def _devices(view: View, query: HealthQuery) -> Iterable[DeviceHealth]:
    """Those with a sensor that is asked for, or that are away."""
    spoken_for: dict[str, list[int]] = {}
    for n, id_ in enumerate(view.sensor_ids):
        sensor = view.city.sensors.get(id_)
        if sensor is not None and sensor.decoder is not None and query.gateway in (None, sensor.gateway or ""):
            spoken_for.setdefault(sensor.decoder.device, []).append(n)
    for state in view.devices:
        its = spoken_for.get(state.id, [])
        away = state.online is False and query.status is None
        if its and (away or any(_is_wanted(view.status[n], query.status) for n in its)):
            yield _device(view, state, its)


def _device(view: View, state: GatewayState, its: Sequence[int]) -> DeviceHealth:
    return DeviceHealth(
        id=state.id, online=state.online, status_at=_time(view, state.status_at), heard=_time(view, state.heard_at),
        clock_offset_ms=state.clock_offset_ms, messages=state.messages, refused=state.refused,
        duplicates=state.duplicates, conflicts=state.conflicts, sensors=[view.sensor_ids[n] for n in its],
    )  # fmt: skip


def _is_wanted(status: Status, asked: Status | None) -> bool:
    return status is not Status.OK if asked is None else status is asked


def _gateway(view: View, state: GatewayState, its: Sequence[int], wanted: Sequence[int]) -> GatewayHealth:
    said = [view.status[n] for n in its]
    return GatewayHealth(
        id=state.id, online=state.online, status_at=_time(view, state.status_at), heard=_time(view, state.heard_at),
        clock_offset_ms=state.clock_offset_ms, messages=state.messages, refused=state.refused,
        duplicates=state.duplicates, conflicts=state.conflicts,
        statuses={status: said.count(status) for status in Status if status in said},
        sensors=[_sensor(view, n) for n in wanted],
    )  # fmt: skip


def _sensor(view: View, n: int) -> SensorHealth:
    sensor = view.city.sensors[view.sensor_ids[n]]
    return SensorHealth(
        id=sensor.id, quantity=sensor.quantity.name, area=sensor.area, status=view.status[n],
        t=_time(view, int(view.t[n])), heard=_time(view, int(view.heard[n])), flag=int(view.flag[n]),
    )  # fmt: skip


def _time(view: View, ms: int | None) -> str | None:
    return local_time(ms, view.city.timezone) if ms else None
