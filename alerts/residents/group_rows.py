"""Ward groups as rows. Every function works within a transaction of who calls it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from alerts.people.group import Group, Leader, NewGroup
from alerts.residents import schema

_GROUP: Final = schema.group
_CHUNK: Final = 500  # numbers in one statement


def group_at(db: Connection, id_: int) -> Row[Any] | None:
    """None: there is none that is active."""
    return db.execute(select(_GROUP).where(_GROUP.c.id == id_, _GROUP.c.active)).one_or_none()


def named(db: Connection, area: str, name: str) -> Row[Any] | None:
    """Also one that has ended."""
    return db.execute(select(_GROUP).where(_GROUP.c.area == area, _GROUP.c.name == name)).one_or_none()


def count(db: Connection) -> int:
    return db.execute(select(func.count()).select_from(_GROUP)).scalar_one()


def listed(
    db: Connection, areas: Collection[str] | None, *, after: int, limit: int
) -> list[Row[Any]]:  # fmt: skip
    """Active groups of `areas` (None: of all) with a greater number than `after`, by number."""
    query = select(_GROUP).where(_GROUP.c.active, _GROUP.c.id > after).order_by(_GROUP.c.id).limit(limit)
    return list(db.execute(query if areas is None else query.where(_GROUP.c.area.in_(areas))))


def by_name(db: Connection) -> dict[tuple[str, str], Row[Any]]:
    """Every group by area and name, also those that have ended."""
    return {(row.area, row.name): row for row in db.execute(select(_GROUP))}


def change_group(db: Connection, id_: int, **values: Any) -> None:
    db.execute(update(_GROUP).where(_GROUP.c.id == id_).values(**values))


def group_of(row: Row[Any], leaders: Mapping[int, tuple[Leader, ...]]) -> Group:
    return Group(row.id, row.area, row.name, row.households, leaders.get(row.id, ()))


def add_groups(db: Connection, new: Sequence[NewGroup], now_ms: int) -> list[int]:
    """Their numbers. None of them may be there yet."""
    if not new:
        return []
    made = [{"area": one.area, "name": one.name, "households": one.households, "active": True, "created_at": now_ms}
            for one in new]  # fmt: skip
    return list(db.execute(insert(_GROUP).returning(_GROUP.c.id, sort_by_parameter_order=True), made).scalars())


def chunks(numbers: Sequence[int]) -> Iterable[list[int]]:
    """As many as one statement takes."""
    return (list(numbers[k : k + _CHUNK]) for k in range(0, len(numbers), _CHUNK))
