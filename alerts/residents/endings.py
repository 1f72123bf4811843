"""How a contact, a resident and what is kept of both come to their end. Each within a transaction of the caller's."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, delete, select, update

from alerts.people.resident import State
from alerts.residents import errands
from alerts.residents.rows import OF_HIMSELF, consented, lang_of
from alerts.residents.schema import answer, consent, contact, errand, key, resident, subscription, target
from alerts.residents.targets import retarget
from alerts.words.sign_up import said

PENDING_KEPT_MS: Final = 48 * 3_600_000  # what nobody confirms was perhaps nobody's wish
ENDED_KEPT_MS: Final = 30 * 86_400_000  # for whoever asks what was; of a gone address, for its owner to see which
ANSWERS_KEPT_MS: Final = 400 * 86_400_000  # a note says who needed help and where he lives; as long as the journal
SWEPT_MOST: Final = 1_000  # of each kind at a time: no sweep holds up the writer for long


def end_contact(db: Connection, id_: int, now_ms: int, what: str = "ended") -> None:
    """At once: its address is gone with it. Who has no other contact has ended altogether. Again: no change."""
    row = db.execute(select(contact).where(contact.c.id == id_, contact.c.state != State.ENDED)).one_or_none()
    if row is None:
        return
    lang = lang_of(db.execute(select(resident.c.lang).where(resident.c.id == row.resident)).scalar_one())
    consented(db, row.resident, id_, now_ms, what, said(what, [row.channel], lang), lang)
    _drop_contact_rows(db, id_)
    nothing = {"state": State.ENDED, "address": b"", "digest": b"", "ended_at": now_ms}
    db.execute(update(contact).where(contact.c.id == id_).values(nothing))
    _end_if_alone(db, row.resident, now_ms)
    retarget(db, row.resident)


def end_resident(db: Connection, id_: int, now_ms: int) -> None:
    """Every contact at once."""
    mine = select(contact.c.id).where(contact.c.resident == id_, contact.c.state != State.ENDED)
    for contact_id in db.execute(mine).scalars().all():
        end_contact(db, contact_id, now_ms)


def gone(db: Connection, id_: int, now_ms: int) -> None:
    """The provider says that the address is nobody's any more; the resident's fallback takes its place.

    Also on the connection of the post, which has these tables beside its own and none of the same names.
    """
    row = db.execute(select(contact).where(contact.c.id == id_, contact.c.state == State.ACTIVE)).one_or_none()
    if row is None:
        return
    db.execute(update(contact).where(contact.c.id == id_).values(state=State.GONE, ended_at=now_ms))
    lang = lang_of(db.execute(select(resident.c.lang).where(resident.c.id == row.resident)).scalar_one())
    consented(db, row.resident, id_, now_ms, "gone", said("gone", [row.channel], lang), lang)
    errands.drop(db, contact=id_)
    retarget(db, row.resident)


def delete_resident(db: Connection, id_: int, now_ms: int, why: str = "deleted") -> None:
    """Everything but what was agreed to and when, which names nobody."""
    lang = db.execute(select(resident.c.lang).where(resident.c.id == id_)).scalar()
    if lang is None:
        return
    consented(db, id_, None, now_ms, "deleted", said(why, [], lang_of(lang)), lang_of(lang))
    _remove(db, id_)


def sweep(db: Connection, now_ms: int) -> int:
    """What is kept no longer; how many rows of whatever kind that were. Where it is SWEPT_MOST there may be more."""
    swept = 0
    for table in (errand, key):
        expired = select(table.c.id).where(table.c.expires_at <= now_ms).limit(SWEPT_MOST)
        swept += db.execute(delete(table).where(table.c.id.in_(expired))).rowcount
    first = select(answer.c.id, answer.c.at).order_by(answer.c.id).limit(SWEPT_MOST).subquery()  # the oldest
    old = select(first.c.id).where(first.c.at <= now_ms - ANSWERS_KEPT_MS)
    swept += db.execute(delete(answer).where(answer.c.id.in_(old))).rowcount
    never = _contacts(State.PENDING, contact.c.created_at <= now_ms - PENDING_KEPT_MS)
    for row in db.execute(never).all():
        _forget_pending(db, row.id, row.resident, now_ms)
        swept += 1
    for row in db.execute(_contacts(State.GONE, contact.c.ended_at <= now_ms - ENDED_KEPT_MS)).all():
        end_contact(db, row.id, now_ms, "kept no longer")
        swept += 1
    over = (resident.c.state == State.ENDED, resident.c.ended_at <= now_ms - ENDED_KEPT_MS, OF_HIMSELF)
    for id_ in db.execute(select(resident.c.id).where(*over).limit(SWEPT_MOST)).scalars().all():
        delete_resident(db, id_, now_ms, "kept no longer")
        swept += 1
    return swept


def _contacts(state: State, since: ColumnElement[bool]) -> Select[Any]:
    joined = select(contact.c.id, contact.c.resident).join(resident, resident.c.id == contact.c.resident)
    return joined.where(contact.c.state == state, since, OF_HIMSELF).limit(SWEPT_MOST)


def _forget_pending(db: Connection, id_: int, owner: int, now_ms: int) -> None:
    """A sign-up that nobody confirmed proves nothing: nothing of it is kept."""
    _drop_contact_rows(db, id_)
    db.execute(delete(consent).where(consent.c.contact == id_))
    db.execute(delete(contact).where(contact.c.id == id_))
    _end_if_alone(db, owner, now_ms)


def _end_if_alone(db: Connection, id_: int, now_ms: int) -> None:
    """A resident without any contact has ended; his tokens go on showing what is left, until it is kept no longer.

    One who never was more than pending is forgotten.
    """
    left = select(contact.c.id).where(contact.c.resident == id_, contact.c.state != State.ENDED).limit(1)
    if db.execute(left).first() is not None:
        return
    if db.execute(select(resident.c.state).where(resident.c.id == id_)).scalar_one() == State.PENDING:
        db.execute(delete(consent).where(consent.c.resident == id_))
        _remove(db, id_)
        return
    ended = {"state": State.ENDED, "ended_at": now_ms, "proxy_for": None}
    db.execute(update(resident).where(resident.c.id == id_).values(ended))
    db.execute(delete(subscription).where(subscription.c.resident == id_))


def _drop_contact_rows(db: Connection, id_: int) -> None:
    errands.drop(db, contact=id_)
    db.execute(delete(key).where(key.c.contact == id_))
    db.execute(delete(target).where(target.c.contact == id_))


def _remove(db: Connection, id_: int) -> None:
    for contact_id in db.execute(select(contact.c.id).where(contact.c.resident == id_)).scalars().all():
        _drop_contact_rows(db, contact_id)
    for table in (key, subscription, contact):
        db.execute(delete(table).where(table.c.resident == id_))
    db.execute(delete(resident).where(resident.c.id == id_))
