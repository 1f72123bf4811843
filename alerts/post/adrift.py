"""Messages that nobody carries: their channel is not set up any more, or is one too many."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, update

from alerts.delivery.parcel import Status
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.fallback import fall_back

MOST: Final = 1_000  # messages a transaction, and a sweep

_M: Final = schema.message
WHY: Final = "no channel that is set up carries it"


def give_up_adrift(store: Store, via: str, now: int) -> int:
    """Makes them dead letters, as what a provider refuses; how many messages to fallback contacts come of it.

    Raises LedgerError.
    """
    waiting = select(_M.c.id).where(_M.c.via == via, _M.c.next_try_at.is_not(None)).order_by(_M.c.lane).limit(MOST)
    with store.writing() as db:
        ids = db.execute(waiting).scalars().all()
        db.execute(update(_M).where(_M.c.id.in_(ids)).values(status=Status.DEAD.value, next_try_at=None, error=WHY))
        return fall_back(db, ids, now)
