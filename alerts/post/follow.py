"""From the ledger's notices and the residents' errands to tellings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from alerts.delivery.parcel import Status
from alerts.incidents.incident import Notice
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.store import contact, errand
from alerts.post.telling import telling_of
from alerts.words.call import CALL

CHUNK: Final = 500  # notices or errands a transaction

_PROGRESS: Final = select(schema.progress)
_MOVED: Final = update(schema.progress)
_LEADER: Final = select(func.min(schema.telling.c.seq)).where(
    schema.telling.c.event == bindparam("of"), schema.telling.c.arrival == bindparam("at"),
    schema.telling.c.reason == bindparam("why"), schema.telling.c.lane == bindparam("lane"),
    schema.telling.c.after == 0,
)  # fmt: skip
_TELLING: Final = insert(schema.telling).on_conflict_do_nothing()
_MESSAGE: Final = insert(schema.message).on_conflict_do_nothing()
_ERRANDS: Final = (
    select(errand, contact.c.via)
    .join(contact, contact.c.id == errand.c.contact)
    .where(errand.c.id > bindparam("after"))
    .order_by(errand.c.id)
    .limit(CHUNK)
)


class Notices(Protocol):
    """The reading side of the ledger that is followed."""

    def numbered(self, after_seq: int, limit: int) -> Sequence[tuple[int, Notice, int | None]]: ...


class Follower:
    def __init__(self, store: Store, notices: Notices) -> None:
        self._store, self._notices = store, notices

    def turn(self, now: int) -> int:
        """Tellings of what is new; how much that was. Raises LedgerError.

        What had expired before we came to it, after a long absence, is not told any more.
        """
        with self._store.reading() as db:
            cursor = db.execute(_PROGRESS).one_or_none()
            errands = db.execute(_ERRANDS, {"after": cursor.errand if cursor is not None else 0}).all()
        new = self._notices.numbered(cursor.notice if cursor is not None else 0, CHUNK)
        if not new and not errands:
            return 0
        with self._store.writing() as db:
            if cursor is None:
                db.execute(insert(schema.progress), {"id": 1, "notice": 0, "errand": 0, "call": 0})
            for seq, notice, entry in new:
                self._tell(db, seq, notice, entry, now)
            for one in errands:
                _send_on(db, one, now)
            if new:
                db.execute(_MOVED.values(notice=new[-1][0]))
            if errands:
                db.execute(_MOVED.values(errand=errands[-1].id))
        return len(new) + len(errands)

    def _tell(self, db: Connection, seq: int, notice: Notice, entry: int | None, now: int) -> None:
        telling = telling_of(seq, notice, seq, entry)
        if telling is None or telling.expires_at <= now:
            return
        leader = seq
        # What a city event brings at one moment is told as one: what is as urgent, and has no messages yet.
        if notice.event:
            asked = {"of": notice.event, "at": notice.arrival, "why": notice.reason.value, "lane": int(telling.lane)}
            leader = db.execute(_LEADER, asked).scalar() or seq
        # A follower's messages are made with its leader's.
        row = asdict(telling) | {"leader": leader, "after": 0 if leader == seq else None, "lane": int(telling.lane)}
        db.execute(_TELLING, row)


def _send_on(db: Connection, one: Any, now: int) -> None:
    """An errand is a telling to a single contact, whose message is made at once."""
    if one.expires_at <= now:
        return
    seq = -one.id
    db.execute(_TELLING, {
        "seq": seq, "incident": f"errand.{one.id}", "version": 1, "hazard": "", "area": "", "level": 0,
        "reason": one.kind, "arrival": one.created_at, "event": "", "lane": one.lane, "expires_at": one.expires_at,
        "entry": None, "leader": seq, "after": None,
    })  # fmt: skip
    message = new_message(seq, one.contact, one.via, one.lane, one.created_at, one.expires_at)
    if one.kind == CALL:  # before everything else of its lane, however much of that waits
        message["next_try_at"] = 0
    db.execute(_MESSAGE, message)


def new_message(seq: int, to: int, via: str, lane: int, now: int, expires_at: int) -> dict[str, Any]:
    return {
        "seq": seq, "contact": to, "via": via, "lane": lane, "status": Status.QUEUED.value, "attempts": 0,
        "heard_only": False, "leader": None, "created_at": now, "since": now, "next_try_at": now,
        "expires_at": expires_at, "sent_at": None, "received_at": None, "provider_id": "", "maybe": False,
        "fell_back": False, "error": "",
    }  # fmt: skip
