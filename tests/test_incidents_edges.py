"""Where persons, silences, restarts and new registries meet what sensors say."""

from __future__ import annotations

from dataclasses import replace

from incident_town import CITY, MINUTE, RULES, Town, ms

from alerts.incidents.incident import Hand
from alerts.incidents.verbs import Approve, Close, Ease, Raise, Silence
from processing.transitions import Status


def hand(level: int, until: float, by: str = "an", template: str = "storm") -> Hand:
    return Hand(template, level, ms(until), by)


def raised(town: Town, minute: float, given: Hand, *, approver: bool = True, hazard: str = "flood", area: str = "A",
           by: str = "an") -> str:  # fmt: skip
    return town.act(minute, Raise(given, hazard, (area,), approver=approver), by)


def test_a_silence_that_began_before_it_was_entered_does_not_turn_time_back() -> None:
    town = Town()
    town.act(0, Silence("works", ms(0), ms(600), "why", "an", areas=("C",)))
    town.stands(5, "lonely", 0.25, 2)
    assert town.said() == []

    town.act(60, Silence("other", ms(-30), ms(300), "why", "an", areas=("A",)))  # before the other one began

    town.at(61)
    assert town.said() == []
    assert town.row(area="C").members[0].silenced == "works"


def test_a_new_registry_does_not_go_through_old_silences_again() -> None:
    town = Town()
    town.act(0, Silence("works", ms(0), ms(10), "why", "an", areas=("C",)))
    town.at(20)
    town.stands(30, "lonely", 0.35, 3)
    asked = town.row(area="C").asked_at
    calls = len(town.calls)
    town.city = replace(CITY, name="Town again")

    town.at(42)
    town.at(43)

    assert town.row(area="C").asked_at == asked
    assert len(town.calls) == calls + 1  # the one that was due at minute 40


def test_nothing_that_keeps_an_incident_open_is_cut_short_by_a_new_registry() -> None:
    rules = replace(RULES, hazards={**RULES.hazards, "flood": replace(RULES.hazards["flood"], min_update_ms=0)})
    town = Town(rules=rules)
    town.stands(0, "station", 0.35, 3)
    town.read(10, "station", 0.0, 0)
    town.read(20, "station", 0.11, 1)  # a new wave: it eases nothing for the quiet time
    town.city = replace(CITY, name="Town again")
    town.at(21)
    town.at(25)
    assert town.row(area="D").level == 3


def test_what_is_given_by_hand_anew_is_published_when_it_is_approved() -> None:
    town = Town()
    raised(town, 0, hand(4, 600), hazard="evacuation")
    row = town.row("evacuation")
    assert town.act(0.5, Approve(row.id), "binh") == ""
    assert town.said()[-1] == ("A", "first", 4, True)

    raised(town, 5, Hand("evacuation", 4, ms(900), "an", (("shelter", "another"),)), hazard="evacuation")
    assert town.act(6, Approve(row.id), "binh") == ""

    assert town.said(5) == [("A", "updated", 4, True)]
    assert town.notices[-1].hand is not None
    assert town.notices[-1].hand.fields


def test_a_person_eases_to_the_level_that_he_says() -> None:
    town = Town()
    town.stands(0, "tower-1", 0.35, 3)
    town.stands(7, "tower-2", 0.35, 3)
    town.read(20, "tower-1", 0.0, 0)
    town.read(20.5, "tower-2", 0.0, 0)

    assert town.act(21, Ease(town.row().id, 1)) == ""

    assert town.said(20) == [("A", "eased", 1, True)]
    town.at(400)
    assert town.said(20)[1:] == [("A", "over", 0, True)]


