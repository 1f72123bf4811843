"""The book of incidents: every row, who stands where, what time will bring; and what the step under way has made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from heapq import heappop, heappush
from typing import TypeAlias
from zoneinfo import ZoneInfo

from alerts.incidents.decision import Decided, Decision, Outcome
from alerts.incidents.due import due, told_at
from alerts.incidents.escalating import Steps
from alerts.incidents.incident import DANGER, WARNING, Incident, Key, Member, Notice, Pair, Reason
from alerts.incidents.publishing import nothing, published
from alerts.incidents.standing import Standing
from alerts.incidents.verbs import Silence
from alerts.incidents.witnesses import Witnesses
from ingest.city import City
from processing.rules import Rules

Timer: TypeAlias = tuple[int, Key | str]  # when, ms UTC, and which incident, or which silence


def is_grave(row: Incident) -> bool:
    """Whether it counts for a city event: danger or above, published or wanted; no drill."""
    return row.closed_at is None and not row.drill and max(row.wanted, row.level) >= DANGER


class Book:
    """Held by `Incidents`; changed by what sensors do (moving), by time and evidence (settling), by people (acting)."""

    def __init__(
        self, rows: Iterable[Incident], silences: Iterable[Silence], asleep: Iterable[str],
        wet: Iterable[tuple[str, str]], chain_of: Callable[[str, str], Steps], since: int,
        announced: Iterable[Notice] = (),
    ) -> None:  # fmt: skip
        rows = sorted(rows, key=lambda row: (row.opened_at, row.id))
        self.latest: dict[Key, Incident] = {row.key: row for row in rows}
        self.where: dict[str, dict[str, frozenset[Key]]] = {}  # sensor -> rule -> the incidents it is a member of
        for key, incident in self.latest.items():
            for member in incident.members:
                self.stand(member.pair, self.keys(member.pair) | {key})
        self.standing = Standing(self.latest.values(), silences, asleep, wet)
        self.announced = {notice.incident: notice for notice in announced}  # the newest word of what is planned
        self.chain_of = chain_of
        self.city, self.rules = City("", ZoneInfo("UTC")), Rules()
        self.who = Witnesses(self.city, self.rules)
        self.begun = False
        self.grave = {key for key, row in self.latest.items() if is_grave(row)}
        self.grave_areas = Counter(area for _, area, _ in self.grave)
        self.event = next((row.event for row in self.latest.values() if row.event), "")  # the city event that goes on
        self.stirred = sorted(self.grave)  # became grave, or are so no more, since the city event was looked at
        self.dirty: dict[Key, None] = {}
        self.changed: dict[str, Incident] = {}  # by id
        self.out = Outcome()
        self._timers: list[tuple[int, str, Key | str]] = []
        self._since = since  # what was due before it has been seen to, before a restart
        self.passed = since  # time has been looked at up to here and does not run back
        self._looked: dict[Key, int] = {}  # the same of an incident, since then

    def configure(self, city: City, rules: Rules, now: int) -> None:
        """From here on; a quiet time that new rules cut short ends at `now`, not in the past."""
        self.city, self.rules, self.who = city, rules, Witnesses(city, rules)
        for row in list(self.latest.values()):
            if self.begun and row.id and row.closed_at is None:
                self.keep(replace(row, free_at=max(row.free_at, now)))
            self.arm(row.key)
        self.begun = True
        for silence in self.standing.silences.values():
            self.watch(silence)

    def keys(self, pair: Pair) -> frozenset[Key]:
        """The incidents that the sensor under the rule is a member of."""
        return self.where.get(pair[0], {}).get(pair[1], frozenset())

    def stand(self, pair: Pair, keys: frozenset[Key]) -> None:
        rules = self.where.setdefault(pair[0], {})
        rules[pair[1]] = keys
        if not keys:
            del rules[pair[1]]
        if not rules:
            del self.where[pair[0]]

    # -- rows ----------------------------------------------------------------------------------------------------

    def row(self, key: Key) -> Incident:
        return self.latest.get(key) or nothing(key)

    def keep(self, incident: Incident) -> None:
        """The row as it is from here on. What hangs on it is looked at again."""
        key, before = incident.key, self.row(incident.key)
        if incident is before:
            return
        self.latest[key] = self.changed[incident.id] = incident
        if before.id and before.id != incident.id:  # what still stood in it stands in the new one
            self.changed[before.id] = replace(before, members=(), fallen=())
        self.dirty[key] = None
        if is_grave(incident) != (key in self.grave):
            (self.grave.discard if key in self.grave else self.grave.add)(key)
            self.grave_areas[key[1]] += 1 if key in self.grave else -1
            if not self.grave_areas[key[1]]:
                del self.grave_areas[key[1]]
            self.stirred.append(key)
        if (before.wanted, before.level) != (incident.wanted, incident.level):
            for name, hazard in self.rules.hazards.items():
                if incident.hazard in hazard.confirm_by:
                    self.dirty[name, incident.area, False] = None
        self.arm(key)

    def publish(
        self, key: Key, reason: Reason, at: int, arrival: int, by: str = "", level: int | None = None
    ) -> None:  # fmt: skip
        """`level`: the one that a person has said; None: the one that is supported."""
        after, notice = published(self.latest[key], reason, at, arrival, by, level)
        self.keep(after)
        self.out.notices.append(notice)
        self.decide(after, arrival, Decided.PUBLISHED, reason.value, notice.cause, level=notice.level,
                    version=notice.version, by=by)  # fmt: skip
        if notice.withheld:
            self.decide(after, arrival, Decided.WITHHELD, notice.withheld.value, version=notice.version)

    def decide(
        self, incident: Incident, at: int, what: Decided, because: str = "", member: Member | None = None, *,
        level: int | None = None, **detail: object,
    ) -> None:  # fmt: skip
        sensor, rule = member.pair if member is not None else ("", "")
        shown = level if level is not None else member.level if member is not None else incident.level
        kept = {name: value for name, value in detail.items() if value not in ("", None)}
        self.out.decisions.append(Decision(incident.id, at, what, because, sensor, rule, shown, kept))

    def pouring(self, hazard: str, area: str) -> str:
        """The hazard that confirms this one in the area: published at warning or above; "" where none is."""
        for other in self.who.hazard(hazard).confirm_by:
            row = self.latest.get((other, area, False))
            if row is not None and row.closed_at is None and row.level >= WARNING:
                return other
        return ""

    # -- time ----------------------------------------------------------------------------------------------------

    def arm(self, key: Key) -> None:
        incident = self.latest[key]
        when = due(incident, self.who.hazard(incident.hazard), self._looked.get(key, self._since - 1))
        if when is not None:
            heappush(self._timers, (when, str(key), key))

    def watch(self, silence: Silence) -> None:
        for when in (*told_at(silence), silence.begins, silence.until):
            if when >= self.passed:  # whoever enters or reads it later has looked at what it covers by then
                heappush(self._timers, (when, silence.id, silence.id))

    def next_timer(self, before: int) -> Timer | None:
        """The first thing that time has made due before `before`; it is looked at once."""
        while self._timers and self._timers[0][0] < before:
            when, _, which = heappop(self._timers)
            if isinstance(which, str):
                return when, which
            incident = self.latest[which]
            now_due = due(incident, self.who.hazard(incident.hazard), self._looked.get(which, self._since - 1))
            if now_due == when:
                self._looked[which] = when
                return when, which
            if now_due is not None and now_due < when:
                self.arm(which)
        return None
