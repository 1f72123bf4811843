"""What the public may see of a view, in the shapes of schemas.py. Pure.

Only sensors of public quantities are ever named, and of the others neither a value nor a place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from alerts.incidents.incident import Incident, Member, Notice
from alerts.view import View
from alerts.web.labels import EXERCISE, city_sentence
from alerts.web.schemas import (
    LEVEL_NAMES,
    AlertDetail,
    AlertOut,
    AreaList,
    AreaOut,
    LatestList,
    LatestOut,
    MemberOut,
    NoticeEvent,
    OperatorsAlert,
    SensorDetail,
    SensorList,
    SensorOut,
    SituationEvent,
    SituationOut,
    VersionOut,
)
from alerts.words.names import LANGS, Lang
from alerts.words.sentences import sentence as notice_sentence
from alerts.words.sentences import situation as area_sentence
from ingest.city import City, Sensor
from processing.rules import Judgement, Rules, Statistic
from processing.transitions import Status

WHOLE_CITY: Final = "city"  # stands for every area together, where a code of an area could stand


def local_time(ms: int, zone: ZoneInfo) -> str:
    """`ms` UTC as RFC 3339 with milliseconds and the offset of `zone`."""
    return datetime.fromtimestamp(ms / 1000, zone).isoformat(timespec="milliseconds")


def simulated(view: View) -> bool:
    return view.clock == "data"


def public_sensors(view: View) -> list[tuple[int, Sensor]]:
    """Number and sensor of every public sensor that is still in the registry, in the order of the numbers."""
    known = view.city.sensors
    return [(n, known[id_]) for n, id_ in enumerate(view.sensor_ids) if id_ in known and known[id_].public]


def area_name(city: City, code: str, lang: Lang = "vi") -> str:
    """The name to call the area by; the code itself where the registry has forgotten it."""
    area = city.areas.get(code)
    if area is None:
        return city.name if code == WHOLE_CITY else code
    return area.name_en or area.name if lang == "en" else area.name


def areas(view: View) -> AreaList:
    rows = [AreaOut(code=a.code, name=a.name, name_en=a.name_en or a.name, lat=a.lat, lon=a.lon, parent=a.parent)
            for a in view.city.areas.values()]  # fmt: skip
    return AreaList(city=view.city.name, areas=rows)


def sensors(view: View) -> SensorList:
    return SensorList(sensors=[_sensor(sensor) for _, sensor in public_sensors(view)])


def _sensor(sensor: Sensor) -> SensorOut:
    return SensorOut(
        id=sensor.id, quantity=sensor.quantity.name, unit=sensor.quantity.unit, area=sensor.area,
        affects=list(sensor.affects), place=sensor.place, lat=sensor.lat, lon=sensor.lon,
        period_s=None if sensor.period_ms is None else sensor.period_ms / 1000,
    )  # fmt: skip


def public_sensor(view: View, id_: str) -> Sensor | None:
    """None where it is unknown or not public: the caller cannot tell which."""
    sensor = view.city.sensors.get(id_)
    return None if sensor is None or not sensor.public or id_ not in view.sensor_ids else sensor


def sensor_detail(view: View, id_: str) -> SensorDetail | None:
    sensor = public_sensor(view, id_)
    if sensor is None:
        return None
    latest_row = _latest(view, view.sensor_ids.index(id_), sensor)
    return SensorDetail(**_sensor(sensor).model_dump(), latest=latest_row)


def latest(view: View) -> LatestList:
    rows = [_latest(view, n, sensor) for n, sensor in public_sensors(view)]
    return LatestList(as_of=local_time(view.arrival, view.city.timezone), simulated=simulated(view), readings=rows)


def _latest(view: View, n: int, sensor: Sensor) -> LatestOut:
    zone, level = view.city.timezone, int(view.level[n])
    t, heard = int(view.t[n]), int(view.heard[n])
    return LatestOut(
        sensor=sensor.id, quantity=sensor.quantity.name, value=_finite(float(view.value[n]) if t else None),
        unit=sensor.quantity.unit, at=local_time(t, zone) if t else None,
        arrival=local_time(heard, zone) if heard else None, flag=int(view.flag[n]), level=level,
        level_name=LEVEL_NAMES[level], status=view.status[n].value, stale=view.status[n] is not Status.OK,
    )  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def alert(view: View, incident: Incident) -> AlertOut:
    """As the public knows it: one that ended and reopens is over until it is published again."""
    if incident.closed_at is None and not incident.level:
        incident = replace(incident, closed_at=incident.updated_at, members=())
    return _alert(view, incident)


def _alert(view: View, incident: Incident) -> AlertOut:
    zone = view.city.timezone
    return AlertOut(
        id=incident.id, hazard=incident.hazard, area=incident.area, area_name=area_name(view.city, incident.area),
        active=incident.closed_at is None, level=incident.level, level_name=LEVEL_NAMES[incident.level],
        peak=incident.peak, version=incident.version, opened_at=local_time(incident.opened_at, zone),
        updated_at=local_time(incident.updated_at, zone),
        closed_at=None if incident.closed_at is None else local_time(incident.closed_at, zone),
        simulated=simulated(view), drill=incident.drill,
        because=[m for m in (_member(view, row) for row in incident.members) if m],
    )  # fmt: skip


def alert_detail(
    view: View, incident: Incident, versions: Sequence[tuple[int, Notice]], said: Mapping[int, Mapping[str, Any]]
) -> AlertDetail:  # fmt: skip
    """`said`: version -> its message, of those that are worded."""
    events = [_version(notice_event(view, seq, notice), said.get(notice.version, {})) for seq, notice in versions]
    return AlertDetail(**alert(view, incident).model_dump(), versions=events)


def _version(event: NoticeEvent, said: Mapping[str, Any]) -> VersionOut:
    """Registry and rules may have changed since: what people were told is what was written down then."""
    shown = event.model_dump()
    return VersionOut(**shown | {"text": said.get("texts", event.text)}, code=said.get("code", ""))


def operators_alert(view: View, incident: Incident) -> OperatorsAlert:
    zone = view.city.timezone
    seen = incident.acknowledged_at
    return OperatorsAlert(
        **_alert(view, incident).model_dump(), wanted=incident.wanted, awaiting=incident.awaiting,
        approved=incident.approved, approved_by=[one.by for one in incident.approvals],
        acknowledged_by=incident.acknowledged_by, acknowledged_at=None if seen is None else local_time(seen, zone),
        assigned_to=incident.assigned_to, event=incident.event, called=list(_called(incident)),
    )  # fmt: skip


def _called(incident: Incident) -> tuple[str, ...]:
    chain = incident.chain
    if chain is None or not chain.called or not chain.steps:
        return ()
    return chain.steps[min(chain.called, len(chain.steps)) - 1]


def _member(view: View, member: Member | None) -> MemberOut | None:
    sensor = view.city.sensors.get(member.sensor) if member is not None else None
    if member is None or sensor is None or not sensor.public:
        return None
    judged = judgement(view.rules, member.rule, sensor)
    return MemberOut(
        sensor=sensor.id, quantity=sensor.quantity.name, place=sensor.place, rule=member.rule,
        statistic=judged.statistic.value if judged else "", value=_finite(member.value),
        window_s=judged.window_ms / 1000 if judged and judged.window_ms else None,
        unit=statistic_unit(sensor.quantity.unit, judged), level=member.level,
        at=local_time(member.at, view.city.timezone),
    )  # fmt: skip


def judgement(rules: Rules, name: str, sensor: Sensor) -> Judgement | None:
    """How the rule of that name judges `sensor`; None where the rules have changed since."""
    return next((rule.judgement(sensor) for rule in rules.rules if rule.name == name), None)


def statistic_unit(unit: str, judged: Judgement | None) -> str:
    if judged is not None and judged.statistic is Statistic.RISE:
        return f"{unit}/h"
    return "" if judged is not None and judged.statistic is Statistic.COUNT else unit


def concerning(city: City, area: str, incidents: Sequence[Incident]) -> list[Incident]:
    """Those of the area (of all areas: WHOLE_CITY), of what is part of it and of what it is part of, the gravest first,
    then the newest.
    """
    near = {*city.within(area), *city.lineage(area)}
    here = [incident for incident in incidents if area == WHOLE_CITY or incident.area in near]
    return sorted(here, key=lambda i: (-i.level, -i.updated_at, i.id))


def situation(view: View, area: str, open_incidents: Sequence[Incident], lang: Lang) -> SituationOut:
    """`area`: a code of the registry or WHOLE_CITY."""
    here = concerning(view.city, area, open_incidents)
    level = max((incident.level for incident in here), default=0)
    within = set(view.city.within(area))
    speaking = [n for n, sensor in public_sensors(view) if area == WHOLE_CITY or not within.isdisjoint(sensor.affects)]
    return SituationOut(
        area=area, area_name=area_name(view.city, area, lang), lang=lang, sentence=sentence(view, area, here, lang),
        level=level, level_name=LEVEL_NAMES[level], as_of=local_time(view.arrival, view.city.timezone),
        simulated=simulated(view), alerts=[alert(view, incident) for incident in here], sensors=len(speaking),
        sensors_stale=sum(view.status[n] is not Status.OK for n in speaking),
    )  # fmt: skip


def sentence(view: View, area: str, here: Sequence[Incident], lang: Lang) -> str:
    """`here`: the open incidents of the area, or of the whole city."""
    start = EXERCISE[lang] if simulated(view) else ""
    if area == WHOLE_CITY:
        return start + city_sentence(view.city, here, lang)
    if any(incident.area != area for incident in here):
        return f"{start}{area_name(view.city, area, lang)}: {city_sentence(view.city, here, lang)}"
    return start + area_sentence(view.city.areas[area], here, lang)


def situation_event(view: View, area: str, open_incidents: Sequence[Incident]) -> SituationEvent:
    here = concerning(view.city, area, open_incidents)
    level = max((incident.level for incident in here), default=0)
    return SituationEvent(
        area=area, level=level, level_name=LEVEL_NAMES[level], as_of=local_time(view.arrival, view.city.timezone),
        sentence={lang: sentence(view, area, here, lang) for lang in LANGS},
    )  # fmt: skip


def notice_event(view: View, seq: int, notice: Notice) -> NoticeEvent:
    zone, exercise = view.city.timezone, simulated(view) or notice.drill
    return NoticeEvent(
        seq=seq, incident=notice.incident, version=notice.version, reason=notice.reason.value, hazard=notice.hazard,
        area=notice.area, area_name=area_name(view.city, notice.area), level=notice.level,
        level_name=LEVEL_NAMES[notice.level], previous_level=notice.previous_level, at=local_time(notice.at, zone),
        arrival=local_time(notice.arrival, zone), simulated=simulated(view), drill=notice.drill,
        because=_member(view, notice.cause),
        text={lang: notice_sentence(notice, view.city, view.rules, lang, exercise=exercise) for lang in LANGS},
    )  # fmt: skip
