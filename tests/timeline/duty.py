"""A simulated operator on duty: answers calls after a while, and goes out to look before he says that it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from timeline.pipeline import Pipeline
from timeline.script import ZONE

from alerts.incidents.verbs import Acknowledge, Act, Approve, Close

ROUNDS: Final = (7, 16)  # local hours at which somebody goes out to look
DRY_M: Final = 0.05  # a wet road


@dataclass(slots=True)
class Duty:
    """`depth_m(area, at)`: how deep the water really stands in the area's streets; NaN where nobody can say."""

    depth_m: Callable[[str, int], float]
    answers_ms: int = 240_000
    approvals: int = 0
    closings: int = 0
    refused: list[str] = field(default_factory=list)
    _seen: int = 0
    _waiting: list[tuple[int, str, str]] = field(default_factory=list)  # when, incident, what is asked

    def turn(self, pipeline: Pipeline, now: int) -> None:
        """What the operator does at `now`, ms UTC."""
        for call in pipeline.calls[self._seen :]:
            self._waiting.append((call.at + self.answers_ms, call.incident, call.asks))
        self._seen = len(pipeline.calls)
        due = sorted({(id_, asks) for when, id_, asks in self._waiting if when <= now})
        self._waiting = [one for one in self._waiting if one[0] > now]
        for id_, asks in due:
            incident = next((one for one in pipeline.open if one.id == id_), None)
            if incident is not None and (asks != "approve" or incident.awaiting):
                self.approvals += asks == "approve"
                self._act(pipeline, now, Approve(id_) if asks == "approve" else Acknowledge(id_))
        local = datetime.fromtimestamp(now / 1000, ZONE)
        if local.hour in ROUNDS and local.minute == 0:
            self._look(pipeline, now)

    def _look(self, pipeline: Pipeline, now: int) -> None:
        """Closes what is kept open for want of readings, where the street is dry."""
        for incident in pipeline.open:
            unheard = any(member.sensor in pipeline.unheard for member in incident.members)
            if (unheard or incident.held_open) and self.depth_m(incident.area, now) < DRY_M:
                self.closings += 1
                self._act(pipeline, now, Close(incident.id))

    def _act(self, pipeline: Pipeline, now: int, verb: Approve | Acknowledge | Close) -> None:
        why_not = pipeline.act(Act(verb, "nam", now, f"{now}/{verb}", "on duty"))
        if why_not:
            self.refused.append(f"{verb}: {why_not}")
