"""Nothing reaches residents unconfirmed (CONTRACTS section 6, a to e); what is not confirmed reaches operators."""

from dataclasses import replace

import pytest
from incident_town import APPROVE, CHAIN, MINUTE, QUIET, Town, ms, without

from alerts.incidents import acting
from alerts.incidents.decision import Decided
from alerts.incidents.incident import Confirmation, Hand
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.verbs import (
    Acknowledge,
    Approve,
    Assign,
    Close,
    Comment,
    Ease,
    EndSilence,
    Raise,
    Silence,
    Verb,
)
from processing.transitions import Status


@pytest.fixture(params=[False, True], ids=["", "restarted before each step"])
def town(request: pytest.FixtureRequest) -> Town:
    return Town(restarts=request.param)


def why(town: Town, what: Decided) -> list[tuple[str, str]]:
    return [(one.sensor, one.because) for one in town.decisions if one.what is what]


def believe_rain(town: Town) -> None:
    hazards = town.rules.hazards
    town.rules = replace(town.rules, hazards={**hazards, "rain": replace(hazards["rain"], confirm=False)})


# ---- (a) another sensor


def test_one_sensor_among_others_that_are_calm_tells_nobody(town: Town) -> None:
    assert town.stands(0, "tower-1", 0.25, 2, minutes=60) == []
    assert ("tower-1", "others_are_calm tower-2 tower-near") in why(town, Decided.UNCONFIRMED)
    assert town.calls == [], "a warning alone wakes nobody"


@pytest.mark.parametrize("witness", ["tower-2", "tower-near"], ids=["of the same ward", "near, of another ward"])
def test_a_second_sensor_at_most_one_level_lower_confirms(town: Town, witness: str) -> None:
    town.read(0, "tower-1", 0.35, 3)
    town.read(1, witness, 0.15, 1)
    assert ("A", "first", 2, True) in town.said()
    town.read(2, witness, 0.25, 2)

    assert ("A", "worse", 3, True) in town.said()
    assert town.row().members[0].by is Confirmation.NEIGHBOUR


def test_a_sensor_that_stands_too_far_away_confirms_nothing(town: Town) -> None:
    town.read(0, "tower-near", 0.35, 3)  # tower-2 is of another ward, and 8.5 km away

    assert town.read(1, "tower-2", 0.35, 3) == []


def test_a_witness_is_heard_for_a_while_after_it_has_fallen(town: Town) -> None:
    town.read(0, "tower-2", 0.25, 2)
    town.read(1, "tower-2", 0.0, 0)

    assert town.read(15, "tower-1", 0.25, 2) == [("A", "first", 2, True)]


def test_and_not_any_longer(town: Town) -> None:
    town.read(0, "tower-2", 0.25, 2)
    town.read(1, "tower-2", 0.0, 0)

    assert town.read(16.1, "tower-1", 0.25, 2) == []


def test_a_silent_sensor_confirms_nothing(town: Town) -> None:
    town.read(0, "tower-2", 0.25, 2)
    town.health(4, "tower-2", Status.SILENT)

    assert town.read(5, "tower-1", 0.25, 2) == []
    assert town.health(6, "tower-2", Status.OK) == [("A", "first", 2, True)]


# ---- (b) another hazard


def test_rain_at_warning_confirms_a_flood_in_the_same_ward(town: Town) -> None:
    town.read(0, "lonely", 0.35, 3)
    assert town.said() == []
    believe_rain(town)
    town.read(1, "gauge", 35.0, 2, rule="rain-1h")

    assert town.said() == [("C", "first", 2, True), ("C", "first", 3, True)]


def test_rain_that_is_not_confirmed_itself_confirms_nothing(town: Town) -> None:
    town.read(0, "lonely", 0.35, 3)

    assert town.read(1, "gauge", 35.0, 2, rule="rain-1h") == []


# ---- (c) a reference station


def test_a_reference_station_needs_one_good_reading(town: Town) -> None:
    assert town.read(0, "station", 0.5, 3) == [("D", "first", 3, True)]
    assert town.row(area="D").members[0].by is Confirmation.REFERENCE


