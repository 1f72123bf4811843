"""Whom operators' calls go to, and when: approval, and acknowledgement of danger. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from alerts.incidents.decision import Call
from alerts.incidents.incident import DANGER, EMERGENCY, Chain, Incident

CALLS_MOST: Final = 72  # of one chain, half a day at ten minutes; who has not answered by then is no longer called

Steps: TypeAlias = tuple[tuple[str, ...], ...]


def asked(incident: Incident, now: int) -> Incident:
    """Operators are asked for danger and above beyond what is published, and for what a person gave by hand."""
    by_hand = (incident.hand_asked_at or now) if incident.proposed is not None else 0
    measured = (_asked(incident, DANGER, now), _asked(incident, EMERGENCY, now))
    before, after = (*incident.asked_at, incident.hand_asked_at), (*measured, by_hand)
    if after == before:
        return incident
    incident = replace(incident, asked_at=measured, hand_asked_at=by_hand)
    newly = any(at and not was for was, at in zip(before, after, strict=True))
    return unanswered(incident) if newly else incident


def _asked(incident: Incident, level: int, now: int) -> int:
    if not incident.level < level <= incident.measured_level:
        return 0
    return incident.asked_at[level - DANGER] or now


def unanswered(incident: Incident) -> Incident:
    """Who acknowledged has not seen this yet: calls begin anew."""
    return replace(incident, acknowledged_by="", acknowledged_at=None, chain=None)


def called(
    incident: Incident, now: int, every_ms: int, chain_of: Callable[[str, str], Steps]
) -> tuple[Incident, Call | None]:  # fmt: skip
    """The chain begun, gone on with, or ended; and the call that is due at `now`."""
    asks_somebody = (incident.awaiting or incident.level >= DANGER) and not incident.drill
    if incident.closed_at is not None or incident.acknowledged_by or not asks_somebody:
        return (replace(incident, chain=None) if incident.chain else incident), None
    if incident.chain is not None and not incident.chain.steps and chain_of(incident.hazard, incident.area):
        incident = replace(incident, chain=None)  # nobody could be called when it began; now somebody can
    chain = incident.chain or Chain(chain_of(incident.hazard, incident.area), now, every_ms)
    when = next_call(chain)
    if when is None or now < when:
        return (incident if incident.chain else replace(incident, chain=chain)), None
    to = chain.steps[min(chain.called, len(chain.steps) - 1)]
    asks = "approve" if incident.awaiting else "acknowledge"
    call = Call(incident.id, chain.called, to, now, asks, max(incident.level, incident.wanted))
    return replace(incident, chain=replace(chain, called=chain.called + 1)), call


def next_call(chain: Chain) -> int | None:
    """When the next call is due, ms UTC; None: nobody is in the chain, or they were called often enough."""
    if not chain.steps or chain.called >= CALLS_MOST:
        return None
    return chain.since + chain.called * chain.every_ms
