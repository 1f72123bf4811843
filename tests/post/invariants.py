"""What has to be true of what residents got, whatever befell the post: CONTRACTS section 6 said once more, slowly.

Judged is by what the provider has accepted, never by what the post says of itself; its rows only have to agree. Nothing
here is the post's own code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import cached_property
from typing import Final

from post.provider import Accepted
from post.script import ZONE
from post.town import Contact, Person

from alerts.incidents.incident import DANGER, ENDS, Notice, Reason

LAST: Final = ("sent", "dead", "superseded", "merged", "unheard", "capped", "ended")
LOUD: Final = (*ENDS, Reason.WORSE)  # quiet hours and the daily number hold none of these, nor danger


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the post's table of messages, after everything."""

    id: int
    seq: int
    contact: int
    status: str
    attempts: int
    leader: int | None
    created_at: int
    expires_at: int
    maybe: bool
    fell_back: bool
    error: str


@dataclass(frozen=True)
class Night:
    """All that happened. `lasts_ms`: how long a request may be on its way. `ended`: contact -> when he said so.

    `morning`: what quiet hours hold back goes out from then on. `over`: when the post had nothing more to do.
    """

    people: tuple[Person, ...]
    notices: Mapping[int, Notice]  # by seq
    accepted: tuple[Accepted, ...]
    rows: tuple[Row, ...]
    unreachable: frozenset[str]
    ended: Mapping[int, int]
    joined: Mapping[int, int]  # contact -> when he came
    lasts_ms: int
    morning: int
    over: int
    down: tuple[tuple[int, int], ...] = field(default=())

    @cached_property
    def owner(self) -> dict[int, tuple[Person, Contact]]:
        return {contact.id: (person, contact) for person in self.people for contact in person.contacts}

    @cached_property
    def contact_at(self) -> dict[str, int]:
        return {contact.address: number for number, (_, contact) in self.owner.items()}

    @cached_property
    def seq_of(self) -> dict[tuple[str, int], int]:
        return {(notice.incident, notice.version): seq for seq, notice in self.notices.items()}

    @cached_property
    def row_of(self) -> dict[tuple[int, int], Row]:
        return {(row.seq, row.contact): row for row in self.rows}

    @cached_property
    def row(self) -> dict[int, Row]:
        return {row.id: row for row in self.rows}

    @cached_property
    def first_at(self) -> dict[tuple[int, int], int]:
        """(seq, contact) -> when the provider had it first; what was told with another, when it had that one."""
        found: dict[tuple[int, int], int] = {}
        for one in self.accepted:
            found.setdefault((self.seq_of[one.incident, one.version], self.contact_at[one.to]), one.at)
        for row in self.rows:
            leader = self.row.get(row.leader) if row.leader is not None else None
            if row.status == "merged" and leader is not None and (leader.seq, leader.contact) in found:
                found.setdefault((row.seq, row.contact), found[leader.seq, leader.contact])
        return found

    @cached_property
    def versions(self) -> dict[str, list[tuple[int, Notice]]]:
        """The notices of each incident that residents are told, in order."""
        found: dict[str, list[tuple[int, Notice]]] = defaultdict(list)
        for seq, notice in sorted(self.notices.items()):
            if notice.told and not notice.drill:
                found[notice.incident].append((seq, notice))
        return found

    def heard_before(self, contact: int, notice: Notice, at: int) -> bool:
        """Whether he had an earlier word of this incident, of which an end would be the end."""
        return any(self.first_at.get((seq, contact), at + 1) <= at for seq, _ in self._before(notice))

    def may_have_heard(self, contact: int, notice: Notice) -> bool:
        rows = [self.row_of.get((seq, contact)) for seq, _ in self._before(notice)]
        return any(row is not None and row.maybe for row in rows)

    def _before(self, notice: Notice) -> list[tuple[int, Notice]]:
        return [(seq, one) for seq, one in self.versions.get(notice.incident, ())
                if one.version < notice.version and one.reason not in ENDS]  # fmt: skip

    def stayed(self, contact: int) -> bool:
        return contact not in self.ended and contact not in self.joined

    def wanted(self) -> Iterator[tuple[int, Notice, Person, Contact]]:
        """The messages that must be: for each notice that reaches a floor, those who stayed and have no other way."""
        for versions in self.versions.values():
            for seq, notice in versions:
                for person in self.people:
                    if notice.reason not in ENDS and notice.level >= _floor(person, notice):
                        for contact in person.primary():
                            if self.stayed(contact.id):
                                yield seq, notice, person, contact


