"""What a notice means for residents: who may hear it, how urgently, for how long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from alerts.delivery.parcel import Lane, lane_of
from alerts.incidents.incident import DANGER, ENDS, Notice, Reason
from alerts.words.names import HAND_HAZARDS

HOUR_MS: Final = 3_600_000
LIFE_MS: Final = 6 * HOUR_MS  # of what warns: after so long without an answer of the provider it would mislead
END_LIFE_MS: Final = 24 * HOUR_MS  # that it is over is still worth knowing the next morning
LOUD: Final = (Reason.WORSE,)  # neither quiet hours nor the daily number hold these back, at any level


@dataclass(frozen=True, slots=True)
class Telling:
    """A notice as residents are told it. `seq` is the notice's; below 0: an errand. Times ms UTC.

    `leader`: the first of those that are told as one message, mostly itself. `after`: contacts up to this number have
    their messages; None: all have.
    """

    seq: int
    incident: str
    version: int
    hazard: str
    area: str
    level: int
    reason: str
    arrival: int
    event: str
    lane: Lane
    expires_at: int
    entry: int | None
    leader: int
    after: int | None

    @property
    def ends(self) -> bool:
        return self.reason in ENDS

    @property
    def from_any_level(self) -> bool:
        """Whether whoever chose the hazard hears it: what is planned has not happened, and has a lane of its own."""
        return self.lane is Lane.LATER

    @property
    def to_all(self) -> bool:
        """Whether whoever wants to hear anything of the place hears it: a danger that no sensor measures (a landslide,
        an order to leave) is nothing that people think of when they choose hazards.
        """
        return self.level >= DANGER and self.hazard in HAND_HAZARDS["vi"]

    @property
    def holdable(self) -> bool:
        """Whether quiet hours and the daily number hold it back (CONTRACTS 6): not danger, worsening or ends.

        Nor an errand, which somebody waits for.
        """
        return self.seq > 0 and self.level < DANGER and self.reason not in LOUD and not self.ends


def telling_of(seq: int, notice: Notice, leader: int, entry: int | None = None) -> Telling | None:
    """None: residents hear nothing of it."""
    if not notice.told or notice.drill:
        return None
    ends = notice.reason in ENDS
    until = notice.arrival + (END_LIFE_MS if ends else LIFE_MS)
    if notice.hand is not None and not ends:
        until = min(until, notice.hand.until)
    lane = lane_of(notice.level, ends=ends, eased=notice.reason is Reason.EASED)
    if notice.planned is not None and not ends:  # of use until it begins; once it is on, other times until its end
        lane, on = Lane.LATER, notice.planned.begins <= notice.arrival
        until = notice.planned.until if on else notice.planned.begins
    return Telling(
        seq, notice.incident, notice.version, notice.hazard, notice.area, notice.level, notice.reason.value,
        notice.arrival, notice.event, lane, until, entry, leader, 0,
    )  # fmt: skip
