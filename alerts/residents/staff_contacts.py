"""By which contact each user is called: entered by an admin, sealed as residents' addresses are, never shown again.

A change is one transaction in the file of residents; its row of the audit is written within it, in the ledger. Should
the machine stop between the two commits, the audit tells of a change that was not made, never the other way round.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, update

from alerts.delivery.channels.channel import Reached
from alerts.ledger import audit
from alerts.ledger.store import Store
from alerts.people.resident import State
from alerts.people.user import User
from alerts.residents import errands
from alerts.residents.rows import contact_place
from alerts.residents.schema import contact, resident
from alerts.residents.seal import Seal
from alerts.staff import Staff
from alerts.words.names import Lang

CAP_MOST: Final = 1_000_000  # no daily number holds back an errand, and he has nothing else
_MINE: Final = (
    select(contact.c.id, contact.c.resident, contact.c.channel, contact.c.state, resident.c.staff)
    .join(resident, resident.c.id == contact.c.resident)
    .where(resident.c.staff.is_not(None), resident.c.state == State.ACTIVE)
    .order_by(contact.c.id)
)


@dataclass(frozen=True, slots=True)
class StaffContacts:
    """`reach`: channel -> how an address of it is read, of those that are set up. From any thread.

    Methods raise PeopleError, OutsideError, ValueError (which repeats nothing of an address) and LedgerError.
    """

    store: Store
    ledger: Store
    seal: Seal
    reach: Mapping[str, Callable[[str], Reached]]
    staff: Staff
    now_ms: Callable[[], int]

    def listed(self) -> dict[str, str]:
        """By the user's name the channel; "sms (gone)" where its provider says that the address is nobody's."""
        with self.store.reading() as db:
            return {row.staff: row.channel if row.state == State.ACTIVE else f"{row.channel} ({row.state})"
                    for row in db.execute(_MINE)}  # fmt: skip

    def set(self, name: str, channel: str, address: str, lang: Lang, by: User, key: str = "") -> None:
        """In the place of the one before."""
        self.staff.within(name, by)
        if channel not in self.reach:
            raise ValueError(f"channel: {' or '.join(sorted(self.reach)) or 'none is set up'}")
        reached = self.reach[channel](address)
        with self.store.writing() as db:
            self._end(db, name)
            self._add(db, name, channel, reached, lang)
            written = self._note(by, "contact_set", name, key, {"channel": channel, "lang": lang})
        audit.tell(written)

    def end(self, name: str, by: User, key: str = "") -> bool:
        """Whether there was one."""
        self.staff.within(name, by)
        with self.store.writing() as db:
            if not self._end(db, name):
                return False
            written = self._note(by, "contact_end", name, key, {})
        audit.tell(written)
        return True

    def _add(self, db: Connection, name: str, channel: str, reached: Reached, lang: Lang) -> None:
        now = self.now_ms()
        person = {"state": State.ACTIVE, "lang": lang, "quiet": "", "daily_cap": CAP_MOST, "staff": name,
                  "created_at": now, "confirmed_at": now}  # fmt: skip
        owner = db.execute(insert(resident).returning(resident.c.id), person).scalar_one()
        via = f"{channel}:{reached.provider}" if reached.provider else channel
        # Without a digest: whoever signs up with the same address is another one, who neither sees nor ends this.
        row = {"resident": owner, "channel": channel, "via": via, "address": b"", "digest": b"", "fallback": False,
               "state": State.ACTIVE, "created_at": now, "confirmed_at": now}  # fmt: skip
        id_ = db.execute(insert(contact).returning(contact.c.id), row).scalar_one()
        sealed = self.seal.close(reached.address, contact_place(id_))
        db.execute(update(contact).where(contact.c.id == id_).values(address=sealed))

    def _end(self, db: Connection, name: str) -> bool:
        """At once, also what waits to be sent; the address is overwritten."""
        ended = {"state": State.ENDED, "ended_at": self.now_ms()}
        found = db.execute(_MINE.where(resident.c.staff == name)).all()
        for row in found:
            errands.drop(db, contact=row.id)
            db.execute(update(contact).where(contact.c.id == row.id).values(**ended, address=b"", digest=b""))
            db.execute(update(resident).where(resident.c.id == row.resident).values(**ended))
        return bool(found)

    def _note(self, by: User, verb: str, name: str, key: str, detail: Mapping[str, str]) -> audit.Written:
        """Last in its transaction: what fails here undoes the change."""
        # A blank, which no caller's key can have: it is never that of another kind of act.
        entry = audit.Entry(self.now_ms(), by.name, verb, f"user/{name}", f"contacts {key or secrets.token_hex(16)}",
                            detail)  # fmt: skip
        with self.ledger.writing() as db:
            written, _ = audit.append(db, entry)
        return written