def test_a_warning_by_hand_that_runs_out_is_no_all_clear_for_what_sensors_raised() -> None:
    town = Town()
    raised(town, 0, hand(1, 40))
    town.stands(1, "tower-1", 0.35, 3)
    town.stands(8, "tower-2", 0.35, 3)
    assert town.row().level == 3
    town.read(35, "tower-1", 0.0, 0)
    town.read(36, "tower-2", 0.0, 0)
    town.health(38, "tower-2", Status.SILENT)

    town.at(41)
    assert ("A", "over", 0, True) not in town.said()

    town.at(300)
    assert ("A", "over", 0, True) not in town.said()
    assert town.row().held_open == "not_heard tower-2"
    town.health(301, "tower-2", Status.OK)
    town.at(302)
    assert town.said()[-1] == ("A", "over", 0, True)


def test_a_warning_by_hand_that_runs_out_under_a_silence_ends_nothing() -> None:
    town = Town()
    raised(town, 0, hand(1, 40))
    town.stands(1, "tower-1", 0.35, 3)
    town.stands(8, "tower-2", 0.35, 3)
    town.act(20, Silence("works", ms(20), ms(600), "why", "an", areas=("A",)))

    town.at(300)

    assert town.said(20) == []
    assert town.row().level == 3


def test_a_warning_by_hand_alone_ends_when_it_says() -> None:
    town = Town()
    raised(town, 0, hand(3, 40))
    town.at(41)
    assert town.said() == [("A", "first", 3, True), ("A", "over", 0, True)]


def test_what_was_eased_in_one_area_stays_as_it_is_in_another_when_the_registry_changes() -> None:
    both = replace(CITY.sensors["station"], affects=("D", "F0"))
    town = Town(city=replace(CITY, sensors={**CITY.sensors, "station": both}))
    town.stands(0, "station", 0.35, 3)
    town.act(10, Close(town.row(area="D").id))
    assert town.row(area="F0").level == 3

    more = replace(both, affects=("D", "F0", "F1"))
    town.city = replace(CITY, sensors={**CITY.sensors, "station": more})
    town.at(11)
    town.at(200)

    assert town.row(area="F0").level == 3
    assert town.row(area="F1").level == 3
    assert town.row(area="D").closed_at is not None
    assert ("F0", "over", 0, True) not in town.said()


def test_an_area_that_loses_its_sensor_to_another_gets_no_all_clear() -> None:
    for to, value in ((3, 0.35), (2, 0.25)):
        town = Town()
        town.stands(0, "station", value, to)
        elsewhere = replace(CITY.sensors["station"], area="F1", affects=("F1",))
        town.city = replace(CITY, sensors={**CITY.sensors, "station": elsewhere})

        town.at(10)
        town.at(600)

        assert ("D", "over", 0, True) not in town.said(), to
        assert town.row(area="F1").level == to
        assert town.row(area="F1").danger_by == (("station",) if to == 3 else ())


def test_a_silence_of_the_new_area_covers_a_sensor_that_came_into_it() -> None:
    town = Town()
    town.act(0, Silence("old", ms(0), ms(600), "why", "an", areas=("D",)))
    town.stands(1, "station", 0.35, 3)
    elsewhere = replace(CITY.sensors["station"], area="F1", affects=("F1",))
    town.city = replace(CITY, sensors={**CITY.sensors, "station": elsewhere})

    town.at(10)

    assert town.said() == [("F1", "first", 3, True)]


def test_a_rule_that_changes_its_hazard_takes_its_testimony_along() -> None:
    town = Town()
    town.read(0, "tower-1", 0.25, 2)
    other = replace(RULES.rules[0], hazard="tide")
    town.rules = replace(RULES, rules=(other, *RULES.rules[1:]))
    town.at(1)
    town.read(2, "tower-2", 0.25, 2)
    assert ("A", "first", 2, True) in town.said()
    town.rules = RULES
    town.at(3)
    assert town.row("flood").level == 2


