"""The shapes of the public answers: written once, checked by the type checker, shown in /openapi.json.

Times are RFC 3339 with the city's offset. Fields of the same name mean the same everywhere.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

LevelName: TypeAlias = Literal["none", "advisory", "warning", "danger", "emergency"]
LEVEL_NAMES: tuple[LevelName, ...] = ("none", "advisory", "warning", "danger", "emergency")
_TIME = "2022-10-14T19:03:00.000+07:00"


class Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class AreaOut(Shape):
    code: str = Field(examples=["20242"])
    name: str = Field(examples=["Hải Châu"])
    name_en: str = Field(examples=["Hai Chau"])
    lat: float = Field(description="degrees north", examples=[16.06])
    lon: float = Field(description="degrees east", examples=[108.22])
    parent: str | None = Field(description="the area that this one is part of")


class AreaList(Shape):
    city: str = Field(examples=["Đà Nẵng"])
    areas: list[AreaOut]


class SensorOut(Shape):
    id: str = Field(examples=["tower-hai-chau-1"])
    quantity: str = Field(examples=["street_depth"])
    unit: str = Field(examples=["m"])
    area: str = Field(examples=["20242"])
    affects: list[str] = Field(description="the areas that it speaks for", examples=[["20242"]])
    place: str = Field(examples=["Đường Nguyễn Văn Linh"])
    lat: float
    lon: float
    period_s: float | None = Field(description="seconds between readings, null where unknown", examples=[60.0])


class SensorList(Shape):
    sensors: list[SensorOut]


class LatestOut(Shape):
    """The newest reading of one sensor; value and times are null before the first."""

    sensor: str = Field(examples=["tower-hai-chau-1"])
    quantity: str = Field(examples=["street_depth"])
    value: float | None = Field(examples=[0.34])
    unit: str = Field(examples=["m"])
    at: str | None = Field(description="measured", examples=[_TIME])
    arrival: str | None = Field(description="arrived", examples=[_TIME])
    flag: int = Field(description="QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing", examples=[1])
    level: int = Field(ge=0, le=4, examples=[3])
    level_name: LevelName = Field(examples=["danger"])
    status: str = Field(description="how it is heard: ok, silent, no_data, delayed", examples=["ok"])
    stale: bool = Field(description="status is not ok: value and level are frozen")


class ReadingOut(Shape):
    at: str = Field(description="measured", examples=[_TIME])
    value: float | None = Field(description="null: missing", examples=[0.34])
    flag: int = Field(description="QARTOD: 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing", examples=[1])


class BucketOut(Shape):
    """Of the readings that count: flag neither 4 nor 9. What none of them could say is null."""

    start: str = Field(examples=["2022-10-14T19:00:00.000+07:00"])
    count: int = Field(examples=[10])
    mean: float | None = Field(examples=[0.31])
    min: float | None = Field(examples=[0.25])
    max: float | None = Field(examples=[0.34])
    sum: float = Field(examples=[3.1])
    last: float | None = Field(description="the newest value", examples=[0.34])
    flag: int = Field(description="the worst of all readings, in the order 4, 3, 1, 2, 9", examples=[1])


class PastOut(Shape):
    sensor: str = Field(examples=["tower-hai-chau-1"])
    quantity: str = Field(examples=["street_depth"])
    unit: str = Field(examples=["m"])
    since: str = Field(description="the stretch, from", examples=["2022-10-14T00:00:00.000+07:00"])
    until: str = Field(description="to, not itself in it", examples=["2022-10-15T00:00:00.000+07:00"])
    every_s: int | None = Field(description="how long a bucket lasts; null: each reading", examples=[600])
    readings: list[ReadingOut] | None = Field(description="null where buckets were asked for")
    buckets: list[BucketOut] | None = Field(description="null where each reading was asked for")
    next: str | None = Field(description="`cursor` of the next page; null: there is none", examples=[None])


class LatestList(Shape):
    as_of: str = Field(description="the newest that the service knows of", examples=[_TIME])
    simulated: bool = Field(description="time is that of played-back data: nothing here is in earnest")
    readings: list[LatestOut]


class SensorDetail(SensorOut):
    latest: LatestOut


class MemberOut(Shape):
    """A sensor that holds a warning up. Only sensors of public quantities are named."""

    sensor: str
    quantity: str
    place: str
    rule: str = Field(examples=["rain-1h"])
    statistic: str = Field(description="what `value` is of the quantity", examples=["sum"])
    window_s: float | None = Field(description="over which time, seconds", examples=[3600.0])
    value: float | None
    unit: str
    level: int
    at: str


class AlertOut(Shape):
    """One warning: one hazard in one area, from its opening to its end."""

    id: str = Field(examples=["flood.20242.20221014T0803Z"])
    hazard: str = Field(examples=["flood"])
    area: str = Field(examples=["20242"])
    area_name: str = Field(examples=["Hải Châu"])
    active: bool
    level: int = Field(description="published now", ge=0, le=4, examples=[3])
    level_name: LevelName = Field(examples=["danger"])
    peak: int = Field(description="the highest level so far", ge=0, le=4)
    version: int = Field(description="counts what has been published of it, from 1")
    opened_at: str = Field(examples=[_TIME])
    updated_at: str
    closed_at: str | None
    simulated: bool
    drill: bool = Field(description="an exercise")
    because: list[MemberOut]


class OperatorsAlert(AlertOut):
    """As operators see it, also where nothing of it is public (version 0)."""

    wanted: int = Field(description="the level that would be published if all of it were confirmed", ge=0, le=4)
    awaiting: bool = Field(description="operators are asked to approve more than is published")
    approved: int = Field(description="up to which persons have said yes", ge=0, le=4)
    approved_by: list[str]
    acknowledged_by: str
    acknowledged_at: str | None
    assigned_to: str
    event: str = Field(description="the city event that it is part of; empty: none")
    called: list[str] = Field(description="whom the newest call went to; empty: nobody is being called")


class OperatorsAlerts(Shape):
    as_of: str
    alerts: list[OperatorsAlert]
    next: str | None = Field(description="`cursor` of the next page; null: there is none")


class AlertList(Shape):
    as_of: str
    alerts: list[AlertOut]
    next: str | None = Field(description="`cursor` of the next page; null: there is none")


class SituationOut(Shape):
    """One plain sentence and its facts."""

    area: str = Field(description='a code of /areas, or "city"', examples=["20242"])
    area_name: str
    lang: str
    sentence: str = Field(examples=["Hải Châu: ngập đường ở mức nguy hiểm, 0,34 m tại Nguyễn Văn Linh."])
    level: int
    level_name: LevelName
    as_of: str
    simulated: bool
    alerts: list[AlertOut]
    sensors: int = Field(description="public sensors that speak for the area")
    sensors_stale: int = Field(description="of these: not heard in time")


class NoticeEvent(Shape):
    """The data of an `alert` event, or of an `outage`: what is planned. The event's id is `seq`."""

    seq: int
    incident: str
    version: int
    reason: str = Field(description="first, worse, eased, over; of an outage planned, moved, called_off")
    hazard: str
    area: str
    area_name: str
    level: int
    level_name: LevelName
    previous_level: int
    at: str = Field(description="measured; of an outage: when it begins, or was called off")
    arrival: str = Field(description="known to the service")
    simulated: bool
    drill: bool = Field(description="an exercise")
    because: MemberOut | None
    text: dict[str, str] = Field(description="what people are told, by language")


class VersionOut(NoticeEvent):
    """`text`: as it was sent."""

    code: str = Field(description="under which /v/{code} vouches for it; empty: not worded yet", examples=["K7PM2X9D"])


class AlertDetail(AlertOut):
    versions: list[VersionOut] = Field(description="everything published of it, in order")


class SituationEvent(Shape):
    """The data of a `situation` event: the sentence of an area (or of "city") has changed."""

    area: str
    level: int
    level_name: LevelName
    as_of: str
    sentence: dict[str, str] = Field(description="by language")
