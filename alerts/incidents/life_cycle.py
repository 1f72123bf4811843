"""The life of incidents: opened, worse, eased, over; one per hazard and area, and told once.

Time is the arrival of what the journal knows. A rise is published at once. What falls is judged only when time has
moved past it, so that one sensor easing in the same millisecond in which another one rises makes no version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, TypeAlias

from alerts.incidents.incident import Incident, Member, Notice, Reason, Withheld
from ingest.city import City
from processing.rules import Hazard, Rules
from processing.transitions import Transition

CONTINUES_MS: Final = 6 * 3_600_000  # a rise this soon after the end belongs to the same event
TOLD_EASING: Final = 2  # levels below what residents heard last

Pair: TypeAlias = tuple[str, str]  # sensor, rule
Key: TypeAlias = tuple[str, str]  # hazard, area


class Incidents:
    """Every open incident, and the last closed one of each hazard and area.

    `step` is a function of the transitions in their order and of time: how they are grouped into steps changes nothing.
    The transitions of one reading come in one step, as the engine makes them.
    """

    def __init__(self, rows: Iterable[Incident] = ()) -> None:
        """As the ledger's rows say: the open ones and those closed at most CONTINUES_MS ago."""
        self._latest: dict[Key, Incident] = {}
        for row in sorted(rows, key=lambda row: (row.opened_at, row.id)):
            self._latest[row.hazard, row.area] = row
        self._where: dict[Pair, frozenset[Key]] = {}
        for key, incident in self._latest.items():
            for member in incident.members:
                pair = (member.sensor, member.rule)
                self._where[pair] = self._where.get(pair, frozenset()) | {key}
        self._hazard_of: dict[str, str] = {}
        self._city: City | None = None
        self._rules: Rules | None = None
        self._changed: dict[Key, Incident] = {}
        self._passed = 0  # what was due before it is done

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(incident for incident in self._latest.values() if incident.closed_at is None)

    @property
    def changed(self) -> tuple[Incident, ...]:
        """The rows that the last step changed, also those whose change made no version: the ledger keeps them all."""
        return tuple(self._changed.values())

    def step(
        self, transitions: Sequence[Transition], now: int, city: City, rules: Rules, *, down_ms: int = 0
    ) -> list[Notice]:
        """The versions that follow, in order. `now` ms UTC, at or after every transition's arrival.

        `down_ms`: at a start, how long nobody listened before it. That time is no evidence of quiet and ends nothing.
        """
        self._changed = {}
        if down_ms:
            self._stay_awake(down_ms)
        moved = city is not self._city or rules is not self._rules
        if moved:
            self._city, self._rules = city, rules
            self._hazard_of = {rule.name: rule.hazard for rule in rules.rules}
        notices: list[Notice] = []
        for reading in _readings(transitions):
            notices += self._pass(reading[0].arrival, rules)
            touched: dict[Key, None] = {}
            for transition in reading:
                touched |= dict.fromkeys(self._take(transition, city))
            notices += self._rise(touched, reading[0].arrival)
        notices += self._pass(now, rules)
        if moved:
            notices += self._regroup(now, city)
        return notices

    def _take(self, transition: Transition, city: City) -> list[Key]:
        """Puts the sensor's new level into its incidents; the keys it touched, sorted."""
        pair = (transition.sensor, transition.rule)
        before = self._where.get(pair, frozenset())
        after = self._keys(pair, city) if transition.to else frozenset()
        member = Member(*pair, transition.to, transition.at, transition.value)
        return self._place(member, before, after, transition.at, transition.arrival)

    def _keys(self, pair: Pair, city: City) -> frozenset[Key]:
        sensor, hazard = city.sensors.get(pair[0]), self._hazard_of.get(pair[1])
        if sensor is None or hazard is None:
            return frozenset()  # the engine ends what has vanished; nobody measures it, so it holds nothing up
        return frozenset((hazard, area) for area in sensor.affects)

    def _place(self, member: Member, before: frozenset[Key], after: frozenset[Key], at: int, arrival: int) -> list[Key]:
        pair = (member.sensor, member.rule)
        touched = sorted(before | after)
        for key in touched:
            incident = self._latest.get(key) or _nothing(key)
            others = tuple(m for m in incident.members if (m.sensor, m.rule) != pair)
            members = (*others, member) if key in after else others
            measured = member.value is not None
            self._keep(replace(incident, members=members, changed_at=at, changed_arrival=arrival, measured=measured))
        if after:
            self._where[pair] = after
        else:
            self._where.pop(pair, None)
        return touched

    def _keep(self, incident: Incident) -> None:
        key = (incident.hazard, incident.area)
        self._latest[key] = self._changed[key] = incident

    def _stay_awake(self, down_ms: int) -> None:
        for incident in self.open:
            if not incident.members:
                self._keep(replace(incident, changed_arrival=incident.changed_arrival + down_ms))

    def _rise(self, keys: Iterable[Key], arrival: int) -> Iterator[Notice]:
        """Versions for the incidents that stand higher than published."""
        for key in keys:
            incident = self._latest[key]
            if _level(incident) <= incident.level:
                continue
            reason = Reason.WORSE if incident.level else Reason.FIRST
            if reason is Reason.FIRST:
                incident = _opened(incident, arrival)
            cause = _cause(incident)
            yield self._publish(incident, reason, cause.at if cause else arrival, arrival)

    def _pass(self, now: int, rules: Rules) -> Iterator[Notice]:
        """Versions that time alone makes before `now`, in the order in which they are due."""
        if now <= self._passed:
            return
        earliest, self._passed = self._passed, now  # a quiet time that new rules cut short ends now, not in the past
        due = []
        for key, incident in self._latest.items():
            when = _due(incident, rules.hazards.get(key[0]) or Hazard(key[0]))
            if when is not None and when < now:
                due.append((max(when, earliest), key))
        for when, key in sorted(due):
            incident = self._latest[key]
            reason = Reason.EASED if incident.members else Reason.OVER
            yield self._publish(incident, reason, incident.changed_at, when)

    def _publish(self, incident: Incident, reason: Reason, at: int, arrival: int) -> Notice:
        level = _level(incident)
        withheld = Withheld.NO
        if reason is Reason.OVER and not incident.measured:
            withheld = Withheld.UNMEASURED
        if reason is Reason.EASED and incident.told_level - level < TOLD_EASING:
            withheld = Withheld.ONE_LEVEL
        after = replace(
            incident, level=level, peak=max(incident.peak, level), version=incident.version + 1, updated_at=arrival,
            closed_at=arrival if reason is Reason.OVER else None, told_level=incident.told_level if withheld else level,
        )  # fmt: skip
        self._keep(after)
        return Notice(
            after.id, after.version, reason, after.hazard, after.area, level, incident.level, at, arrival,
            _cause(after), withheld, after.peak,
        )  # fmt: skip

    def _regroup(self, now: int, city: City) -> list[Notice]:
        """After a change of rules or registry: members stand where they belong now, though no level changed."""
        touched: set[Key] = set()
        for pair, before in sorted(self._where.items()):
            after = self._keys(pair, city)
            if after != before:
                member = self._member(pair, before)
                touched.update(self._place(member, before, after, now, now))
        return list(self._rise(sorted(touched), now))

    def _member(self, pair: Pair, keys: frozenset[Key]) -> Member:
        return next(m for m in self._latest[min(keys)].members if (m.sensor, m.rule) == pair)


