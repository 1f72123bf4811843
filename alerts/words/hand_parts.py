"""The parts of a warning that a person gives from a template."""

from __future__ import annotations

from typing import Final

from alerts.incidents.incident import ENDS, Hand, Notice, Reason
from alerts.words.actions import more_to_do, what_to_do
from alerts.words.hand import EVACUATION, moment_field, text_field
from alerts.words.hand_table import ROWS, Row
from alerts.words.measured import duty_says, head_words, impact_and_action, taken_back
from alerts.words.names import Lang
from alerts.words.parts import Parts
from alerts.words.voice import CAVEAT, Voice
from ingest.city import City

_HEADS: Final = {
    "vi": {
        Reason.FIRST: "{level}: {hazard} {place}.",
        Reason.WORSE: "{level}, nặng hơn{before}: {hazard} {place}.",
        Reason.EASED: "{level}, đã giảm{before}: {hazard} {place}.",
        Reason.UPDATED: "{level}, cập nhật: {hazard} {place}.",
        Reason.OVER: "Hết hiệu lực: {hazard} {place}.",
        Reason.WITHDRAWN: "Rút lại: {hazard} {place}.",
        Reason.STOPPED: "Dừng diễn tập: {hazard} {place}.",
    },
    "en": {
        Reason.FIRST: "{level}: {hazard} {place}.",
        Reason.WORSE: "{level}, worse{before}: {hazard} {place}.",
        Reason.EASED: "{level}, eased{before}: {hazard} {place}.",
        Reason.UPDATED: "{level}, updated: {hazard} {place}.",
        Reason.OVER: "No longer in force: {hazard} {place}.",
        Reason.WITHDRAWN: "Withdrawn: {hazard} {place}.",
        Reason.STOPPED: "Drill stopped: {hazard} {place}.",
    },
}


def hand_parts(notice: Notice, hand: Hand, city: City, voice: Voice, after: str) -> Parts:
    """`after`: where the next word is."""
    row = ROWS[voice.lang].get(hand.template)
    impact, action = hand_impact_and_action(notice, hand, voice.lang)
    going = notice.reason not in ENDS
    return Parts(
        head=_head(notice, hand, row, city, voice), observed=_said(notice, hand, row, voice),
        impact=voice.text(impact), action=_go_to(hand, voice) * going + voice.text(action), after=after,
        caveat=_until(hand, voice) if going and voice.detail >= CAVEAT else "",
        more=voice.text(_more(notice, row, voice.lang)) if going else "",
    )  # fmt: skip


def hand_impact_and_action(notice: Notice, hand: Hand, lang: Lang) -> tuple[str, str]:
    """As for what was measured, from the template's own row where it has one."""
    row = ROWS[lang].get(hand.template)
    if row is None or notice.reason in (Reason.WITHDRAWN, Reason.STOPPED):
        return impact_and_action(notice, notice.hazard, lang)
    if notice.reason is Reason.OVER:
        return row.left, row.after
    return _at_level(row, notice.level)


def hand_action(hand: Hand, hazard: str, level: int, lang: Lang) -> str:
    """What to do while it is in force, at a level 1-4."""
    row = ROWS[lang].get(hand.template)
    return _at_level(row, level)[1] if row is not None else what_to_do(hazard, level, lang)


def _at_level(row: Row, level: int) -> tuple[str, str]:
    """The row of the level; a level that the template does not know (eased by a person) has that of its lowest."""
    return row.levels[max((known for known in row.levels if known <= level), default=min(row.levels))]


def _more(notice: Notice, row: Row | None, lang: Lang) -> str:
    return row.more if row is not None else more_to_do(notice.hazard, notice.level, lang)


def _head(notice: Notice, hand: Hand, row: Row | None, city: City, voice: Voice) -> str:
    if row is None:
        hazard = voice.hazard(notice.hazard)
    else:
        hazard = row.hazard.format(name=_name(text_field(hand, "name", voice.lang), voice))
    at = row.where if row is not None else voice.pick("ở", "at")
    where, area = voice.name(text_field(hand, "where", voice.lang)), voice.area(city, notice.area)
    inside = voice.pick(f"thuộc {area}", f"in {area}")
    place = f"{at} {where}, {inside}" if voice.spoken else f"{at} {where} ({area})"
    if not where:
        place = f"{at} {voice.pick('một số nơi', 'places')} {inside}"
    return _HEADS[voice.lang][notice.reason].format(hazard=hazard, place=place, **head_words(notice, voice))


def _name(text: str, voice: Voice) -> str:
    """Without the kind of thing before it, which the template says: "bão số 12" is "số 12"."""
    first, _, rest = text.partition(" ")
    return voice.name(rest if first.lower() in ("bão", "hồ", "storm", "typhoon") and rest else text)


def _said(notice: Notice, hand: Hand, row: Row | None, voice: Voice) -> str:
    when = voice.time(notice.at)
    if notice.reason in (Reason.WITHDRAWN, Reason.STOPPED):
        return taken_back(notice, voice, when)
    if notice.reason is Reason.OVER:
        return duty_says(voice, when)
    moments = {f"{name}_" if name == "from" else name: moment_field(hand, name) for name in ("from", "until")}
    said = {name: voice.time(ms) for name, ms in moments.items() if ms is not None}
    said["river"] = voice.name(text_field(hand, "river", voice.lang))
    details = row.details if row is not None else ""
    if any(f"{{{name}}}" in details and name not in said for name in moments):
        details = ""
    return " ".join(part for part in (duty_says(voice, when), details.format(**said)) if part)


def _go_to(hand: Hand, voice: Voice) -> str:
    """Where to, and by when; only the evacuation has a shelter."""
    shelter = voice.name(text_field(hand, "shelter", voice.lang)) if hand.template == EVACUATION else ""
    if not shelter:
        return ""
    before = moment_field(hand, "before")
    by = voice.pick(f" trước {voice.time(before)}", f" before {voice.time(before)}") if before is not None else ""
    return voice.pick(f"Đến {shelter}{by}. ", f"Go to {shelter}{by}. ")


def _until(hand: Hand, voice: Voice) -> str:
    when = voice.time(hand.until)
    return voice.pick(f"Có hiệu lực đến {when} nếu không có tin mới.", f"In force until {when} unless told otherwise.")
