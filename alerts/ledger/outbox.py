"""The outbox: which messages the notices call for, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same name and the same form

from alerts.delivery.parcel import Status
from alerts.incidents.incident import Notice
from alerts.ledger import schema
from alerts.ledger.rows import notice_of
from alerts.ledger.store import Store

_KEY: Final = ["incident", "version", "channel", "recipient"]
_CHANGES: Final = ("status", "attempts", "next_try_at", "sent_at", "error")  # what an answer changes of a message

# Made once: to make a statement anew costs more than to run it, and every channel asks each second.
_MESSAGE, _NOTICE = schema.message, schema.notice
_CURSOR: Final = select(schema.fan_out)
_OLDEST: Final = (
    select(_NOTICE).where(_NOTICE.c.seq >= bindparam("first")).order_by(_NOTICE.c.seq).limit(bindparam("most"))
)
_NEW_CONTENT: Final = insert(schema.content).on_conflict_do_nothing(index_elements=["seq"])
_CONTENT: Final = select(schema.content.c.body).where(schema.content.c.seq == bindparam("of"))
_CONTENTS: Final = select(schema.content).where(schema.content.c.seq.in_(bindparam("seqs", expanding=True)))
_NEW: Final = insert(_MESSAGE).on_conflict_do_nothing(index_elements=_KEY)
_INSERTED: Final = insert(_MESSAGE)
_NEW_OR_AGAIN: Final = _INSERTED.on_conflict_do_update(
    index_elements=_KEY,
    set_={name: _INSERTED.excluded[name] for name in ("status", "next_try_at")} | {"renewed": _MESSAGE.c.renewed + 1},
)
_MOVED: Final = update(schema.fan_out).values({name: bindparam(name) for name in ("seq", "channel", "recipient")})
_NEWEST_NOTICES: Final = (
    select(_NOTICE)
    .where(
        _NOTICE.c.seq.in_(
            select(func.max(_NOTICE.c.seq))
            .where(~_NOTICE.c.planned)
            .group_by(_NOTICE.c.area, _NOTICE.c.hazard, _NOTICE.c.drill)
        )
    )
    .order_by(_NOTICE.c.seq)
)
_DUE: Final = (
    select(_MESSAGE, schema.content.c.body, _NOTICE.c.entry)
    .join(schema.content, schema.content.c.seq == _MESSAGE.c.seq)
    .join(_NOTICE, _NOTICE.c.seq == _MESSAGE.c.seq)
    .where(
        _MESSAGE.c.channel == bindparam("of"),
        _MESSAGE.c.next_try_at <= bindparam("now"),
        _MESSAGE.c.id.not_in(bindparam("but", expanding=True)),
    )
    .order_by(_MESSAGE.c.next_try_at, _MESSAGE.c.id)
    .limit(bindparam("most"))
)
# Of an incident a recipient gets one version after the other. One that has failed and waits for its next try holds no
# newer one up: it never goes out after that (`overtaken`).
_OLDER, _NEWER = _MESSAGE.alias(), _MESSAGE.alias()
_DUE_IN_ORDER: Final = _DUE.where(
    ~select(_OLDER.c.id)
    .where(
        _OLDER.c.incident == _MESSAGE.c.incident, _OLDER.c.version < _MESSAGE.c.version,
        _OLDER.c.channel == _MESSAGE.c.channel, _OLDER.c.recipient == _MESSAGE.c.recipient,
        _OLDER.c.next_try_at.is_not(None),
        or_(_OLDER.c.status != Status.FAILED.value, _OLDER.c.next_try_at <= bindparam("now")),
    )
    .exists()
)  # fmt: skip
_OVERTAKEN: Final = (
    select(_MESSAGE.c.id, func.max(_NEWER.c.seq).label("newest"))
    .join(
        _NEWER,
        (_NEWER.c.incident == _MESSAGE.c.incident) & (_NEWER.c.version > _MESSAGE.c.version)
        & (_NEWER.c.channel == _MESSAGE.c.channel) & (_NEWER.c.recipient == _MESSAGE.c.recipient),
    )
    .where(_MESSAGE.c.id.in_(bindparam("ids", expanding=True)))
    .group_by(_MESSAGE.c.id)
)  # fmt: skip
_NEWEST: Final = (
    select(_MESSAGE.c.recipient, func.max(_MESSAGE.c.seq).label("newest"))
    .where(_MESSAGE.c.channel == bindparam("of"), _MESSAGE.c.recipient.in_(bindparam("recipients", expanding=True)))
    .group_by(_MESSAGE.c.recipient)
)
_MARKED: Final = (
    update(_MESSAGE)
    .where(_MESSAGE.c.id == bindparam("key"), _MESSAGE.c.renewed == bindparam("seen"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGES})
)
_WAITING: Final = (
    select(func.count(), func.min(_NOTICE.c.arrival))
    .select_from(_MESSAGE.join(_NOTICE, _NOTICE.c.seq == _MESSAGE.c.seq))
    .where(_MESSAGE.c.next_try_at.is_not(None))
)
_GIVEN_UP: Final = (
    update(_MESSAGE)
    .where(
        _MESSAGE.c.next_try_at.is_not(None),
        _MESSAGE.c.channel.in_(bindparam("channels", expanding=True)),
        _MESSAGE.c.seq.in_(select(_NOTICE.c.seq).where(_NOTICE.c.arrival <= bindparam("until"))),
    )
    .values(status=bindparam("new_status"), next_try_at=None, error=bindparam("why"))
)


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
    entry: int | None = None  # position of the entry of the journal that called for it

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
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """Messages for some addresses of a notice, in their order; `complete`: then the notice has all of its messages."""

    pending: Pending
    addresses: Sequence[Address]
    body: dict[str, Any]
    complete: bool


class Outbox:
    """Every method is one short transaction and raises LedgerError when the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def pending(self) -> Pending | None:
        """The oldest notice that still lacks messages; None: all have theirs."""
        return next(iter(self.pendings(1)), None)

    def pendings(self, most: int) -> list[Pending]:
        """The oldest `most` notices that still lack messages; only the first may have some."""
        with self._store.reading() as db:
            cursor = db.execute(_CURSOR).one()
            first = cursor.seq if cursor.channel else cursor.seq + 1
            rows = db.execute(_OLDEST, {"first": first, "most": most}).all()
        after = Address(cursor.channel, cursor.recipient) if cursor.channel else None
        return [Pending(*notice_of(row), after if row.seq == cursor.seq else None, row.entry) for row in rows]

    def queue(
        self, pending: Pending, addresses: Sequence[Address], body: dict[str, Any], now: int, *, complete: bool
    ) -> None:  # fmt: skip
        """As `queue_all`, of one notice."""
        self.queue_all([Made(pending, addresses, body, complete)], now)

    def queue_all(self, made: Sequence[Made], now: int) -> None:
        """Messages for the oldest notices that lack some, in their order; all of them but the last `complete`.

        An address that has its message already keeps that one, whatever became of it.
        """
        newest = made[-1]
        last = Address("", "") if newest.complete else newest.addresses[-1]
        cursor = {"seq": newest.pending.seq, "channel": last.channel, "recipient": last.recipient}
        rows = [_row(one.pending, address, now) for one in made for address in one.addresses]
        with self._store.writing() as db:
            db.execute(_NEW_CONTENT, [_content(one.pending.seq, one.body) for one in made])
            if rows:
                db.execute(_NEW, rows)
            db.execute(_MOVED, cursor)

    def queue_again(self, again: Sequence[tuple[Pending, Address, dict[str, Any]]], now: int) -> None:
        """The messages of these keys are due once more, whatever became of them."""
        with self._store.writing() as db:
            for pending, address, body in again:
                db.execute(_NEW_CONTENT, _content(pending.seq, body))
                db.execute(_NEW_OR_AGAIN, _row(pending, address, now))

    def newest_notices(self) -> list[Pending]:
        """The newest notice of every hazard and area that ever had one, in their order; nothing of what is planned."""
        with self._store.reading() as db:
            return [Pending(*notice_of(row)) for row in db.execute(_NEWEST_NOTICES)]

    def content(self, seq: int) -> dict[str, Any] | None:
        """What the notice of that number says, once it has been made."""
        with self._store.reading() as db:
            body = db.execute(_CONTENT, {"of": seq}).scalar()
        return None if body is None else dict(msgspec.json.decode(body))

    def contents(self, seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
        """What the notices of those numbers say, those that have been made."""
        with self._store.reading() as db:
            rows = db.execute(_CONTENTS, {"seqs": list(seqs)})
            return {row.seq: msgspec.json.decode(row.body) for row in rows}

    def due(
        self, channel: str, now: int, limit: int, *, in_order: bool = False, but: Collection[int] = ()
    ) -> list[Message]:  # fmt: skip
        """At most `limit` messages of the channel to send now, those that have waited longest first; `but`: not these.

        `in_order`: none while an older version of the same is due, or being sent, to the same recipient.
        """
        asked = {"of": channel, "now": now, "most": limit, "but": list(but)}
        with self._store.reading() as db:
            return [_message(row._asdict()) for row in db.execute(_DUE_IN_ORDER if in_order else _DUE, asked)]

    def newest(self, channel: str, recipients: Collection[str]) -> dict[str, int]:
        """The number of the newest notice that each recipient has a message of, sent or not."""
        if not recipients:
            return {}
        with self._store.reading() as db:
            rows = db.execute(_NEWEST, {"of": channel, "recipients": list(recipients)})
            return {row.recipient: row.newest for row in rows}

    def overtaken(self, messages: Sequence[Message]) -> dict[int, int]:
        """Of those that the same recipient has a newer version of, sent or not: id -> the notice of the newest."""
        if not messages:
            return {}
        with self._store.reading() as db:
            rows = db.execute(_OVERTAKEN, {"ids": [one.id for one in messages]})
            return {row.id: row.newest for row in rows}

    def mark(self, messages: Sequence[Message]) -> None:
        """Writes down what became of them; one that was made due again meanwhile stays due."""
        if not messages:
            return
        rows = [{"key": m.id, "seen": m.renewed, **{f"new_{c}": getattr(m, c) for c in _CHANGES}} for m in messages]
        with self._store.writing() as db:
            db.execute(_MARKED, rows)

    def waiting(self) -> tuple[int, int | None]:
        """How many messages are not done with, and the arrival of what called for the oldest of them (ms UTC)."""
        with self._store.reading() as db:
            count, oldest = db.execute(_WAITING).one()
            return count, oldest

    def give_up(self, channels: Collection[str], until: int, why: str) -> int:
        """No message of these channels for a notice up to `until` (arrival, ms UTC) is sent any more; how many."""
        given = {"channels": list(channels), "until": until, "new_status": Status.DEAD.value, "why": why}
        with self._store.writing() as db:
            return db.execute(_GIVEN_UP, given).rowcount if channels else 0


def _content(seq: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"seq": seq, "body": msgspec.json.encode(body).decode(), "code": body.get("code")}


def _row(pending: Pending, address: Address, now: int) -> dict[str, Any]:
    notice = pending.notice
    return {
        "seq": pending.seq, "incident": notice.incident, "version": notice.version, "channel": address.channel,
        "recipient": address.recipient, "status": Status.QUEUED.value, "attempts": 0, "renewed": 0, "created_at": now,
        "next_try_at": now, "sent_at": None, "error": "",
    }  # fmt: skip


def _message(columns: dict[str, Any]) -> Message:
    return Message(**columns | {"status": Status(columns["status"]), "body": msgspec.json.decode(columns["body"])})
