"""Why: every decision about an incident and every call of operators, written with what they decided, and read again.

An incident keeps at most DECISIONS_MOST decisions. Beyond them the oldest of what merely happened goes, first what was
not confirmed yet or waited, then levels that rose and fell and the like; what was published, confirmed, withheld or
done by a person never does. The numbers of what is left tell how many went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, case, delete, func, select
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same name and the same form

from alerts.incidents.decision import Call, Decided, Decision
from alerts.ledger import schema
from alerts.ledger.store import Store

DECISIONS_MOST: Final = 2_000  # of one incident: four days with a change every three minutes
CALLS_MOST: Final = 500  # of one incident in one answer, the newest; none is ever dropped
_LOOK_EVERY: Final = 100  # decisions of one incident; only then those that are kept are counted
_STAY: Final = (Decided.PUBLISHED, Decided.CONFIRMED, Decided.UNATTENDED, Decided.WITHHELD, Decided.ACTED)
_FIRST_TO_GO: Final = (Decided.UNCONFIRMED, Decided.WAITS)

_DECISION, _CALL, _MESSAGE = schema.decision, schema.call, schema.message
_NEWEST: Final = select(func.max(_DECISION.c.number)).where(_DECISION.c.incident == bindparam("of"))
_COUNTED: Final = select(func.count()).where(_DECISION.c.incident == bindparam("of"))
_OLDEST: Final = (
    select(_DECISION.c.id)
    .where(
        _DECISION.c.incident == bindparam("of"),
        _DECISION.c.what.not_in(_STAY),
        _DECISION.c.number < bindparam("newest"),  # the next number is counted from it
    )
    .order_by(case((_DECISION.c.what.in_(_FIRST_TO_GO), 0), else_=1), _DECISION.c.number)
    .limit(bindparam("most"))
)
_DROPPED: Final = delete(_DECISION).where(_DECISION.c.id.in_(_OLDEST))
_NEW_DECISION: Final = insert(_DECISION)
# A call that stands already has been made: it is no reason to refuse everything else that was decided with it.
_NEW_CALL: Final = insert(_CALL).on_conflict_do_nothing(index_elements=["incident", "number", "at"])


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision, its number within its incident, and the position of the entry that called for it (None: an act)."""

    number: int
    entry: int | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class Delivered:
    """How many messages of a version stand at `status` on a channel."""

    version: int
    channel: str
    status: str
    count: int


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of why an incident is as it is. `made`: how many decisions there ever were, also the dropped."""

    decisions: tuple[Kept, ...]
    calls: tuple[Call, ...]
    delivered: tuple[Delivered, ...]
    made: int

    @property
    def dropped(self) -> int:
        return self.made - len(self.decisions)


def write(db: Connection, decisions: Sequence[Decision], calls: Sequence[Call], entry: int | None) -> None:
    """Into the open transaction `db`, in their order. `entry`: the position that called for them; None: an act did.

    A decision without an incident (nothing was ever opened) is nobody's to ask for, and is not kept.
    """
    of_incidents = [one for one in decisions if one.incident]
    if of_incidents:
        _write_decisions(db, of_incidents, entry)
    if calls:
        db.execute(_NEW_CALL, [_call_row(call) for call in calls])


def _write_decisions(db: Connection, decisions: Sequence[Decision], entry: int | None) -> None:
    known: dict[str, int] = {}  # asked for one by one: the end of an index, where a grouping would read all of it
    for incident in dict.fromkeys(one.incident for one in decisions):
        newest = db.execute(_NEWEST, {"of": incident}).scalar_one()
        known[incident] = 0 if newest is None else newest + 1
    following = dict(known)
    rows = []
    for one in decisions:
        rows.append(_decision_row(one, following[one.incident], entry))
        following[one.incident] += 1
    db.execute(_NEW_DECISION, rows)
    for incident, number in following.items():
        if number // _LOOK_EVERY > known[incident] // _LOOK_EVERY:
            _drop(db, incident, number - 1)


def _drop(db: Connection, incident: str, newest: int) -> None:
    too_many = db.execute(_COUNTED, {"of": incident}).scalar_one() - (DECISIONS_MOST - _LOOK_EVERY)
    if too_many > 0:
        db.execute(_DROPPED, {"of": incident, "newest": newest, "most": too_many})


def read(store: Store, incident: str) -> Record:
    """The decisions in their order, the newest calls in theirs, and what became of the messages. Raises LedgerError."""
    decisions = select(_DECISION).where(_DECISION.c.incident == incident).order_by(_DECISION.c.number)
    calls = select(_CALL).where(_CALL.c.incident == incident).order_by(_CALL.c.id.desc()).limit(CALLS_MOST)
    key = (_MESSAGE.c.version, _MESSAGE.c.channel, _MESSAGE.c.status)
    delivered = select(*key, func.count()).where(_MESSAGE.c.incident == incident).group_by(*key).order_by(*key)
    with store.reading() as db:
        kept = tuple(_kept(row) for row in db.execute(decisions))
        return Record(
            kept, tuple(_call(row) for row in db.execute(calls))[::-1],
            tuple(Delivered(*row) for row in db.execute(delivered)), kept[-1].number + 1 if kept else 0,
        )  # fmt: skip


def calls_after(store: Store, after_id: int, limit: int) -> list[tuple[int, Call]]:
    """Calls of operators after number `after_id`, in order, each with its number. Raises LedgerError."""
    query = select(_CALL).where(_CALL.c.id > after_id).order_by(_CALL.c.id).limit(limit)
    with store.reading() as db:
        return [(row.id, _call(row)) for row in db.execute(query)]


def _decision_row(one: Decision, number: int, entry: int | None) -> dict[str, Any]:
    return {
        "incident": one.incident, "number": number, "at": one.at, "entry": entry, "what": one.what.value,
        "because": one.because, "sensor": one.sensor, "rule": one.rule, "level": one.level,
        "detail": msgspec.json.encode(one.detail).decode(),
    }  # fmt: skip


def _kept(row: Row[Any]) -> Kept:
    detail = msgspec.json.decode(row.detail, type=dict[str, Any])
    decision = Decision(
        row.incident, row.at, Decided(row.what), row.because, row.sensor, row.rule, row.level, detail
    )  # fmt: skip
    return Kept(row.number, row.entry, decision)


def _call_row(call: Call) -> dict[str, Any]:
    return {"incident": call.incident, "number": call.number, "at": call.at, "asks": call.asks, "level": call.level,
            "to": msgspec.json.encode(call.to).decode()}  # fmt: skip


def _call(row: Row[Any]) -> Call:
    return Call(
        row.incident, row.number, msgspec.json.decode(row.to, type=tuple[str, ...]), row.at, row.asks, row.level
    )
