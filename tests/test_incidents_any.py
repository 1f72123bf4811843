"""Whatever happens in whatever order: grouping and restarts change nothing, and what is told keeps to the rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from incident_town import CHAIN, CITY, MINUTE, RULES, START

from alerts.incidents.decision import Call, Decision, Outcome
from alerts.incidents.heard import Heard
from alerts.incidents.incident import Confirmation, Hand, Incident, Notice, Reason
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.publishing import CONTINUES_MS
from alerts.incidents.verbs import Acknowledge, Act, Approve, Close, Ease, EndSilence, Raise, Reschedule, Silence, Verb
from processing.transitions import HealthEvent, Status, StepResult, Transition

SENSORS = ("tower-1", "tower-2", "tower-near", "lonely", "station", "gauge", "meter")
RULE_OF = {name: {"gauge": "rain-1h", "meter": "power-off"}.get(name, "depth") for name in SENSORS}
AREA_OF = {name: CITY.sensors[name].area for name in SENSORS}

Reading: TypeAlias = tuple[str, int, int]  # sensor, level, flag


@dataclass(frozen=True)
class Event:
    """`minutes` after the one before: a reading, a status, or a person's act on the newest incident of an area."""

    minutes: float
    reading: Reading | None = None
    ending: bool | None = None  # the gauge's hour of rain is over 5 mm, or not
    status: tuple[str, bool] | None = None
    verb: str = ""
    area: str = ""
    level: int = 0


pauses = st.sampled_from([0, 0, 0.5, 1, 1, 2, 5, 9.9, 10, 20, 29, 31, 125, 400])
events = st.one_of(
    st.builds(Event, pauses, st.tuples(st.sampled_from(SENSORS), st.integers(0, 4), st.sampled_from([1, 1, 1, 3]))),
    st.builds(Event, pauses, ending=st.booleans()),
    st.builds(Event, pauses, status=st.tuples(st.sampled_from(SENSORS), st.booleans())),
    st.builds(
        Event, pauses, verb=st.sampled_from(["ack", "approve", "ease", "close", "withdraw", "silence", "unsilence",
                                             "seen", "hand", "drill", "evacuate", "outage", "move", "back"]),
        area=st.sampled_from(sorted(set(AREA_OF.values()))), level=st.integers(1, 4),
    ),
)  # fmt: skip


class World:
    """Incidents, what they were told and what they made of it; what was not handed over yet waits."""

    def __init__(self) -> None:
        self.incidents = Incidents(chain_of=lambda *_: CHAIN)
        self.notices: list[Notice] = []
        self.decisions: list[Decision] = []
        self.calls: list[Call] = []
        self.refusals: list[str] = []
        self.rows: dict[str, Incident] = {}
        self.now = START
        self.levels: dict[str, int] = defaultdict(int)
        self.asleep: set[str] = set()
        self.wet: set[tuple[str, str]] = set()
        self._begin()

    def _begin(self) -> None:
        self.index = 0
        self.moved: list[tuple[int, Transition]] = []
        self.health: list[tuple[int, HealthEvent]] = []
        self.heard: list[Heard] = []

    def happens(self, number: int, event: Event) -> None:
        self.now += int(event.minutes * MINUTE)
        if event.verb:
            self.hand_over(self.now)
            done = self.incidents.act(Act(verb_of(event, self), "an", self.now, str(number)), CITY, RULES)
            self._keep(done.outcome)
            self.refusals.append(done.refused)
        elif event.status is not None:
            self._status(*event.status)
        elif event.reading is not None:
            self._reading(*event.reading)
        else:
            (self.wet.add if event.ending else self.wet.discard)(("gauge", "rain"))
            self._move("gauge", "ends_when.rain.rain", int(bool(event.ending)))

    def _status(self, name: str, fine: bool) -> None:  # as the events have it
        if fine == (name in self.asleep):
            (self.asleep.discard if fine else self.asleep.add)(name)
            to, before = (Status.OK, Status.SILENT) if fine else (Status.SILENT, Status.OK)
            self.health.append((self.index, HealthEvent(self.now, name, before, to)))

    def _reading(self, name: str, level: int, flag: int) -> None:
        rule, value = RULE_OF[name], (0.0, 0.15, 0.25, 0.35, 1.3)[level]
        if name == "meter":
            value = (1.0, 0.0, 0.0, -1.0, -2.0)[level]
        self.heard.append(Heard(self.index, name, self.now, flag, self.now, 60.0 if rule == "rain-1h" else value))
        self._move(name, rule, level)

    def _move(self, name: str, rule: str, level: int) -> None:
        before = self.levels[name + rule]
        if before != level:
            self.moved.append((self.index, Transition(self.now, name, rule, before, level, 1.0, self.now)))
            self.levels[name + rule] = level
        self.index += 1

    def hand_over(self, until: int) -> None:
        result = StepResult(
            tuple(one for _, one in self.moved), tuple(one for _, one in self.health), (),
            tuple(place for place, _ in self.moved), tuple(place for place, _ in self.health),
        )  # fmt: skip
        self._keep(self.incidents.step(result, until, CITY, RULES, heard=self.heard))
        self._begin()

    def _keep(self, outcome: Outcome) -> None:
        self.notices += outcome.notices
        self.decisions += outcome.decisions
        self.calls += outcome.calls
        self.rows |= {row.id: row for row in self.incidents.changed}

    def restart(self) -> None:
        ended = [r for r in self.rows.values() if r.closed_at is not None]
        rows = [r for r in self.rows.values() if r.closed_at is None]
        rows += [r for r in ended if r.members or self.now - (r.closed_at or 0) <= CONTINUES_MS]
        silences, announced = self.incidents.silences, self.incidents.announced
        self.incidents = Incidents(
            rows, silences, self.asleep, self.wet, since=self.now, chain_of=lambda *_: CHAIN, announced=announced
        )


