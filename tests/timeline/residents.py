"""Simulated subscribers: who hears which version, as CONTRACTS section 6 says it, written apart from what delivers.

A resident hears what reaches the floor of a hazard, and from then on everything told of that incident, to its end once;
nothing of drills. One city event is one message that names all the resident's areas. Who sleeps has quiet hours
(22-07): they hold back a first message below danger until the morning, and make an end a silent push; worse, danger and
ends pass. Of a planned outage of power everybody hears who wants to hear of power, awake, before it begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from timeline.script import DRILL, ZONE, Resident

from alerts.incidents.incident import DANGER, ENDS, Notice

NIGHT_HOURS = (22, 7)


@dataclass(frozen=True, slots=True)
class Message:
    """What one resident got. `at` ms UTC; several areas where a city event was told."""

    at: int
    to: str
    reason: str
    hazard: str
    areas: tuple[str, ...]
    level: int
    versions: tuple[tuple[str, int], ...]  # incident and version
    silent: bool = False


class Inbox:
    """One resident, and what has come."""

    def __init__(self, resident: Resident) -> None:
        self.resident = resident
        self.messages: list[Message] = []
        self._heard: dict[str, int] = {}
        self._held: dict[str, Notice] = {}

    def take(self, notices: Sequence[Notice]) -> None:
        """The versions of one moment."""
        wanted = [notice for notice in notices if self._wants(notice)]
        for group in _messages(wanted):
            first = group[0]
            night = self.resident.sleeps and is_night(first.arrival)
            self._add(group, first.arrival, silent=night and first.reason in ENDS)

    def wake(self, now: int) -> None:
        """When the quiet hours are over, what they held back and is still so."""
        if not self._held or is_night(now):
            return
        held = [n for n in self._held.values() if n.planned is None or n.planned.begins > now]
        self._held = {}
        for group in _messages(held):
            self._add(group, now)

    def _wants(self, notice: Notice) -> bool:
        mine = self.resident
        if not notice.told or notice.drill or notice.area not in mine.areas:
            return False
        if notice.reason in ENDS:
            self._held.pop(notice.incident, None)
            return self._heard.pop(notice.incident, 0) > 0
        floor = mine.floors.get(notice.hazard, 5)
        if notice.incident not in self._heard and notice.level < (floor if notice.planned is None else floor - 4):
            return False
        new = notice.planned is not None or notice.incident not in self._heard
        if mine.sleeps and is_night(notice.arrival) and new and notice.level < DANGER:
            self._held[notice.incident] = notice
            return False
        self._held.pop(notice.incident, None)
        return True

    def _add(self, group: Sequence[Notice], at: int, *, silent: bool = False) -> None:
        for notice in group:
            if notice.reason not in ENDS:
                self._heard[notice.incident] = notice.level
        first = group[0]
        self.messages.append(Message(
            at, self.resident.name, first.reason.value, first.hazard, tuple(dict.fromkeys(n.area for n in group)),
            max(n.level for n in group), tuple((n.incident, n.version) for n in group), silent,
        ))  # fmt: skip


class DrillTopic(Inbox):
    """Where exercises go: their own topics and feed, which no resident listens to."""

    def __init__(self) -> None:
        super().__init__(Resident(DRILL, ()))

    def take(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            if notice.drill:
                self._add([notice], notice.arrival)


def _messages(notices: Iterable[Notice]) -> Iterable[list[Notice]]:
    """One message each, but what one city event brings at one moment is one message."""
    groups: dict[tuple[object, ...], list[Notice]] = {}
    for notice in notices:
        key = (notice.event, notice.arrival, notice.reason) if notice.event else (notice.incident, notice.version)
        groups.setdefault(key, []).append(notice)
    return groups.values()


def is_night(ms: int) -> bool:
    begins, ends = NIGHT_HOURS
    hour = datetime.fromtimestamp(ms / 1000, ZONE).hour
    return hour >= begins or hour < ends


def in_each(areas: Iterable[str], resident: Resident) -> list[Resident]:
    """One like `resident` in each area, called after it."""
    return [replace(resident, name=area, areas=(area,)) for area in areas]