def violations(night: Night) -> list[str]:
    """What is not as it must be, in words; [] where all is well."""
    return [f"{check.__name__[1:]}: {found}" for check in CHECKS for found in check(night)]


def _floor(person: Person, notice: Notice) -> int:
    return person.wants.get((notice.area, notice.hazard), 9)


def _named(night: Night, seq: int, contact: int) -> str:
    notice = night.notices.get(seq)
    what = "an errand" if notice is None else f"{notice.incident} v{notice.version} {notice.reason} {notice.level}"
    return f"{what} to contact {contact}"


def _rows(night: Night) -> Iterator[str]:
    """Each came to an end that says why."""
    for row in night.rows:
        name = _named(night, row.seq, row.contact)
        if row.status not in LAST:
            yield f"{name} is left {row.status}"
        if row.status == "dead" and not row.error:
            yield f"{name} is dead without a reason"
        if row.status == "dead" and not _may_die(night, row):
            yield f"{name} is dead, though nothing was against it: {row.error}"
        notice = night.notices.get(row.seq)
        if row.status == "capped" and notice and (notice.level >= DANGER or notice.reason in LOUD):
            yield f"{name} was held by the daily number"
        if row.status == "ended" and row.contact not in night.ended and not _unreachable(night, row.contact):
            yield f"{name} is taken for one who wants no more"


def _unreachable(night: Night, contact: int) -> bool:
    return night.owner[contact][1].address in night.unreachable


def _may_die(night: Night, row: Row) -> bool:
    return _unreachable(night, row.contact) or row.expires_at <= night.over + night.lasts_ms


def _made(night: Night) -> Iterator[str]:
    """Who wants to hear has a message of it, or it was old before his was made, or nobody can be reached there."""
    for seq, _, _, contact in night.wanted():
        made = (seq, contact.id) in night.row_of
        if not made and not _unreachable(night, contact.id) and not any(later > seq for later in _same(night, seq)):
            yield f"{_named(night, seq, contact.id)} was never made"


def _said(night: Night) -> Iterator[str]:
    """What stands as sent is with the provider, and not oftener than it was tried."""
    tries: dict[tuple[int, int], float] = defaultdict(float)
    for one in night.accepted:
        at = night.seq_of[one.incident, one.version], night.contact_at[one.to]
        tries[at] += 0.5 if one.fault == "twice" else 1
        if at not in night.row_of:
            yield f"{_named(night, *at)} was sent and stands nowhere"
    for at, row in night.row_of.items():
        if row.status == "sent" and not tries[at]:
            yield f"{_named(night, *at)} stands as sent and never was"
        if tries[at] > row.attempts:
            yield f"{_named(night, *at)} came {tries[at]:g} times in {row.attempts} tries"


def _keys(night: Night) -> Iterator[str]:
    """One key a message, one message a key, and the same words each time."""
    keys, said = defaultdict(set), defaultdict(set)
    for one in night.accepted:
        keys[one.to, one.incident, one.version].add(one.key)
        said[one.key].add((one.to, one.incident, one.version, one.body))
    yield from (f"{to} got {incident} v{version} with {len(found)} keys"
                for (to, incident, version), found in keys.items() if len(found) > 1)  # fmt: skip
    yield from (f"key {key} said {len(found)} things" for key, found in said.items() if len(found) > 1)


