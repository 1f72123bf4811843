"""Whom messages go to, read from the residents' file; what is sealed stays so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from alerts.post.compose import Recipient
from alerts.post.store import contact, resident

_PEOPLE: Final = (
    select(contact.c.id, contact.c.channel, contact.c.address, contact.c.state, resident.c.lang, resident.c.quiet,
           resident.c.daily_cap, resident.c.proxy_for, resident.c.leads, contact.c.resident,
           resident.c.state.label("resident_state"))
    .join(resident, resident.c.id == contact.c.resident)
    .where(contact.c.id.in_(bindparam("contacts", expanding=True)))
)  # fmt: skip


def recipients(db: Connection, contacts: Sequence[int]) -> dict[int, Recipient]:
    """By the numbers of contacts; those that are deleted are not there."""
    return {row.id: _recipient(row) for row in db.execute(_PEOPLE, {"contacts": contacts})}


def _recipient(row: Any) -> Recipient:
    state = "ended" if row.resident_state == "ended" else row.state
    return Recipient(
        row.id, row.resident, row.channel, row.address, row.lang, row.quiet, row.daily_cap, row.proxy_for, row.leads,
        state,
    )  # fmt: skip
