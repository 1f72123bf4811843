"""Ward groups as operators make, change and end them: checked, within the scope of who does it, and audited.

A change is one transaction in the file of residents; its row of the audit is written within it, in the ledger. Should
the machine stop between the two commits, the audit tells of a change that was not made, never the other way round, and
the same call again makes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from alerts.delivery.channels.channel import Kind
from alerts.ledger import audit
from alerts.ledger.audit import Entry
from alerts.ledger.people import By
from alerts.ledger.store import Store
from alerts.people.group import (
    CONTACTS_MOST,
    GROUPS_MOST,
    INDOORS,
    LEADERS_MOST,
    Group,
    NewGroup,
    NewLeader,
    checked_households,
    checked_name,
)
from alerts.people.rights import refused
from alerts.people.user import Role, User
from alerts.residents import group_rows as rows
from alerts.residents.group_rows import Door
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


class Groups:
    """Every method raises GroupError, NoGroupError, OutsideError, ValueError and LedgerError. From any thread."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground

    def listed(
        self, by: User, area: str, after: int, limit: int
    ) -> tuple[list[Group], int | None]:  # fmt: skip
        """Those within the scope of `by`, of an area ("": all) and what is part of it; and `after` of the next page."""
        areas = self._areas(by, area)
        with self._on.store.reading() as db:
            found = rows.listed(db, areas, after=after, limit=limit + 1)
            shown = found[:limit]
            leaders = rows.leaders_of(db, [row.id for row in shown], self.shown_to(by))
        return [rows.group_of(row, leaders) for row in shown], shown[-1].id if len(found) > limit else None

    def add(self, new: NewGroup, by: User, key: str = "") -> Group:
        """The same again changes nothing."""
        new = self.checked(new, by)
        with self._on.changing() as (db, told):
            known = rows.named(db, new.area, new.name)
            if known is not None and known.active:
                if known.households != new.households:
                    raise GroupError(f"there is such a group already, number {known.id}, of another size")
                return self._group(db, known.id, by)
            id_ = self.make(db, new)
            self._on.note(told, self._on.by(by, key), "group_add", f"group/{id_}", _plain(new))
            return self._group(db, id_, by)

    def change(self, id_: int, name: str | None, households: int | None, by: User, key: str = "") -> Group:
        """None: it stays. Its area stays as well: a group elsewhere is another group."""
        with self._on.changing() as (db, told):
            row = self.found(db, id_, by)
            new = NewGroup(row.area, row.name if name is None else name,
                           row.households if households is None else households)  # fmt: skip
            new = self.checked(new, by)
            if (new.name, new.households) != (row.name, row.households):
                other = rows.named(db, new.area, new.name)
                if other is not None and other.id != id_:
                    raise GroupError(f"number {other.id} of the same area has this name")
                rows.change_group(db, id_, name=new.name, households=new.households)
                self._on.note(told, self._on.by(by, key), "group_change", f"group/{id_}", _plain(new))
            return self._group(db, id_, by)

    def end(self, id_: int, by: User, key: str = "") -> int:
        """How many leaders ended with it. What they answered before stays."""
        with self._on.changing() as (db, told):
            self.found(db, id_, by)
            leaders = rows.leaders_of(db, [id_], None).get(id_, ())
            for leader in leaders:
                rows.end_leader(db, leader.id, f"the group was ended by {by.name}", self._on.now_ms())
            rows.change_group(db, id_, active=False)
            detail = {"leaders": [leader.id for leader in leaders]}
            self._on.note(told, self._on.by(by, key), "group_end", f"group/{id_}", detail)
            return len(leaders)

    def add_leader(self, id_: int, new: NewLeader, by: User, key: str = "") -> Group:
        """The same address again changes nothing."""
        doors = self._on.doors(new)
        with self._on.changing() as (db, told):
            self.found(db, id_, by)
            if self.appoint(db, id_, new, doors, by) is not None:
                detail = {"channels": [door.channel for door in doors], "lang": new.lang}
                self._on.note(told, self._on.by(by, key), "leader_add", f"group/{id_}", detail)
            return self._group(db, id_, by)

    def end_leader(self, id_: int, leader: int, by: User, key: str = "") -> None:
        with self._on.changing() as (db, told):
            self.found(db, id_, by)
            if leader not in (one.id for one in rows.leaders_of(db, [id_], None).get(id_, ())):
                raise NoGroupError(f"group {id_} has no leader {leader}")
            rows.end_leader(db, leader, f"ended by {by.name}", self._on.now_ms())
            self._on.note(told, self._on.by(by, key), "leader_end", f"group/{id_}", {"leader": leader})

    def keep_aim(self) -> int:
        """To be called at the start and after a change of the rules: how many leaders hear of other hazards now."""
        hazards = self._on.hazards
        with self._on.store.writing() as db:
            found = rows.misaimed(db, hazards)
            for resident, area in found:
                rows.aim(db, resident, area, hazards)
        return len(found)

    def checked(self, new: NewGroup, by: User) -> NewGroup:
        """Raises ValueError, OutsideError."""
        if new.area not in self._on.city().areas:
            raise ValueError("area: a code of the city's")
        self._on.check(by, new.area)
        try:
            return NewGroup(new.area, checked_name(new.name), checked_households(new.households))
        except ValueError as error:
            raise ValueError(f"name or households: {error}") from None

    def make(self, db: Connection, new: NewGroup) -> int:
        if rows.count(db) >= GROUPS_MOST:
            raise GroupError(f"there are {GROUPS_MOST} groups already, those that have ended among them")
        return rows.add_group(db, new, self._on.now_ms())

    def appoint(self, db: Connection, id_: int, new: NewLeader, doors: Sequence[Door], by: User) -> int | None:
        """None: he leads it already, by the same addresses."""
        known = [rows.leading(db, self._on.seal, door.channel, door.reached.address) for door in doors]
        led = {one.group for one in known if one is not None}
        if led - {id_}:
            raise GroupError("this address leads another group")
        if led:
            if len({one.resident for one in known if one is not None}) == 1 and None not in known:
                return None
            raise GroupError("one of these addresses leads this group already; end that leader first")
        if len(rows.leaders_of(db, [id_], None).get(id_, ())) >= LEADERS_MOST:
            raise GroupError(f"the group has {LEADERS_MOST} leaders already")
        on = self._on
        return rows.add_leader(db, on.seal, id_, new.lang, doors, on.hazards, by.name, on.now_ms())

    def found(self, db: Connection, id_: int, by: User) -> Row[Any]:
        """Raises NoGroupError, OutsideError."""
        row = rows.group_at(db, id_)
        if row is None:
            raise NoGroupError(f"there is no group {id_}")
        self._on.check(by, row.area)
        return row

    def shown_to(self, by: User) -> Seal | None:
        """Who keeps the list may tell its numbers apart by their ends; a viewer has nothing to compare them with."""
        return self._on.seal if by.role.covers(Role.OPERATOR) else None

    def _areas(self, by: User, area: str) -> list[str] | None:
        city = self._on.city()
        if area and area not in city.areas:
            raise ValueError("area: a code of the city's")
        if not area and not by.areas:
            return None
        return [code for code in (city.within(area) if area else city.areas) if by.in_area(code, city)]

    def _group(self, db: Connection, id_: int, by: User) -> Group:
        row = rows.group_at(db, id_)
        assert row is not None
        return rows.group_of(row, rows.leaders_of(db, [id_], self.shown_to(by)))


def _plain(new: NewGroup) -> dict[str, Any]:
    return {"area": new.area, "name": new.name, "households": new.households}
