"""The book of residents: sign-up, confirmation, change, end, export, deletion. From any thread.

Every method is one transaction, with the rows that the post reads in it. No answer tells whether an address is known:
a sign-up makes the same rows for each, and only what is sent to the address itself differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, select, update

from alerts.ledger.store import Store
from alerts.people.resident import Choice, Contact, Resident, State, Wanted, checked_contacts
from alerts.residents import endings, errands, keys, rows
from alerts.residents.end_keys import contact_of
from alerts.residents.limits import SignUpLimits
from alerts.residents.schema import contact, resident
from alerts.residents.seal import Seal
from alerts.residents.targets import retarget
from alerts.words import sign_up as words
from alerts.words.names import LANGS, Lang
from ingest.city import City

CODE_MINUTES: Final = 30
_CODE_MS: Final = CODE_MINUTES * 60_000
_LANE: Final = 1  # of alerts.delivery.parcel: what a person waits for in front of a screen
_LINKED: Final = ("mail",)  # channels in whose text a long link stands well, and costs nothing


@dataclass(frozen=True, slots=True)
class Asked:
    """One contact that is to be confirmed: by `id` and the code, or by the link, that were sent there."""

    id: str
    contact: int
    channel: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`token`: shows and changes everything of this resident, given once; "" where he had one before."""

    contact: Contact
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Consented:
    """Time ms UTC."""

    at: int
    what: str
    text: str
    lang: Lang
    contact: int | None


