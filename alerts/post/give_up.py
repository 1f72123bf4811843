"""After a restore: what was called for up to a moment is not told any more."""

from __future__ import annotations

from sqlalchemy import select, update

from alerts.delivery.parcel import Status
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.follow import Follower, Notices

_T, _M = schema.telling, schema.message


def give_up(store: Store, notices: Notices, until: int, why: str, now: int) -> int:
    """No message for a notice up to `until` (arrival, ms UTC) is made or sent any more; how many had been made.

    Raises LedgerError. No process of the post may run.
    """
    follower = Follower(store, notices)
    while follower.turn(now):
        pass
    old = select(_T.c.seq).where(_T.c.arrival <= until)
    with store.writing() as db:
        db.execute(update(_T).where(_T.c.seq.in_(old)).values(after=None))
        waiting = (_M.c.seq.in_(old), _M.c.next_try_at.is_not(None))
        return db.execute(
            update(_M).where(*waiting).values(status=Status.DEAD.value, next_try_at=None, error=why)
        ).rowcount
