"""City mode (CONTRACTS section 6): one message per resident naming the areas that concern him, not one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from alerts.incidents.incident import Notice, Reason
from alerts.words.actions import more_to_do
from alerts.words.listed import listed, listed_areas
from alerts.words.measured import impact_and_action, kind_of
from alerts.words.names import Lang, level_word
from alerts.words.parts import Parts
from alerts.words.planned import planned_parts
from alerts.words.texts import Texts, assemble, is_exercise, next_word
from alerts.words.voice import Voice
from ingest.city import City

_HAZARDS_NAMED: Final = 2


def city_message(
    notices: Sequence[Notice], city: City, lang: Lang, *, page_url: str = "", exercise: bool = False, code: str = ""
) -> Texts:
    """The texts of one city event for one resident, the short one of at most 360 characters.

    `notices`: the newest version of each incident of the event that concerns him, at least one. What is over is left
    out while others are in force: its end is told when all have ended.
    """
    told = told_of(notices)
    drill = any(is_exercise(notice, exercise=exercise) for notice in told)
    return assemble(lambda voice: _parts(told, city, voice, page_url), city, lang, drill=drill, code=code)


def told_of(notices: Sequence[Notice]) -> list[Notice]:
    """The gravest first; of the same level the newest."""
    in_force = [notice for notice in notices if notice.level]
    return sorted(in_force or notices, key=lambda n: (-n.level, -n.at, n.hazard, n.area))


def _parts(told: Sequence[Notice], city: City, voice: Voice, page_url: str) -> Parts:
    worst = told[0]
    if worst.planned is not None:
        same = [notice for notice in told if notice.reason is worst.reason]
        return planned_parts(same, worst.planned, city, voice, next_word(city, page_url, voice))
    kind = kind_of(worst, city)
    impact, action = impact_and_action(gravest(told), kind, voice.lang)
    more = more_to_do(kind, worst.level, voice.lang) if worst.level else ""
    return Parts(
        head=_head(told, city, voice), observed=_observed(told, voice), impact=voice.text(impact),
        action=voice.text(action), after=next_word(city, page_url, voice), more=voice.text(more),
    )  # fmt: skip


def gravest(told: Sequence[Notice]) -> Notice:
    """The one whose impact is told: of what is over the one that was worst."""
    return told[0] if told[0].level else max(told, key=lambda n: max(n.peak, n.previous_level))


def _head(told: Sequence[Notice], city: City, voice: Voice) -> str:
    hazards = listed([voice.hazard(name) for name in dict.fromkeys(n.hazard for n in told)], _HAZARDS_NAMED, voice)
    areas = listed_areas([n.area for n in told], city, voice)
    word = level_word(told[0].level, voice.lang)
    if not word:
        if told[0].reason is Reason.WITHDRAWN:
            return voice.pick(f"Rút lại cảnh báo {hazards} tại {areas}.", f"Withdrawn: {hazards} for {areas}.")
        return voice.pick(f"Hết cảnh báo {hazards} tại {areas}.", f"The warning of {hazards} for {areas} is over.")
    if voice.spoken and voice.lang == "vi":
        word = f"Cảnh báo mức {word.lower()}"
    return voice.pick(f"{word}: {hazards} ở một số nơi thuộc {areas}.", f"{word}: {hazards} in places in {areas}.")


def _observed(told: Sequence[Notice], voice: Voice) -> str:
    when = voice.time(max(notice.at for notice in told))
    if told[0].level:
        return voice.pick(f"Cảm biến của thành phố ghi nhận lúc {when}.", f"City sensors observed it at {when}.")
    return voice.pick(
        f"Cảm biến của thành phố không còn ở mức cảnh báo từ {when}.",
        f"The city's sensors have been out of the warning range since {when}.",
    )
