"""Confirmation (CONTRACTS section 6, a to e): up to which level what a sensor says may be published, and by what."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from alerts.incidents.incident import WARNING, Confirmation, Incident, Member
from alerts.incidents.members import last_was_good
from alerts.incidents.standing import Standing
from alerts.incidents.witnesses import Witnesses

NOT_YET: Final = "sole_not_yet"  # alone; not yet three good readings over five minutes
ABOVE_SOLE: Final = "sole_above_warning"  # alone, which is enough for warning and not for more
CONTRADICTED: Final = "others_are_calm"  # others could confirm it, and do not
SILENCED: Final = "silenced"
_SHOWN: Final = 5  # names of those who do not confirm


def is_open_question(member: Member) -> bool:
    """Whether more evidence would change anything: not all of it is confirmed, or by nobody else."""
    alone = member.by in (Confirmation.SOLE, Confirmation.UNATTENDED)
    return member.counts > 0 and (member.confirmed < member.counts or alone)


def confirmed(
    member: Member, incident: Incident, standing: Standing, who: Witnesses, pouring: str, now: int
) -> Member:  # fmt: skip
    """`member` with what confirms it at `now`; once confirmed, a level stays so until the member falls below it.

    `pouring`: the hazard among its `confirm_by` that is published at warning or above in the area, "" if none is.
    """
    level, by, witness = _best(member, incident, standing, who, pouring, now)
    stronger = level == member.confirmed and member.by in (Confirmation.SOLE, Confirmation.UNATTENDED)
    if level > member.confirmed or (level and stronger and by is not member.by):
        member = replace(member, confirmed=level, by=by, witness=witness)
    if member.confirmed:
        return member
    why = _why_not(member, incident, standing, who, now)
    return member if why == member.witness else replace(member, witness=why)


def _best(
    member: Member, incident: Incident, standing: Standing, who: Witnesses, pouring: str, now: int
) -> tuple[int, Confirmation, str]:  # fmt: skip
    """The highest level, and of several ways to it the one that stands first."""
    hazard, want = who.hazard(incident.hazard), member.counts
    if not hazard.confirm:
        return want, Confirmation.NOT_ASKED, ""
    person = incident.approvals[-1].by if incident.approvals else ""
    by_person = (min(want, incident.approved), Confirmation.PERSON, person)
    if member.sensor in standing.asleep:  # its level stands as it was; nobody can bear witness to what it said last
        return by_person
    sensor = who.sensor(member.sensor)
    if sensor is not None and sensor.trust == "reference" and last_was_good(member):
        return want, Confirmation.REFERENCE, ""
    if pouring:
        return want, Confirmation.HAZARD, pouring
    seen, witness = standing.testimony(member.sensor, incident.hazard, incident.area, who, now)
    ways = [
        (min(want, seen + 1) if seen else 0, Confirmation.NEIGHBOUR, witness),
        by_person,
        (min(want, WARNING, sole_level(member, incident, standing, who, now)), Confirmation.SOLE, ""),
    ]
    return max(ways, key=lambda way: way[0])


def sole_level(member: Member, incident: Incident, standing: Standing, who: Witnesses, now: int) -> int:
    """The level up to which (d) holds: no other live sensor could confirm, and it has stood there; 0: none."""
    if member.sensor in standing.asleep or not member.stood:
        return 0
    others = standing.contradicting(member.sensor, incident.hazard, incident.area, who, now)
    return 0 if others else min(member.stood, member.counts)


def _why_not(member: Member, incident: Incident, standing: Standing, who: Witnesses, now: int) -> str:
    if member.silenced:
        return f"{SILENCED} {member.silenced}"
    others = standing.contradicting(member.sensor, incident.hazard, incident.area, who, now)
    if others:
        return f"{CONTRADICTED} {' '.join(others[:_SHOWN])}"
    return NOT_YET
