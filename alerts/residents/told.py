"""Which warnings a contact has lately been asked to answer, from the post's messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, func, or_, select

from alerts.delivery.parcel import Status
from alerts.ledger.store import Store
from alerts.post.schema import message, telling
from alerts.words.group import ASKING

LATELY_MOST: Final = 100  # messages that are looked at
# Those that can have arrived: merged ones went out with another, and `maybe` counts whatever became of the message.
_OUT: Final = (Status.SENDING, Status.SENT, Status.MERGED)
_LATELY: Final = (
    select(telling.c.incident, telling.c.version, func.coalesce(message.c.leader, message.c.id).label("head"))
    .join(message, message.c.seq == telling.c.seq)
    .where(
        telling.c.seq > 0, telling.c.arrival >= bindparam("since"),
        telling.c.reason.in_([reason.value for reason in ASKING]),
        message.c.contact.in_(bindparam("contacts", expanding=True)),
        or_(message.c.status.in_([status.value for status in _OUT]), message.c.maybe),
    )
    .order_by(telling.c.seq.desc()).limit(LATELY_MOST)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """`version`: the newest of the incident that he was asked about."""

    incident: str
    version: int


def asked_lately(post: Store, contacts: Sequence[int], since: int) -> list[tuple[Asked, ...]]:
    """The newest first; what one message told together is answered together. `since` ms UTC. Raises LedgerError."""
    with post.reading() as db:
        rows = db.execute(_LATELY, {"contacts": list(contacts), "since": since}).all()
    newest: dict[str, int] = {}
    together: dict[int, dict[str, None]] = {}
    for row in rows:
        newest.setdefault(row.incident, row.version)
        together.setdefault(row.head, {})[row.incident] = None
    return [tuple(Asked(incident, newest[incident]) for incident in heads) for heads in together.values()]
