"""What each verb needs, as one table; and who is called while nobody answers.

The rule behind the table (CONTRACTS sections 5 and 6): what wakes somebody, asks or restores needs an operator; what
residents hear because of it, or no longer hear, needs an approver. An operator can raise a warning, but his word alone
is no approval (`Raise.approver`); a silence can keep a true warning from people, an announced outage of the power
company explains power alone; ending either only lets warnings through again. That people are told
to leave takes two approvers: one who raises it, and another one who approves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from alerts.incidents.verbs import (
    POWER,
    Acknowledge,
    Approve,
    Assign,
    Close,
    Comment,
    Ease,
    EndSilence,
    OfficialLevel,
    Raise,
    Reschedule,
    Silence,
    Verb,
)
from alerts.people.user import Role, User
from alerts.words.hand import EVACUATION
from ingest.city import City

STEP_MOST: Final = 50  # people called at once; of more, those first by name: a call to everybody is a call to nobody

NEEDS: Final[Mapping[type, Role]] = {
    Acknowledge: Role.OPERATOR,
    Assign: Role.OPERATOR,
    Comment: Role.OPERATOR,
    Raise: Role.OPERATOR,
    EndSilence: Role.OPERATOR,
    Reschedule: Role.OPERATOR,  # of planned outages alone
    Approve: Role.APPROVER,
    Ease: Role.APPROVER,
    Close: Role.APPROVER,
    Silence: Role.APPROVER,
    OfficialLevel: Role.APPROVER,
}


def needed(verb: Verb) -> Role:
    """The least role that may do it."""
    if isinstance(verb, Silence) and verb.planned and verb.hazard == POWER:
        return Role.OPERATOR
    if isinstance(verb, Raise) and verb.hand.template == EVACUATION:
        return Role.APPROVER
    return NEEDS[type(verb)]


def may(user: User, verb: Verb, hazard: str, area: str, city: City) -> str:
    """Why `user` may not do `verb` to that hazard in that area; "" if he may. "" for all hazards, the whole city."""
    return refused(user, needed(verb), hazard, area, city)


def refused(user: User, role: Role, hazard: str, area: str, city: City) -> str:
    """Why `user` has not `role` there; "" if he has."""
    if not user.active:
        return "this user is not active any more"
    if not user.role.covers(role):
        return f"this needs the role {role}; {user.name} is {user.role}"
    if not user.in_hazard(hazard):
        return f"{hazard or 'all hazards'}: outside the hazards of {user.name} ({', '.join(user.hazards)})"
    if not user.in_area(area, city):
        return f"{area or 'the whole city'}: outside the areas of {user.name} ({', '.join(user.areas)})"
    return ""


def chain_of(users: Iterable[User], city: City, area: str, hazard: str) -> tuple[tuple[str, ...], ...]:
    """Who is called, step by step: operators in whose scope it is, then approvers, then admins.

    No step is empty: a role that nobody has there is passed over; nobody at all: no steps. Names sorted, at most
    STEP_MOST a step.
    """
    by_role: dict[Role, list[str]] = {role: [] for role in (Role.OPERATOR, Role.APPROVER, Role.ADMIN)}
    for user in users:
        if user.role in by_role and not refused(user, Role.OPERATOR, hazard, area, city):
            by_role[user.role].append(user.name)
    return tuple(tuple(sorted(names)[:STEP_MOST]) for names in by_role.values() if names)