def test_a_suspect_reading_of_a_reference_station_confirms_nothing(town: Town) -> None:
    assert town.read(0, "station", 0.5, 3, flag=3) == []
    assert town.read(1, "station", 0.5, flag=1) == [("D", "first", 3, True)]


# ---- (d) a sole sensor


def test_a_sole_sensor_confirms_itself_by_three_good_readings_over_five_minutes_up_to_warning(town: Town) -> None:
    for minute in range(5):
        assert town.read(minute, "lonely", 0.35, 3) == []
    assert town.read(5, "lonely", 0.35) == [("C", "first", 2, True)]
    assert town.notices[0].sole


def test_three_readings_within_five_minutes_are_not_enough_nor_are_two_over_more(town: Town) -> None:
    assert [town.read(m, "lonely", 0.25, 2) for m in (0, 1, 4.9)] == [[], [], []]
    other = Town()
    assert [other.read(m, "lonely", 0.25, 2) for m in (0, 6)] == [[], []]
    assert other.read(7, "lonely", 0.25) == [("C", "first", 2, True)]


@pytest.mark.parametrize(("value", "flag"), [(0.25, 3), (0.25, 4), (0.25, 9), (0.0, 1)])
def test_a_reading_that_is_not_good_or_says_the_contrary_begins_the_count_anew(
    town: Town, value: float, flag: int
) -> None:
    for minute in range(4):
        town.read(minute, "lonely", 0.25, 2)
    town.read(4, "lonely", value, flag=flag)
    assert [town.read(m, "lonely", 0.25) for m in range(5, 10)] == [[]] * 5
    assert town.read(10, "lonely", 0.25) == [("C", "first", 2, True)]


def test_a_level_that_outlasts_the_water_is_not_confirmed_by_a_dry_street(town: Town) -> None:
    town.read(0, "lonely", 0.35, 3)

    assert [town.read(m, "lonely", 0.0) for m in range(1, 20)] == [[]] * 19


def test_a_sensor_alone_because_the_others_are_silent_is_a_sole_sensor(town: Town) -> None:
    town.stands(0, "tower-1", 0.25, 2)
    town.health(10, "tower-2", Status.SILENT)
    assert town.said() == []
    assert town.health(11, "tower-near", Status.DELAYED) == [("A", "first", 2, True)]


def test_a_sensor_whose_silence_nobody_would_notice_contradicts_nothing(town: Town) -> None:
    assert town.stands(0, "dumb", 0.25, 2) == [("E", "first", 2, True)]


def test_a_second_station_makes_sole_evidence_observed_without_a_word_more(town: Town) -> None:
    town.health(0, "tower-2", Status.SILENT)
    town.health(0, "tower-near", Status.SILENT)
    town.stands(1, "tower-1", 0.25, 2)
    assert town.row().members[0].by is Confirmation.SOLE
    town.health(10, "tower-2", Status.OK)
    assert town.read(11, "tower-2", 0.25, 2) == []
    assert {m.by for m in town.row().members} == {Confirmation.NEIGHBOUR}


# ---- (e) persons; approval and its chain


