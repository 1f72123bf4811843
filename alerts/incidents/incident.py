"""Incidents: one per hazard and area, updated and not repeated; and the notices that their versions call for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

WARNING: Final = 2
DANGER: Final = 3  # from here on: operators are called, all-clears are strict, quiet hours do not hold
EMERGENCY: Final = 4

Key: TypeAlias = tuple[str, str, bool]  # hazard, area, drill
Pair: TypeAlias = tuple[str, str]  # sensor, rule


class Reason(StrEnum):
    """Why there is a version (CONTRACTS section 6)."""

    FIRST = "first"
    WORSE = "worse"
    EASED = "eased"
    UPDATED = "updated"  # other words at the same level: given anew by hand
    OVER = "over"
    WITHDRAWN = "withdrawn"  # it should never have been said: a person takes it back (CAP: Cancel)
    STOPPED = "stopped"  # a drill that gives way to a real incident
    PLANNED = "planned"  # no incident: power is going to be cut, as somebody announced
    MOVED = "moved"  # such a cut has other times
    CALLED_OFF = "called_off"  # such a cut does not come, or was ended before its announced end


ENDS: Final = (Reason.OVER, Reason.WITHDRAWN, Reason.STOPPED, Reason.CALLED_OFF)


class Confirmation(StrEnum):
    """By what a level is confirmed (CONTRACTS section 6, a to e); NONE: by nothing yet."""

    NONE = ""
    NEIGHBOUR = "neighbour"  # (a) another live sensor of the area, or near, at most one level lower
    HAZARD = "hazard"  # (b) another hazard at warning or above in the area
    REFERENCE = "reference"  # (c) a station of the hydromet office, its reading good
    SOLE = "sole"  # (d) nobody else could confirm: three good readings over five minutes; certainty Likely
    PERSON = "person"  # (e) a person, or a report that a person accepted
    NOT_ASKED = "not_asked"  # the hazard's rules ask for none (confirm_by = "none")
    UNATTENDED = "unattended"  # (d), above warning, after nobody answered for twice `approve_within`


class Withheld(StrEnum):
    """Why residents are not sent a version; NO: they are."""

    NO = ""
    ONE_LEVEL = "eased_by_one_level"  # told are easings by two levels or more
    HEARD = "heard_already"  # it rose to no more than residents heard last: the easing between was not told
    UNMEASURED = "unmeasured"  # a schedule closed or a rule went: "the danger is over" would be a guess


@dataclass(frozen=True, slots=True)
class Member:
    """A sensor under a rule that stands above level 0. `at` measured, `arrival` known, ms UTC; `value` the statistic.

    `counted`: the level that it counts for, at most `level`; a person who eases or closes, or rain that has long been
    little (`ends_when`), takes it down until the sensor rises again. `confirmed`, at most `level`: kept until it falls.
    """

    sensor: str
    rule: str
    level: int
    at: int
    value: float | None
    arrival: int = 0
    counted: int = 0
    confirmed: int = 0
    by: Confirmation = Confirmation.NONE
    witness: str = ""  # the sensor, hazard or person that confirmed; or, in words, why nobody did
    stood: int = 0  # the highest level that it has held over three good readings and five minutes
    good: tuple[int, ...] = ()  # by level from stood + 1: good readings in a row at it or above
    since: tuple[int, ...] = ()  # and when the first of them was measured
    calm_since: int | None = None  # the short statistic of `ends_when` is below its limit; when that became known
    silenced: str = ""  # the silence that covers it
    overran: int = 0  # the announced end, ms UTC, of a planned outage that explained it until then; 0: none did

    @property
    def pair(self) -> Pair:
        return self.sensor, self.rule

    @property
    def counts(self) -> int:
        """The level that it asks for now."""
        return 0 if self.silenced else self.counted


@dataclass(frozen=True, slots=True)
class Fallen:
    """A sensor that stood at `level` until `until` (arrival, ms UTC): it can bear witness for a while."""

    sensor: str
    level: int
    until: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A person who said yes to a level. `at` ms UTC."""

    by: str
    level: int
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Who is called while nobody answers, frozen when it begins: names of users by step; the last step is repeated.

    Call number n (from 0) is due `every_ms` x n after `since`.
    """

    steps: tuple[tuple[str, ...], ...]
    since: int
    every_ms: int
    called: int = 0


@dataclass(frozen=True, slots=True)
class Hand:
    """A warning that a person gives from a template. `fields`: what the template asks for, name and text."""

    template: str
    level: int
    until: int  # ms UTC; then it is over by itself
    by: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """An announced outage as residents are told of it. Times ms UTC; `again`: a reminder follows before it begins.

    `reason`: who announces it and why, as an operator wrote it; `sensor`: the one that it is of, "" for whole areas.
    """

    begins: int
    until: int
    reason: str
    sensor: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """One event of one hazard in one area. Times ms UTC; `level` is the published level, 0-4, `peak` the highest.

    `version` counts the changes of what is published, from 1; 0: nothing of it is public. `closed_at` None: open. The
    row is the whole state, so that a restart goes on from the ledger alone.
    """

    id: str
    hazard: str
    area: str
    level: int
    peak: int
    version: int
    opened_at: int
    updated_at: int  # of the newest version
    closed_at: int | None
    members: tuple[Member, ...]
    told_level: int = 0  # what residents heard last; 0: they heard nothing, or the end
    changed_at: int = 0  # the newest change of a member: when it was measured
    changed_arrival: int = 0  # and when it arrived; without members, the quiet time runs from here
    measured: bool = True  # False: a schedule closed or a rule went, nothing was measured; such an end is no all-clear
    drill: bool = False
    hand: Hand | None = None  # what a person says by hand, with enough persons behind it
    event: str = ""  # the city event that it is part of
    fallen: tuple[Fallen, ...] = ()
    danger_by: tuple[
        str, ...
    ] = ()  # the sensors that held it at danger or above: each has to be heard for an all-clear
    held_open: str = ""  # why it is not over though nothing is measured any more
    free_at: int = 0  # when the last thing went that kept it from easing or ending: it does neither before
    asked_at: tuple[int, int] = (0, 0)  # when operators were asked for danger and for emergency; 0: they are not
    hand_asked_at: int = 0  # and for what a person gave by hand: no answer to that says anything of what is measured
    approvals: tuple[Approval, ...] = ()
    approved: int = 0  # the level of what is measured up to which persons have said yes
    proposed: Hand | None = None  # what a person would say by hand: nobody hears of it until it is approved
    chain: Chain | None = None
    acknowledged_by: str = ""
    acknowledged_at: int | None = None
    assigned_to: str = ""

    @property
    def key(self) -> Key:
        return self.hazard, self.area, self.drill

    @property
    def wanted(self) -> int:
        """The level that its members and the person would have published if all of it were confirmed."""
        return max([0 if hand is None else hand.level for hand in (self.hand, self.proposed)] + [self.measured_level])

    @property
    def by_hand(self) -> bool:
        return self.hand is not None or self.proposed is not None

    @property
    def measured_level(self) -> int:
        """Of what is wanted, that which sensors ask for."""
        return max((member.counts for member in self.members), default=0)

    @property
    def supported(self) -> int:
        """The level that may be published: what its members ask for, as far as it is confirmed; a person's word."""
        hand = self.hand.level if self.hand is not None else 0
        return max([hand, *(min(member.counts, max(member.confirmed, self.approved)) for member in self.members)])

    @property
    def awaiting(self) -> bool:
        """Whether operators are asked to approve more than is published."""
        return self.closed_at is None and any((*self.asked_at, self.hand_asked_at))


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of one incident, or of what is `planned` in one area. (incident, version) is unique.

    `at` is the moment of measuring of the change behind it, `arrival` when the version was made; `cause` the member
    that drove it (eased: the one that still holds it up), None for an end and for what a person gave by hand. Every
    version is a row and moves the pages; `withheld`: why residents are not sent it.
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
    withheld: Withheld = Withheld.NO
    peak: int = 0  # the highest level published since it opened: an end after danger says what may remain
    by: str = ""  # the person whose act made it; "": nobody's, it followed from what was measured
    hand: Hand | None = None
    drill: bool = False
    event: str = ""  # the city event: one message per resident, CAP `incidents`; of what is planned its own id
    planned: Planned | None = None  # then there is no incident; `at` is the beginning, of CALLED_OFF the moment of that

    @property
    def overran(self) -> int:
        """The announced end of the outage that has outlasted it, ms UTC; 0: it is none."""
        return self.cause.overran if self.cause is not None and self.level else 0

    @property
    def told(self) -> bool:
        return not self.withheld

    @property
    def sole(self) -> bool:
        """Whether one station alone says so (certainty Likely)."""
        return self.cause is not None and self.cause.by in (Confirmation.SOLE, Confirmation.UNATTENDED)
