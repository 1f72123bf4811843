"""What the post reads, kept equal to what residents chose: in the transaction in which they chose it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select

from alerts.people.resident import State
from alerts.residents.schema import contact, resident, subscription, target

_other = contact.alias()
_TOLD_FIRST: Final = exists().where(
    _other.c.resident == contact.c.resident, _other.c.state == State.ACTIVE, _other.c.fallback.is_(False)
)


def retarget(db: Connection, resident_id: int) -> None:
    """Make the rows of `target` of one resident anew.

    A fallback is told first where no other contact is active any more: somebody who chose to be warned is warned.
    """
    mine = select(contact.c.id).where(contact.c.resident == resident_id)
    db.execute(delete(target).where(target.c.contact.in_(mine)))
    rows = (
        select(subscription.c.area, subscription.c.hazard, contact.c.id, subscription.c.floor, contact.c.via)
        .join(contact, contact.c.resident == subscription.c.resident)
        .join(resident, resident.c.id == subscription.c.resident)
        .where(
            resident.c.id == resident_id,
            resident.c.state == State.ACTIVE,
            contact.c.state == State.ACTIVE,
            or_(contact.c.fallback.is_(False), and_(contact.c.fallback, ~_TOLD_FIRST)),
        )
    )
    db.execute(insert(target).from_select(["area", "hazard", "contact", "floor", "via"], rows))
