"""What became of messages, for operators; and one of them due again by a person's act.

The desk's messages and the residents' lie in different files, in tables of one form: a `Side` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, null, or_, select, update

from alerts.delivery.parcel import Status
from alerts.ledger import audit, schema
from alerts.ledger.audit import Entry
from alerts.ledger.people import By
from alerts.ledger.store import Store

SideName: TypeAlias = Literal["desk", "post"]
Q = TypeVar("Q", bound=Select[Any])
STEP_MS: Final = 100  # how finely times are told: few rows then tell of a million messages
VERB: Final = "send_again"


class NotAgainError(Exception):
    """It cannot be sent again as things stand; one line that says why. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Side:
    """Where one side's messages are. `version`: the table of what they tell, by `seq`.

    `to`: whom, as the table has it; `recipient`: as people read it. `began`: since when a message waited (ms UTC),
    a column of either table.
    `anew(now)`: what makes a dead one due once more, beside its status.
    """

    name: SideName
    message: Table
    version: Table
    channel: ColumnElement[str]
    to: ColumnElement[Any]
    recipient: ColumnElement[str]
    began: ColumnElement[int]
    received_at: ColumnElement[Any]
    anew: Callable[[int], Mapping[str, Any]]


def _anew(now: int) -> Mapping[str, Any]:
    return {"created_at": now, "renewed": _MESSAGE.c.renewed + 1}


_MESSAGE: Final = schema.message
DESK: Final = Side(
    "desk", _MESSAGE, schema.notice, _MESSAGE.c.channel, _MESSAGE.c.recipient, _MESSAGE.c.recipient,
    _MESSAGE.c.created_at, null(), _anew,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """Which messages; None: whichever. `channel`: "webhook" for all that are called "webhook:…" as well."""

    incident: str | None = None
    version: int | None = None
    channel: str | None = None
    status: Status | None = None
    areas: Collection[str] | None = None
    hazards: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message. Times ms UTC; `recipient` is no address. `received_at`: the provider says that it arrived."""

    id: int
    channel: str
    recipient: str
    incident: str
    version: int
    hazard: str
    area: str
    status: Status
    attempts: int
    created_at: int
    next_try_at: int | None
    sent_at: int | None
    received_at: int | None
    error: str


class Deliveries:
    """Of one side, from any thread. `ledger`: where the audit is. Methods raise LedgerError."""

    def __init__(self, side: Side, store: Store, ledger: Store) -> None:
        self.side, self._store, self._ledger = side, store, ledger

    def page(self, asked: Asked, *, before: int | None, limit: int) -> tuple[list[Delivered], int | None]:
        """The newest first, those below number `before`; and the `before` of the next page (None: no more)."""
        id_ = self.side.message.c.id
        query = self._wanted(self._rows(), asked).order_by(id_.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(id_ < before)
        with self._store.reading() as db:
            found = [_delivered(row) for row in db.execute(query)]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def one(self, id_: int) -> Delivered | None:
        with self._store.reading() as db:
            row = db.execute(self._rows().where(self.side.message.c.id == id_)).one_or_none()
        return None if row is None else _delivered(row)

    def counts(self, asked: Asked) -> dict[tuple[str, Status], int]:
        """(channel, status) -> how many. All of them are read: ask for one incident."""
        channel, status = self.side.channel.label("channel"), self.side.message.c.status
        query = self._wanted(self._with_version(select(channel, status, func.count())), asked)
        with self._store.reading() as db:
            rows = db.execute(query.group_by(channel, status).order_by(channel, status)).all()
        return {(of, Status(became)): count for of, became, count in rows}

    def times(self, asked: Asked) -> list[tuple[str, int, int]]:
        """(channel, ms, how many) of what was sent, ascending: from the wait to the answer, up to whole steps."""
        channel, took = self.side.channel.label("channel"), self.side.message.c.sent_at - self.side.began
        steps = ((took + STEP_MS - 1) // STEP_MS).label("steps")
        query = self._wanted(self._with_version(select(channel, steps, func.count())), asked)
        query = query.where(self.side.message.c.sent_at.is_not(None)).group_by(channel, steps).order_by(channel, steps)
        with self._store.reading() as db:
            return [(of, max(0, number) * STEP_MS, count) for of, number, count in db.execute(query)]

    def again(self, one: Delivered, by: By, why: str) -> bool:
        """A dead message is due once more, with its key; written into the audit first. False: done before, by that key.

        Raises NotAgainError.
        """
        entry = Entry(by.at, by.name, VERB, f"{self.side.name}/{one.id}", by.key, {
            "incident": one.incident, "version": one.version, "channel": one.channel, "recipient": one.recipient,
            "why": why,
        })  # fmt: skip
        with self._ledger.reading() as db:
            if audit.find(db, by.name, by.key) is not None:
                return False
        with self._store.reading() as db:
            self._check(db, one)
        with self._ledger.writing() as db:
            written, new = audit.append(db, entry)
        audit.tell(written)
        if new:
            message = self.side.message
            due = {"status": Status.QUEUED.value, "next_try_at": by.at, **self.side.anew(by.at)}
            still = (message.c.id == one.id, message.c.status == Status.DEAD.value)
            with self._store.writing() as db:
                db.execute(update(message).where(*still).values(due))
        return new

    def _check(self, db: Connection, one: Delivered) -> None:
        row = db.execute(self._rows().where(self.side.message.c.id == one.id)).one()
        if row.status != Status.DEAD.value:
            raise NotAgainError(f"it is {row.status}; only what was given up is sent again by hand")
        message, version = self.side.message, self.side.version
        same = (self.side.to == row.to, self.side.channel == row.channel, version.c.incident == row.incident)
        query = self._with_version(select(func.max(version.c.version))).where(*same, message.c.id != one.id)
        newest = db.execute(query).scalar()
        if newest is not None and newest > row.version and row.incident:
            raise NotAgainError(f"version {newest} of the same took its place; send that one again")

    def _rows(self) -> Select[Any]:
        side, message, version = self.side, self.side.message.c, self.side.version.c
        return self._with_version(select(
            message.id, side.channel.label("channel"), side.recipient.label("recipient"), side.to.label("to"),
            version.incident, version.version, version.hazard, version.area, message.status, message.attempts,
            message.created_at, message.next_try_at, message.sent_at, side.received_at.label("received_at"),
            message.error,
        ))  # fmt: skip

    def _with_version(self, query: Q) -> Q:
        message, version = self.side.message, self.side.version
        return query.select_from(message.join(version, version.c.seq == message.c.seq))

    def _wanted(self, query: Q, asked: Asked) -> Q:
        channel, version = self.side.channel, self.side.version.c
        conditions: Sequence[ColumnElement[bool] | None] = (
            None if asked.incident is None else version.incident == asked.incident,
            None if asked.version is None else version.version == asked.version,
            None if asked.channel is None
            else or_(channel == asked.channel, channel.startswith(f"{asked.channel}:", autoescape=True)),
            None if asked.status is None else self.side.message.c.status == asked.status.value,
            None if asked.areas is None else version.area.in_(sorted(asked.areas)),
            None if asked.hazards is None else version.hazard.in_(sorted(asked.hazards)),
        )  # fmt: skip
        return query.where(*(one for one in conditions if one is not None))


def _delivered(row: Row[Any]) -> Delivered:
    columns = {name: value for name, value in row._asdict().items() if name != "to"}
    return Delivered(**columns | {"status": Status(row.status)})
