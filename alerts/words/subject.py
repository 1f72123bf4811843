"""What the texts of a version have to say: worked out from the notice, not from the texts, so that a linter can look.

Every warning names its source, hazard and impact, the place, what to do, the time, and where the next word is (DOMAIN
section 11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from alerts.incidents.incident import ENDS, Notice, Planned, Reason
from alerts.words.city_event import gravest, told_of
from alerts.words.hand import EVACUATION
from alerts.words.hand_parts import hand_impact_and_action
from alerts.words.hand_table import ROWS
from alerts.words.impacts import RIVER
from alerts.words.measured import RIVER_NAMES, cause_sensor, impact_and_action, kind_of
from alerts.words.names import LANGS, Lang, area_name, area_of, hazard_name, one_line
from alerts.words.planned import HAZARD, REASON_NAMES, announcer, said_of
from alerts.words.texts import BUDGETS, is_exercise
from alerts.words.voice import Voice
from ingest.city import City

ELEMENTS: Final = ("source", "hazard", "impact", "place", "action", "time", "next")
_SHORTEST: Final = BUDGETS[-1][0] - 1  # of a name at least so much stands in every text
_SOURCES: Final[Mapping[Lang, tuple[str, ...]]] = {
    "vi": ("cảm biến của thành phố", "trực ban của thành phố", "hệ thống cảnh báo của thành phố"),
    "en": ("city sensor", "the city's sensors", "the city's duty officers", "the city's warning system"),
}
_NEXT: Final[Mapping[Lang, tuple[str, ...]]] = {
    "vi": ("tin tiếp: ", "tin tiếp theo có trên trang "),
    "en": ("updates: ", "the next word is on the "),
}
_INSIDE: Final[Mapping[Lang, tuple[str, ...]]] = {"vi": ("thuộc ", "("), "en": ("in places in ", "river in ", "(")}
_FOR: Final[Mapping[Lang, tuple[str, ...]]] = {"vi": ("tại ", "thuộc ", "("), "en": ("for ", "in ", "(")}

Wanted = Mapping[str, tuple[str, ...]]  # element -> phrases, one of which has to stand in the text


@dataclass(frozen=True, slots=True)
class Subject:
    """By language what is wanted of the written and of the spoken texts; `whole`: what would say a whole area.

    `names` are of places and of persons' choosing: what is forbidden in our words may stand in them ("Trường cấp 3").
    """

    written: Mapping[Lang, Wanted]
    spoken: Mapping[Lang, Wanted]
    whole: Mapping[Lang, tuple[str, ...]]
    names: tuple[str, ...]
    exercise: bool
    evacuation: bool


def subject(notice: Notice, city: City, *, exercise: bool = False) -> Subject:
    """Of one version."""
    return _subject([notice], notice, city, exercise=is_exercise(notice, exercise=exercise))


def city_subject(notices: Sequence[Notice], city: City, *, exercise: bool = False) -> Subject:
    """Of a city event; only the first of its areas has to be named."""
    told = told_of(notices)
    drill = any(is_exercise(notice, exercise=exercise) for notice in told)
    return _subject(told, gravest(told), city, exercise=drill)


def _subject(told: Sequence[Notice], worst: Notice, city: City, *, exercise: bool) -> Subject:
    voices = [(lang, Voice(lang, city.timezone), Voice(lang, city.timezone, spoken=True)) for lang in LANGS]
    hand = worst.hand
    return Subject(
        written={lang: _wanted(told, worst, city, voice) for lang, voice, _ in voices},
        spoken={lang: _wanted(told, worst, city, voice) for lang, _, voice in voices},
        whole={lang: tuple(_whole(told[0], city, voice)) for lang, voice, _ in voices},
        names=tuple(_names(told, city)), exercise=exercise,
        evacuation=hand is not None and hand.template == EVACUATION,
    )  # fmt: skip


def _wanted(told: Sequence[Notice], worst: Notice, city: City, voice: Voice) -> Wanted:
    first, lang = told[0], voice.lang
    area = _stem(voice.area(city, first.area))
    if worst.planned is not None:
        return _planned(worst, worst.planned, area, voice)
    if worst.hand is not None:
        impact, action = hand_impact_and_action(worst, worst.hand, lang)
    else:
        impact, action = impact_and_action(worst, kind_of(first, city), lang)
    moment = max(notice.at for notice in told)
    if len(told) == 1 and first.cause is not None and first.reason not in ENDS:
        moment = first.cause.at
    before = _FOR if first.reason in ENDS else _INSIDE
    where = [f"{word}{area}" for word in before[lang]]
    if voice.spoken and first.reason not in ENDS:
        where += [f"thuộc {area}", f"in {area}"]
    return {
        "source": (*_SOURCES[lang], *_station(first, city, voice)), "hazard": (_hazard(first, city, voice),),
        "impact": (voice.text(impact),), "place": tuple(where), "action": (voice.text(action),),
        "time": (voice.time(moment),), "next": _NEXT[lang],
    }  # fmt: skip


def _planned(notice: Notice, planned: Planned, area: str, voice: Voice) -> Wanted:
    """Of an outage the source is who announced it, and the time its announced end."""
    lang = voice.lang
    who = _stem(announcer(planned, voice))
    impact, action, _ = said_of(notice, planned, lang)
    return {
        "source": (f"{voice.pick('theo', 'announced by')} {who}",), "hazard": (HAZARD[lang],),
        "impact": (voice.text(impact),), "place": tuple(f"{word}{area}" for word in (*_INSIDE[lang], "in ")),
        "action": (voice.text(action),), "time": (voice.time(planned.until),), "next": _NEXT[lang],
    }  # fmt: skip


def _station(notice: Notice, city: City, voice: Voice) -> tuple[str, ...]:
    sensor = cause_sensor(notice, city)
    place = voice.name(sensor.place) if sensor is not None and sensor.public else ""
    if not place.lower().startswith("trạm "):
        return ()
    return (_stem(place),) if voice.lang == "vi" else (f"The station {_stem(place)[len('trạm ') :]}",)


def _hazard(notice: Notice, city: City, voice: Voice) -> str:
    row = ROWS[voice.lang].get(notice.hand.template) if notice.hand is not None else None
    if row is not None:
        return max(row.hazard.split("{name}"), key=len).strip()
    if kind_of(notice, city) == RIVER:
        return RIVER_NAMES[voice.lang]
    return _stem(voice.hazard(notice.hazard))


def _stem(name: str) -> str:
    """What is left of a name however it is cut."""
    return name[:_SHORTEST].rstrip()


def _whole(notice: Notice, city: City, voice: Voice) -> Iterable[str]:
    """What would speak as if all of an area were under water."""
    if notice.reason in (Reason.FIRST, Reason.WORSE, Reason.EASED, Reason.UPDATED):
        hazard, area = voice.hazard(notice.hazard), voice.area(city, notice.area)
        if len(area) > _SHORTEST:  # wherever a text has cut it
            area = _stem(area).rpartition(" ")[0] or _stem(area)
        at = ("ở", "tại", "khắp") if voice.lang == "vi" else ("in", "all over", "throughout")
        yield from (f"{hazard} {word} {area}" for word in at)


def _names(told: Sequence[Notice], city: City) -> Iterable[str]:
    """Every name that may stand in the texts, however it is cut; the longest first."""
    raw = [city.name]
    for notice in told:
        area, sensor = area_of(city, notice.area), cause_sensor(notice, city)
        raw += [area_name(area, lang) for lang in LANGS] + [hazard_name(notice.hazard, lang) for lang in LANGS]
        raw += [sensor.place, sensor.quantity.unit] if sensor is not None else []
        raw += [text for _, text in notice.hand.fields] if notice.hand is not None else []
        raw += [notice.planned.reason] if notice.planned is not None else []
    spoken = [Voice(lang, city.timezone, spoken=True).name(name) for name in raw for lang in LANGS]
    mosts = {most * names for most, _ in BUDGETS for names in (1, REASON_NAMES)}
    cut = {one_line(name, most) for name in raw for most in mosts}
    return sorted({name for name in (*cut, *spoken) if name}, key=lambda name: (-len(name), name))
