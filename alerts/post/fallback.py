"""Where the first way does not get through: messages to a resident's fallback contacts, and the end of what expired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, false, literal, null, select, true, update
from sqlalchemy.dialects.sqlite import insert as upsert

from alerts.delivery.parcel import Lane, Status
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.expand import COLUMNS
from alerts.post.store import contact
from alerts.post.together import join

LATE_MS: Final = 300_000  # danger that could not be sent for so long goes to the fallback contacts as well
MOST: Final = 500  # messages a step, of one provider
LOOKED_AT: Final = 2_000  # of those that wait, at the head of a lane: what expires has waited longest

_T, _M = schema.telling, schema.message
_OTHER_VERSION, _OTHER_TELLING = _M.alias(), _T.alias()
# Of the same incident, to the same contact.
_NEWEST: Final = (
    select(_OTHER_VERSION.c.id)
    .join(_OTHER_TELLING, _OTHER_TELLING.c.seq == _OTHER_VERSION.c.seq)
    .where(_OTHER_TELLING.c.incident == _T.c.incident, _OTHER_VERSION.c.contact == _M.c.contact)
    .order_by(_OTHER_VERSION.c.seq.desc())
    .limit(1)
    .correlate(_M, _T)
    .scalar_subquery()
)
_NEWEST_OF: Final = (
    select(_NEWEST)
    .select_from(_M.join(_T, _T.c.seq == _M.c.seq))
    .where(_M.c.id.in_(bindparam("ids", expanding=True)), _M.c.fell_back.is_(False))
)
_SPARE: Final = contact.alias()
_TO_SPARE: Final = (
    select(
        _M.c.seq, _SPARE.c.id, _SPARE.c.via, _M.c.lane, literal(Status.QUEUED.value), literal(0), _M.c.heard_only,
        null(), bindparam("now"), bindparam("now"), bindparam("now"), _M.c.expires_at, null(), null(), literal(""),
        false(), true(), literal(""),
    )
    .select_from(
        _M.join(contact, contact.c.id == _M.c.contact).join(
            _SPARE,
            (_SPARE.c.resident == contact.c.resident) & _SPARE.c.fallback & (_SPARE.c.state == "active"),
        )
    )
    .where(_M.c.id.in_(bindparam("ids", expanding=True)), _M.c.seq > 0, _M.c.status != Status.SENT.value,
           _M.c.expires_at > bindparam("now"))
)  # fmt: skip
_MADE: Final = (
    upsert(_M)
    .from_select(COLUMNS, _TO_SPARE, include_defaults=False)
    .on_conflict_do_nothing()
    .returning(_M.c.id, _M.c.seq, _M.c.contact)
)
# And what was to be told with it.
_WITH: Final = select(_M.c.id).where(
    _M.c.leader.in_(bindparam("ids", expanding=True)), _M.c.status == Status.MERGED.value
)
_OVERDUE: Final = (
    select(_M.c.id)
    .where(_M.c.via == bindparam("of"), _M.c.lane == int(Lane.URGENT), _M.c.next_try_at.is_not(None),
           _M.c.since < bindparam("before"), _M.c.fell_back.is_(False))
    .limit(MOST)
)  # fmt: skip
_HEAD: Final = (
    select(_M.c.id, _M.c.expires_at, _M.c.status)
    .where(_M.c.via == bindparam("of"), _M.c.lane == bindparam("in_lane"), _M.c.next_try_at.is_not(None))
    .order_by(_M.c.next_try_at, _M.c.id)
    .limit(LOOKED_AT)
    .subquery()
)
_STALE: Final = select(_HEAD.c.id).where(
    _HEAD.c.expires_at <= bindparam("now"), _HEAD.c.status.in_([Status.QUEUED.value, Status.FAILED.value])
)


def fall_back(db: Connection, messages: Sequence[int], now: int) -> int:
    """Messages to the fallback contacts of those whose messages these are, of what was to be told with them as well;
    how many were made. Of errands none: a code proves the address that it was sent to.

    They get the newest version that these have one of: whatever is newer still comes to them by itself.
    """
    ours = {*messages, *db.execute(_WITH, {"ids": list(messages)}).scalars()}
    newest = set(db.execute(_NEWEST_OF, {"ids": list(ours)}).scalars())
    made = db.execute(_MADE, {"ids": list(newest), "now": now}).all() if newest else []
    join(db, made, now)
    db.execute(update(_M).where(_M.c.id.in_(ours | newest)).values(fell_back=True))
    return len(made)


def fall_back_late(store: Store, via: str, now: int) -> int:
    """What is urgent and has waited too long for this provider; how many messages were made. Raises LedgerError."""
    with store.reading() as db:
        overdue = db.execute(_OVERDUE, {"of": via, "before": now - LATE_MS}).scalars().all()
    if not overdue:
        return 0
    with store.writing() as db:
        return fall_back(db, overdue, now)


def expire(store: Store, via: str, now: int) -> int:
    """What has expired while this provider took nothing: it is given up, visibly, also while nothing is asked for.

    Raises LedgerError.
    """
    stale: list[int] = []
    with store.reading() as db:
        for lane in Lane:
            stale += db.execute(_STALE, {"of": via, "in_lane": int(lane), "now": now}).scalars().all()
    if stale:
        with store.writing() as db:
            ended = (_M.c.id.in_(stale), _M.c.status.in_([Status.QUEUED.value, Status.FAILED.value]))
            dead = {"status": Status.DEAD.value, "next_try_at": None, "error": "expired before it could be sent"}
            db.execute(update(_M).where(*ended).values(dead))
    return len(stale)