def asked(town: Town) -> tuple[int, int]:
    return tuple((at - ms(0)) // MINUTE if at else 0 for at in town.row(area="C").asked_at)  # type: ignore[return-value]


def test_danger_beyond_what_is_confirmed_asks_operators_step_by_step_until_somebody_answers(town: Town) -> None:
    town.read(1, "lonely", 0.35, 3, flag=3)
    town.at(45)

    assert town.row(area="C").awaiting
    assert town.calls == [(1.0 + n * APPROVE, "flood.C.20221014T0804Z", CHAIN[min(n, 2)], "approve") for n in range(5)]
    assert town.said() == []


def test_who_is_there_only_later_is_called_then() -> None:
    steps: list[tuple[str, ...]] = []
    town = Town(incidents=Incidents(chain_of=lambda *_: tuple(steps)))
    town.read(1, "lonely", 0.35, 3, flag=3)
    assert town.calls == []
    steps.append(("an",))
    town.read(2, "lonely", 0.35, 3)
    assert [(call[0], call[2]) for call in town.calls] == [(2.0, ("an",))]


def test_an_approval_publishes_up_to_its_level_and_ends_the_calls(town: Town) -> None:
    town.read(1, "lonely", 0.35, 3)
    assert town.act(2, Approve("flood.C.20221014T0804Z", level=3)) == ""
    town.at(60)

    assert town.said() == [("C", "first", 3, True)]
    assert town.notices[0].by == "an"
    assert len(town.calls) == 1
    assert town.row(area="C").members[0].by is Confirmation.PERSON


def test_an_approval_of_less_leaves_the_rest_awaiting(town: Town) -> None:
    town.read(1, "lonely", 1.3, 4)
    town.act(2, Approve("flood.C.20221014T0804Z", level=3))

    assert town.said() == [("C", "first", 3, True)]
    assert town.row(area="C").awaiting


def test_an_approval_does_not_outlive_the_water(town: Town) -> None:
    town.read(1, "lonely", 0.35, 3)
    town.act(2, Approve("flood.C.20221014T0804Z"))
    town.read(3, "lonely", 0.0, 0)

    assert town.read(4, "lonely", 0.35, 3) == []
    assert town.row(area="C").supported == 0


def test_nobody_answers_and_the_sole_sensor_still_says_so_then_it_is_published_unattended(town: Town) -> None:
    for minute in range(2 * APPROVE + 2):
        town.read(minute, "lonely", 0.35, 3)

    assert town.said() == [("C", "first", 2, True), ("C", "worse", 3, True)]
    assert town.notices[-1].arrival == ms(2 * APPROVE)
    assert town.notices[-1].sole
    assert ("lonely", "nobody answered") in why(town, Decided.UNATTENDED)


def test_nobody_answers_and_others_are_calm_then_it_stays_unpublished(town: Town) -> None:
    town.stands(0, "tower-1", 0.35, 3, minutes=60)

    assert town.said() == []
    assert [call[0] for call in town.calls] == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]


def test_acknowledging_stops_the_calls_and_publishes_nothing(town: Town) -> None:
    town.read(1, "lonely", 0.35, 3, flag=3)
    town.act(2, Acknowledge("flood.C.20221014T0804Z"), "chi")
    town.at(60)

    assert len(town.calls) == 1
    assert (town.row(area="C").acknowledged_by, town.said()) == ("chi", [])


def test_worse_than_what_was_acknowledged_calls_again(town: Town) -> None:
    town.read(1, "lonely", 0.35, 3, flag=3)
    town.act(2, Acknowledge("flood.C.20221014T0804Z"))
    town.read(3, "lonely", 1.3, 4, flag=3)

    assert [call[0] for call in town.calls] == [1.0, 3.0]
    assert asked(town) == (1, 3)


def test_danger_that_is_published_calls_until_it_is_acknowledged(town: Town) -> None:
    town.read(0, "station", 0.5, 3)
    town.at(25)
    assert [(call[0], call[3]) for call in town.calls] == [(minute, "acknowledge") for minute in (0.0, 10.0, 20.0)]


def test_time_in_which_nobody_listened_calls_and_publishes_nothing(town: Town) -> None:
    for minute in range(7):
        town.read(minute, "lonely", 0.35, 3)
    town.at(300, down_ms=293 * MINUTE)

    assert town.said() == [("C", "first", 2, True)]
    assert len(town.calls) == 1


# ---- easing, closing, all-clear


def test_a_person_eases_and_it_stays_so_until_the_sensor_rises(town: Town) -> None:
    town.read(0, "station", 1.3, 4)
    assert town.act(1, Ease("flood.D.20221014T0803Z", 2)) == ""
    assert town.act(1.5, Ease("flood.D.20221014T0803Z", 2)) == ""
    town.read(2, "station", 1.3)
    assert town.said() == [("D", "first", 4, True), ("D", "eased", 2, True)]
    town.read(3, "station", 0.35, 3)
    town.read(4, "station", 1.3, 4)
    assert town.said(2) == [("D", "worse", 4, True)]