def _wanted(night: Night) -> Iterator[str]:
    """Nobody hears what he did not ask for, or of a drill."""
    for (seq, number), at in night.first_at.items():
        notice, (person, _) = night.notices[seq], night.owner[number]
        his = (notice.area, notice.hazard) in person.wants
        if notice.drill or not notice.told or not his:
            yield f"{_named(night, seq, number)} is none of his"
        elif notice.level < _floor(person, notice) and not (
            night.heard_before(number, notice, at) or night.may_have_heard(number, notice)
        ):
            yield f"{_named(night, seq, number)} is below his floor, and he heard nothing before"


def _quiet(night: Night) -> Iterator[str]:
    """No first word below danger in quiet hours."""
    for (seq, number), at in night.first_at.items():
        notice, (person, _) = night.notices[seq], night.owner[number]
        urgent = notice.level >= DANGER or notice.reason in LOUD
        asleep = _in(person.quiet, at) and _in(person.quiet, at - night.lasts_ms)
        if asleep and not urgent and not night.heard_before(number, notice, at):
            yield f"{_named(night, seq, number)} woke him"


def _in(quiet: str, at: int) -> bool:
    if not quiet:
        return False
    begins, ends = (time.fromisoformat(text) for text in quiet.split("-"))
    now = datetime.fromtimestamp(at / 1000, ZONE).time()
    return begins <= now < ends if begins <= ends else now >= begins or now < ends


def _held(night: Night) -> Iterator[str]:
    """Danger, worse and ends wait for no morning."""
    for (seq, number), at in night.first_at.items():
        notice = night.notices[seq]
        urgent = notice.level >= DANGER or notice.reason in LOUD
        if urgent and at >= night.morning > notice.arrival:
            yield f"{_named(night, seq, number)} waited for the morning"


def _morning(night: Night) -> Iterator[str]:
    """What quiet hours held back and is still so in the morning is told then."""
    for seq, notice, person, contact in night.wanted():
        still = not any(later > seq for later in _same(night, seq))
        row = night.row_of.get((seq, contact.id))
        held = _in(person.quiet, notice.arrival) and not _in(person.quiet, night.morning)
        if still and held and row and row.status == "dead" and not _unreachable(night, contact.id):
            yield f"{_named(night, seq, contact.id)} was so in the morning, and he was not told: {row.error}"


def _ends(night: Night) -> Iterator[str]:
    """The end to each who heard, once; to nobody else."""
    for versions in night.versions.values():
        ends = [(seq, notice) for seq, notice in versions if notice.reason in ENDS]
        for number, (_, contact) in night.owner.items():
            came = [seq for seq, _ in ends if (seq, number) in night.first_at]
            if len(came) > 1:
                yield f"{_named(night, came[-1], number)}: an end for the second time"
            for seq, notice in ends:
                at = night.first_at.get((seq, number))
                if at is not None and not (
                    night.heard_before(number, notice, at) or night.may_have_heard(number, notice)
                ):
                    yield f"{_named(night, seq, number)}: an end to one who heard nothing"
                heard = night.heard_before(number, notice, night.over)
                if at is None and heard and night.stayed(number) and not _excused(night, seq, contact):
                    yield f"{_named(night, seq, number)}: he heard of it and never of its end"


def _excused(night: Night, seq: int, contact: Contact) -> bool:
    """Nothing could be said to him any more, and his message says so."""
    row = night.row_of.get((seq, contact.id))
    return row is not None and row.status in ("dead", "ended") and _may_die(night, row)


def _expiry(night: Night) -> Iterator[str]:
    for one in night.accepted:
        at = night.seq_of[one.incident, one.version], night.contact_at[one.to]
        row = night.row_of.get(at)
        if row is not None and one.at > row.expires_at + night.lasts_ms:
            yield f"{_named(night, *at)} came {(one.at - row.expires_at) / 1000:g} s after it had expired"


