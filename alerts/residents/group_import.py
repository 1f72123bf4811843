"""A list of groups and their leaders, brought at once: all or nothing, and the same list again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from alerts.people.group_list import CellError, Row, RowError, read_rows
from alerts.people.user import User
from alerts.residents import group_rows as rows
from alerts.residents.group_rows import Door
from alerts.residents.groups import Ground, GroupError, Groups
from alerts.staff import OutsideError

ERRORS_MOST: Final = 100  # that are told; of the others only how many


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
            for row, doors in lines:
                self._bring(db, row, doors, by, brought)
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

    def _checked(self, text: str, by: User, brought: Brought) -> list[tuple[Row, Sequence[Door]]]:
        """The lines that stand for themselves; what is wrong with the others is in `brought`."""
        found: list[tuple[Row, Sequence[Door]]] = []
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

    def _bring(self, db: Connection, row: Row, doors: Sequence[Door], by: User, brought: Brought) -> None:
        new = row.group
        known = rows.named(db, new.area, new.name)
        if known is None or not known.active:
            id_ = self._groups.make(db, new)
            brought.groups_added += 1
        else:
            id_ = int(known.id)
            if known.households != new.households:
                rows.change_group(db, id_, households=new.households)
                brought.groups_changed += 1
        if row.leader is None:
            return
        try:
            brought.leaders_added += self._groups.appoint(db, id_, row.leader, doors, by) is not None
        except GroupError as error:
            brought.wrong(RowError(row.line, "leader_address", str(error)))