def play(story: list[Event], cuts: set[int], *, restart: bool) -> World:
    """`cuts`: after which events the news is handed over, and the incidents are begun anew."""
    world = World()
    for number, event in enumerate(story):
        world.happens(number, event)
        if number in cuts:
            world.hand_over(world.now)
            if restart:
                world.restart()
    world.hand_over(world.now + 32 * 60 * MINUTE)
    return world


def verb_of(event: Event, world: World) -> Verb:
    here = [row for row in world.incidents.open if row.area == event.area]
    id_ = max(here, key=lambda row: (row.opened_at, row.id)).id if here else "none"
    until, areas, hour = world.now + 60 * MINUTE, (event.area,), 60 * MINUTE
    begins = world.now + (0, hour // 2, 3 * hour, 30 * hour)[event.level - 1]
    planned = f"o-{event.area}", begins, begins + hour
    verbs: dict[str, Verb] = {
        "ack": Acknowledge(id_),
        "approve": Approve(id_, level=event.level),
        "ease": Ease(id_, event.level),
        "close": Close(id_),
        "withdraw": Close(id_, withdraw=True),
        "silence": Silence(f"s-{event.area}", world.now, until, "why", "an", areas=areas),
        "unsilence": EndSilence(f"s-{event.area}"),
        "outage": Silence(*planned, "PC", "an", hazard="power", areas=areas, planned=True),
        "move": Reschedule(*planned),
        "back": EndSilence(f"o-{event.area}"),
        "evacuate": Raise(Hand("evacuation", 4, until, "an"), "evacuation", areas, approver=True),
        "hand": Raise(Hand("storm", event.level, until, "an"), "storm", areas, approver=True),
        "seen": Raise(Hand("seen", event.level, until, "an"), "flood", areas, approver=event.level < 3),
        "drill": Raise(Hand("storm", event.level, until, "an"), "storm", areas, drill=True, approver=True),
    }
    return verbs[event.verb]


stories = st.lists(events, max_size=30)


@settings(deadline=None)
@given(stories, st.sets(st.integers(0, 30)), st.booleans())
def test_neither_grouping_nor_restarts_change_what_is_told_called_or_decided(
    story: list[Event], cuts: set[int], restart: bool
) -> None:  # fmt: skip
    whole, cut = play(story, set(), restart=False), play(story, cuts, restart=restart)

    assert cut.notices == whole.notices
    assert cut.calls == whole.calls
    assert cut.refusals == whole.refusals
    assert cut.decisions == whole.decisions


@settings(deadline=None)
@given(stories)
def test_whatever_happens_what_is_told_keeps_to_the_rules(story: list[Event]) -> None:
    world = play(story, set(), restart=False)
    by_incident: dict[str, list[Notice]] = defaultdict(list)
    for notice in world.notices:
        by_incident[notice.incident].append(notice)
    for versions in by_incident.values():
        if versions[0].planned is not None:
            of_outage_as_it_should_be(versions)
            continue
        assert [n.version for n in versions] == list(range(1, len(versions) + 1))
        assert versions[0].reason is Reason.FIRST
        for before, after in pairwise(versions):
            assert after.previous_level == before.level
            assert before.arrival <= after.arrival
            assert (after.reason is Reason.FIRST) == (before.level == 0)
            assert after.reason is not Reason.EASED or 0 < after.level < before.level
        for n in versions:
            assert n.level or n.reason in (Reason.OVER, Reason.WITHDRAWN, Reason.STOPPED)
            if n.reason in (Reason.FIRST, Reason.WORSE) and n.hand is None:
                assert n.cause is not None
                assert n.cause.confirmed >= n.level
                assert n.cause.by is not Confirmation.NONE
        heard_of_it = False
        for n in versions:
            if n.told and n.reason in (Reason.OVER, Reason.WITHDRAWN, Reason.STOPPED):
                assert heard_of_it, "an end to those who never heard"
                heard_of_it = False
            elif n.told:
                heard_of_it = True
    assert not [n for n in world.notices if n.hazard == "evacuation"], "one person alone has asked for it"
    assert not [one for one in world.calls if one.incident.startswith("drill.")]


def of_outage_as_it_should_be(versions: list[Notice]) -> None:
    """Told at most twice for the same times, never when it has begun; a change to those who heard; called off once."""
    assert [n.version for n in versions] == list(range(1, len(versions) + 1))
    assert versions[0].reason is Reason.PLANNED
    assert all(n.reason is not Reason.CALLED_OFF for n in versions[:-1])
    for before, after in pairwise(versions):
        assert before.planned is not None
        assert after.planned is not None
        same = (before.planned.begins, before.planned.until) == (after.planned.begins, after.planned.until)
        assert same != (after.reason is Reason.MOVED)
        assert after.reason is not Reason.PLANNED or after.arrival - before.arrival > 60 * MINUTE
    times = Counter((n.planned.begins, n.planned.until) for n in versions if n.planned and n.reason is Reason.PLANNED)
    assert max(times.values()) <= 2
    for n in versions:
        assert n.planned is not None
        assert n.told
        assert n.reason is not Reason.PLANNED or 0 < n.planned.begins - n.arrival <= 24 * 60 * MINUTE
        assert n.reason is not Reason.MOVED or n.arrival < n.planned.until
