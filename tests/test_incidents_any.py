"""Whatever happens in whatever order: grouping and restarts change nothing, and what is told keeps to the rules."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from incident_town import CHAIN, CITY, MINUTE, RULES, START

from alerts.incidents.decision import Call, Decision
from alerts.incidents.heard import Heard
from alerts.incidents.incident import Confirmation, Hand, Incident, Notice, Reason
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.publishing import CONTINUES_MS
from alerts.incidents.verbs import Acknowledge, Act, Approve, Close, Ease, EndSilence, Raise, Silence, Verb
from processing.transitions import HealthEvent, Status, StepResult, Transition

SENSORS = ("tower-1", "tower-2", "tower-near", "lonely", "station", "gauge")
RULE_OF = {name: "rain-1h" if name == "gauge" else "depth" for name in SENSORS}
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
                                             "hand", "drill", "evacuate"]),
        area=st.sampled_from(sorted(set(AREA_OF.values()))), level=st.integers(1, 4),
    ),
)  # fmt: skip


@dataclass
class World:
    """What came of it; `cut` decides after which events the news is handed over, `restart` whether to begin anew then."""

    incidents: Incidents
    notices: list[Notice]
    decisions: list[Decision]
    calls: list[Call]
    refusals: list[str]
    rows: dict[str, Incident]


def play(story: list[Event], cuts: set[int], *, restart: bool) -> World:
    world = World(Incidents(chain_of=lambda *_: CHAIN), [], [], [], [], {})
    levels: dict[str, int] = defaultdict(int)
    asleep: set[str] = set()
    wet: set[tuple[str, str]] = set()
    now, index = START, 0
    moved: list[Transition] = []
    order: list[int] = []
    heard: list[Heard] = []
    health: list[HealthEvent] = []
    health_order: list[int] = []

    def hand_over(until: int) -> None:
        nonlocal index
        result = StepResult(tuple(moved), tuple(health), (), tuple(order), tuple(health_order))
        outcome = world.incidents.step(result, until, CITY, RULES, heard=list(heard))
        keep(outcome)
        index = 0
        for some in (moved, order, heard, health, health_order):
            some.clear()

    def keep(outcome: object) -> None:
        world.notices += outcome.notices  # type: ignore[attr-defined]
        world.decisions += outcome.decisions  # type: ignore[attr-defined]
        world.calls += outcome.calls  # type: ignore[attr-defined]
        world.rows |= {row.id: row for row in world.incidents.changed}

    for number, event in enumerate(story):
        now += int(event.minutes * MINUTE)
        if event.verb:
            hand_over(now)
            done = world.incidents.act(Act(verb_of(event, world, now), "an", now, str(number)), CITY, RULES)
            keep(done.outcome)
            world.refusals.append(done.refused)
        elif event.status is not None:
            name, fine = event.status
            if fine != (name in asleep):
                continue
            (asleep.discard if fine else asleep.add)(name)
            to = Status.OK if fine else Status.SILENT
            health.append(HealthEvent(now, name, Status.SILENT if fine else Status.OK, to))
            health_order.append(index)
        else:
            if event.reading is not None:
                name, level, flag = event.reading
                rule, value = RULE_OF[name], (0.0, 0.15, 0.25, 0.35, 1.3)[level]
                heard.append(Heard(index, name, now, flag, now, value if rule == "depth" else 60.0))
            else:
                name, level, rule = "gauge", int(bool(event.ending)), "ends_when.rain.rain"
                (wet.add if event.ending else wet.discard)(("gauge", "rain"))
            if levels[name + rule] != level:
                moved.append(Transition(now, name, rule, levels[name + rule], level, 1.0, now))
                order.append(index)
                levels[name + rule] = level
            index += 1
        if number in cuts:
            hand_over(now)
            if restart:
                rows = [r for r in world.rows.values() if r.closed_at is None or now - r.closed_at <= CONTINUES_MS]
                silences = world.incidents.silences
                world.incidents = Incidents(rows, silences, asleep, wet, chain_of=lambda *_: CHAIN)
    hand_over(now + 24 * 60 * MINUTE)
    return world


def verb_of(event: Event, world: World, now: int) -> Verb:
    here = [row for row in world.incidents.open if row.area == event.area]
    id_ = max(here, key=lambda row: (row.opened_at, row.id)).id if here else "none"
    until = now + 60 * MINUTE
    match event.verb:
        case "ack":
            return Acknowledge(id_)
        case "approve":
            return Approve(id_, level=event.level)
        case "ease":
            return Ease(id_, event.level)
        case "close" | "withdraw":
            return Close(id_, withdraw=event.verb == "withdraw")
        case "silence":
            return Silence(f"s-{event.area}", now, until, "why", "an", areas=(event.area,))
        case "unsilence":
            return EndSilence(f"s-{event.area}")
        case "evacuate":
            return Raise(Hand("evacuation", 4, until, "an"), "evacuation", (event.area,), approver=True)
        case _:
            drill = event.verb == "drill"
            return Raise(Hand("storm", event.level, until, "an"), "storm", (event.area,), drill, approver=True)


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
