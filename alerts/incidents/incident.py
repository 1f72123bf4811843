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
    """One event of one hazard in one area. Times ms UTC; `level` is the published level, 0-4, `peak` the highest.

    `version` counts the changes of what is published, from 1. `closed_at` None: open. The row is the whole state: what
    is published and what the sensors say now (`members`), so that a restart goes on from the ledger alone.
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
    told_level: int = 0  # what residents heard last: easing is measured against it, not against the version before
    changed_at: int = 0  # the newest change of a member: when it was measured
    changed_arrival: int = 0  # and when it arrived; without members, the quiet time runs from here
    measured: bool = True  # False: a schedule closed or a rule went, nothing was measured; such an end is no all-clear


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of one incident. (incident, version) is unique.

    `at` is the moment of measuring of the change behind it, `arrival` when the version was made; `cause` the member
    that drove it (eased: the one that still holds it up), None for an end. Every version is a row and moves the pages;
    `told` False: residents are not sent it (eased by one level, or ended without a measurement).
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
    told: bool = True
