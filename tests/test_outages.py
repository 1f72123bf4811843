"""Planned outages: told the day before and an hour before, once; what overruns its announced end is a warning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from incident_town import CITY, Town, ms

from alerts.incidents.incident import Planned, Reason
from alerts.incidents.verbs import EndSilence, Reschedule, Silence
from ingest.city import Area

HOUR, DAY = 60, 24 * 60  # minutes
BEGINS = 3 * DAY
UNTIL = BEGINS + 3 * HOUR


@pytest.fixture(params=[False, True], ids=["one life", "a restart before everything"])
def town(request: pytest.FixtureRequest) -> Town:
    return Town(restarts=request.param)


def outage(begins: float = BEGINS, until: float = UNTIL, **what: object) -> Silence:
    what = {"areas": ("A", "B")} | what
    return Silence("outage-1", ms(begins), ms(until), "PC: feeder 471", "an", hazard="power", planned=True, **what)  # type: ignore[arg-type]


def told(town: Town) -> list[tuple[float, str, str, int]]:
    """Minute, area, reason, version of what residents were told of outages."""
    return [((n.arrival - ms(0)) / 60_000, n.area, n.reason.value, n.version) for n in town.notices if n.planned]


def hours(town: Town, begin: float, end: float) -> None:
    for minute in range(int(begin), int(end) + 1, 10):
        town.at(minute + 0.5)


def test_it_is_told_the_day_before_and_an_hour_before_in_each_of_its_areas_and_no_more(town: Town) -> None:
    town.act(0, outage())
    hours(town, 0, UNTIL + DAY)

    assert told(town) == [
        (BEGINS - DAY, "A", "planned", 1), (BEGINS - DAY, "B", "planned", 1),
        (BEGINS - HOUR, "A", "planned", 2), (BEGINS - HOUR, "B", "planned", 2),
    ]  # fmt: skip
    first, *_, last = town.notices
    assert first.planned == Planned(ms(BEGINS), ms(UNTIL), "PC: feeder 471", again=True)
    assert last.planned is not None
    assert not last.planned.again
    assert (first.at, first.level, first.hazard, first.event) == (ms(BEGINS), 1, "power", "outage-1")
    assert {n.incident for n in town.notices} == {"outage-1.A", "outage-1.B"}
    assert not town.rows, "it is no incident"


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (20 * HOUR, [0, 19 * HOUR]),  # entered within the day: at once, and a reminder
        (2 * HOUR + 1, [0, HOUR + 1]),
        (2 * HOUR, [0]),  # who hears it now needs no reminder within the hour
        (10, [0]),
        (0, []),  # the cut has told them
        (-30, []),
    ],
)
def test_entered_late_it_is_told_at_once_and_never_when_it_has_begun(
    town: Town, ahead: float, expected: list[float]
) -> None:
    town.act(0, outage(ahead, ahead + 5 * HOUR, areas=("A",)))
    hours(town, 0, ahead + 5 * HOUR)
    assert [minute for minute, *_ in told(town)] == expected


def test_time_in_which_nobody_listened_delays_the_word_and_does_not_double_it(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    town.at(BEGINS - DAY - 5)
    town.at(BEGINS - 20 * HOUR, down_ms=4 * HOUR * 60_000)
    town.at(BEGINS - 20, down_ms=4 * HOUR * 60_000)
    town.at(BEGINS + 1)
    assert [minute for minute, *_ in told(town)] == [BEGINS - 20 * HOUR, BEGINS - 20]


def test_who_was_down_until_it_began_tells_nobody(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    town.at(BEGINS + 1, down_ms=BEGINS * 60_000)
    assert told(town) == []


def test_called_off_before_it_began_those_who_heard_hear_that_once(town: Town) -> None:
    town.act(0, outage())
    town.at(BEGINS - HOUR * 5)
    assert town.act(BEGINS - 4 * HOUR, EndSilence("outage-1"), "chi") == ""
    assert town.act(BEGINS - 3 * HOUR, EndSilence("outage-1"), "chi") == ""
    hours(town, BEGINS - 3 * HOUR, UNTIL + HOUR)

    assert told(town)[2:] == [(BEGINS - 4 * HOUR, "A", "called_off", 2), (BEGINS - 4 * HOUR, "B", "called_off", 2)]
    last = town.notices[-1]
    assert (last.level, last.previous_level, last.by, last.at) == (0, 1, "chi", ms(BEGINS - 4 * HOUR))


def test_called_off_before_anybody_heard_nobody_hears_of_it(town: Town) -> None:
    town.act(0, outage())
    town.act(HOUR, EndSilence("outage-1"))
    hours(town, HOUR, UNTIL)
    assert told(town) == []


def test_ended_early_those_who_heard_hear_that(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    town.at(BEGINS + 5)
    town.act(BEGINS + HOUR, EndSilence("outage-1"))
    assert told(town)[-1] == (BEGINS + HOUR, "A", "called_off", 3)


def test_its_announced_end_is_no_word_of_anybody(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    hours(town, 0, UNTIL + HOUR)
    before = len(town.notices)
    assert town.act(UNTIL + 2 * HOUR, EndSilence("outage-1")) == ""
    assert len(town.notices) == before


def test_other_times_are_told_to_those_who_heard_and_it_is_told_before_the_new_ones(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    town.at(BEGINS - 20 * HOUR)
    assert town.act(BEGINS - 19 * HOUR, Reschedule("outage-1", ms(BEGINS + 2 * DAY), ms(UNTIL + 2 * DAY)), "chi") == ""
    hours(town, BEGINS - 19 * HOUR, UNTIL + 3 * DAY)

    assert told(town) == [
        (BEGINS - DAY, "A", "planned", 1), (BEGINS - 19 * HOUR, "A", "moved", 2),
        (BEGINS + DAY, "A", "planned", 3), (BEGINS + 2 * DAY - HOUR, "A", "planned", 4),
    ]  # fmt: skip
    assert town.notices[1].by == "chi"


def test_moved_before_anybody_heard_only_the_new_times_are_told(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    town.act(HOUR, Reschedule("outage-1", ms(BEGINS + DAY), ms(UNTIL + DAY)))
    hours(town, HOUR, UNTIL + DAY)
    assert [minute for minute, *_ in told(town)] == [BEGINS, BEGINS + DAY - HOUR]


def test_while_it_is_on_its_end_alone_can_be_moved_and_that_is_told(town: Town) -> None:
    town.act(0, outage(areas=("A",)))
    town.at(BEGINS + 5)
    assert "only its end" in town.act(BEGINS + 10, Reschedule("outage-1", ms(BEGINS + 60), ms(UNTIL)))
    assert town.act(BEGINS + 20, Reschedule("outage-1", ms(BEGINS), ms(UNTIL + HOUR))) == ""
    assert town.act(BEGINS + 21, Reschedule("outage-1", ms(BEGINS), ms(UNTIL + HOUR))) == "", "the same again"
    assert [row[2:] for row in told(town)] == [("planned", 1), ("planned", 2), ("moved", 3)]


@pytest.mark.parametrize(
    ("verb", "why"),
    [
        (Reschedule("outage-2", ms(1), ms(2)), "no such planned outage"),
        (Reschedule("s-1", ms(1), ms(200)), "no such planned outage"),
        (Reschedule("outage-1", ms(300), ms(300)), "after the beginning"),
        (Reschedule("outage-1", ms(1), ms(2)), "in the future"),
    ],
)
def test_what_cannot_be_moved_is_refused_and_nothing_has_changed(town: Town, verb: Reschedule, why: str) -> None:
    town.act(0, outage())
    town.act(0, Silence("s-1", ms(0), ms(900), "why", "an", areas=("C",)))
    before = town.incidents.silences
    assert why in town.act(5, verb)
    assert town.incidents.silences == before


def test_what_is_over_is_announced_anew_not_moved(town: Town) -> None:
    town.act(0, outage())
    town.act(5, EndSilence("outage-1"))
    assert "is over" in town.act(6, Reschedule("outage-1", ms(BEGINS), ms(UNTIL)))


def test_of_one_sensor_those_hear_for_whom_it_speaks(town: Town) -> None:
    meter = replace(CITY.sensors["meter"], affects=("A", "G"))
    town.city = replace(CITY, sensors={**CITY.sensors, "meter": meter})
    town.act(0, outage(HOUR, 2 * HOUR, sensor="meter", areas=()))
    assert {area for _, area, *_ in told(town)} == {"A", "G"}


def test_an_area_that_a_sensor_comes_to_speak_for_hears_from_then_on(town: Town) -> None:
    town.act(0, outage(sensor="meter", areas=()))
    town.at(BEGINS - 20 * HOUR)
    meter = replace(CITY.sensors["meter"], affects=("G", "new"))
    town.city = replace(CITY, areas={**CITY.areas, "new": Area("new", "New")}, sensors={**CITY.sensors, "meter": meter})
    town.at(BEGINS - 10 * HOUR)
    town.at(BEGINS - 5)
    assert told(town) == [
        (BEGINS - DAY, "G", "planned", 1), (BEGINS - HOUR, "G", "planned", 2), (BEGINS - HOUR, "new", "planned", 1),
    ]  # fmt: skip


def test_a_silence_of_a_sensor_is_nothing_to_tell(town: Town) -> None:
    town.act(0, Silence("s-1", ms(HOUR), ms(2 * HOUR), "mast lies", "an", hazard="power", areas=("A",)))
    town.at(HOUR)
    assert town.notices == []


# ---- the overrun


def off(town: Town, minute: float, minutes: int = 6) -> None:
    for n in range(minutes + 1):
        town.read(minute + n, "meter", 0.0, 2, rule="power-off")


def test_what_is_out_past_the_announced_end_is_a_warning_that_says_so(town: Town) -> None:
    town.act(0, outage(10, 60, areas=("G",)))
    off(town, 11)
    assert [n.reason for n in town.notices] == [Reason.PLANNED]
    off(town, 59.5)

    (warning,) = [n for n in town.notices if n.planned is None]
    assert (warning.reason, warning.level, warning.overran) == (Reason.FIRST, 2, ms(60))
    town.read(80, "meter", 1.0, 0, rule="power-off")
    town.at(200)
    assert town.notices[-1].reason is Reason.OVER
    assert town.notices[-1].overran == 0


def test_what_goes_out_after_the_announced_end_is_another_matter(town: Town) -> None:
    town.act(0, outage(10, 60, areas=("G",)))
    off(town, 11, minutes=1)
    town.read(55, "meter", 1.0, 0, rule="power-off")
    off(town, 61)
    (warning,) = [n for n in town.notices if n.planned is None]
    assert warning.overran == 0


def test_ended_by_a_person_it_has_not_overrun(town: Town) -> None:
    town.act(0, outage(10, 600, areas=("G",)))
    off(town, 11)
    town.act(30, EndSilence("outage-1"))
    off(town, 31)
    (warning,) = [n for n in town.notices if n.planned is None]
    assert warning.overran == 0


def test_extended_it_overruns_its_new_end(town: Town) -> None:
    town.act(0, outage(10, 60, areas=("G",)))
    off(town, 11)
    town.act(50, Reschedule("outage-1", ms(10), ms(120)))
    off(town, 59)
    assert [n for n in town.notices if n.planned is None] == []
    off(town, 118)
    (warning,) = [n for n in town.notices if n.planned is None]
    assert warning.overran == ms(120)


def test_a_voltage_that_is_merely_low_is_no_outage_that_goes_on(town: Town) -> None:
    town.act(0, outage(10, 60, areas=("G",)))
    for minute in (11, 58, 59, 61, 63, 65, 67):
        town.read(minute, "meter", 0.0, 1, rule="power-off")
    (advisory,) = [n for n in town.notices if n.planned is None]
    assert (advisory.level, advisory.overran) == (1, 0)


def test_the_end_of_it_while_nobody_listened_is_an_overrun_when_somebody_listens(town: Town) -> None:
    town.act(0, outage(10, 60, areas=("G",)))
    off(town, 11)
    town.at(90, down_ms=70 * 60_000)
    off(town, 91)
    (warning,) = [n for n in town.notices if n.planned is None]
    assert (warning.overran, warning.arrival >= ms(90)) == (ms(60), True)
