"""Ward groups as operators make, change and end them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row

from alerts.people.group import (
    GROUPS_MOST,
    LEADERS_MOST,
    Group,
    NewGroup,
    NewLeader,
    checked_households,
    checked_name,
)
from alerts.people.user import Role, User
from alerts.residents import group_rows as rows
from alerts.residents import leader_rows
from alerts.residents.ground import Ground, GroupError, NoGroupError
from alerts.residents.leader_rows import Appointed, Door
from alerts.residents.seal import Seal

ELSEWHERE: Final = "this address leads another group"
FULL: Final = f"the group has {LEADERS_MOST} leaders already"


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
            leaders = leader_rows.leaders_of(db, [row.id for row in shown], self.shown_to(by))
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
            if known is None:
                [id_] = self.make(db, [new])
            else:
                id_ = int(known.id)
                rows.change_group(db, id_, households=new.households, active=True)
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
            leaders = leader_rows.leaders_of(db, [id_], None).get(id_, ())
            for leader in leaders:
                leader_rows.end_leader(db, leader.id, f"the group was ended by {by.name}", self._on.now_ms())
            rows.change_group(db, id_, active=False)
            detail = {"leaders": [leader.id for leader in leaders]}
            self._on.note(told, self._on.by(by, key), "group_end", f"group/{id_}", detail)
            return len(leaders)

    def add_leader(self, id_: int, new: NewLeader, by: User, key: str = "") -> Group:
        """The same address again changes nothing."""
        doors = self._on.doors(new)
        with self._on.changing() as (db, told):
            row = self.found(db, id_, by)
            if self._appoint(db, row, new, doors, by):
                detail = {"channels": [door.channel for door in doors], "lang": new.lang}
                self._on.note(told, self._on.by(by, key), "leader_add", f"group/{id_}", detail)
            return self._group(db, id_, by)

    def end_leader(self, id_: int, leader: int, by: User, key: str = "") -> None:
        with self._on.changing() as (db, told):
            self.found(db, id_, by)
            if leader not in (one.id for one in leader_rows.leaders_of(db, [id_], None).get(id_, ())):
                raise NoGroupError(f"group {id_} has no leader {leader}")
            leader_rows.end_leader(db, leader, f"ended by {by.name}", self._on.now_ms())
            self._on.note(told, self._on.by(by, key), "leader_end", f"group/{id_}", {"leader": leader})

    def keep_aim(self) -> int:
        """To be called at the start and after a change of the rules: how many leaders hear of other hazards now."""
        hazards = self._on.hazards
        with self._on.store.writing() as db:
            found = leader_rows.misaimed(db, hazards)
            for resident, area in found:
                leader_rows.aim(db, resident, area, hazards)
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

    def make(self, db: Connection, new: Sequence[NewGroup]) -> list[int]:
        """Their numbers. Raises GroupError."""
        if rows.count(db) + len(new) > GROUPS_MOST:
            raise GroupError(f"at most {GROUPS_MOST} groups, those that have ended among them")
        return rows.add_groups(db, new, self._on.now_ms())

    def _appoint(self, db: Connection, row: Row[Any], new: NewLeader, doors: Sequence[Door], by: User) -> bool:
        """False: he leads it already, by the same addresses."""
        known = [leader_rows.leading(db, self._on.seal, door.channel, door.reached.address) for door in doors]
        led = {one.group for one in known if one is not None}
        if led - {row.id}:
            raise GroupError(ELSEWHERE)
        if led:
            if len({one.resident for one in known if one is not None}) == 1 and None not in known:
                return False
            raise GroupError("one of these addresses leads this group already; end that leader first")
        if len(leader_rows.leaders_of(db, [row.id], None).get(row.id, ())) >= LEADERS_MOST:
            raise GroupError(FULL)
        on, one = self._on, Appointed(row.id, row.area, new.lang, tuple(doors))
        leader_rows.add_leaders(db, on.seal, [one], on.hazards, by.name, on.now_ms())
        return True

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
        return rows.group_of(row, leader_rows.leaders_of(db, [id_], self.shown_to(by)))


def _plain(new: NewGroup) -> dict[str, Any]:
    return {"area": new.area, "name": new.name, "households": new.households}