@pytest.mark.parametrize("silenced", [False, True])
def test_who_eases_while_nothing_counts_any_more_says_at_which_level_it_stands(town: Town, silenced: bool) -> None:
    """In the quiet time, or under a silence; a version of an open warning never says level 0."""
    town.read(0, "station", 0.35, 3)
    if silenced:
        town.act(1, silence(1, 2, areas=("D",)))
    else:
        town.read(1, "station", 0.0, 0)
    assert town.act(1.5, Ease("flood.D.20221014T0803Z", 2)) == ""
    assert town.said(1) == [("D", "eased", 2, False)]
    town.at(1.9)
    assert town.row(area="D").level == 2


def test_a_person_closes_and_a_rise_opens_it_again(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    assert town.act(1, Close("flood.D.20221014T0803Z"), "binh") == ""
    town.at(60)
    assert town.said() == [("D", "first", 3, True), ("D", "over", 0, True)]
    assert town.act(61, Close("flood.D.20221014T0803Z")) == ""
    assert len(town.notices) == 2
    assert town.read(62, "station", 1.3, 4) == [("D", "first", 4, True)]


def test_what_should_never_have_been_said_is_withdrawn(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    town.act(1, Close("flood.D.20221014T0803Z", withdraw=True))

    assert town.said()[1:] == [("D", "withdrawn", 0, True)]


def test_what_nobody_heard_ends_without_a_word(town: Town) -> None:
    town.read(0, "lonely", 0.35, 3, flag=3)
    town.read(5, "lonely", 0.0, 0)
    town.at(60)

    assert town.said() == []
    assert town.row(area="C").closed_at is not None
    assert not town.row(area="C").awaiting


def test_after_danger_the_end_waits_for_every_sensor_that_raised_it(town: Town) -> None:
    town.read(0, "tower-1", 0.35, 3)
    town.read(0, "tower-2", 0.35, 3)
    for id_ in ("tower-1", "tower-2"):
        town.read(10, id_, 0.0, 0)
    town.health(20, "tower-2", Status.SILENT)
    assert town.said(1) == []
    town.at(200)
    assert town.said(1) == []
    assert town.row().held_open == "not_heard tower-2"
    town.health(201, "tower-2", Status.OK)
    assert town.at(202) == [("A", "over", 0, True)]
    assert town.notices[-1].arrival == ms(201)
    assert town.notices[-1].peak == 3


def test_or_for_a_person(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    town.read(10, "station", 0.0, 0)
    town.health(20, "station", Status.SILENT)
    town.at(200)
    town.act(201, Close("flood.D.20221014T0803Z"))

    assert town.said(1) == [("D", "over", 0, True)]


def test_a_sensor_that_left_the_registry_is_no_all_clear(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    town.read(10, "station", 0.0, 0)
    town.city = without(town.city, "station")
    town.at(12)
    town.at(200)

    assert town.said(1) == []
    assert town.row(area="D").held_open == "gone station"


def test_after_danger_the_end_waits_for_the_hazard_that_it_comes_from(town: Town) -> None:
    believe_rain(town)
    town.read(0, "gauge", 6.0, 1, rule="ends_when.rain.rain")
    town.read(0, "gauge", 35.0, 2, rule="rain-1h")
    town.read(1, "lonely", 0.35, 3)
    town.read(10, "lonely", 0.0, 0)
    town.at(100)
    assert town.row(area="C").held_open == "linked rain"
    town.read(101, "gauge", 10.0, 0, rule="rain-1h")
    assert ("C", "over", 0, True) in town.at(102)


def test_a_sensor_that_falls_silent_closes_nothing(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    town.health(5, "station", Status.SILENT)
    town.at(5000)

    assert town.said(1) == []
    assert town.row(area="D").closed_at is None


def test_a_new_wave_that_is_not_confirmed_eases_nothing(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    town.read(10, "station", 0.0, 0)
    town.read(20, "station", 0.12, 1, flag=3)
    town.at(400)

    assert town.said(1) == []


# ---- ends_when


def soaked(town: Town) -> None:
    believe_rain(town)
    town.read(0, "gauge", 6.0, 1, rule="ends_when.rain.rain")
    town.read(1, "gauge", 55.0, 3, rule="rain-1h")


def test_long_sums_hold_no_incident_open_once_it_has_long_rained_little(town: Town) -> None:
    soaked(town)
    town.read(60, "gauge", 4.0, 0, rule="ends_when.rain.rain")

    assert town.at(60 + 120 + QUIET) == []
    assert town.at(60 + 120 + QUIET + 1) == [("C", "over", 0, True)]
    assert ("gauge", "sum below 5") in why(town, Decided.CALM)


def test_rain_that_begins_again_before_starts_that_time_anew(town: Town) -> None:
    soaked(town)
    town.read(60, "gauge", 4.0, 0, rule="ends_when.rain.rain")
    town.read(100, "gauge", 6.0, 1, rule="ends_when.rain.rain")
    town.read(110, "gauge", 4.0, 0, rule="ends_when.rain.rain")

    assert town.at(110 + 120 + QUIET - 1) == []


def test_and_they_count_again_only_after_a_rise(town: Town) -> None:
    soaked(town)
    town.read(60, "gauge", 4.0, 0, rule="ends_when.rain.rain")
    town.at(300)
    town.read(310, "gauge", 35.0, 2, rule="rain-1h")
    town.at(600)
    assert len(town.said()) == 2
    assert town.read(601, "gauge", 55.0, 3, rule="rain-1h") == [("C", "first", 3, True)]


def test_a_long_sum_that_falls_later_holds_nothing_up_either(town: Town) -> None:
    soaked(town)
    town.read(60, "gauge", 4.0, 0, rule="ends_when.rain.rain")
    town.read(190, "gauge", 30.0, 2, rule="rain-1h")
    assert town.at(60 + 120 + QUIET + 1) == [("C", "over", 0, True)]


def test_silence_is_not_little_rain(town: Town) -> None:
    soaked(town)
    town.read(60, "gauge", 4.0, 0, rule="ends_when.rain.rain")
    town.health(70, "gauge", Status.SILENT)
    assert town.at(600) == []
    town.health(600, "gauge", Status.OK)
    assert town.at(600 + 120 + QUIET) == []
    assert town.at(600 + 120 + QUIET + 1) == [("C", "over", 0, True)]


# ---- silences and planned outages


def silence(begins: float, until: float, **what: object) -> Silence:
    return Silence("s-1", ms(begins), ms(until), "a lorry parks there", "an", **what)  # type: ignore[arg-type]


def test_a_silenced_sensor_neither_counts_nor_confirms_until_the_silence_ends(town: Town) -> None:
    town.act(0, silence(0, 60, sensor="tower-2"))
    town.read(1, "tower-2", 0.35, 3)
    town.read(2, "tower-1", 0.35, 3)
    assert town.said() == []
    assert town.at(60.1) == [("A", "first", 3, True)]


def test_what_a_silence_began_with_is_not_judged_again_after_a_restart(town: Town) -> None:
    """With the eyes of back then, who fell long ago would bear witness once more."""
    town.act(0, silence(0, 600, areas=("D",)))
    town.read(1, "tower-1", 0.35, 3)
    town.read(2, "tower-1", 0.0, 0)
    town.read(40, "tower-2", 0.35, 3)  # within 15 minutes the other would have confirmed it
    assert town.at(41) == []
    assert [d.at for d in town.decisions] == sorted(d.at for d in town.decisions)


def test_a_silence_eases_and_ends_nothing_that_is_published(town: Town) -> None:
    town.read(0, "station", 0.35, 3)
    town.act(1, silence(1, 100, areas=("D",)))
    town.at(99)

    assert town.said(1) == []


def test_a_silence_can_be_ended_early_and_given_twice(town: Town) -> None:
    town.read(0, "station", 0.12, 1)
    assert town.act(1, silence(1, 100, hazard="flood", areas=("D",))) == ""
    assert town.act(1.5, silence(1, 100, hazard="flood", areas=("D",))) == ""
    assert town.read(2, "station", 0.5, 3) == []
    assert town.act(3, EndSilence("s-1")) == ""
    assert town.said(3) == [("D", "worse", 3, True)]
    assert town.act(4, EndSilence("s-1")) == ""
    assert "no such silence" in town.act(4, EndSilence("s-2"))


def test_silences_have_a_limit_and_those_that_are_over_do_not_count(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "SILENCES_MOST", 2)
    one = silence(1, 100, hazard="flood", areas=("D",))
    assert [town.act(1, replace(one, id=f"s-{n}", until=ms(10))) for n in range(2)] == ["", ""]
    assert "2 silences and outages are not over" in town.act(2, replace(one, id="s-3"))
    assert town.act(2, replace(one, id="s-1")) == "", "the same again is no other"
    assert town.act(11, replace(one, id="s-3")) == ""


def test_a_planned_outage_that_overruns_is_told_as_any_other(town: Town) -> None:
    town.act(0, silence(10, 60, hazard="flood", areas=("D",), planned=True))
    assert town.read(11, "station", 0.5, 3) == []
    assert town.at(60.1) == [("D", "first", 3, True)]


# ---- city mode


def test_twenty_areas_at_danger_are_one_event_that_is_approved_at_once(town: Town) -> None:
    for n in range(22):
        town.read(n / 10, f"far-{n}", 0.35, 3, flag=3)
    (event,) = {row.event for row in town.incidents.open}
    assert event == "city.20221014T0804Z"
    assert town.said() == []
    assert town.act(5, Approve(event=event, level=3), "chi") == ""

    assert len(town.said()) == 22
    assert {(n.event, n.level, n.by) for n in town.notices} == {(event, 3, "chi")}


def test_a_bulk_approval_reaches_the_hazards_that_it_names_and_no_other(town: Town) -> None:
    for n in range(20):
        town.read(n / 10, f"far-{n}", 0.35, 3, flag=3)
    town.read(3, "gauge", 60.0, 3, rule="rain-1h", flag=3)
    (event,) = {row.event for row in town.incidents.open}
    assert "no city event" in town.act(4, Approve(event=event, hazards=("power",)), "chi")
    assert town.act(5, Approve(event=event, level=3, hazards=("flood",)), "chi") == ""
    assert {n.hazard for n in town.notices} == {"flood"}, "the rain joined after who approved was asked for his rights"


def test_nineteen_are_not(town: Town) -> None:
    for n in range(19):
        town.read(n / 10, f"far-{n}", 0.35, 3, flag=3)

    assert {row.event for row in town.incidents.open} == {""}


def test_the_event_is_over_when_few_are_left_and_does_not_flicker(town: Town) -> None:
    for n in range(20):
        town.read(n / 10, f"far-{n}", 0.35, 3, flag=3)
    for n in range(10):
        town.read(10 + n / 10, f"far-{n}", 0.0, 0)
    assert {row.event for row in town.incidents.open} == {"city.20221014T0804Z"}
    town.read(12, "far-11", 0.0, 0)
    assert {row.event for row in town.incidents.open} == {""}


# ---- by hand, and drills


def hand(level: int = 3, template: str = "storm", until: float = 60.0, by: str = "an") -> Hand:
    return Hand(template, level, ms(until), by, (("name", "No. 6"),))


def test_a_warning_by_hand_of_an_approver_is_out_at_once_and_over_by_itself(town: Town) -> None:
    assert town.act(0, Raise(hand(), "storm", ("A", "B"), approver=True)) == ""
    assert town.said() == [("A", "first", 3, True), ("B", "first", 3, True)]
    assert town.at(60.1) == [("A", "over", 0, True), ("B", "over", 0, True)]
    assert town.calls == []


def test_other_words_at_the_same_level_are_an_update(town: Town) -> None:
    town.act(0, Raise(hand(), "storm", ("A",), approver=True))
    town.act(5, Raise(hand(until=90), "storm", ("A",), approver=True))
    town.act(6, Raise(hand(until=90), "storm", ("A",), approver=True))

    assert [(n.reason.value, n.level, n.told) for n in town.notices] == [("first", 3, True), ("updated", 3, True)]


@pytest.mark.parametrize(("level", "reason"), [(4, "worse"), (3, "updated"), (2, "eased")])
def test_what_an_operator_gives_anew_is_told_when_it_is_approved(town: Town, level: int, reason: str) -> None:
    town.act(0, Raise(hand(3), "storm", ("A",), approver=True))
    town.act(1, Raise(hand(level, until=90, by="binh"), "storm", ("A",)), "binh")
    assert town.said(1) == []
    assert town.act(2, Approve("storm.A.20221014T0803Z"), "chi") == ""
    assert town.said(1) == [("A", reason, level, reason != "eased")]
    assert town.notices[-1].by == "chi"


def test_what_an_operator_would_say_instead_neither_ends_nor_changes_what_is_published(town: Town) -> None:
    town.act(0, Raise(hand(4, until=600), "storm", ("A",), approver=True))
    town.act(1, Raise(hand(4, until=2, by="binh"), "storm", ("A",)), "binh")
    assert town.row("storm").hand == hand(4, until=600)
    town.at(3)
    assert town.said(1) == []
    assert not town.row("storm").awaiting
    assert town.at(601) == [("A", "over", 0, True)]


def test_words_that_nobody_has_approved_are_not_let_out_by_easing(town: Town) -> None:
    town.act(0, Raise(hand(4, "evacuation"), "evacuation", ("A",)), "an")
    assert town.act(1, Approve("evacuation.A.20221014T0803Z"), "chi") == ""
    town.act(2, Raise(hand(4, "evacuation", until=90), "evacuation", ("A",)), "an")
    assert "by hand" in town.act(3, Ease("evacuation.A.20221014T0803Z", 3), "an")
    assert town.said(1) == [("A", "first", 4, True)]


def test_sensors_join_what_was_given_by_hand_and_go_on_without_it(town: Town) -> None:
    town.act(0, Raise(hand(2, "seen"), "flood", ("D",), approver=True))
    town.read(10, "station", 0.5, 3)
    assert town.said() == [("D", "first", 2, True), ("D", "worse", 3, True)]
    assert [n.hand is None for n in town.notices] == [False, True], "the worse of the two speaks"
    assert town.at(70) == []
    town.read(80, "station", 0.0, 0)
    assert town.at(80 + QUIET + 1) == [("D", "over", 0, True)]


def test_what_was_given_by_hand_holds_up_what_sensors_no_longer_say(town: Town) -> None:
    town.act(0, Raise(hand(2, "seen"), "flood", ("D",), approver=True))
    town.read(10, "station", 0.5, 3)
    town.read(11, "station", 0.0, 0)
    assert town.at(59) == [("D", "eased", 2, False)]
    assert town.at(61) == [("D", "over", 0, True)]


def test_the_end_of_what_was_given_by_hand_is_no_all_clear_of_what_a_sensor_raised(town: Town) -> None:
    town.act(0, Raise(hand(2, "seen"), "flood", ("D",), approver=True))
    town.read(10, "station", 0.5, 3)
    town.health(58, "station", Status.SILENT)
    town.read(59, "station", 0.0, 0)
    assert town.at(61) == [("D", "eased", 2, False)], "the water has been low for two minutes"
    assert town.at(59 + QUIET + 1) == []
    assert town.row(area="D").held_open == "not_heard station"
    town.health(100, "station", Status.OK)
    assert town.at(101) == [("D", "over", 0, True)]


def test_sensors_reopen_what_was_once_given_by_hand(town: Town) -> None:
    town.act(0, Raise(hand(2, "seen", until=10), "flood", ("D",), approver=True))
    assert town.at(20) == [("D", "over", 0, True)]
    assert town.read(30, "station", 0.5, 3) == [("D", "first", 3, True)]
    assert town.notices[-1].hand is None


def test_an_operators_word_beside_sensors_is_asked_for_and_counts_when_it_is_approved(town: Town) -> None:
    town.act(0, Raise(hand(3, "seen"), "flood", ("C",)))
    town.read(1, "lonely", 0.12, 1, flag=3)
    assert town.said() == []
    town.act(2, Approve("flood.C.20221014T0803Z"), "chi")
    assert town.said() == [("C", "first", 3, True)]


def test_that_of_an_operator_waits_for_an_approval(town: Town) -> None:
    town.act(0, Raise(hand(), "storm", ("A",)))
    assert town.said() == []
    assert [call[3] for call in town.calls] == ["approve"]
    assert town.act(1, Approve("storm.A.20221014T0803Z"), "chi") == ""
    assert town.said() == [("A", "first", 3, True)]


def test_an_evacuation_takes_two_persons(town: Town) -> None:
    town.act(0, Raise(hand(4, "evacuation"), "evacuation", ("A",), approver=True))
    assert town.said() == []
    assert "another person" in town.act(1, Approve("evacuation.A.20221014T0803Z"), "an")
    assert town.said() == []
    assert town.act(2, Approve("evacuation.A.20221014T0803Z"), "chi") == ""
    assert town.said() == [("A", "first", 4, True)]


def test_an_evacuation_that_nobody_approves_is_never_published(town: Town) -> None:
    town.act(0, Raise(hand(4, "evacuation"), "evacuation", ("A",), approver=True))
    town.at(59)
    town.at(100)

    assert town.said() == []
    assert len(town.calls) == 6


def test_a_real_incident_stops_the_drill_of_its_area(town: Town) -> None:
    drill = Raise(hand(), "flood", ("D", "E"), drill=True, approver=True)
    assert town.act(0, drill) == ""
    town.read(5, "station", 0.5, 3)

    assert [(n.area, n.reason.value, n.drill) for n in town.notices] == [
        ("D", "first", True), ("E", "first", True), ("D", "first", False), ("D", "stopped", True),
    ]  # fmt: skip
    assert "no drill beside it" in town.act(6, drill)
    assert all(call[1].startswith("flood.D") for call in town.calls), "a drill calls nobody"


# ---- verbs


def test_what_ends_by_itself_is_not_eased_to_nothing_without_an_end(town: Town) -> None:
    town.read(0, "station", 0.5, 3)
    town.read(5, "station", 0.0, 0)
    assert town.act(6, Ease("flood.D.20221014T0803Z", 1)) == ""
    assert town.row(area="D").danger_by == ("station",), "still to be heard before an all-clear"
    assert town.at(5 + QUIET + 1) == [("D", "over", 0, True)]
    assert [(n.reason.value, n.level) for n in town.notices] == [("first", 3), ("eased", 1), ("over", 0)]


@pytest.mark.parametrize(
    ("verb", "refused"),
    [
        (Acknowledge("nothing"), "not open"),
        (Ease("flood.D.20221014T0803Z", 4), "lower level"),
        (Ease("flood.D.20221014T0803Z", 0), "lower level"),
        (Approve(event="city.1"), "no city event"),
        (Raise(hand(), "storm", ("Z",)), "Z: not in the registry"),
        (Raise(hand(), "storm", ()), "not in the registry"),
        (Raise(hand(until=0.5), "storm", ("A",)), "in the past"),
        (Raise(hand(), "flood", ("D",)), "stands on sensors"),
        (silence(5, 5), "after the beginning"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(town: Town, verb: Verb, refused: str) -> None:
    town.read(0, "station", 0.5, 3)
    before = town.row(area="D")

    assert refused in town.act(1, verb)
    assert (town.row(area="D"), len(town.notices)) == (before, 1)


def test_assigning_and_commenting_are_written_down_and_told_to_nobody(town: Town) -> None:
    town.read(0, "station", 0.5, 3)
    town.act(1, Assign("flood.D.20221014T0803Z", "binh"))
    town.act(2, Comment("flood.D.20221014T0803Z", "the ward centre is there"))

    assert town.row(area="D").assigned_to == "binh"
    acted = [one for one in town.decisions if one.what is Decided.ACTED]
    assert [one.detail.get("why") for one in acted] == [None, "the ward centre is there"]
    assert len(town.notices) == 1
