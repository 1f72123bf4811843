"""What must hold of what people did, after any storm: pure, each violation a sentence.

Each verb that was answered is in the audit once, and nothing is that nobody asked for; warnings by hand went through
exactly the versions that the audited acts call for, by rules that are written down here once more, slowly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from chaos.operators import EVACUATION, Asked
from sqlalchemy import select

from alerts.incidents.escalating import Steps
from alerts.incidents.incident import ENDS, Hand, Notice, Reason
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
    Reschedule,
    Silence,
)
from alerts.ledger import schema
from alerts.ledger.audit import Audit, Written
from alerts.ledger.ledger import Ledger
from alerts.ledger.people import People
from alerts.people.rights import chain_of
from ingest.city import City

_VERBS: Final = {
    kind.__name__.lower(): kind
    for kind in (
        Acknowledge,
        Approve,
        Assign,
        Close,
        Comment,
        Ease,
        EndSilence,
        OfficialLevel,
        Raise,
        Reschedule,
        Silence,
    )
}


def audited(ledger: Ledger) -> list[Written]:
    """The verbs on warnings, in order."""
    rows, _ = Audit(ledger.store).page(limit=10**9)
    return [row for row in reversed(rows) if row.entry.verb in _VERBS]


def act_of(row: Written) -> Act:
    """As it was done."""
    entry = row.entry
    verb: Any = msgspec.convert(dict(entry.detail), _VERBS[entry.verb])
    return Act(verb, entry.by, entry.at, entry.key, str(entry.detail["why"]))


def acts_by_position(rows: Iterable[Written]) -> dict[int, list[Act]]:
    """Position in the journal -> the acts that found everything up to it decided, in order."""
    found: dict[int, list[Act]] = defaultdict(list)
    for row in rows:
        found[row.entry.detail["position"]].append(act_of(row))
    return found


def caller(ledger: Ledger) -> Callable[[City, str, str], Steps]:
    """Who is called, by city, hazard and area, as the service asks; people and their rights must not have changed."""
    users = People(ledger.store).users
    return lambda city, hazard, area: chain_of(users, city, area, hazard)


def violations(spoken: Sequence[Asked], ledger: Ledger) -> Iterator[str]:
    """`spoken`: all that was asked."""
    head, fault = Audit(ledger.store).verify()
    if fault is not None:
        yield f"the audit's chain does not hold: row {fault.seq}, {fault.why}; up to {head}"
    rows = audited(ledger)
    notices = [notice for _, notice in ledger.notices(limit=10**9)]
    yield from _answers(spoken, rows)
    yield from _claims(rows, notices)
    yield from _two_persons(rows, notices)
    yield from _called_for(rows, notices)
    yield from _standing(rows, ledger)


def _answers(spoken: Sequence[Asked], rows: Sequence[Written]) -> Iterator[str]:
    written: dict[tuple[str, str], list[Written]] = defaultdict(list)
    for row in rows:
        written[row.entry.by, row.entry.key.rpartition(".")[0]].append(
            row
        )  # behind the point: a hash of what was asked
    asked = {(one.by, one.key): one for one in spoken}
    for key in written.keys() - asked.keys():
        yield f"in the audit, and nobody asked for it: {key}"
    for key, one in asked.items():
        found = written.get(key, [])
        what = f"{one.by} {one.key} {one.method} {one.path}"
        if not one.status:
            yield f"never answered: {what}"
        elif one.done and len(found) != 1:
            yield f"answered with success, and {len(found)} times in the audit: {what}"
        elif one.status in (403, 409) and found:
            yield f"refused, and in the audit: {what}"
        elif one.done and _said(one.answer) != _kept(found[0]):
            yield f"answered otherwise than the audit says: {what}: {_said(one.answer)} and {_kept(found[0])}"


def _said(answer: Mapping[str, Any]) -> Any:
    return answer["incidents"], [[one["incident"], one["version"]] for one in answer["versions"]]


def _kept(row: Written) -> Any:
    return list(row.entry.answer["incidents"]), [list(one) for one in row.entry.answer["versions"]]


def _claims(rows: Sequence[Written], notices: Sequence[Notice]) -> Iterator[str]:
    """A version that a person made is in the audit as what came of one act of his; and what is there was made."""
    of_version = {(notice.incident, notice.version): notice for notice in notices}
    claimed = Counter((*version, row.entry.by) for row in rows for version in row.entry.answer["versions"])
    for (incident, version, by), n in claimed.items():
        notice = of_version.get((incident, version))
        if notice is None or n > 1 or notice.by not in ("", by):
            yield f"the audit says {n} times that {by} made {incident} version {version}: {notice and notice.reason}"
    for (incident, version), notice in of_version.items():
        if notice.by and not claimed[incident, version, notice.by]:
            yield f"a version of {notice.by}'s, and the audit knows of no such act: {incident} version {version}"


def _two_persons(rows: Sequence[Written], notices: Sequence[Notice]) -> Iterator[str]:
    """Whoever says evacuate is one person; who lets it out is another one."""
    approved = {(row.entry.by, *version) for row in rows for version in row.entry.answer["versions"]
                if row.entry.verb == "approve"}  # fmt: skip
    for notice in notices:
        if notice.hand is None or notice.hand.template != EVACUATION or notice.reason in ENDS:
            continue
        if notice.by == notice.hand.by or (notice.by, notice.incident, notice.version) not in approved:
            yield f"evacuation by one person: {notice.incident} version {notice.version} by {notice.by or 'nobody'}"


@dataclass(slots=True)
class _Given:
    """A warning by hand as its acts leave it: `hand` is public at `level`; `proposed` waits for an approval."""

    hand: Hand | None = None
    proposed: Hand | None = None
    level: int = 0
    open: bool = False

    def after(self, act: Act) -> Reason | None:
        """The version that `act` calls for; None: none."""
        match act.verb:
            case Raise(hand=hand, approver=approver):
                return self._raised(hand, alone=approver and hand.template != EVACUATION)
            case Approve() if self.proposed is not None:
                return self._published(self.proposed)
            case Close(withdraw=withdraw) if self.open:
                return self.ended(Reason.WITHDRAWN if withdraw else Reason.OVER)
        return None

    def _raised(self, hand: Hand, *, alone: bool) -> Reason | None:
        if self.open and hand in (self.hand, self.proposed):
            return None
        self.proposed, self.open = hand, True
        return self._published(hand) if alone else None

    def _published(self, hand: Hand) -> Reason:
        before, self.level = self.level, hand.level
        self.hand, self.proposed = hand, None
        if not before:
            return Reason.FIRST
        if hand.level == before:
            return Reason.UPDATED
        return Reason.WORSE if hand.level > before else Reason.EASED

    def ended(self, reason: Reason) -> Reason | None:
        public, self.level, self.open, self.proposed = self.level, 0, False, None
        return reason if public else None


def _called_for(rows: Sequence[Written], notices: Sequence[Notice]) -> Iterator[str]:
    """Every incident that was given by hand, act by act and version by version."""
    of_incident: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        of_incident[notice.incident].append(notice)
    acts: dict[str, list[tuple[Written, Act]]] = defaultdict(list)
    for row in rows:
        for incident in row.entry.answer["incidents"]:
            acts[incident].append((row, act_of(row)))
    for incident, done in acts.items():
        if any(isinstance(act.verb, Raise) for _, act in done):
            yield from _story(incident, done, of_incident[incident])


def _story(incident: str, done: Sequence[tuple[Written, Act]], notices: Sequence[Notice]) -> Iterator[str]:
    given, left = _Given(), list(notices)
    for row, act in done:
        mine = {version for id_, version in row.entry.answer["versions"] if id_ == incident}
        while left and not left[0].by and left[0].version not in mine and _was_before(left[0], act):
            yield from _by_itself(given, left.pop(0))
        if given.proposed is not None and given.proposed.until < act.at:
            given.proposed, given.open = None, bool(given.level)  # what was never public ends without a word
        reason = given.after(act)
        if reason is None:
            if mine:
                yield f"{incident}: {row.entry.verb} of {act.by} made {mine}, and calls for none"
            continue
        if not left or (left[0].reason, left[0].by, left[0].level, left[0].hand) != (
            reason, act.by, given.level, given.hand,
        ):  # fmt: skip
            yield f"{incident}: {row.entry.verb} of {act.by} calls for {reason}, there is {left[:1]}"
            return
        left.pop(0)
    for notice in left:
        yield from _by_itself(given, notice)


def _was_before(notice: Notice, act: Act) -> bool:
    """What is over at the very moment of an act is over after it; a drill gives way with the entry that was before."""
    return notice.arrival < act.at or (notice.arrival == act.at and notice.reason is Reason.STOPPED)


def _by_itself(given: _Given, notice: Notice) -> Iterator[str]:
    """What no person made: its time was over, or a drill gave way."""
    over = notice.reason is Reason.OVER and given.hand is not None and notice.arrival >= given.hand.until
    stopped = notice.reason is Reason.STOPPED and notice.drill
    if not (over or stopped) or notice.by or not given.ended(notice.reason):
        yield f"{notice.incident} version {notice.version}: nobody made it, and nothing calls for {notice.reason}"


def _standing(rows: Sequence[Written], ledger: Ledger) -> Iterator[str]:
    """Silences and official levels: one row for each act that made one."""
    with ledger.store.reading() as db:
        silences = {row.id: msgspec.json.decode(row.body, type=Silence) for row in db.execute(select(schema.silence))}
        levels = [row.body for row in db.execute(select(schema.official_level).order_by(schema.official_level.c.id))]
    wanted: dict[str, Silence] = {}
    entered = []
    for act in map(act_of, rows):
        match act.verb:
            case Silence(id=id_):
                wanted.setdefault(id_, act.verb)
            case EndSilence(id=id_) if id_ in wanted and wanted[id_].until > act.at:
                wanted[id_] = replace(wanted[id_], until=act.at)
            case Reschedule(id=id_, begins=begins, until=until) if id_ in wanted:
                wanted[id_] = replace(wanted[id_], begins=begins, until=until)
            case OfficialLevel():
                entered.append(msgspec.json.encode(act.verb).decode())
    if silences != wanted:
        yield f"silences, ledger and audit: {len(silences)} and {len(wanted)}, different ones"
    if levels != entered:
        yield f"official levels, ledger and audit: {len(levels)} and {len(entered)}, different ones"
