"""What follows from how things stand, and from time: confirmed, asked, published, called, eased, over."""

from __future__ import annotations

from dataclasses import replace

from alerts.incidents import city_event
from alerts.incidents.book import Book
from alerts.incidents.confirming import ABOVE_SOLE, SILENCED, confirmed, is_open_question, sole_level
from alerts.incidents.decision import Decided
from alerts.incidents.due import calm_at, falls_at, is_frozen, unattended_at
from alerts.incidents.escalating import asked, called, unanswered
from alerts.incidents.incident import DANGER, EMERGENCY, WARNING, Confirmation, Incident, Key, Member, Reason
from alerts.incidents.members import limited
from alerts.incidents.moving import cover
from alerts.incidents.outages import tell
from alerts.incidents.publishing import cause, ended, opened


def settle(book: Book, now: int, by: str = "") -> None:
    """Whatever the news has touched, until nothing more follows. `by`: the person whose act it was."""
    while book.dirty:
        keys, book.dirty = sorted(key for key in book.dirty if key in book.latest), {}
        for key in keys:
            _settle(book, key, now, by)
        city_event.join(book, now)


def pass_time(book: Book, before: int) -> None:
    """What time alone makes before `before`, in the order in which it is due.

    What new rules or a person's act have made due in the past is due now: time never runs back.
    """
    while (timer := book.next_timer(before)) is not None:
        when, which = max(timer[0], book.passed), timer[1]
        if isinstance(which, str):
            cover(book, when)
            tell(book, book.standing.silences[which], when)
        else:
            _ripen(book, which, when)
        settle(book, when)
        if not isinstance(which, str):
            book.arm(which)  # also where nothing came of it
    book.passed = max(book.passed, before)


def _settle(book: Book, key: Key, now: int, by: str) -> None:
    row = book.latest[key]
    if row.closed_at is not None and not any(member.counts for member in row.members):
        return
    row = opened(row, now)  # a silence may have ended that covered what had closed meanwhile
    row = _unattended(book, _confirmed(book, row, now), now)
    book.keep(row)
    if row.supported > row.level:
        _rise(book, key, now, by)
    _answer(book, key, now)
    row = book.latest[key]
    if row.held_open and not _held_open(book, row, now):
        book.keep(replace(row, held_open="", free_at=now))


def _rise(book: Book, key: Key, now: int, by: str) -> None:
    row = book.latest[key]
    reason = Reason.WORSE if row.level else Reason.FIRST
    driven_by = cause(row)
    if row.acknowledged_by and not by:
        book.keep(unanswered(row))
    book.publish(key, reason, driven_by.at if driven_by is not None else now, now, by)
    if not row.drill:
        for other in sorted(book.latest):
            drill = book.latest[other]
            if drill.drill and drill.area == row.area and drill.closed_at is None:
                end(book, other, Reason.STOPPED, now)


def _answer(book: Book, key: Key, now: int) -> None:
    """Asks and calls, as far as there is somebody to be asked."""
    row = book.latest[key]
    after = asked(row, now)
    for before_at, at, level in zip(row.asked_at, after.asked_at, (DANGER, EMERGENCY), strict=True):
        if at and not before_at:
            book.decide(after, now, Decided.ASKED, _why_asked(after), _highest(after), level=level)
    if after.proposed is not None and after.hand_asked_at and not row.hand_asked_at:
        book.decide(after, now, Decided.ASKED, "by hand", level=after.proposed.level)
    every_ms = book.who.hazard(row.hazard).approve_within_ms
    after, call = called(after, now, every_ms, book.chain_of)
    book.keep(after)
    if call is not None:
        book.out.calls.append(call)
        book.decide(after, now, Decided.CALLED, call.asks, level=call.level, number=call.number, to=list(call.to))


def _why_asked(row: Incident) -> str:
    highest = _highest(row)
    return ABOVE_SOLE if highest is None or highest.by is Confirmation.SOLE else highest.witness


def _highest(row: Incident) -> Member | None:
    return max(row.members, key=lambda member: (member.counts, member.at), default=None)


def _confirmed(book: Book, row: Incident, now: int) -> Incident:
    members = []
    pouring = book.pouring(row.hazard, row.area)
    for member in row.members:
        after = confirmed(member, row, book.standing, book.who, pouring, now) if is_open_question(member) else member
        if (after.confirmed, after.by) != (member.confirmed, member.by):
            book.decide(row, now, Decided.CONFIRMED, after.by.value, after, level=after.confirmed,
                        witness=after.witness)  # fmt: skip
        elif after.witness != member.witness:
            book.decide(row, now, Decided.UNCONFIRMED, after.witness, after)
        members.append(after)
    return row if tuple(members) == row.members else replace(row, members=tuple(members))


