"""A version: what is published of an incident changes, and the notice that says so. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from alerts.incidents.incident import ENDS, Incident, Key, Member, Notice, Reason, Withheld

CONTINUES_MS: Final = 6 * 3_600_000  # a rise this soon after the end belongs to the same event
TOLD_EASING: Final = 2  # levels below what residents heard last


def published(
    incident: Incident, reason: Reason, at: int, arrival: int, by: str = "", level: int | None = None
) -> tuple[Incident, Notice]:  # fmt: skip
    """The next version. `at` when what drove it was measured; `by` the person whose act made it.

    `level`: the one that this person has said; None: the one that is supported.
    """
    ends = reason in ENDS
    level = 0 if ends else incident.supported if level is None else level
    withheld = _withheld(incident, reason, level, by)
    after = replace(
        incident, level=level, peak=max(incident.peak, level), version=incident.version + 1, updated_at=arrival,
        told_level=incident.told_level if withheld else level,
    )  # fmt: skip
    if ends:
        after = ended(after, arrival)
    driven_by = None if ends else cause(after)
    notice = Notice(
        after.id, after.version, reason, after.hazard, after.area, level, incident.level, at, arrival, driven_by,
        withheld, after.peak, by, incident.hand if driven_by is None else None, after.drill,
        after.event,
    )  # fmt: skip
    return after, notice


def _withheld(incident: Incident, reason: Reason, level: int, by: str) -> Withheld:
    if reason is Reason.OVER and not incident.measured and not by and incident.hand is None:
        return Withheld.UNMEASURED
    if reason is Reason.WORSE and level <= incident.told_level and incident.hand is None:
        return Withheld.HEARD
    if reason is Reason.EASED and incident.told_level - level < TOLD_EASING:
        return Withheld.ONE_LEVEL
    return Withheld.NO


def ended(incident: Incident, arrival: int) -> Incident:
    """Closed; nobody is asked or called any more."""
    return replace(
        incident, level=0, closed_at=arrival, told_level=0, asked_at=(0, 0), hand_asked_at=0, chain=None, held_open="",
        event="", danger_by=(), approved=0, approvals=(), hand=None, proposed=None, acknowledged_by="",
        acknowledged_at=None,
    )  # fmt: skip


def opened(incident: Incident, arrival: int) -> Incident:
    """`incident` where it is open; else the one that ended not long ago going on, or a new one."""
    if incident.id and incident.closed_at is None:
        return incident
    if incident.closed_at is not None and arrival - incident.closed_at <= CONTINUES_MS:
        return replace(incident, closed_at=None)
    id_ = incident_id(incident.key, arrival)
    return replace(
        incident, id=id_, peak=0, version=0, opened_at=arrival, updated_at=0, closed_at=None, assigned_to=""
    )  # fmt: skip


def incident_id(key: Key, opened_at: int) -> str:
    """Short, readable, and unique: within a minute, and for 6 h after an end, an event is the same event.

    A point, because names of hazards have none: where one part ends and the next begins is never in doubt.
    """
    hazard, area, drill = key
    start = "drill." if drill else ""
    return f"{start}{hazard}.{area}.{datetime.fromtimestamp(opened_at // 1000, UTC):%Y%m%dT%H%MZ}"


def nothing(key: Key) -> Incident:
    hazard, area, drill = key
    return Incident("", hazard, area, 0, 0, 0, 0, 0, None, (), drill=drill)


def cause(incident: Incident) -> Member | None:
    """The member that supports the highest level; of several the one that changed last. None: a person's word does."""
    if incident.hand is not None and incident.hand.level >= incident.supported:
        return None
    by_support = {id(m): min(m.counts, max(m.confirmed, incident.approved)) for m in incident.members}
    standing = [m for m in incident.members if by_support[id(m)]]
    return max(reversed(standing), key=lambda m: (by_support[id(m)], m.at), default=None)
