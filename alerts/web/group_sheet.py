"""The sheet of groups of a warning, worked out before the template: plain records of plain words. Pure.

On paper both languages stand beside each other: nobody chooses one at a printer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from alerts.incidents.incident import Incident
from alerts.people.group_state import Says, State
from alerts.residents.group_overview import Standing, counted
from alerts.words.names import area_name, area_of, hazard_name, level_word, local_time
from ingest.city import City

# Who has to be visited or called before all others stands on top, over all wards.
_FIRST: Final = (State.NEEDS_HELP, State.UNCLEAR)
_NOTES_MOST: Final = 5  # the newest of a group
_WORDS: Final = {
    State.NEEDS_HELP: ("Cần giúp", "Needs help"),
    State.UNCLEAR: ("Trả lời chưa rõ, cần đọc", "Unclear answer, to be read"),
    State.NOT_REACHED: ("Chưa gửi được tin", "Not reached"),
    State.NO_ANSWER: ("Chưa trả lời", "No answer"),
    State.TOLD_BEFORE: ("Mới trả lời tin trước", "Answered an earlier message"),
    State.TOLD: ("Đã báo các hộ", "Households told"),
    State.NOT_ASKED: ("Chưa hỏi", "Not asked yet"),
}


@dataclass(frozen=True, slots=True)
class Line:
    ward: str
    name: str
    households: int
    state: str
    state_en: str
    answered: str  # when and what, "" where nobody did
    note: str
    phones: str  # ends of the leaders' addresses


@dataclass(frozen=True, slots=True)
class Ward:
    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Total:
    state: str
    state_en: str
    groups: int
    households: int


@dataclass(frozen=True, slots=True)
class Sheet:
    title: str
    title_en: str
    exercise: bool
    alert: str
    version: int
    as_of: str
    by: str
    totals: tuple[Total, ...]
    first: tuple[Line, ...]
    wards: tuple[Ward, ...]


def sheet(city: City, incident: Incident, asked: int, standings: Sequence[Standing], now_ms: int, by: str) -> Sheet:
    """`standings` as the overview orders them; `by`: for whom it was made."""
    titles = []
    for lang in ("vi", "en"):
        where = area_name(area_of(city, incident.area), lang)
        word = level_word(incident.level, lang)
        titles.append(" – ".join(filter(None, (hazard_name(incident.hazard, lang).capitalize(), where, word))))
    rest = sorted((one for one in standings if one.state not in _FIRST), key=lambda one: one.group.area)
    counts = counted(standings)
    return Sheet(
        title=titles[0], title_en=titles[1], exercise=incident.drill, alert=incident.id, version=asked,
        as_of=local_time(now_ms, city.timezone, "vi"), by=by,
        totals=tuple(Total(*_WORDS[state], one.groups, one.households) for state, one in counts.items() if one.groups),
        first=tuple(_line(city, one) for one in standings if one.state in _FIRST),
        wards=tuple(Ward(_ward(city, area), tuple(_line(city, one) for one in of_ward))
                    for area, of_ward in groupby(rest, key=lambda one: one.group.area)),
    )  # fmt: skip


def _line(city: City, one: Standing) -> Line:
    said = one.said[-1] if one.said else None
    words = {Says.TOLD: State.TOLD, Says.NEEDS_HELP: State.NEEDS_HELP, Says.UNCLEAR: State.UNCLEAR}
    when = "" if said is None else f"{local_time(said.at, city.timezone, 'vi')} {_WORDS[words[said.says]][0]}"
    phones = ", ".join(f"…{contact.ends}" for contact in one.group.contacts if contact.ends)
    notes = " / ".join(said.note for said in one.said[-_NOTES_MOST:] if said.note)
    return Line(
        _ward(city, one.group.area), one.group.name, one.group.households, *_WORDS[one.state], when, notes, phones
    )


def _ward(city: City, area: str) -> str:
    return area_name(area_of(city, area), "vi")
