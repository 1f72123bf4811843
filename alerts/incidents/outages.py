"""Planned outages: residents are told the day before, an hour before, and of what becomes of it. Pure.

What was told last, in each area, is all that there is to know: a restart finds it in the ledger's notices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from alerts.incidents.book import Book
from alerts.incidents.decision import Decided, Decision
from alerts.incidents.due import DAY_BEFORE_MS, HOUR_BEFORE_MS, HOUR_MS
from alerts.incidents.incident import Notice, Planned, Reason
from alerts.incidents.verbs import Silence

ADVISORY: Final = 1  # it informs: nothing has happened
# Before it begins; who was told of it since then needs no word again so soon: an hour, half a day.
REMINDED_MS: Final = HOUR_BEFORE_MS + HOUR_MS
DAY_TOLD_MS: Final = DAY_BEFORE_MS + 12 * HOUR_MS


def tell(book: Book, silence: Silence, now: int, by: str = "") -> None:
    """What is due at `now`, in each of its areas. `by`: the person whose act it was."""
    if not silence.announced:
        return
    again = now < silence.begins - REMINDED_MS
    planned = Planned(silence.begins, silence.until, silence.reason, silence.sensor, again)
    for area in _areas(book, silence):
        reason = due_word(silence, book.announced.get(outage_id(silence, area)), now)
        if reason is not None:
            _say(book, silence, area, reason, planned, now, by)


def call_off(book: Book, silence: Silence, now: int, by: str) -> None:
    """It was ended at `now`, before `silence.until`: those who heard of it hear that."""
    for last in list(book.announced.values()):
        if last.event == silence.id and last.planned is not None:
            planned = replace(last.planned, again=False)
            _say(book, silence, last.area, Reason.CALLED_OFF, planned, now, by)


def due_word(silence: Silence, last: Notice | None, now: int) -> Reason | None:
    """What residents of an area are to be told now, given what they were told last.

    Who was never told before it began is not told at all: the cut has told him.
    """
    before = silence.begins - now
    if now >= silence.until:  # also where it was called off before it began
        return None
    if last is None:
        return Reason.PLANNED if 0 < before <= DAY_BEFORE_MS else None
    told = last.planned
    if told is not None and (told.begins, told.until) != (silence.begins, silence.until):
        return Reason.MOVED
    for ahead_ms, told_ms in ((DAY_BEFORE_MS, DAY_TOLD_MS), (HOUR_BEFORE_MS, REMINDED_MS)):
        if 0 < before <= ahead_ms and last.arrival < silence.begins - told_ms:
            return Reason.PLANNED
    return None


def outage_id(silence: Silence, area: str) -> str:
    """Under which an area's residents hear of it; a point, because its id has none."""
    return f"{silence.id}.{area}"


def _areas(book: Book, silence: Silence) -> tuple[str, ...]:
    """Of a sensor's outage the areas that it speaks for, within those that were named."""
    if not silence.sensor:
        return silence.areas
    return tuple(sorted(a for a in book.who.areas(silence.sensor) if not silence.areas or a in silence.areas))


def _say(book: Book, silence: Silence, area: str, reason: Reason, planned: Planned, now: int, by: str) -> None:
    id_ = outage_id(silence, area)
    last = book.announced.get(id_)
    version, before = (last.version + 1, last.level) if last is not None else (1, 0)
    off = reason is Reason.CALLED_OFF
    notice = Notice(
        id_, version, reason, silence.hazard, area, 0 if off else ADVISORY, before, now if off else planned.begins, now,
        None, peak=ADVISORY, by=by, event=silence.id, planned=planned,
    )  # fmt: skip
    book.announced[id_] = notice
    book.out.notices.append(notice)
    detail = {"version": version} | ({"by": by} if by else {})
    book.out.decisions.append(Decision(id_, now, Decided.PUBLISHED, reason.value, level=notice.level, detail=detail))