def _readings(transitions: Sequence[Transition]) -> Iterator[list[Transition]]:
    """Those of one reading together: ten millimetres that reach two rules are told once, at the higher level."""
    for _, group in groupby(transitions, key=lambda t: (t.arrival, t.sensor, t.at)):
        yield list(group)


def _nothing(key: Key) -> Incident:
    return Incident("", *key, 0, 0, 0, 0, 0, 0, ())


def _opened(incident: Incident, arrival: int) -> Incident:
    """A new event, or the one before going on where it ended not long ago."""
    if incident.id and incident.closed_at is not None and arrival - incident.closed_at <= CONTINUES_MS:
        return replace(incident, closed_at=None)
    id_ = incident_id(incident.hazard, incident.area, arrival)
    return replace(incident, id=id_, peak=0, version=0, opened_at=arrival, closed_at=None, told_level=0)


def incident_id(hazard: str, area: str, opened_at: int) -> str:
    """Short, readable, and unique: within a minute, and for 6 h after an end, an event is the same event.

    A point, because names of hazards have none: where one part ends and the next begins is never in doubt.
    """
    return f"{hazard}.{area}.{datetime.fromtimestamp(opened_at // 1000, UTC):%Y%m%dT%H%MZ}"


def _level(incident: Incident) -> int:
    return max((member.level for member in incident.members), default=0)


def _cause(incident: Incident) -> Member | None:
    """The highest member; of several the one that changed last."""
    return max(reversed(incident.members), key=lambda member: (member.level, member.at), default=None)


def _due(incident: Incident, hazard: Hazard) -> int | None:
    """When time alone makes the next version of an incident; None: never."""
    if incident.closed_at is not None:
        return None
    level = _level(incident)
    if not level:  # what is published stands until the end: a short dip between two waves is no news
        return incident.changed_arrival + hazard.quiet_ms
    if level < incident.level:
        return max(incident.changed_arrival, incident.updated_at + hazard.min_update_ms)
    return None
