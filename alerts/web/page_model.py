"""What the residents' page shows, worked out before the template: plain records of plain words. Pure."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.incidents.incident import Incident, Member
from alerts.view import View
from alerts.web import payloads
from alerts.web.labels import LABELS, STATUS
from alerts.words.actions import what_to_do
from alerts.words.hand_parts import hand_action
from alerts.words.names import Lang, duration, hazard_name, level_word, number, quantity_name
from ingest.city import City, Sensor
from processing.rules import Judgement
from processing.transitions import Status

_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_NBSP = "\u00a0"
_MEASUREMENTS_MAX = 3  # of one warning; the gravest are shown


@dataclass(frozen=True, slots=True)
class Warned:
    """One open warning. `level` 0: easing."""

    id: str
    level: int
    word: str
    hazard: str
    area: str
    since: str
    since_iso: str
    measured: tuple[str, ...]
    action: str


@dataclass(frozen=True, slots=True)
class Row:
    """One public sensor."""

    place: str
    quantity: str
    value: str
    level: int
    word: str
    stale: bool
    age: str
    at_iso: str


@dataclass(frozen=True, slots=True)
class Group:
    """The public sensors of one area. `opened`: something there should be seen at once."""

    code: str
    area: str
    level: int
    opened: bool
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Page:
    lang: Lang
    labels: Mapping[str, str]
    title: str
    area: str  # code, or payloads.WHOLE_CITY
    area_name: str
    areas: tuple[tuple[str, str], ...]  # code, name; by name
    sentence: str
    level: int
    word: str
    here: tuple[Warned, ...]
    elsewhere: tuple[Warned, ...]
    groups: tuple[Group, ...]
    as_of: str
    as_of_iso: str
    simulated: bool
    delayed: str  # the sentence that says so, or empty


def page(view: View, open_incidents: Sequence[Incident], area: str, lang: Lang, *, delayed: bool) -> Page:
    """`area`: a code of the registry or WHOLE_CITY. `delayed`: the view is older than it ever should be."""
    labels, city = LABELS[lang], view.city
    here = payloads.concerning(city, area, open_incidents)
    everywhere = payloads.concerning(city, payloads.WHOLE_CITY, open_incidents)
    whole = area == payloads.WHOLE_CITY
    level = max((incident.level for incident in here), default=0)
    as_of = _moment(view.arrival, view)
    return Page(
        lang=lang, labels=labels, title=labels["title"].format(city=city.name), area=area,
        area_name=city.name if whole else payloads.area_name(city, area, lang), areas=_by_name(city, lang),
        sentence=payloads.sentence(view, area, here, lang), level=level, word=_word(level, lang) if here else "",
        here=tuple(_warned(view, i, lang) for i in here),
        elsewhere=tuple(_warned(view, i, lang) for i in everywhere if i not in here),
        groups=_groups(view, area, lang), as_of=as_of, as_of_iso=payloads.local_time(view.arrival, city.timezone),
        simulated=payloads.simulated(view), delayed=labels["delayed"].format(time=as_of) if delayed else "",
    )  # fmt: skip


def _by_name(city: City, lang: Lang) -> tuple[tuple[str, str], ...]:
    named = [(code, payloads.area_name(city, code, lang)) for code in city.areas]
    return tuple(sorted(named, key=lambda row: _collation(row[1])))


def _collation(name: str) -> str:
    """Vietnamese names in the order of their letters without marks, đ beside d."""
    plain = unicodedata.normalize("NFD", name.casefold().replace("đ", "d"))
    return "".join(c for c in plain if not unicodedata.combining(c))


def _warned(view: View, incident: Incident, lang: Lang) -> Warned:
    gravest = sorted(incident.members, key=lambda m: (-m.level, -m.at, m.sensor, m.rule))
    measured = [text for text in (_measured(view, member, lang) for member in gravest) if text]
    return Warned(
        id=incident.id, level=incident.level, word=_word(incident.level, lang),
        hazard=_capital(hazard_name(incident.hazard, lang)), area=payloads.area_name(view.city, incident.area, lang),
        since=_moment(incident.opened_at, view), since_iso=payloads.local_time(incident.opened_at, view.city.timezone),
        measured=tuple(measured[:_MEASUREMENTS_MAX]),
        action=_action(incident, lang) if incident.level else "",
    )  # fmt: skip


def _action(incident: Incident, lang: Lang) -> str:
    if incident.hand is not None:
        return hand_action(incident.hand, incident.hazard, incident.level, lang)
    return what_to_do(incident.hazard, incident.level, lang)


def _measured(view: View, member: Member, lang: Lang) -> str:
    """As in "Hồ Thạc Gián: mưa 53,7 mm (1 giờ), 15:03"; empty for a sensor that is not public."""
    sensor = view.city.sensors.get(member.sensor)
    if sensor is None or not sensor.public or member.value is None:
        return ""
    judged = payloads.judgement(view.rules, member.rule, sensor)
    amount = _amount(member.value, sensor, lang, payloads.statistic_unit(sensor.quantity.unit, judged))
    return (
        f"{sensor.place}: {quantity_name(sensor.quantity, lang)} {amount}{_window(judged, lang)}, "
        f"{_moment(member.at, view)}"
    )


def _window(judged: Judgement | None, lang: Lang) -> str:
    return f" ({duration(judged.window_ms, lang)})" if judged is not None and judged.window_ms else ""


def _groups(view: View, area: str, lang: Lang) -> tuple[Group, ...]:
    rows: dict[str, list[Row]] = {}
    within = set(view.city.within(area))
    for n, sensor in payloads.public_sensors(view):
        if area == payloads.WHOLE_CITY or not within.isdisjoint((*sensor.affects, sensor.area)):
            rows.setdefault(sensor.area, []).append(_row(view, n, sensor, lang))
    groups = []
    for code, name in _by_name(view.city, lang):
        own = sorted(rows.get(code, ()), key=lambda row: (-row.level, row.quantity, _collation(row.place)))
        level = max((row.level for row in own), default=0)
        if own:
            groups.append(Group(code, name, level, level > 0 or area != payloads.WHOLE_CITY, tuple(own)))
    return tuple(groups)


def _row(view: View, n: int, sensor: Sensor, lang: Lang) -> Row:
    t, value, level, status = int(view.t[n]), float(view.value[n]), int(view.level[n]), view.status[n]
    labels = LABELS[lang]
    shown = _amount(value, sensor, lang, sensor.quantity.unit) if t and math.isfinite(value) else labels["no_reading"]
    if t and math.isfinite(value) and sensor.quantity.records and sensor.period_ms:  # an amount of a span: say which
        shown += f" / {duration(sensor.period_ms, lang)}"
    stale = status is not Status.OK
    frozen = f" – {level_word(level, lang)}" if level else ""
    word = STATUS[lang][status] + frozen if stale else _word(level, lang, labels["below"])
    return Row(
        place=sensor.place, quantity=_capital(quantity_name(sensor.quantity, lang)), value=shown, level=level,
        word=word, stale=stale, age=_age(view.arrival - t, t, view, lang) if t else "",
        at_iso=payloads.local_time(t, view.city.timezone) if t else "",
    )  # fmt: skip


def _amount(value: float, sensor: Sensor, lang: Lang, unit: str) -> str:
    """Number and unit, which no line end parts."""
    return f"{number(value, sensor.quantity.decimals, lang)}{_NBSP}{unit}".rstrip()


def _word(level: int, lang: Lang, zero: str | None = None) -> str:
    return level_word(level, lang) or (LABELS[lang]["easing"] if zero is None else zero)


def _age(age_ms: int, t: int, view: View, lang: Lang) -> str:
    """How long ago, in whole minutes or hours; the moment itself after two days."""
    if age_ms < _MINUTE_MS:
        return LABELS[lang]["just_now"]
    if age_ms >= 2 * _DAY_MS:
        return _moment(t, view)
    unit_ms = _MINUTE_MS if age_ms < 2 * _HOUR_MS else _HOUR_MS
    return LABELS[lang]["ago"].format(span=duration(age_ms // unit_ms * unit_ms, lang))


def _moment(ms: int, view: View) -> str:
    """As in "15:03", in the city's time; with the date where that is not the view's own day."""
    zone = view.city.timezone
    then, now = datetime.fromtimestamp(ms / 1000, zone), datetime.fromtimestamp(view.arrival / 1000, zone)
    return then.strftime("%H:%M" if then.date() == now.date() else "%H:%M %d/%m/%Y")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