def _unattended(book: Book, row: Incident, now: int) -> Incident:
    """Nobody has answered, and one station alone still says so: published, or a city sleeps through it."""
    hazard = book.who.hazard(row.hazard)
    for level, asked_at in ((DANGER, row.asked_at[0]), (EMERGENCY, row.asked_at[1])):
        if not asked_at or now < unattended_at(asked_at, hazard):
            continue
        for member in row.members:
            if member.confirmed < level <= sole_level(member, row, book.standing, book.who, now):
                after = replace(member, confirmed=level, by=Confirmation.UNATTENDED, witness="")
                row = replace(row, members=tuple(after if m is member else m for m in row.members))
                book.decide(row, now, Decided.UNATTENDED, "nobody answered", after, asked_at=asked_at, level=level)
    return row


def _ripen(book: Book, key: Key, when: int) -> None:
    """One incident at a moment that time has brought."""
    row, hazard = book.latest[key], book.who.hazard(book.latest[key].hazard)
    book.dirty[key] = None
    if row.proposed is not None and row.proposed.until <= when:
        row = replace(row, proposed=None)
        book.keep(row)
        if row.hand is None and not row.measured_level and not row.level:
            end(book, key, Reason.OVER, when)
            return
    if row.hand is not None and row.hand.until <= when:
        if not _sensors_spoke(row):
            end(book, key, Reason.OVER, when)
            return
        row = replace(row, hand=None)
        if row.wanted:  # sensors go on
            row = replace(row, changed_at=when, changed_arrival=when)
        book.keep(row)
    calm = calm_at(row, hazard)
    if calm is not None and calm <= when:
        _calm_down(book, key, when)
        row = book.latest[key]
    falls = falls_at(row, hazard)
    if falls is None or falls > when:
        return
    if row.wanted:
        driven_by = cause(row)
        book.publish(key, Reason.EASED, driven_by.at if driven_by is not None else row.changed_at, when)
    elif why := _held_open(book, row, when):
        book.keep(replace(row, held_open=why))
        book.decide(row, when, Decided.HELD_OPEN, why)
    else:
        end(book, key, Reason.OVER, when)


def _sensors_spoke(row: Incident) -> bool:
    """Whether it is theirs as well: then it ends as what was measured does, not when a person's word runs out."""
    fallen = any(one.until >= row.opened_at for one in row.fallen)
    return bool(row.measured_level or row.danger_by or fallen) or is_frozen(row)


def _calm_down(book: Book, key: Key, when: int) -> None:
    row = book.latest[key]
    ends_when = book.who.hazard(row.hazard).ends_when
    members = []
    for member in row.members:
        since = member.calm_since
        if ends_when is not None and since is not None and member.counted and since + ends_when.for_ms <= when:
            book.decide(row, when, Decided.CALM, f"{ends_when.statistic} below {ends_when.below:g}", member,
                        since=since)  # fmt: skip
            member = limited(member, 0)  # noqa: PLW2901  # the member as it is from here on
        members.append(member)
    row = replace(row, members=tuple(members))
    row = replace(row, approved=min(row.approved, row.measured_level))
    if not row.wanted:
        row = replace(row, changed_at=when, changed_arrival=when, measured=True)
    book.keep(row)


def end(book: Book, key: Key, reason: Reason, when: int, by: str = "") -> None:
    """Over; what was never published ends without a word. What it is said since: the last thing that was measured."""
    row = book.latest[key]
    if row.version and row.level:
        book.publish(key, reason, when if by or row.hand else row.changed_at, when, by)
    else:
        book.keep(ended(row, when))


def _held_open(book: Book, row: Incident, now: int) -> str:
    """Why there is no all-clear yet; "" where nothing stands in its way (CONTRACTS section 6)."""
    fallen = {one.sensor for one in row.fallen if one.until >= row.opened_at}
    if is_frozen(row) or any(book.standing.covering(sensor, *row.key[:2], now) for sensor in fallen):
        return SILENCED  # what was taken out of the water is dry
    for sensor in row.danger_by:
        if row.area not in book.who.areas(sensor):
            return f"gone {sensor}"
        if sensor in book.standing.asleep:
            return f"not_heard {sensor}"
    if row.danger_by:
        for other in book.who.hazard(row.hazard).confirm_by:
            linked = book.latest.get((other, row.area, False))
            if linked is not None and linked.closed_at is None and linked.wanted >= WARNING:
                return f"linked {other}"
    return ""
