"""Incidents: one per hazard and area, updated and not repeated; and the notices that their versions call for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why somebody is told (CONTRACTS section 6)."""

    FIRST = "first"
    WORSE = "worse"
    EASED = "eased"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Member:
    """A sensor under a rule that holds the incident up. `at` ms UTC; `value` the statistic in its unit."""

    sensor: str
    rule: str
    level: int
    at: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Incident:
    """One event of one hazard in one area. Times ms UTC; `level` is the published level, 0-4, `peak` the highest so far.

    `version` counts the changes of what is published, from 1. `closed_at` None: open.
    """

    id: str
    hazard: str
    area: str
    level: int
    peak: int
    version: int
    opened_at: int
    updated_at: int
    closed_at: int | None
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of one incident that people hear of. (incident, version) is unique.

    `at` is the moment of measuring, `arrival` when the journal knew; `cause` the member that drove it, None for an end.
    """

    incident: str
    version: int
    reason: Reason
    hazard: str
    area: str
    level: int
    previous_level: int
    at: int
    arrival: int
    cause: Member | None
