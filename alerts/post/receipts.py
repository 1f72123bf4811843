"""What a provider says later of a message that it took: that it arrived, or that it did not."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, func, or_, select, update

from alerts.delivery.parcel import Status
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.fallback import fall_back

_M: Final = schema.message
_FOUND: Final = select(_M.c.id, _M.c.status, _M.c.received_at).where(
    _M.c.provider_id == bindparam("number"), _M.c.provider_id != "",
    or_(_M.c.via == bindparam("channel"), func.substr(_M.c.via, 1, bindparam("length")) == bindparam("prefix")),
)  # fmt: skip
_ARRIVED: Final = (
    update(_M)
    .where(or_(_M.c.id.in_(bindparam("ids", expanding=True)), _M.c.leader.in_(bindparam("ids", expanding=True))))
    .values(received_at=func.coalesce(_M.c.received_at, bindparam("at")))
)
_LOST: Final = (
    update(_M)
    .where(_M.c.id.in_(bindparam("ids", expanding=True)))
    .values(status=Status.DEAD.value, next_try_at=None, error=bindparam("why"))
)


def take_receipt(store: Store, channel: str, provider_id: str, received: bool, error: str, now_ms: int) -> bool:  # noqa: FBT001
    """Whether there is such a message. What did not arrive is given up, visibly, and the resident's other contacts are
    told in its place while it still counts. What has arrived stays so, whatever comes later; again changes nothing.

    On disk when it returns. Raises LedgerError.
    """
    prefix = f"{channel}:"
    asked = {"number": provider_id, "channel": channel, "prefix": prefix, "length": len(prefix)}
    with store.writing() as db:
        found = db.execute(_FOUND, asked).all()
        if received:
            db.execute(_ARRIVED, {"ids": [row.id for row in found], "at": now_ms})
            return bool(found)
        lost = [row.id for row in found if row.status == Status.SENT and row.received_at is None]
        if lost:
            db.execute(_LOST, {"ids": lost, "why": error})
            fall_back(db, lost, now_ms)
        return bool(found)
