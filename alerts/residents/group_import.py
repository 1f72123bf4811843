"""A list of groups and their leaders, brought at once: all or nothing, and the same list again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sqlalchemy import Connection

from alerts.people.group import LEADERS_MOST, NewGroup
from alerts.people.group_list import CellError, Row, RowError, read_rows
from alerts.people.user import User
from alerts.residents import group_rows as rows
from alerts.residents import leader_rows
from alerts.residents.ground import Ground
from alerts.residents.groups import ELSEWHERE, FULL, Groups
from alerts.residents.leader_rows import Appointed, Door
from alerts.staff import OutsideError

ERRORS_MOST: Final = 100  # that are told; of the others only how many
_Line: TypeAlias = tuple[Row, Sequence[Door]]


@dataclass(slots=True)
class Brought:
    """What a list does, or would do. With an error nothing of it is done."""

    lines: int = 0
    groups_added: int = 0
    groups_changed: int = 0
    leaders_added: int = 0
    errors: list[RowError] = field(default_factory=list)
    errors_more: int = 0
    applied: bool = False

    def wrong(self, error: RowError) -> None:
        if len(self.errors) < ERRORS_MOST:
            self.errors.append(error)
        else:
            self.errors_more += 1


class GroupImport:
    def __init__(self, ground: Ground, groups: Groups) -> None:
        self._on, self._groups = ground, groups

    def bring(self, text: str, by: User, key: str = "", *, dry_run: bool = False) -> Brought:
        """`text`: CSV (alerts/people/group_list.py); a group's further leaders stand on lines of their own.

        A dry run goes all the way and is undone. Leaders who are not on the list stay. Raises GroupError, LedgerError.
        """
        brought = Brought()
        lines = self._checked(text, by, brought)
        with self._on.changing() as (db, told):
            self._bring(db, lines, by, brought)
            brought.applied = not brought.errors and not dry_run
            if not brought.applied:
                db.rollback()
                return brought
            counts = {"groups_added": brought.groups_added, "groups_changed": brought.groups_changed,
                      "leaders_added": brought.leaders_added}  # fmt: skip
            if any(counts.values()):
                detail = {"lines": brought.lines, **counts}
                self._on.note(told, self._on.by(by, key), "groups_import", "group", detail)
        return brought

    def _checked(self, text: str, by: User, brought: Brought) -> list[_Line]:
        """The lines that stand for themselves; what is wrong with the others is in `brought`."""
        found: list[_Line] = []
        sizes: dict[tuple[str, str], int] = {}
        for row in read_rows(text):
            brought.lines += 1
            if isinstance(row, RowError):
                brought.wrong(row)
                continue
            try:
                found.append((row, self._doors(row, sizes, by)))
            except CellError as error:
                brought.wrong(RowError(row.line, error.column, error.expected))
        return found

    def _doors(self, row: Row, sizes: dict[tuple[str, str], int], by: User) -> Sequence[Door]:
        group = row.group
        if group.area not in self._on.city().areas:
            raise CellError("area", "a code of the city's")
        try:
            self._on.check(by, group.area)
        except OutsideError as error:
            raise CellError("area", str(error)) from None
        if sizes.setdefault((group.area, group.name), group.households) != group.households:
            raise CellError("households", "the same on every line of a group")
        if row.leader is None:
            return ()
        if row.leader.ways[0].channel not in self._on.kinds:
            raise CellError("leader_channel", " or ".join(sorted(self._on.kinds)) or "none is set up")
        try:
            return self._on.doors(row.leader)
        except ValueError as error:
            raise CellError("leader_address", str(error)) from None

    def _bring(self, db: Connection, lines: Sequence[_Line], by: User, brought: Brought) -> None:
        """In a handful of statements, whatever the length: the post waits for as long as this takes."""
        numbers = self._bring_groups(db, {(row.group.area, row.group.name): row.group for row, _ in lines}, brought)
        on, led_by = self._on, {way: one.group for way, one in leader_rows.by_address(db).items()}
        leaders = leader_rows.leaders(db)
        new: list[Appointed] = []
        for row, doors in lines:
            group = numbers[row.group.area, row.group.name]
            for door in doors:
                way = (door.channel, door.digest(on.seal))
                if way in led_by:
                    if led_by[way] != group:
                        brought.wrong(RowError(row.line, "leader_address", ELSEWHERE))
                    continue
                if leaders[group] >= LEADERS_MOST:
                    brought.wrong(RowError(row.line, "leader_address", FULL))
                    continue
                led_by[way] = group
                leaders[group] += 1
                assert row.leader is not None  # whose door it is
                new.append(Appointed(group, row.group.area, row.leader.lang, (door,)))
        leader_rows.add_leaders(db, on.seal, new, on.hazards, by.name, on.now_ms())
        brought.leaders_added = len(new)

    def _bring_groups(
        self, db: Connection, wanted: Mapping[tuple[str, str], NewGroup], brought: Brought
    ) -> dict[tuple[str, str], int]:  # fmt: skip
        """The number of each, by area and name."""
        known = rows.by_name(db)
        new = [name for name in wanted if name not in known]
        numbers = {name: int(row.id) for name, row in known.items()}
        numbers |= zip(new, self._groups.make(db, [wanted[name] for name in new]), strict=True)
        brought.groups_added = len(new)
        for name, group in wanted.items():
            row = known.get(name)
            if row is not None and (not row.active or row.households != group.households):
                rows.change_group(db, row.id, households=group.households, active=True)
                brought.groups_added += not row.active
                brought.groups_changed += row.active
        return numbers