def _order(night: Night) -> Iterator[str]:
    """Nothing old after something newer of the same."""
    newest: dict[tuple[str, str], int] = {}
    for one in night.accepted:
        had = newest.get((one.to, one.incident), 0)
        if one.version < had:
            yield f"{one.incident} v{one.version} to contact {night.contact_at[one.to]} came after v{had}"
        newest[one.to, one.incident] = max(had, one.version)


def _newest(night: Night) -> Iterator[str]:
    """What was left out for something newer has something newer; the newest word comes, or says why it does not."""
    for row in night.rows:
        spare = night.owner[row.contact][1].fallback  # his first way has what is newer
        later = any((seq, row.contact) in night.row_of and seq > row.seq for seq in _same(night, row.seq))
        if row.status == "superseded" and not later and not spare:
            yield f"{_named(night, row.seq, row.contact)} gave way to nothing"
    for seq, notice, _, contact in night.wanted():
        row = night.row_of.get((seq, contact.id))
        newest = not any(later > seq for later in _same(night, seq))
        came = (seq, contact.id) in night.first_at
        if newest and not came and row is not None and row.status not in ("capped", "dead", "ended"):
            yield f"{_named(night, seq, contact.id)} is the newest and stands as {row.status}"
        if notice.level >= DANGER and row is not None and row.status == "superseded" and not _followed(night, seq, row):
            yield f"{_named(night, seq, contact.id)}: danger gave way to nothing that came"


def _same(night: Night, seq: int) -> list[int]:
    return [one for one, _ in night.versions.get(night.notices[seq].incident, ())]


def _followed(night: Night, seq: int, row: Row) -> bool:
    """Something newer of it came, or it was less by then than he asked for."""
    later = [night.notices[one] for one in _same(night, seq) if one > seq]
    return any(notice.reason in (*ENDS, Reason.EASED) for notice in later) or any(
        (night.seq_of[notice.incident, notice.version], row.contact) in night.first_at
        or _unreachable(night, row.contact)
        for notice in later
    )


def _opted_out(night: Night) -> Iterator[str]:
    for one in night.accepted:
        number = night.contact_at[one.to]
        if one.at > night.ended.get(number, night.over) + night.lasts_ms:
            yield f"{one.incident} v{one.version} came to contact {number} after he had ended it"


def _fallback(night: Night) -> Iterator[str]:
    """Only where the others did not get through, and always there."""
    for person in night.people:
        first = person.primary()
        lost = all(_unreachable(night, one.id) or one.id in night.ended for one in first)
        for contact in (one for one in person.contacts if one.fallback):
            for seq in sorted(seq for seq, to in night.first_at if to == contact.id):
                needed = any(_fell_back(night, one, first) for one in (seq, *_earlier(night, seq)))
                if not needed and not lost:
                    yield f"{_named(night, seq, contact.id)}: the spare way, without need"
    yield from _unspared(night)


def _fell_back(night: Night, seq: int, first: Iterable[Contact]) -> bool:
    rows = (night.row_of.get((seq, one.id)) for one in first)
    return any(row is not None and row.fell_back for row in rows)


def _earlier(night: Night, seq: int) -> list[int]:
    return [one for one in _same(night, seq) if one < seq]


def _unspared(night: Night) -> Iterator[str]:
    """Danger that a refused address did not take is said to the other one, as long as it is so."""
    for seq, notice, person, first in night.wanted():
        row = night.row_of.get((seq, first.id))
        died = row is not None and row.status == "dead" and row.attempts and _unreachable(night, first.id)
        if died and notice.level >= DANGER and not any(later > seq for later in _same(night, seq)):
            for contact in person.contacts:
                if contact.fallback and (seq, contact.id) not in night.row_of:
                    yield f"{_named(night, seq, contact.id)}: the others failed and he was not told"


CHECKS: Final = (
    _rows, _made, _said, _keys, _wanted, _quiet, _held, _morning, _ends, _expiry, _order, _newest, _opted_out,
    _fallback,
)  # fmt: skip
