"""What operators do: each verb a frozen record. Who may do what is alerts/people; what it does is alerts/incidents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from alerts.incidents.incident import Hand

POWER: Final = "power"  # the hazard of which outages are planned


class RefusedError(Exception):
    """The verb does not fit how things stand; one line that says why. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """I have seen it: calls stop. Said twice it changes nothing."""

    incident: str


@dataclass(frozen=True, slots=True)
class Assign:
    incident: str
    to: str  # a user's name; "": nobody


@dataclass(frozen=True, slots=True)
class Comment:
    incident: str
    text: str


@dataclass(frozen=True, slots=True)
class Approve:
    """It is so: what is measured is published up to `level`. `incident`, or `event`: everything awaiting in it.

    `hazards`: of the event's those alone; none: all.
    """

    incident: str = ""
    event: str = ""
    level: int = 4
    hazards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ease:
    """It is no more than `level` (1-3): until a sensor rises again it counts for that at most."""

    incident: str
    level: int


@dataclass(frozen=True, slots=True)
class Close:
    """It is over; `withdraw`: it never was. Until a sensor rises again."""

    incident: str
    withdraw: bool = False


@dataclass(frozen=True, slots=True)
class Raise:
    """A warning by hand, or a drill, in each of `areas`. `approver`: the person's own word counts as an approval."""

    hand: Hand
    hazard: str
    areas: tuple[str, ...]
    drill: bool = False
    approver: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """What a known cause explains: covered members neither count nor confirm, `begins` to `until`, ms UTC.

    Covered is what fits all that is given: `sensor`, `hazard`, one of `areas`. `planned`: an announced outage; what is
    still out after its end counts, and is told as any other.
    """

    id: str
    begins: int
    until: int
    reason: str
    by: str
    sensor: str = ""
    hazard: str = ""
    areas: tuple[str, ...] = ()
    planned: bool = False

    @property
    def announced(self) -> bool:
        """Whether residents hear of it before it begins."""
        return self.planned and self.hazard == POWER


@dataclass(frozen=True, slots=True)
class EndSilence:
    id: str


@dataclass(frozen=True, slots=True)
class Reschedule:
    """The announced outage has other times, ms UTC; once it has begun, another end alone."""

    id: str
    begins: int
    until: int


@dataclass(frozen=True, slots=True)
class OfficialLevel:
    """The disaster-risk level 1-5 as the hydromet office announced it; carried, never computed (DOMAIN section 3).

    `level` 0: no longer in force. Times ms UTC.
    """

    level: int
    issuer: str
    bulletin: str
    valid_from: int
    valid_until: int
    hazard: str = ""
    areas: tuple[str, ...] = ()  # none: the whole city


Verb: TypeAlias = (
    Acknowledge | Assign | Comment | Approve | Ease | Close | Raise | Silence | EndSilence | Reschedule | OfficialLevel
)


@dataclass(frozen=True, slots=True)
class Act:
    """A verb, the person who does it, when (ms UTC), why, and the caller's key: the same key again changes nothing."""

    verb: Verb
    by: str
    at: int
    key: str = ""
    why: str = ""
