"""What a hazard is called in CAP: its category, and its code in OASIS's list of event terms.

Codes and categories: OASIS, Event Terms List for Use with the Common Alerting Protocol Version 1.2, Committee Note 01,
19 November 2020 (https://docs.oasis-open.org/emergency/cap-etl/v1.2/cn01/cap-etl-v1.2-cn01.html), as WMO's CAP Composer
carries it (wmo-raf/cap-composer, capeditor/oet_v1_2.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from alerts.incidents.incident import Notice

OET: Final = "OET:v1.2"  # valueName of the list
PUBLIC_HAZARDS: Final = ("rain", "flood", "power")


@dataclass(frozen=True, slots=True)
class Event:
    """`code` and `term` of the list, `category` of CAP."""

    code: str
    term: str
    category: str


_OTHER: Final = Event("OET-000", "other event", "Safety")
# No term for an evacuation: it is an answer, not an event.
_EVENTS: Final[Mapping[str, Event]] = {
    "rain": Event("OET-159", "rain", "Met"),
    "flood": Event("OET-081", "flood", "Met"),
    "power": Event("OET-145", "power outage", "Infra"),
    "storm": Event("OET-187", "storm", "Met"),
    "landslide": Event("OET-119", "landslide", "Geo"),
    "reservoir": Event("OET-053", "dam issue", "Infra"),
    "school_closure": Event("OET-174", "school closing", "Infra"),
}
CODES: Final = frozenset(event.code for event in (_OTHER, *_EVENTS.values()))


def event_of(notice: Notice) -> Event:
    """By the template of a person's warning, else by the hazard."""
    template = notice.hand.template if notice.hand is not None else ""
    return _EVENTS.get(template) or _EVENTS.get(notice.hazard) or _OTHER


def is_public(notice: Notice) -> bool:
    """Whether versions of its incident go out as CAP at all."""
    return notice.hazard in PUBLIC_HAZARDS or notice.hand is not None
