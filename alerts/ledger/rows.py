"""Records as rows, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from alerts.incidents.incident import Incident, Member, Notice, Reason
from processing.transitions import HealthEvent, LateBreach, Transition


def incident_row(incident: Incident) -> dict[str, Any]:
    return {**_fields(incident), "members": msgspec.json.encode(incident.members).decode()}


def incident_of(row: Row[Any]) -> Incident:
    columns = row._asdict()
    return Incident(**columns | {"members": msgspec.json.decode(columns["members"], type=tuple[Member, ...])})


def notice_row(notice: Notice, entry: int | None = None) -> dict[str, Any]:
    """`entry`: the position of the entry that called for it."""
    cause = msgspec.json.encode(notice.cause).decode()
    return {**_fields(notice), "reason": notice.reason.value, "cause": cause, "entry": entry}


def notice_of(row: Row[Any]) -> tuple[int, Notice]:
    """The notice and its number, from which listeners resume."""
    columns = row._asdict()
    seq, _ = columns.pop("seq"), columns.pop("entry")
    cause = msgspec.json.decode(columns["cause"], type=Member | None)
    return seq, Notice(**columns | {"reason": Reason(columns["reason"]), "cause": cause})


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


def _fields(record: Incident | Notice | Transition | LateBreach) -> dict[str, Any]:
    """Shallow: msgspec writes the members, and SQLAlchemy takes the rest as it is."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}
