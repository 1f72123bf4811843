"""Records as rows, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from alerts.incidents.incident import Incident, Notice
from processing.transitions import HealthEvent, LateBreach, Transition


def incident_row(incident: Incident) -> dict[str, Any]:
    """The columns that are asked by, and the whole of it."""
    return {
        "id": incident.id, "hazard": incident.hazard, "area": incident.area, "drill": incident.drill,
        "level": incident.level, "version": incident.version, "opened_at": incident.opened_at,
        "updated_at": incident.updated_at, "closed_at": incident.closed_at, "awaiting": incident.awaiting,
        "standing": bool(incident.members),
        "body": msgspec.json.encode(incident).decode(),
    }  # fmt: skip


def incident_of(row: Row[Any]) -> Incident:
    return msgspec.json.decode(row.body, type=Incident)


def notice_row(notice: Notice, entry: int | None = None) -> dict[str, Any]:
    """`entry`: the position of the entry that called for it; None: a person's act did."""
    return {
        "incident": notice.incident, "version": notice.version, "hazard": notice.hazard, "area": notice.area,
        "drill": notice.drill, "arrival": notice.arrival, "entry": entry,
        "planned": notice.planned is not None,
        "notice": msgspec.json.encode(notice).decode(),
    }  # fmt: skip


def notice_of(row: Row[Any]) -> tuple[int, Notice]:
    """The notice and its number, from which listeners resume."""
    return row.seq, msgspec.json.decode(row.notice, type=Notice)


def transition_row(transition: Transition, position: int) -> dict[str, Any]:
    columns = _fields(transition)
    columns["from_level"], columns["to_level"] = columns.pop("from_"), columns.pop("to")
    return {**columns, "position": position}


def transition_of(row: Row[Any]) -> tuple[int, Transition]:
    """The transition and its number: the order in which the engine made them."""
    levels = (row.from_level, row.to_level)
    return row.id, Transition(row.at, row.sensor, row.rule, *levels, row.value, row.arrival)


def health_row(event: HealthEvent, position: int) -> dict[str, Any]:
    return {"position": position, "at": event.at, "sensor": event.sensor, "from_status": event.from_.value,
            "to_status": event.to.value}  # fmt: skip


def late_breach_row(late: LateBreach, position: int) -> dict[str, Any]:
    return {**_fields(late), "position": position}


def late_breach_of(row: Row[Any]) -> LateBreach:
    return LateBreach(row.sensor, row.rule, row.at, row.value, row.arrival)


def _fields(record: Transition | LateBreach) -> dict[str, Any]:
    """As SQLAlchemy takes them."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
