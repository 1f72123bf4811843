"""The outbox: which messages the notices call for, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same name and the same form

from alerts.incidents.incident import Notice
from alerts.ledger import schema
from alerts.ledger.rows import notice_of
from alerts.ledger.store import Store

_KEY: Final = ["incident", "version", "channel", "recipient"]


class Status(StrEnum):
    """What became of a message."""

    QUEUED = "queued"
    SENT = "sent"  # the provider has answered that it has it
    FAILED = "failed"  # it will be tried again at next_try_at
    DEAD = "dead"  # given up; `error` says why
    SUPERSEDED = "superseded"  # a channel that carries a state was given a newer one first


@dataclass(frozen=True, slots=True, order=True)
class Address:
    channel: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one recipient; (incident, version, channel, recipient) is its key. Times ms UTC."""

    id: int
    seq: int  # of its notice
    incident: str
    version: int
    channel: str
    recipient: str
    status: Status
    attempts: int
    renewed: int
    created_at: int
    next_try_at: int | None
    sent_at: int | None
    error: str
    body: dict[str, Any]

    def sent(self, now: int) -> Message:
        return replace(self, status=Status.SENT, attempts=self.attempts + 1, next_try_at=None, sent_at=now, error="")

    def failed(self, error: str, next_try_at: int) -> Message:
        return replace(
            self, status=Status.FAILED, attempts=self.attempts + 1, next_try_at=next_try_at, error=error
        )  # fmt: skip

    def dead(self, error: str) -> Message:
        return replace(self, status=Status.DEAD, attempts=self.attempts + 1, next_try_at=None, error=error)

    def superseded(self, by_seq: int) -> Message:
        return replace(self, status=Status.SUPERSEDED, next_try_at=None, error=f"by notice {by_seq}")


@dataclass(frozen=True, slots=True)
class Pending:
    """A notice whose messages are being made; `after`: the last address that has one, in the order of addresses."""

    seq: int
    notice: Notice
    after: Address | None = None


class Outbox:
    """Every method is one short transaction and raises LedgerError when the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self) -> Pending | None:
        """The oldest notice that still lacks messages; None: all have theirs."""
        with self._store.reading() as db:
            cursor = db.execute(select(schema.fan_out)).one()
            oldest = schema.notice.c.seq >= cursor.seq if cursor.channel else schema.notice.c.seq > cursor.seq
            row = db.execute(select(schema.notice).where(oldest).order_by(schema.notice.c.seq).limit(1)).one_or_none()
        if row is None:
            return None
        return Pending(*notice_of(row), Address(cursor.channel, cursor.recipient) if cursor.channel else None)

    def queue(
        self, pending: Pending, addresses: Sequence[Address], body: dict[str, Any], now: int, *, complete: bool
    ) -> None:  # fmt: skip
        """Messages for a chunk of addresses, in their order; `complete`: the notice has all of its messages then.

        An address that has its message already keeps that one, whatever became of it.
        """
        last = Address("", "") if complete else addresses[-1]
        cursor = {"seq": pending.seq, "channel": last.channel, "recipient": last.recipient}
        with self._store.writing() as db:
            _write_content(db, pending.seq, body)
            if addresses:
                rows = [_row(pending, address, now) for address in addresses]
                db.execute(insert(schema.message).on_conflict_do_nothing(index_elements=_KEY), rows)
            db.execute(update(schema.fan_out), cursor)

    def queue_again(self, again: Sequence[tuple[Pending, Address, dict[str, Any]]], now: int) -> None:
        """The messages of these keys are due once more, whatever became of them."""
        due = {"status": Status.QUEUED.value, "next_try_at": now, "renewed": schema.message.c.renewed + 1}
        with self._store.writing() as db:
            for pending, address, body in again:
                row = _row(pending, address, now)
                _write_content(db, pending.seq, body)
                db.execute(insert(schema.message).values(row).on_conflict_do_update(index_elements=_KEY, set_=due))

    def newest_notices(self) -> list[Pending]:
        """The newest notice of every hazard and area that ever had one, in their order."""
        table = schema.notice
        newest = select(func.max(table.c.seq)).group_by(table.c.area, table.c.hazard)
        with self._store.reading() as db:
            rows = db.execute(select(table).where(table.c.seq.in_(newest)).order_by(table.c.seq))
            return [Pending(*notice_of(row)) for row in rows]

    def due(self, channel: str, now: int, limit: int) -> list[Message]:
        """At most `limit` messages of the channel to send now, those that have waited longest first."""
        table = schema.message
        query = (
            select(table, schema.content.c.body)
            .join(schema.content, schema.content.c.seq == table.c.seq)
            .where(table.c.channel == channel, table.c.next_try_at <= now)
            .order_by(table.c.next_try_at, table.c.id)
            .limit(limit)
        )
        with self._store.reading() as db:
            return [_message(row._asdict()) for row in db.execute(query)]

    def newest(self, channel: str, recipients: Collection[str]) -> dict[str, int]:
        """The number of the newest notice that each recipient has a message of, sent or not."""
        table = schema.message
        query = (
            select(table.c.recipient, func.max(table.c.seq).label("newest"))
            .where(table.c.channel == channel, table.c.recipient.in_(recipients))
            .group_by(table.c.recipient)
        )
        with self._store.reading() as db:
            return {row.recipient: row.newest for row in db.execute(query)}

    def mark(self, messages: Sequence[Message]) -> None:
        """Writes down what became of them; one that was made due again meanwhile stays due."""
        if not messages:
            return
        table = schema.message
        columns = ("status", "attempts", "next_try_at", "sent_at", "error")
        change = (
            update(table)
            .where(table.c.id == bindparam("key"), table.c.renewed == bindparam("seen"))
            .values({c: bindparam(f"new_{c}") for c in columns})
        )
        rows = [{"key": m.id, "seen": m.renewed, **{f"new_{c}": getattr(m, c) for c in columns}} for m in messages]
        with self._store.writing() as db:
            db.execute(change, rows)


def _write_content(db: Connection, seq: int, body: dict[str, Any]) -> None:
    row = {"seq": seq, "body": msgspec.json.encode(body).decode()}
    db.execute(insert(schema.content).values(row).on_conflict_do_nothing(index_elements=["seq"]))


def _row(pending: Pending, address: Address, now: int) -> dict[str, Any]:
    notice = pending.notice
    return {
        "seq": pending.seq, "incident": notice.incident, "version": notice.version, "channel": address.channel,
        "recipient": address.recipient, "status": Status.QUEUED.value, "attempts": 0, "renewed": 0, "created_at": now,
        "next_try_at": now, "sent_at": None, "error": "",
    }  # fmt: skip


def _message(columns: dict[str, Any]) -> Message:
    return Message(**columns | {"status": Status(columns["status"]), "body": msgspec.json.decode(columns["body"])})
