"""When time alone changes an incident. From its row only, so that a restart finds the same."""

from __future__ import annotations

from typing import Final

from alerts.incidents.escalating import next_call
from alerts.incidents.incident import DANGER, Incident
from alerts.incidents.verbs import Silence
from processing.rules import Hazard

HOUR_MS: Final = 3_600_000
DAY_BEFORE_MS: Final = 24 * HOUR_MS
HOUR_BEFORE_MS: Final = HOUR_MS
UNATTENDED_AFTER = 2  # times `approve_within` without an answer (CONTRACTS section 6)


def due(incident: Incident, hazard: Hazard, after: int) -> int | None:
    """The first moment, ms UTC; None: never. `after`: what was looked at then and brought nothing is left out."""
    if not incident.id or incident.closed_at is not None:
        return None
    times = [unattended_at(asked, hazard) for asked in incident.asked_at if asked]
    times = [when for when in times if when > after]
    if incident.chain is not None and (call := next_call(incident.chain)) is not None:
        times.append(call)
    times += [hand.until for hand in (incident.hand, incident.proposed) if hand is not None]
    times += [when for when in (calm_at(incident, hazard), falls_at(incident, hazard)) if when is not None]
    return min(times, default=None)


def unattended_at(asked_at: int, hazard: Hazard) -> int:
    return asked_at + UNATTENDED_AFTER * hazard.approve_within_ms


def calm_at(incident: Incident, hazard: Hazard) -> int | None:
    """When the first of its members has been calm for long enough (`ends_when`) to hold nothing open."""
    if hazard.ends_when is None:
        return None
    since = [m.calm_since for m in incident.members if m.calm_since is not None and m.counted]
    return min(since) + hazard.ends_when.for_ms if since else None


def falls_at(incident: Incident, hazard: Hazard) -> int | None:
    """When it eases or ends. A silence eases nothing: while it covers a member that counted, all stands as it is."""
    if incident.held_open or is_frozen(incident):
        return None
    if not incident.wanted:  # what is published stands until the end: a short dip between two waves is no news
        quiet_ms = hazard.quiet_ms
        if incident.peak >= DANGER and hazard.quiet_after_danger_ms is not None:
            quiet_ms = hazard.quiet_after_danger_ms
        return max(incident.changed_arrival + quiet_ms, incident.free_at)
    if 0 < incident.supported < incident.level:  # what nobody confirms does not ease to nothing what was confirmed
        unchanged = incident.changed_arrival + hazard.ease_after_ms
        return max(unchanged, incident.updated_at + hazard.min_update_ms, incident.free_at)
    return None


def is_frozen(incident: Incident) -> bool:
    return any(member.silenced and member.counted for member in incident.members)


def told_at(silence: Silence) -> tuple[int, ...]:
    """When residents hear of an announced outage: the day before, and an hour before."""
    return (silence.begins - DAY_BEFORE_MS, silence.begins - HOUR_BEFORE_MS) if silence.announced else ()
