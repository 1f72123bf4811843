"""What `ends_when` makes of readings, and where between them an entry's transitions and health events stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import msgspec
import pytest
from engine_player import Player, regrouped
from world_rules import MINUTE, city_toml
from worlds import play, world

from ingest.city import ConfigError, parse_city
from ingest.entries import Batch, Configuration, Entry
from ingest.readings import Readings
from processing.engine import Engine
from processing.replay import Tally, replay_journal
from processing.rules import DEFAULT_RULES_FILE, Rules, is_ending, journalled_rules, parse_rules
from processing.transitions import HealthEvent, StepResult, Transition

NOON = 1_665_723_600_000
ENDING = "ends_when.rain.rain"
LONG = """
[[rule]]
name = "rain-3h"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "3h"
levels = { advisory = 40, danger = 100 }
"""
ENDS = """
[hazard.rain]
ends_when = { statistic = "sum", window = "10m", below = 5, for = "1h" }
"""


def gauge(id_: str = "gauge", **more: Any) -> dict[str, Any]:
    row = {"id": id_, "quantity": "rain", "area": "20242", "period": "60s", "quality": {"off": "all"}}
    return row | more


def engine_of(rules: str, *rows: dict[str, Any]) -> Engine:
    engine, ids = Engine(), tuple(row["id"] for row in rows)
    engine.step(Configuration(NOON, city_toml("UTC", list(rows)), rules, ids))
    return engine


def minutes(values: Sequence[float], begin: int = NOON, sensor: int = 0) -> Batch:
    t = [begin + (n + 1) * MINUTE for n in range(len(values))]
    return Batch(Readings.of(sensor=[sensor] * len(t), t=t, value=values, arrival=t, span=[MINUTE] * len(t)))


def levels(result: StepResult, rule: str) -> list[tuple[int, int]]:
    return [((one.at - NOON) // MINUTE, one.to) for one in result.transitions if one.rule == rule]


# -- the hidden rules ----------------------------------------------------------------------------------------------


def test_a_shower_ends_by_its_short_sum_while_the_long_one_stands() -> None:
    engine = engine_of(LONG + ENDS, gauge())

    result = engine.step(minutes([2.0] * 30 + [0.0] * 30))

    assert levels(result, "rain-3h") == [(20, 1)]
    assert levels(result, ENDING) == [(3, 1), (38, 0)], "2 + 2 + 2 reach 5 mm; in minute 38 two of them are left"
    assert engine.endings() == frozenset()
    assert [one for one in engine.step(minutes([5.0], NOON + 60 * MINUTE)).transitions if one.rule == ENDING]
    assert engine.endings() == {("gauge", "rain")}


def test_what_ends_when_says_is_no_warning_and_no_line_of_a_replay() -> None:
    engine = engine_of(LONG + ENDS, gauge())
    city = city_toml("UTC", [gauge()])
    journal: list[Entry] = [Configuration(NOON, city, LONG + ENDS, ("gauge",)), minutes([6.0])]

    assert levels(engine.step(journal[1]), ENDING) == [(1, 1)]
    assert engine.latest()[4].tolist() == [0]
    assert list(replay_journal(journal, Tally())) == []


def test_what_ends_when_says_is_in_the_snapshot() -> None:
    engine = engine_of(LONG + ENDS, gauge())
    engine.step(minutes([6.0]))

    again = Engine.from_state(msgspec.msgpack.decode(msgspec.msgpack.encode(engine.to_state())))

    assert again.endings() == {("gauge", "rain")}
    assert levels(again.step(minutes([0.0] * 12, NOON + MINUTE)), ENDING) == [(11, 0)]


def test_a_sensor_that_no_rule_of_the_hazard_judges_is_not_watched() -> None:
    own = LONG.replace("levels = {", "[rule.station.hill]\nlevels = {")
    city = parse_city(city_toml("UTC", [gauge("hill", station="hill"), gauge("plain"), gauge("slow", period="2h")]))
    rules = parse_rules(own + ENDS)

    assert [rules.ends(city.sensors[name], "rain") for name in ("hill", "plain", "slow")] == [True, False, False]
    assert not rules.ends(city.sensors["hill"], "flood")


def test_a_sum_under_the_period_watches_nothing_and_so_nothing_is_calm() -> None:
    city = parse_city(city_toml("UTC", [gauge(period="15m")]))
    rules = parse_rules(LONG + ENDS)

    assert rules.rules[0].judgement(city.sensors["gauge"])
    assert not rules.ends(city.sensors["gauge"], "rain")


def test_silence_does_not_make_a_sensor_calm() -> None:
    engine = engine_of(LONG + ENDS, gauge())
    engine.step(minutes([6.0]))
    gap = minutes([0.0], NOON + 20 * MINUTE)

    assert levels(engine.step(gap), ENDING) == [], "ten minutes of nothing heard are no dry minutes"
    assert engine.endings() == {("gauge", "rain")}


def test_a_longer_window_holds_more() -> None:
    day = ENDS.replace('"10m"', '"24h"')
    assert engine_of(LONG + day, gauge()).plan.per_sensor.longest.tolist() == [24 * 60 * MINUTE]
    assert engine_of(LONG + ENDS, gauge()).plan.per_sensor.longest.tolist() == [3 * 60 * MINUTE]


def test_it_goes_with_its_table_and_comes_with_it() -> None:
    engine, city = engine_of(LONG + ENDS, gauge()), city_toml("UTC", [gauge()])
    engine.step(minutes([6.0]))

    gone = engine.step(Configuration(NOON + 2 * MINUTE, city, LONG, ("gauge",))).transitions
    assert [(one.rule, one.to, one.value) for one in gone] == [(ENDING, 0, None)]
    assert engine.endings() == frozenset()
    assert engine.step(Configuration(NOON + 3 * MINUTE, city, LONG + ENDS, ("gauge",))).transitions == ()
    assert levels(engine.step(minutes([0.0], NOON + 3 * MINUTE)), ENDING) == [(4, 1)], "judged by what it still holds"


def test_suspect_readings_calm_nobody_where_the_rules_leave_them_out() -> None:
    def skipping(text: str) -> list[bool]:
        return [rule.everywhere.skips_suspect for rule in parse_rules(text + ENDS).endings if rule.everywhere]

    skip = LONG.replace("levels", 'suspect = "skip"\nlevels')
    assert skipping(skip) == [True]
    assert skipping(LONG) == [False]
    assert skipping(skip + LONG.replace("rain-3h", "rain-6h")) == [False]


@pytest.mark.parametrize(
    ("was", "instead", "says"),
    [
        ('window = "10m"', 'window = "0s"', "hazard.rain.ends_when.window"),
        ('window = "10m"', 'window = "32d"', "hazard.rain.ends_when.window"),
        ('"sum"', '"last"', "hazard.rain.ends_when.window"),
        ('window = "10m", ', "", "hazard.rain.ends_when.window"),
        ("below = 5", "below = inf", "hazard.rain.ends_when.below"),
        ('for = "1h"', 'for = "0s"', "hazard.rain.ends_when.for"),
    ],
)
def test_an_ending_that_makes_no_sense_is_refused_but_ends_nothing_where_a_journal_has_it(
    was: str, instead: str, says: str
) -> None:
    wrong = LONG + ENDS.replace(was, instead)
    assert wrong != LONG + ENDS
    with pytest.raises(ConfigError, match=says):
        parse_rules(wrong)
    assert journalled_rules(wrong).endings == ()


def test_an_ending_is_refused_where_less_is_worse() -> None:
    with pytest.raises(ConfigError, match="judges below"):
        parse_rules(LONG.replace("levels = {", 'direction = "below"\nlevels = {').replace("= 100", "= 4") + ENDS)


def test_the_bundled_rules_end_rain_by_its_hour() -> None:
    rules = parse_rules(DEFAULT_RULES_FILE.read_text("utf-8"))

    assert _shown(rules) == [("ends_when.rain.rain", "sum", 3_600_000, 5.0)]
    ends = rules.hazards["rain"].ends_when
    assert ends is not None
    assert ends.for_ms == 2 * 3_600_000
    assert not any(is_ending(rule.name) for rule in rules.rules)


def _shown(rules: Rules) -> list[tuple[str, str, int, float]]:
    return [(one.name, one.everywhere.statistic.value, one.everywhere.window_ms, one.everywhere.thresholds[0])
            for one in rules.endings if one.everywhere]  # fmt: skip


# -- the order of an entry -----------------------------------------------------------------------------------------

Event = tuple[str, Any]


def merged(readings: Readings, result: StepResult) -> Iterator[Event]:
    """Readings, transitions and health events as StepResult says that they follow each other."""
    assert len(result.order) == len(result.transitions)
    assert len(result.health_order) == len(result.health)
    pairs: list[tuple[int, Transition | HealthEvent]] = [
        *zip(result.order, result.transitions, strict=True),
        *zip(result.health_order, result.health, strict=True),
    ]
    places = [(k, one.value is not None if isinstance(one, Transition) else False, one) for k, one in pairs]
    for k in range(len(readings) + 1):
        ticks = [one for place, measured, one in places if place == k and not measured]
        yield from (("tick", one) for one in sorted(ticks, key=lambda one: (one.at, isinstance(one, HealthEvent))))
        if k < len(readings):
            yield "reading", (int(readings.sensor[k]), int(readings.t[k]), int(readings.arrival[k]))
        yield from (("caused", one) for place, measured, one in places if place == k and measured)


def told(journal: Sequence[Entry]) -> list[Event]:
    engine, found = Engine(), list[Event]()
    for entry in journal:
        readings = entry.readings if isinstance(entry, Batch) else Readings.empty()
        result = engine.step(entry)
        found += merged(readings, result)
        _place(readings, result)
    return found


def _place(readings: Readings, result: StepResult) -> None:
    """Each has the arrival of the reading that caused it, or lies between those of its neighbours."""
    for k, one in zip(result.order, result.transitions, strict=True):
        if one.value is not None:
            assert int(readings.arrival[k]) == one.arrival
        else:
            _between(readings, k, one.arrival)
    for k, event in zip(result.health_order, result.health, strict=True):
        _between(readings, k, event.at)


def _between(readings: Readings, k: int, at: int) -> None:
    assert k == 0 or int(readings.arrival[k - 1]) < at or k == len(readings)
    assert k == len(readings) or at <= int(readings.arrival[k])


@pytest.mark.parametrize("seed", range(10))
def test_however_readings_are_grouped_they_and_what_follows_stand_in_one_order(seed: int) -> None:
    player = Player(13)
    play(world(seed, 300), player)
    player.flush()
    expected = told(player.journal)

    assert {kind for kind, _ in expected} == {"reading", "caused", "tick"} or seed, "the first world has all"
    for size in (1, 2, 7, 100_000):
        assert told(regrouped(player.journal, size)) == expected


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_cut_in_two_at_any_place_is_told_in_the_same_order(seed: int) -> None:
    player = Player(10**6)
    play(world(seed, 120), player)
    player.flush()
    whole = max(range(len(player.journal)), key=lambda n: _length(player.journal[n]))
    batch = player.journal[whole]
    assert isinstance(batch, Batch)
    expected = told(player.journal)

    for cut in Random(seed).sample(range(1, len(batch.readings)), min(40, len(batch.readings) - 1)):
        at = int(batch.readings.arrival[cut - 1])
        early = batch.signs.arrival <= at
        halves = [Batch(batch.readings[:cut], signs=batch.signs[early]),
                  Batch(batch.readings[cut:], signs=batch.signs[~early])]  # fmt: skip
        assert told([*player.journal[:whole], *halves, *player.journal[whole + 1 :]]) == expected


def _length(entry: Entry) -> int:
    return len(entry.readings) if isinstance(entry, Batch) else 0


def test_those_who_are_not_heard_are_asleep() -> None:
    engine = engine_of(LONG, gauge("talks"), gauge("sleeps"))
    assert engine.asleep() == frozenset()

    result = engine.step(minutes([0.0] * 4))

    assert engine.asleep() == {"sleeps"}
    assert result.health_order == (2,), "the reading of minute 3 arrives at the tick, which precedes it"