class Book:
    """`public_url`: of the service, with its last slash; "" unknown: codes come without links. `called`: told when
    there is an errand for the post.

    Methods raise LedgerError, and SealError where a row was sealed with another key.
    """

    def __init__(
        self, store: Store, seal: Seal, limits: SignUpLimits, public_url: str, called: Callable[[], None] = lambda: None
    ) -> None:
        """Raises SealError where the addresses in `store` are sealed with another key."""
        self._store, self._seal, self.limits, self._url, self._called = store, seal, limits, public_url, called
        with store.reading() as db:
            some = select(contact.c.id, contact.c.address).where(contact.c.state == State.ACTIVE).limit(1)
            for row in db.execute(some):
                seal.open(row.address, rows.contact_place(row.id))

    def sign_up(self, choice: Choice, wanted: Sequence[Wanted], city: City, now_ms: int) -> list[Asked]:
        """`choice` and `wanted` are checked. An address that is subscribed is told so, and the choice is not taken."""
        with self._store.writing() as db:
            id_ = rows.add_resident(db, choice, now_ms)
            rows.write_choice(db, self._seal, id_, choice)
            asked = [self._ask(db, id_, choice, one, city, now_ms) for one in wanted]
        self._called()
        return asked

    def confirm(self, *, token: str = "", id_: str = "", code: str = "", now_ms: int, city: City) -> Confirmed | None:
        """By the token of the link, or by id and code. None: wrong, too late, or tried too often."""
        with self._store.writing() as db:
            if token:
                key = keys.holder(db, token, "confirm", now_ms)
            else:
                key = keys.try_code(db, self._seal, id_, code, now_ms)
            return None if key is None else self._confirmed(db, key.resident, key.contact, now_ms, city)

    def shown(self, token: str, now_ms: int) -> Resident | None:
        """Whose token it is; None: nobody's."""
        with self._store.reading() as db:
            return self._holder(db, token, now_ms)

    def change(
        self, token: str, edit: Callable[[Resident], Choice], add: Sequence[Wanted], end: Sequence[int], city: City,
        now_ms: int,
    ) -> tuple[Resident, list[Asked]] | None:  # fmt: skip
        """`edit`: the new choice, checked. New contacts hear nothing until each is confirmed.

        None: the token is nobody's. Raises ValueError where it cannot be done; nothing has changed then.
        """
        with self._store.writing() as db:
            was = self._holder(db, token, now_ms)
            if was is None:
                return None
            choice = edit(was)
            _check_change(was, add, end)
            rows.write_choice(db, self._seal, was.id, choice)
            for contact_id in end:
                endings.end_contact(db, contact_id, now_ms)
            asked = [self._ask(db, was.id, choice, one, city, now_ms) for one in add]
            retarget(db, was.id)
            if choice != was.choice:
                text = words.terms(choice, _channels(was), city, choice.lang)
                rows.consented(db, was.id, None, now_ms, "changed", text, choice.lang)
            found = self._read(db, was.id)
        self._called()
        return found, asked

    def end(self, token: str, now_ms: int) -> bool:
        """No message to any of his contacts from now on. Whether the token is somebody's."""
        with self._store.writing() as db:
            key = keys.holder(db, token, "manage", now_ms)
            if key is not None:
                endings.end_resident(db, key.resident, now_ms)
            return key is not None

    def end_by_key(self, key: str, now_ms: int) -> bool:
        """One contact, by the key in its messages (end_keys.py); also again. Whether it is a key of ours."""
        id_ = contact_of(self._seal, key)
        if id_ is None:
            return False
        with self._store.writing() as db:
            endings.end_contact(db, id_, now_ms)
        return True

    def export(self, token: str, now_ms: int) -> tuple[Resident, list[Consented]] | None:
        """All that is kept about him here, which is written down as well; None: the token is nobody's."""
        with self._store.writing() as db:
            found = self._holder(db, token, now_ms)
            if found is None:
                return None
            lang = found.choice.lang
            rows.consented(db, found.id, None, now_ms, "exported", words.said("exported", [], lang), lang)
            log = [Consented(row.at, row.what, row.text, rows.lang_of(row.lang), row.contact)
                   for row in rows.consents(db, found.id)]  # fmt: skip
            return found, log

    def delete(self, token: str, now_ms: int) -> bool:
        """Whether the token is somebody's."""
        with self._store.writing() as db:
            key = keys.holder(db, token, "manage", now_ms)
            if key is not None:
                endings.delete_resident(db, key.resident, now_ms)
            return key is not None

    def sweep(self, now_ms: int) -> int:
        """What is kept no longer goes; and what was deleted goes from the write-ahead log as well, by whomever: a
        leader's reply and the post end contacts too. Once a minute; where somebody reads meanwhile, the next time.
        """
        with self._store.writing() as db:
            swept = endings.sweep(db, now_ms)
        self._store.empty_log()
        return swept

    # -- within a transaction --------------------------------------------------------------------------------------

    def _ask(self, db: Connection, owner: int, choice: Choice, one: Wanted, city: City, now_ms: int) -> Asked:
        """A pending contact, and a code to it; where the address is subscribed, word of that in the code's place."""
        seal, until = self._seal, now_ms + _CODE_MS
        held = rows.holding(db, one.channel, digest := seal.digest(one.channel, one.address))
        id_ = rows.add_contact(db, seal, owner, one, now_ms)
        public, code = keys.new_code(db, seal, owner, id_, now_ms, until, of_nobody=held is not None)
        if held is None:
            to, body = id_, words.code_body(
                code, city, CODE_MINUTES, linked=one.channel in _LINKED,
                agreed={lang: words.terms(choice, [one.channel], city, lang) for lang in LANGS},
                url=self._page("confirm", keys.new_token(db, "confirm", owner, id_, now_ms, until)),
            )  # fmt: skip
        else:
            token = keys.new_token(db, "manage", held.resident, held.id, now_ms, until)
            to, body = held.id, words.already_body(city, CODE_MINUTES, url=self._page("manage", token))
        text = words.terms(choice, [one.channel], city, choice.lang)
        rows.consented(db, owner, id_, now_ms, "asked", text, choice.lang)
        if self.limits.code_to(digest):
            errands.write_errand(db, seal, to, body, lane=_LANE, now_ms=now_ms, expires_at=until)
        return Asked(public, id_, one.channel)

    def _confirmed(self, db: Connection, owner: int, contact_id: int, now_ms: int, city: City) -> Confirmed:
        row = db.execute(select(contact).where(contact.c.id == contact_id)).one()
        if (held := rows.holding(db, row.channel, row.digest)) is not None:
            endings.end_contact(db, held.id, now_ms)  # confirmed twice within the half hour: the newer word counts
        active = {"state": State.ACTIVE, "confirmed_at": now_ms}
        db.execute(update(contact).where(contact.c.id == contact_id).values(active))
        first = db.execute(
            update(resident).where(resident.c.id == owner, resident.c.state == State.PENDING).values(active)
        ).rowcount
        keys.drop(db, contact=contact_id)
        token = keys.new_token(db, "manage", owner, None, now_ms) if first else ""
        found = self._read(db, owner)
        text = words.terms(found.choice, [row.channel], city, found.choice.lang)
        rows.consented(db, owner, contact_id, now_ms, "confirmed", text, found.choice.lang)
        retarget(db, owner)
        return Confirmed(next(one for one in found.contacts if one.id == contact_id), token)

    def _holder(self, db: Connection, token: str, now_ms: int) -> Resident | None:
        key = keys.holder(db, token, "manage", now_ms)
        return None if key is None else rows.read(db, self._seal, key.resident)

    def _read(self, db: Connection, id_: int) -> Resident:
        found = rows.read(db, self._seal, id_)
        assert found is not None
        return found

    def _page(self, use: str, token: str) -> str:
        """In a fragment: no server sees it, and no log."""
        return f"{self._url}subscribe#{use}={token}" if self._url else ""


def _check_change(was: Resident, add: Sequence[Wanted], end: Sequence[int]) -> None:
    """Raises ValueError."""
    if was.state is not State.ACTIVE:
        raise ValueError("this subscription has ended; sign up again")
    held = [one for one in was.contacts if one.state is not State.ENDED]
    if unknown := set(end) - {one.id for one in held}:
        raise ValueError(f"end_contacts: no contact {min(unknown)} that has not ended")
    left = [one for one in held if one.id not in end]
    if not any(one.state is State.ACTIVE for one in left):
        raise ValueError("end_contacts: one that is confirmed must stay; to end all, end the subscription")
    checked_contacts(add, len(left))
    if {(one.channel, one.address) for one in left} & {(one.channel, one.address) for one in add}:
        raise ValueError("add_contacts: each address once")


def _channels(one: Resident) -> list[str]:
    return [row.channel for row in one.contacts if row.state is State.ACTIVE]
