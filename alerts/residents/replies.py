"""What is replied to a warning, as providers bring it: found by the address, read, written down.

Leaders answer; of everybody else one thing is taken, that he wants no more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, delete, exists, select
from sqlalchemy.dialects.sqlite import insert as upsert  # PostgreSQL's has the same name and the same form

from alerts.delivery.parcel import Lane
from alerts.ledger.store import Store
from alerts.people.group_state import Says
from alerts.residents import leader_rows
from alerts.residents.answers import write
from alerts.residents.endings import end_contact
from alerts.residents.errands import write_errand
from alerts.residents.leader_rows import Leading
from alerts.residents.rows import holding
from alerts.residents.schema import errand, reply
from alerts.residents.seal import Seal
from alerts.residents.told import asked_lately
from alerts.words.group import again, not_asked
from alerts.words.replies import Meaning, meaning

log = logging.getLogger(__name__)

REPLIES_LIVE_MS: Final = 24 * 3_600_000  # a reply is to the newest warning of so long
REPEATS_MS: Final = 7 * 86_400_000  # a provider that had no answer from us brings a reply again for days
BACK_EACH_MS: Final = 10 * 60_000  # between two words back to one contact: two machines must not talk for ever
BACK_LIVES_MS: Final = 30 * 60_000
_SAYS: Final = {Meaning.TOLD: Says.TOLD, Meaning.NEEDS_HELP: Says.NEEDS_HELP}


class Outcome(StrEnum):
    ANSWERED = "answered"
    UNCLEAR = "unclear"  # kept for a person to read
    NOT_ASKED = "not_asked"  # no warning of late asked this leader anything
    ENDED = "ended"  # he wants no more messages, leader or subscriber
    STRANGER = "stranger"  # no leader has this address: nothing is kept
    REPEATED = "repeated"  # taken before


@dataclass(frozen=True, slots=True)
class Taken:
    """`group` None: nobody's."""

    outcome: Outcome
    group: int | None = None
    says: Says | None = None


def take_reply(
    store: Store, post: Store, seal: Seal, channel: str, address: str, text: str, provider_id: str, now_ms: int
) -> Taken:  # fmt: skip
    """`address` as its channel keeps it; `provider_id` "": the provider gives none, and repeats cannot be told apart.

    Who wants no more is sent no more, whether he leads a group, subscribes, or both.

    On disk when it returns; to be acknowledged to the provider only then. Raises LedgerError.
    """
    with store.writing() as db:
        leader = leader_rows.leading(db, seal, channel, address)
        ended = meaning(text) is Meaning.END and _end_subscriber(db, seal.digest(channel, address), channel, now_ms)
        if leader is None:
            return Taken(Outcome.ENDED if ended else Outcome.STRANGER)
        if provider_id and not _new(db, seal, channel, provider_id, now_ms):
            return Taken(Outcome.REPEATED, leader.group)
        taken = _take(db, post, seal, leader, text, now_ms)
    if taken.says is Says.NEEDS_HELP:
        log.warning("group %d needs help", leader.group)
    return taken


def _take(db: Connection, post: Store, seal: Seal, leader: Leading, text: str, now_ms: int) -> Taken:
    meant = meaning(text)
    if meant is Meaning.END:
        leader_rows.end_leader(db, leader.resident, "ended by his reply", now_ms)
        return Taken(Outcome.ENDED, leader.group)
    lately = asked_lately(post, leader_rows.contacts_of(db, leader.resident), now_ms - REPLIES_LIVE_MS)
    if not lately:
        _say_back(db, seal, leader, not_asked(), now_ms)
        return Taken(Outcome.NOT_ASKED, leader.group)
    says = _SAYS.get(meant, Says.UNCLEAR)
    write(db, seal, leader, lately[0], says, text, now_ms)
    if meant is Meaning.BOTH:
        _say_back(db, seal, leader, again(), now_ms)
    return Taken(Outcome.UNCLEAR if says is Says.UNCLEAR else Outcome.ANSWERED, leader.group, says)


def _end_subscriber(db: Connection, digest: bytes, channel: str, now_ms: int) -> bool:
    """Whether somebody had subscribed with this address. His other contacts stay, as with the link in a mail."""
    held = holding(db, channel, digest)
    if held is not None:
        end_contact(db, held.id, now_ms)
    return held is not None


def _new(db: Connection, seal: Seal, channel: str, provider_id: str, now_ms: int) -> bool:
    db.execute(delete(reply).where(reply.c.at < now_ms - REPEATS_MS))
    row = {"channel": channel, "digest": seal.digest(f"reply by {channel}", provider_id), "at": now_ms}
    return db.execute(upsert(reply).values(row).on_conflict_do_nothing()).rowcount > 0


def _say_back(db: Connection, seal: Seal, leader: Leading, body: dict[str, Any], now_ms: int) -> None:
    """An errand; where one went to him lately, nothing."""
    recent = exists().where(errand.c.contact == leader.contact, errand.c.created_at > now_ms - BACK_EACH_MS)
    if db.execute(select(recent)).scalar():
        return
    write_errand(
        db, seal, leader.contact, body, lane=Lane.WARNING, now_ms=now_ms, expires_at=now_ms + BACK_LIVES_MS
    )  # fmt: skip