def test_operators_who_were_asked_about_a_warning_by_hand_were_not_asked_about_a_sensor() -> None:
    town = Town()
    raised(town, 0, hand(1, 600), area="C", approver=False)
    town.stands(60, "lonely", 0.35, 3)

    assert town.row(area="C").level == 2
    town.at(60 + 19)
    assert town.row(area="C").level == 2
    town.at(60 + 22)
    assert town.row(area="C").level == 3


def test_a_yes_of_long_ago_says_nothing_of_a_new_rain() -> None:
    town = Town()
    town.stands(0, "gauge", 60.0, 3, minutes=1)  # alone, and not for five minutes yet
    for n in range(2):
        town.read(n, "gauge", 60.0, 3, rule="rain-1h")
    town.act(2, Approve(town.row("rain", "C").id))
    assert town.row("rain", "C").level == 3
    town.read(3, "gauge", 0.0, 0, rule="ends_when.rain.rain")
    town.level["gauge", "ends_when.rain.rain"] = 1
    town.read(4, "gauge", 0.0, 0, rule="ends_when.rain.rain")
    town.at(4 + 2 * 60 + 1)
    town.read(4 + 2 * 60 + 5, "gauge", 90.0, 4, rule="rain-1h")
    assert town.row("rain", "C").approved == 0


def test_the_end_of_a_silence_while_nobody_listened_asks_when_somebody_listens() -> None:
    town = Town()
    town.act(0, Silence("works", ms(0), ms(60), "why", "an", areas=("C",)))
    town.stands(1, "lonely", 0.35, 3)
    town.at(30)

    town.at(300, down_ms=270 * MINUTE)

    assert town.row(area="C").level == 2
    assert [when for when, *_ in town.calls] == [300]


def test_a_sensor_bears_witness_in_the_area_where_it_stands_as_soon_as_it_rises() -> None:
    station = replace(CITY.sensors["dumb"], area="A", affects=("E",))
    town = Town(city=replace(CITY, sensors={**CITY.sensors, "dumb": station}))
    town.read(0, "tower-1", 0.25, 2)
    assert town.said() == []
    town.read(1, "dumb", 0.25, 2)
    assert ("A", "first", 2, True) in town.said()


def test_who_is_wet_again_bears_witness_at_once_also_in_the_next_area() -> None:
    next_door = replace(CITY.sensors["gauge"], id="next", area="F0", affects=("F0",))
    town = Town(city=replace(CITY, sensors={**CITY.sensors, "next": next_door}))
    town.read(0, "next", 60.0, 3, rule="rain-1h")  # it still fills the sum; what falls now is little
    town.read(1, "gauge", 60.0, 3, rule="rain-1h")
    assert town.said() == []

    town.read(2, "next", 6.0, 1, rule="ends_when.rain.rain")

    assert ("C", "first", 3, True) in town.said()


def test_what_falls_under_a_silence_is_no_all_clear() -> None:
    for level, value in ((3, 0.35), (2, 0.25)):
        town = Town()
        town.stands(0, "station", value, level)
        town.act(10, Silence("works", ms(10), ms(600), "taken out of the water", "an", sensor="station"))
        town.read(12, "station", 0.0, 0)
        town.at(300)
        assert town.said(10) == []
        assert town.row(area="D").held_open == "silenced"
        town.at(601)
        town.at(602)
        assert town.said(10) == [("D", "over", 0, True)]


def test_calls_go_on_after_nobody_listened_for_a_while() -> None:
    town = Town()
    town.read(20, "lonely", 1.3, 4)
    town.at(56)
    town.restarts = True
    town.at(131, down_ms=75 * MINUTE)
    town.restarts = False
    town.at(136)
    town.at(146)
    assert [when for when, *_ in town.calls] == [20, 30, 40, 50, 135, 145]


def test_a_drill_calls_nobody_also_while_it_awaits_its_approval() -> None:
    town = Town()
    assert town.act(0, Raise(hand(3, 600), "storm", ("A",), drill=True)) == ""
    town.at(25)
    assert town.calls == []
