"""The life of incidents: told first, worse, eased, over; once, in any grouping, through any restart."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents.incident import Incident, Notice, Reason
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.publishing import CONTINUES_MS
from ingest.city import Area, City, Sensor
from ingest.quantity import CATALOGUE
from processing.rules import Hazard, Rule, Rules
from processing.transitions import StepResult, Transition

MINUTE = 60_000
START = 1_665_734_580_000  # 2022-10-14 15:03 in Da Nang
QUIET, MIN_UPDATE = 30 * MINUTE, 10 * MINUTE


def sensor(id_: str, *affects: str) -> Sensor:
    return Sensor(id_, CATALOGUE["street_depth"], affects[0], affects)


AREAS = {code: Area(code, f"Ward {code}") for code in ("A", "B")}
CITY = City(
    "Town", ZoneInfo("Asia/Ho_Chi_Minh"), AREAS, {},
    {"tower": sensor("tower", "A"), "gauge": sensor("gauge", "A", "B"), "other": sensor("other", "B")},
)  # fmt: skip
RULES = Rules(
    (Rule("depth", "flood", "street_depth", None), Rule("rise", "flood", "street_depth", None),
     Rule("wet", "rain", "street_depth", None)),
    {"flood": Hazard("flood", quiet_ms=QUIET, min_update_ms=MIN_UPDATE, confirm=False),
     "rain": Hazard("rain", confirm=False)},
)  # fmt: skip


def change(minute: float, sensor_: str, to: int, rule: str = "depth", *, measured: float | None = None) -> Transition:
    arrival = START + int(minute * MINUTE)
    at = arrival if measured is None else START + int(measured * MINUTE)
    return Transition(at, sensor_, rule, 0, to, to / 10, arrival)


def found(transitions: Sequence[Transition]) -> StepResult:
    """As an engine would give them: those of one reading belong to it."""
    order, seen = [], -1
    for i, one in enumerate(transitions):
        seen += 0 if i and of_one_reading(transitions[i - 1], one) else 1
        order.append(seen)
    return StepResult(tuple(transitions), order=tuple(order))


class Story:
    """Incidents that are stepped minute by minute, and what they told."""

    def __init__(self) -> None:
        self.incidents = Incidents()
        self.rows: dict[str, Incident] = {}
        self.city, self.rules = CITY, RULES

    def at(self, minute: float, *transitions: Transition, down_ms: int = 0) -> list[tuple[str, str, int, bool]]:
        now = START + int(minute * MINUTE)
        notices = self.incidents.step(found(transitions), now, self.city, self.rules, down_ms=down_ms).notices
        self.rows |= {row.id: row for row in self.incidents.changed}
        return [(n.area, n.reason.value, n.level, n.told) for n in notices]


def test_a_rise_is_told_at_once_and_again_when_it_worsens() -> None:
    story = Story()

    assert story.at(0, change(0, "tower", 2)) == [("A", "first", 2, True)]
    assert story.at(1, change(1, "tower", 3)) == [("A", "worse", 3, True)]
    assert story.at(2, change(2, "gauge", 3)) == [("B", "first", 3, True)]  # in A nothing is worse than it was


def test_an_incident_stands_in_every_area_that_its_sensor_affects() -> None:
    story = Story()

    assert story.at(0, change(0, "gauge", 1)) == [("A", "first", 1, True), ("B", "first", 1, True)]


def test_two_rules_of_one_hazard_that_one_reading_reaches_are_told_once_at_the_higher_level() -> None:
    story = Story()

    assert story.at(0, change(0, "tower", 1, "depth"), change(0, "tower", 3, "rise")) == [("A", "first", 3, True)]


def test_hazards_live_apart() -> None:
    story = Story()

    story.at(0, change(0, "tower", 2, "depth"))
    assert story.at(1, change(1, "tower", 1, "wet")) == [("A", "first", 1, True)]


def test_a_notice_says_when_it_was_measured_when_it_was_known_and_what_drove_it() -> None:
    incidents = Incidents()
    first = incidents.step(found([change(5, "tower", 2, measured=3)]), START + 5 * MINUTE, CITY, RULES).notices[0]

    assert (first.at, first.arrival) == (START + 3 * MINUTE, START + 5 * MINUTE)
    assert first.cause is not None
    assert (first.cause.sensor, first.cause.rule, first.cause.value) == ("tower", "depth", 0.2)


def test_easing_waits_until_the_least_time_between_versions_is_over() -> None:
    story = Story()
    story.at(0, change(0, "tower", 4))

    assert story.at(3, change(3, "tower", 2)) == []
    assert story.at(10) == []
    assert story.at(10.1) == [("A", "eased", 2, True)]
    assert story.rows["flood.A.20221014T0803Z"].updated_at == START + 10 * MINUTE


def test_easing_by_one_level_moves_the_pages_and_is_sent_to_nobody() -> None:
    story = Story()
    story.at(0, change(0, "tower", 4))

    assert story.at(20.1, change(20, "tower", 3)) == [("A", "eased", 3, False)]


def test_easing_is_measured_against_what_people_heard_last() -> None:
    story = Story()
    story.at(0, change(0, "tower", 4))
    story.at(20.1, change(20, "tower", 3))

    assert story.at(40.1, change(40, "tower", 2)) == [("A", "eased", 2, True)]


def test_an_easing_that_is_taken_back_in_time_makes_no_version() -> None:
    story = Story()
    story.at(0, change(0, "tower", 3))
    story.at(3, change(3, "tower", 1))

    assert story.at(5, change(5, "tower", 3)) == []
    assert story.at(60) == []


def test_a_sensor_that_eases_in_the_millisecond_in_which_another_rises_makes_no_version() -> None:
    story = Story()
    story.at(0, change(0, "tower", 3))

    assert story.at(30, change(30, "tower", 0), change(30, "gauge", 3)) == [("B", "first", 3, True)]
    assert story.at(31) == []


def test_the_end_is_told_once_after_the_quiet_time() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))

    assert story.at(20, change(20, "tower", 0)) == []
    assert story.at(50) == []
    assert story.at(50.1) == [("A", "over", 0, True)]
    assert story.at(500) == []
    assert story.rows["flood.A.20221014T0803Z"].closed_at == START + 50 * MINUTE


def test_an_end_has_no_cause_and_says_since_when_it_is_quiet() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))
    story.at(20, change(20, "tower", 0, measured=18))
    over = story.incidents.step(StepResult(), START + 60 * MINUTE, CITY, RULES).notices[0]

    assert (over.cause, over.at, over.arrival) == (None, START + 18 * MINUTE, START + 50 * MINUTE)


def test_a_rise_before_the_quiet_time_is_over_cancels_the_end_and_starts_it_anew() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))
    story.at(20, change(20, "tower", 0))

    assert story.at(49, change(49, "tower", 2)) == []
    assert story.at(60, change(60, "tower", 0)) == []
    assert story.at(90) == []
    assert story.at(91) == [("A", "over", 0, True)]


def test_a_rise_from_quiet_above_what_is_published_is_worse() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))
    story.at(20, change(20, "tower", 0))

    assert story.at(30, change(30, "gauge", 3))[0] == ("A", "worse", 3, True)


def test_a_member_that_falls_does_not_end_what_another_holds_up() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2), change(0, "gauge", 2))

    assert story.at(120, change(1, "tower", 0)) == []


@pytest.mark.parametrize(("hours", "same"), [(5.9, True), (6.1, False)])
def test_a_rise_within_six_hours_of_the_end_continues_the_same_incident(hours: float, same: bool) -> None:
    story = Story()
    story.at(0, change(0, "tower", 3))
    story.at(40, change(1, "tower", 0))
    later = 31 + hours * 60

    assert story.at(later, change(later, "tower", 1)) == [("A", "first", 1, True)]
    (row,) = story.incidents.open
    assert (row.id == "flood.A.20221014T0803Z") is same
    assert (row.version, row.peak) == ((3, 3) if same else (1, 1))


def test_what_one_long_step_ends_is_told_in_the_order_of_time() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2), change(0, "other", 2))
    story.at(6, change(5, "other", 0), change(6, "tower", 0))

    assert story.at(100) == [("B", "over", 0, True), ("A", "over", 0, True)]


def test_time_in_which_nobody_listened_is_no_quiet_time() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))
    story.at(20, change(20, "tower", 0))

    assert story.at(200, down_ms=170 * MINUTE) == []
    assert story.at(220.1) == [("A", "over", 0, True)]


def test_a_vanished_sensor_ends_by_the_transition_that_the_engine_makes() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))
    story.city = replace(CITY, sensors={k: v for k, v in CITY.sensors.items() if k != "tower"})

    assert story.at(10, change(10, "tower", 0)) == []
    assert story.at(41) == [("A", "over", 0, True)]


def test_a_sensor_that_comes_to_affect_another_area_is_told_there() -> None:
    story = Story()
    story.at(0, change(0, "tower", 3))
    story.city = replace(CITY, sensors={**CITY.sensors, "tower": sensor("tower", "A", "B")})

    assert story.at(10) == [("B", "first", 3, True)]
    assert story.at(12, change(12, "tower", 0)) == []
    assert story.at(43) == [("A", "over", 0, True), ("B", "over", 0, True)]


def test_a_shorter_quiet_time_ends_an_incident_now_and_not_in_the_past() -> None:
    story = Story()
    story.at(0, change(0, "tower", 2))
    story.at(20, change(1, "tower", 0))
    story.rules = replace(RULES, hazards={"flood": Hazard("flood", quiet_ms=MINUTE, confirm=False)})

    assert story.at(21) == []
    (over,) = story.incidents.step(StepResult(), START + 22 * MINUTE, CITY, story.rules).notices
    assert (over.reason, over.arrival) == (Reason.OVER, START + 21 * MINUTE)


# ---- any story --------------------------------------------------------------------------------------------------

changes = st.tuples(
    st.sampled_from([0, 0, 1, 2, 5, 9, 10, 29, 30, 31, 400]),  # minutes after the one before
    st.sampled_from(["tower", "gauge", "other"]),
    st.sampled_from(["depth", "rise", "wet"]),
    st.integers(0, 4),
)


def readings(steps: list[tuple[int, str, str, int]]) -> list[Transition]:
    minute, made = 0, []
    for i, (pause, sensor_, rule, to) in enumerate(steps):
        minute += pause
        made.append(change(minute, sensor_, to, rule, measured=minute - i % 3))
    return made


def of_one_reading(a: Transition, b: Transition) -> bool:
    return (a.arrival, a.sensor, a.at) == (b.arrival, b.sensor, b.at)


@given(st.lists(changes, max_size=25), st.sets(st.integers(0, 25)), st.booleans())
def test_neither_grouping_nor_restarts_change_what_is_told(
    steps: list[tuple[int, str, str, int]], cuts: set[int], restart: bool
) -> None:  # fmt: skip
    transitions = readings(steps)
    end = (transitions[-1].arrival if transitions else START) + 24 * 60 * MINUTE
    at_once = Incidents().step(found(transitions), end, CITY, RULES).notices

    grouped: list[Notice] = []
    incidents = Incidents()
    rows: dict[str, Incident] = {}
    group: list[Transition] = []
    for i, transition in enumerate(transitions):
        group.append(transition)
        together = i + 1 < len(transitions) and of_one_reading(transition, transitions[i + 1])
        if i in cuts and not together:
            grouped += incidents.step(found(group), transition.arrival, CITY, RULES).notices
            group = []
            rows |= {row.id: row for row in incidents.changed}
            until = transitions[i + 1].arrival if i + 1 < len(transitions) else end
            grouped += incidents.step(StepResult(), min(until, transition.arrival + 35 * MINUTE), CITY, RULES).notices
            rows |= {row.id: row for row in incidents.changed}
            if restart:
                now = transition.arrival
                kept = [r for r in rows.values() if r.closed_at is None or r.closed_at >= now - CONTINUES_MS]
                incidents = Incidents(kept)
    grouped += incidents.step(found(group), end, CITY, RULES).notices

    assert grouped == at_once


@given(st.lists(changes, max_size=25))
def test_every_story_is_told_in_order_and_ends_once(steps: list[tuple[int, str, str, int]]) -> None:
    transitions = readings(steps)
    end = (transitions[-1].arrival if transitions else START) + 24 * 60 * MINUTE
    incidents = Incidents()
    notices = incidents.step(found(transitions), end, CITY, RULES).notices

    by_incident: dict[str, list[Notice]] = {}
    for notice in notices:
        by_incident.setdefault(notice.incident, []).append(notice)
    for versions in by_incident.values():
        assert [n.version for n in versions] == list(range(1, len(versions) + 1))
        assert versions[0].reason is Reason.FIRST
        for before, after in pairwise(versions):
            assert after.previous_level == before.level
            assert (after.reason is Reason.FIRST) == (before.reason is Reason.OVER)
            assert (after.reason is Reason.WORSE) == (0 < before.level < after.level)
            assert after.reason is not Reason.EASED or after.arrival - before.arrival >= MIN_UPDATE

    levels: dict[tuple[str, str], int] = {}
    for t in transitions:
        levels[t.sensor, t.rule] = t.to
    hazard = {"depth": "flood", "rise": "flood", "wet": "rain"}
    expected: dict[tuple[str, str], int] = {}
    for (sensor_, rule), level in levels.items():
        for area in CITY.sensors[sensor_].affects:
            key = (hazard[rule], area)
            expected[key] = max(expected.get(key, 0), level)
    now_open = {(row.hazard, row.area): row.level for row in incidents.open}
    assert now_open == {key: level for key, level in expected.items() if level}


def test_an_end_that_nobody_measured_is_no_all_clear() -> None:
    story = Story()
    story.at(0, change(0, "tower", 3))
    closing = replace(change(5, "tower", 0), value=None)  # a schedule's closing tick, or a rule that was taken away

    assert story.at(5, closing) == []
    assert story.at(60) == [("A", "over", 0, False)]
