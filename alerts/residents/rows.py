"""Residents read from their rows, addresses opened; and the rows that several of the verbs write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from alerts.people.resident import Choice, Contact, Resident, State, Subscription, Wanted
from alerts.residents.schema import consent, contact, resident, subscription
from alerts.residents.seal import Seal
from alerts.words.names import Lang

# Who has subscribed himself. Leaders of ward groups and users who are called are entered and removed by others: no
# sign-up at their address may end them, open them, or be told of them.
OF_HIMSELF: Final = and_(resident.c.leads.is_(None), resident.c.staff.is_(None))


def read(db: Connection, seal: Seal, id_: int) -> Resident | None:
    """Raises SealError."""
    row = db.execute(select(resident).where(resident.c.id == id_)).one_or_none()
    if row is None:
        return None
    wants = select(subscription).where(subscription.c.resident == id_).order_by(*subscription.primary_key)
    choice = Choice(
        tuple(Subscription(one.area, one.hazard, one.floor) for one in db.execute(wants)), lang_of(row.lang),
        row.quiet, row.daily_cap, "" if row.proxy_for is None else seal.open(row.proxy_for, _proxy_place(id_)),
    )  # fmt: skip
    contacts = db.execute(select(contact).where(contact.c.resident == id_).order_by(contact.c.id))
    reached = tuple(_contact(one, seal) for one in contacts)
    return Resident(id_, State(row.state), choice, reached, row.created_at, row.confirmed_at, row.leads)


def add_resident(db: Connection, choice: Choice, now_ms: int, *, leads: int | None = None) -> int:
    """The number of a new one, pending, without a choice: write_choice says that."""
    row = {"state": State.PENDING, "lang": choice.lang, "quiet": choice.quiet, "daily_cap": choice.daily_cap,
           "leads": leads, "created_at": now_ms}  # fmt: skip
    return int(db.execute(insert(resident).returning(resident.c.id), row).scalar_one())


def write_choice(db: Connection, seal: Seal, id_: int, choice: Choice) -> None:
    proxy = seal.close(choice.proxy_for, _proxy_place(id_)) if choice.proxy_for else None
    row = {"lang": choice.lang, "quiet": choice.quiet, "daily_cap": choice.daily_cap, "proxy_for": proxy}
    db.execute(update(resident).where(resident.c.id == id_).values(row))
    db.execute(delete(subscription).where(subscription.c.resident == id_))
    rows = [{"resident": id_, "area": one.area, "hazard": one.hazard, "floor": one.floor}
            for one in choice.subscriptions]  # fmt: skip
    db.execute(insert(subscription), rows)


def add_contact(db: Connection, seal: Seal, resident_id: int, wanted: Wanted, now_ms: int) -> int:
    """The number of a new one, pending."""
    row = {"resident": resident_id, "channel": wanted.channel, "via": wanted.via, "address": b"",
           "digest": seal.digest(wanted.channel, wanted.address), "fallback": wanted.fallback,
           "state": State.PENDING, "created_at": now_ms}  # fmt: skip
    id_ = int(db.execute(insert(contact).returning(contact.c.id), row).scalar_one())
    sealed = seal.close(wanted.address, contact_place(id_))
    db.execute(update(contact).where(contact.c.id == id_).values(address=sealed))
    return id_


def holding(db: Connection, channel: str, digest: bytes) -> Row[Any] | None:
    """The active contact of a resident at this address. A leader of a ward group, and a user, may subscribe besides."""
    query = select(contact).join(resident, resident.c.id == contact.c.resident).where(
        contact.c.channel == channel, contact.c.digest == digest, contact.c.state == State.ACTIVE,
        OF_HIMSELF,
    )  # fmt: skip
    return db.execute(query.order_by(contact.c.id)).first()


def consented(
    db: Connection, resident_id: int, contact_id: int | None, now_ms: int, what: str, text: str, lang: Lang
) -> None:  # fmt: skip
    """`text`: the words that were shown. They name no person."""
    row = {"resident": resident_id, "contact": contact_id, "at": now_ms, "what": what, "text": text, "lang": lang}
    db.execute(insert(consent), row)


def consents(db: Connection, resident_id: int) -> Sequence[Row[Any]]:
    """The oldest first."""
    return db.execute(select(consent).where(consent.c.resident == resident_id).order_by(consent.c.id)).all()


def contact_place(id_: int) -> str:
    """Where the address of a contact is sealed."""
    return f"contact {id_}"


def lang_of(text: str) -> Lang:
    return "en" if text == "en" else "vi"


def _contact(row: Row[Any], seal: Seal) -> Contact:
    address = seal.open(row.address, contact_place(row.id)) if row.address else ""
    return Contact(
        row.id, row.channel, row.via, address, row.fallback, State(row.state), row.created_at, row.confirmed_at
    )


def _proxy_place(id_: int) -> str:
    return f"resident {id_}"
