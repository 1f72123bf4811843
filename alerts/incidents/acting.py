"""What persons do to incidents. Each act fits how things stand, or is refused and changes nothing; twice is once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from alerts.incidents.book import Book
from alerts.incidents.decision import Decided
from alerts.incidents.incident import Approval, Incident, Key, Reason
from alerts.incidents.members import limited
from alerts.incidents.moving import cover
from alerts.incidents.outages import call_off, tell
from alerts.incidents.publishing import opened
from alerts.incidents.settling import end
from alerts.incidents.verbs import (
    Acknowledge,
    Act,
    Approve,
    Assign,
    Close,
    Comment,
    Ease,
    EndSilence,
    OfficialLevel,
    Raise,
    RefusedError,
    Reschedule,
    Silence,
)

SILENCES_MOST: Final = 1_000  # that are not over; each is looked at for every member that moves
EVACUATION: Final = "evacuation"  # the template that tells people to leave: two persons


def act(book: Book, one: Act) -> tuple[str, ...]:
    """Does it, up to what follows from it; the incidents that it was about. Raises RefusedError."""
    verb = one.verb
    match verb:
        case Silence() | EndSilence() | Reschedule() | OfficialLevel():
            _beside(book, verb, one)
            return ()
        case Raise():
            return _raise(book, verb, one)
        case Approve():
            rows = _to_approve(book, verb)
            for row in rows:
                _approve(book, row, verb, one)
            return tuple(row.id for row in rows)
        case Acknowledge() | Assign() | Comment() | Ease() | Close():
            row = _row(book, verb.incident, closed=isinstance(verb, (Comment, Close)))
            _on_one(book, row, one)
            return (row.id,)


def _beside(book: Book, verb: Silence | EndSilence | Reschedule | OfficialLevel, one: Act) -> None:
    """What stands beside the incidents, and explains some of what they stand on."""
    match verb:
        case Silence():
            _silence(book, verb, one)
        case EndSilence():
            _end_silence(book, verb.id, one)
        case Reschedule():
            _reschedule(book, verb, one)
        case OfficialLevel():
            pass


def _row(book: Book, id_: str, *, closed: bool = False) -> Incident:
    for row in book.latest.values():
        if row.id == id_:
            if row.closed_at is not None and not closed:
                raise RefusedError(f"{id_} is over")
            return row
    raise RefusedError(f"{id_} is not open, nor has it ended within 6 hours")


def _on_one(book: Book, row: Incident, one: Act) -> None:
    match one.verb:
        case Acknowledge():
            if not row.acknowledged_by:
                book.keep(_seen(row, one))
        case Assign(to=to):
            book.keep(replace(row, assigned_to=to))
        case Ease(level=level):
            _ease(book, row, level, one)
        case Close(withdraw=withdraw) if row.closed_at is None:
            members = tuple(limited(member, 0) for member in row.members)
            book.keep(replace(row, members=members, measured=True))
            end(book, row.key, Reason.WITHDRAWN if withdraw else Reason.OVER, one.at, one.by)
        case _:
            pass
    _say(book, row.key, one)


def _seen(row: Incident, one: Act) -> Incident:
    """Who has acted on it need not be called."""
    return replace(row, acknowledged_by=one.by, acknowledged_at=one.at, chain=None)


def _say(book: Book, key: Key, one: Act, *, level: int | None = None) -> None:
    text = one.verb.text if isinstance(one.verb, Comment) else one.why
    book.decide(book.latest[key], one.at, Decided.ACTED, type(one.verb).__name__.lower(), level=level,
                by=one.by, why=text)  # fmt: skip


def _ease(book: Book, row: Incident, level: int, one: Act) -> None:
    if not 0 < level <= max(row.level, row.wanted):
        raise RefusedError(f"{row.id} stands at {row.level}: it can be eased to a lower level, at least 1; or closed")
    if row.hand is not None or (row.proposed is not None and not row.measured_level):
        raise RefusedError(f"{row.id} was given by hand: give it anew at another level, or close it")
    members = tuple(limited(member, level) for member in row.members)
    after = _seen(replace(row, members=members, approved=min(row.approved, level)), one)
    book.keep(after)
    if (to := max(after.supported, level)) < row.level:
        book.publish(row.key, Reason.EASED, one.at, one.at, one.by, to)


def _to_approve(book: Book, verb: Approve) -> list[Incident]:
    if not verb.event:
        return [_row(book, verb.incident)]
    of_event = (row for row in book.latest.values() if row.event == verb.event and row.closed_at is None)
    rows = [row for row in of_event if not verb.hazards or row.hazard in verb.hazards]
    if not rows:
        raise RefusedError(f"{verb.event} is no city event that goes on")
    # What a person gave by hand is approved one by one.
    return sorted((row for row in rows if row.wanted > row.level and not row.by_hand), key=lambda row: row.id)


def _approve(book: Book, row: Incident, verb: Approve, one: Act) -> None:
    after = row
    if (hand := row.proposed) is not None:
        if hand.template == EVACUATION and one.by == hand.by:
            raise RefusedError(f"{row.id} says evacuate: another person than {hand.by} has to approve it")
        if verb.level < hand.level:
            raise RefusedError(f"{row.id} was given by hand at {hand.level}: approve that, or close it")
        after = replace(after, hand=hand, proposed=None, changed_at=one.at, changed_arrival=one.at)
    level = min(verb.level, row.measured_level)
    if level > row.approved:
        after = replace(after, approved=level)
    if after is row:
        return
    level = min(verb.level, row.wanted)
    book.keep(_seen(replace(after, approvals=(*row.approvals, Approval(one.by, level, one.at))), one))
    if after.hand is not row.hand:
        _tell_anew(book, row.key, one)
    _say(book, row.key, one, level=level)


def _raise(book: Book, verb: Raise, one: Act) -> tuple[str, ...]:
    unknown = [area for area in verb.areas if area not in book.city.areas]
    if unknown or not verb.areas:
        raise RefusedError(f"areas {' '.join(unknown) or '(none)'}: not in the registry")
    if verb.hand.until <= one.at:
        raise RefusedError("until: lies in the past")
    keys: list[Key] = [(verb.hazard, area, verb.drill) for area in verb.areas]
    for key in keys:
        row = book.latest.get(key)
        if row is not None and row.closed_at is None and not row.by_hand:
            raise RefusedError(f"{row.id} is open and stands on sensors: approve, ease or close that")
        if verb.drill and (real := _real(book, key[1])):
            raise RefusedError(f"{real} is open in {key[1]}: no drill beside it")
    for key in keys:
        _raise_in(book, key, verb, one)
    return tuple(book.latest[key].id for key in keys)


def _real(book: Book, area: str) -> str:
    rows = (row for row in book.latest.values() if row.area == area and not row.drill)
    return next((row.id for row in rows if row.closed_at is None and row.level), "")


def _raise_in(book: Book, key: Key, verb: Raise, one: Act) -> None:
    before = book.row(key)
    if before.closed_at is None and verb.hand in (before.hand, before.proposed):
        return
    row = replace(opened(before, one.at), changed_at=one.at, changed_arrival=one.at)
    if verb.approver and verb.hand.template != EVACUATION:
        approvals = (Approval(one.by, verb.hand.level, one.at),)
        book.keep(_seen(replace(row, hand=verb.hand, proposed=None, approvals=approvals), one))
        _tell_anew(book, key, one)
    else:
        book.keep(replace(row, proposed=verb.hand))
    _say(book, key, one)


def _tell_anew(book: Book, key: Key, one: Act) -> None:
    """Other words, or a lower level, of what is published already; what is higher rises by itself."""
    row = book.latest[key]
    if 0 < row.supported <= row.level:
        book.publish(key, Reason.UPDATED if row.supported == row.level else Reason.EASED, one.at, one.at, one.by)


def _silence(book: Book, silence: Silence, one: Act) -> None:
    if silence.id in book.standing.silences:
        return
    _check_span(silence.begins, silence.until, one.at)
    if sum(other.until > one.at for other in book.standing.silences.values()) >= SILENCES_MOST:
        raise RefusedError(f"{SILENCES_MOST} silences and outages are not over: end some first")
    _set(book, silence, one)


def _end_silence(book: Book, id_: str, one: Act) -> None:
    silence = book.standing.silences.get(id_)
    if silence is None:
        raise RefusedError(f"{id_}: no such silence or planned outage")
    if silence.until > one.at:
        book.standing.silences[id_] = replace(silence, until=one.at)
        cover(book, one.at, ended=id_)
        call_off(book, silence, one.at, one.by)


def _reschedule(book: Book, verb: Reschedule, one: Act) -> None:
    silence = book.standing.silences.get(verb.id)
    if silence is None or not silence.planned:
        raise RefusedError(f"{verb.id}: no such planned outage")
    if silence.until <= one.at:
        raise RefusedError(f"{verb.id} is over: announce another one")
    if silence.begins <= one.at and verb.begins != silence.begins:
        raise RefusedError(f"{verb.id} has begun: only its end can be another one")
    _check_span(verb.begins, verb.until, one.at)
    if (verb.begins, verb.until) != (silence.begins, silence.until):
        _set(book, replace(silence, begins=verb.begins, until=verb.until), one)


def _check_span(begins: int, until: int, now: int) -> None:
    if until <= max(begins, now):
        raise RefusedError("until: has to lie after the beginning, and in the future")


def _set(book: Book, silence: Silence, one: Act) -> None:
    book.standing.silences[silence.id] = silence
    book.watch(silence)
    cover(book, one.at)
    tell(book, silence, one.at, one.by)
