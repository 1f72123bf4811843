"""What acts on ward groups stand on: checked, within the scope of who does them, and audited.

A change is one transaction in the file of residents; its row of the audit is written within it, in the ledger. Should
the machine stop between the two commits, the audit tells of a change that was not made, never the other way round, and
the same call again makes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from alerts.delivery.channels.channel import Kind
from alerts.ledger import audit
from alerts.ledger.audit import Entry
from alerts.ledger.people import By
from alerts.ledger.store import Store
from alerts.people.group import (
    CONTACTS_MOST,
    INDOORS,
    NewLeader,
)
from alerts.people.rights import refused
from alerts.people.user import Role, User
from alerts.residents.leader_rows import Door
from alerts.residents.seal import Seal
from alerts.staff import OutsideError
from alerts.words.names import HAND_HAZARDS
from ingest.city import City


class GroupError(Exception):
    """It cannot be done as things stand; one line that says why, without an address. Nothing has changed."""


class NoGroupError(Exception):
    """There is no such group, leader, or warning."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What groups stand on. `kinds`: the channels that reach residents here; `rules`: the hazards that they know."""

    store: Store
    ledger: Store
    seal: Seal
    kinds: Mapping[str, Kind]
    city: Callable[[], City]
    rules: Callable[[], Collection[str]]
    now_ms: Callable[[], int]

    @property
    def hazards(self) -> frozenset[str]:
        """What leaders hear of: all that sensors or persons warn of, but what lies indoors."""
        return frozenset((*self.rules(), *HAND_HAZARDS["vi"])) - INDOORS

    def by(self, user: User, key: str) -> By:
        # A blank, which no caller's key can have: it is never that of another kind of act.
        return By(user.name, self.now_ms(), key and f"groups {key}")

    def check(self, user: User, area: str, role: Role = Role.OPERATOR) -> None:
        """Raises OutsideError. Whoever appoints somebody to hear of every hazard has to have them all in his scope."""
        if why := refused(user, role, "", area, self.city()):
            raise OutsideError(why)

    def check_area(self, user: User, area: str) -> None:
        """Raises OutsideError. For what is of one warning, whose hazard is checked where the warning is."""
        if not user.in_area(area, self.city()):
            raise OutsideError(f"{area}: outside the areas of {user.name} ({', '.join(user.areas)})")

    @contextmanager
    def changing(self) -> Iterator[tuple[Connection, list[audit.Written]]]:
        """One transaction; what `note` has put into the list is told once it is over."""
        told: list[audit.Written] = []
        with self.store.writing() as db:
            yield db, told
        for written in told:
            audit.tell(written)

    def note(self, told: list[audit.Written], by: By, verb: str, object_: str, detail: Mapping[str, Any]) -> None:
        """Last in its transaction: what fails here undoes the change. Raises GroupError, LedgerError."""
        key = by.key or secrets.token_hex(16)
        with self.ledger.writing() as ledger:
            written, new = audit.append(ledger, Entry(by.at, by.name, verb, object_, key, detail))
        same = (written.entry.verb, written.entry.object, dict(written.entry.detail)) == (verb, object_, dict(detail))
        if not new and not same:
            raise GroupError(f"{written.entry.verb} was done under this key before, at {written.entry.at} ms UTC")
        told.append(written)

    def doors(self, leader: NewLeader) -> list[Door]:
        """Raises ValueError, which repeats nothing of an address."""
        if not 1 <= len(leader.ways) <= CONTACTS_MOST:
            raise ValueError(f"contacts: 1 to {CONTACTS_MOST}")
        if all(way.fallback for way in leader.ways):
            raise ValueError("contacts: one at least that is no fallback")
        found = []
        for way in leader.ways:
            kind = self.kinds.get(way.channel)
            if kind is None:
                raise ValueError(f"channel: {' or '.join(sorted(self.kinds)) or 'none is set up'}")
            found.append(Door(way.channel, kind.reach(way.address), way.fallback))
        if len({(door.channel, door.reached.address) for door in found}) < len(found):
            raise ValueError("contacts: each address once")
        return found
