"""Why: what was decided about an incident and for what reason, and whom operators' calls go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from alerts.incidents.incident import Notice


class Decided(StrEnum):
    """What was decided. Those that kept something from being told stand last."""

    ROSE = "rose"  # a member's level
    FELL = "fell"
    CONFIRMED = "confirmed"
    ASKED = "asked"  # operators, for approval
    CALLED = "called"
    UNATTENDED = "unattended"  # nobody answered, one station still says so: published
    PUBLISHED = "published"
    ACTED = "acted"  # a person's verb
    JOINED = "joined"  # the city event
    UNCONFIRMED = "unconfirmed"
    WAITS = "waits"  # an easing, until `min_update` is over
    CALM = "calm"  # `ends_when`: it holds nothing open until it rises again
    SILENCED = "silenced"
    HELD_OPEN = "held_open"  # no all-clear yet
    WITHHELD = "withheld"  # a version that residents are not sent


@dataclass(frozen=True, slots=True)
class Decision:
    """`at` ms UTC (arrival). `because`: the reason, as a code or in words; `detail`: its figures, plain JSON."""

    incident: str
    at: int
    what: Decided
    because: str = ""
    sensor: str = ""
    rule: str = ""
    level: int = 0
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """Operators are called: step `number` (from 0) of a chain. `asks`: "approve" or "acknowledge"."""

    incident: str
    number: int
    to: tuple[str, ...]
    at: int
    asks: str
    level: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step makes, each in order."""

    notices: list[Notice] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.notices or self.decisions or self.calls)
