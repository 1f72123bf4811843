"""Quality control: each test on the values that it is there for, its edges, and what may never hold back a flood."""

from __future__ import annotations

from random import Random

import msgspec
import numpy as np
import pytest
from conftest import Tally
from engine_player import Player, regrouped
from graded import HEAD, HOUR, MINUTE, T0, Graded, flags, sensor_toml
from worlds import World, play, world

from ingest.city import ConfigError, parse_city
from ingest.entries import Batch, Configuration
from processing.acceptance import Acceptance
from processing.engine import Engine
from processing.plan import compile_plan
from processing.quality import told

STREET = "street_depth"


@pytest.mark.parametrize(
    ("quantity", "values", "expected"),
    [
        ("street_depth", [0.0, 2.0, -0.01, -0.03, 2.001, -0.031], [1, 1, 1, 3, 3, 4]),
        ("temperature", [8.0, 45.0, 7.99, 45.01, -10.0, 60.0, -10.01], [1, 1, 3, 3, 3, 3, 4]),
        ("voltage", [187.0, 253.0, 186.9, 253.1, 0.0, 0.1, 300.1], [1, 1, 3, 3, 1, 3, 4]),
        ("co2", [350, 5000, 349, 5001, 10_001], [1, 1, 3, 3, 4]),
        ("pm25", [0, 300, 300.1, 1000.1], [1, 1, 3, 4]),
        ("pm10", [0, 500, 500.1, 2000.1], [1, 1, 3, 4]),
        ("humidity", [20, 100, 19.9, 100.1], [1, 1, 3, 4]),
        ("noise", [30, 110, 29.9, 110.1, 19.9, 130.1], [1, 1, 3, 3, 4, 4]),
        ("rain", [0, 10, 10.01, 38, 38.01], [1, 1, 3, 3, 4]),
        ("battery", [0, 100, 100.1], [1, 1, 4]),  # no suspect range: its bounds alone
        ("temperature", [None, 20.0], [9, 1]),
    ],
)
def test_the_gross_range_is_inclusive_and_that_of_the_table(
    quantity: str, values: list[float], expected: list[int]
) -> None:
    assert flags(values, quantity, 'quality.off = ["rate"]') == expected


def test_the_bounds_of_rain_grow_with_what_a_value_covers() -> None:
    ten = flags([60.0, 60.1, 150.0, 150.1], "rain", every=10 * MINUTE)
    hour = flags([360.0, 360.1, 401.0, 401.1], "rain", every=HOUR)

    assert ten == [1, 3, 3, 4]
    assert hour == [1, 3, 3, 4], "beyond ten minutes in proportion: the 150 mm that fell in an hour are no suspect"
    assert [int(x) for x in Graded(sensor_toml("s", "rain", period="")).offer([500.0])] == [1], "no period, no span"


def test_a_counters_increment_is_held_to_the_time_since_the_total_before_it() -> None:
    graded = Graded(sensor_toml("s", "rain", "counter = true"))

    flag = graded.offer([100.0, 112.0, 124.0, 224.0, 230.0], times=[T0 + m * MINUTE for m in (0, 1, 11, 12, 13)])

    assert flag.tolist() == [9, 3, 1, 4, 1]
    assert graded.last.out_of_bounds.tolist() == [3]
    assert graded.told == {("gross", 3): 1, ("gross", 4): 1, ("gap", 3): 1}


def test_a_distance_is_graded_as_the_depth_it_stands_for() -> None:
    graded = Graded(sensor_toml("s", STREET, "mount_height = 3.0"))

    flag = graded.offer([3.0, 2.98, 3.02, 3.04, -0.1, 2.9])

    # above the sensor itself: no depth; the reading after it is held against 3.04 (which failed as well) no more
    assert flag.tolist() == [1, 1, 3, 4, 4, 1]
    assert np.allclose(graded.last.readings.value[:4], [0, 0.02, -0.02, -0.04])


def test_the_rate_is_held_against_the_last_measured_value_whatever_its_flag() -> None:
    rise = [0.0, 0.126, 0.126 + 0.127, 0.8, 0.8, 0.55, 0.45]

    assert flags(rise, STREET) == [1, 1, 3, 4, 1, 3, 1], "the fail limit is FloodNet's gradient, 10 inches a minute"
    graded = Graded(sensor_toml("s", STREET))
    assert graded.offer(rise)[3] == 4
    assert graded.last.out_of_bounds.tolist() == [], "it is stored and graded, and no dead letter"
    assert flags([0.1, None, None, 0.5], STREET) == [1, 9, 9, 3], "0.4 m in 180 s, over the missing ones"
    assert flags([0.0, 3.0, 3.0, 3.0], "water_level") == [1, 4, 1, 1], "a true step costs one reading"


def test_the_rate_fails_only_if_it_does_so_from_the_last_before_too_that_did_not() -> None:
    """Else each false echo would take the good reading after it along, and every second one all of a flood."""
    water = [0.02 * step for step in range(20)]
    echoes = [3.0 if step % 2 else depth for step, depth in enumerate(water)]
    river = ("water_level", 'quality.off = ["unit"]')

    assert flags([0.1, 0.6, 0.12, 0.14], STREET) == [1, 4, 3, 1], "a spike costs itself, and a doubt"
    assert flags([0.1, 0.6, 0.62, 0.64], STREET) == [1, 4, 1, 1], "a step costs one reading"
    assert flags([0.5, 0.3, 0.6, 0.6], STREET) == [1, 3, 3, 1], "a dip that does not fail costs nothing"
    assert flags([0.5, 0.5, 0.8, 0.8], STREET) == [1, 1, 4, 1], "two steps have the time of one"
    assert flags([0.1, 0.9, 0.5, 0.5], STREET) == [1, 4, 3, 1], "over one that failed, the time of two"
    assert flags(echoes, STREET, 'quality = { suspect = [-0.01, 9.0], off = ["unit"] }') == [1] + [4, 3] * 9 + [4]
    assert flags([1.0, *[9.0, 5.0] * 4, 1.01], *river) == [1] + [4] * 8 + [3], "back over those that failed"
    assert flags([1.0, *[9.0, 5.0] * 4, 9.0, 1.01], *river) == [1] + [4] * 10, "eight at most"
    told = Graded(sensor_toml("s", STREET))
    told.offer([0.1])
    told.offer([0.11, 0.9], given=4, begin=T0 + MINUTE)
    assert told.offer([0.2], begin=T0 + 3 * MINUTE).tolist() == [3], "what the device says has failed as well"


def test_what_climbs_twice_is_water_and_costs_one_reading_however_steep_it_is() -> None:
    climb = [1.0 + 0.5 * step for step in range(30)]

    assert flags(climb, "water_level") == [1, 4] + [3] * 28, "30 m an hour"
    assert flags(climb[::-1], "water_level") == [1] + [4] * 29, "a lost echo ends no flood"
    assert flags([1.0, 1.01, 3.0, 1.02], "water_level") == [1, 1, 4, 3], "what it climbed before was nothing"
    assert flags([0.0, 0.3, 0.6, 0.9], STREET) == [1, 4, 3, 3]


def test_a_change_that_is_nothing_as_a_spike_is_nothing_however_fast() -> None:
    for height, flag in ((0.099, 1), (0.101, 3), (0.299, 3), (0.301, 4)):
        assert flags([0.5, 0.5, 0.5 + height], "water_level", every=2000) == [1, 1, flag]
    for height, flag in ((0.049, 1), (0.051, 3), (0.149, 3), (0.151, 4)):
        assert flags([0.1, 0.1, 0.1 + height], STREET, every=2000) == [1, 1, flag]
    waves = [0.5 + 0.29 * (n % 2) for n in range(50)]
    assert set(flags(waves, "water_level", 'quality.off = ["unit"]', every=2000)[1:]) == {3}, "all of it counts"
    stated = "quality = { rate = [0.00005, 0.0002], spike = [0.01, 0.02] }"
    assert flags([1.0, 1.0, 1.015, 1.05], "water_level", stated) == [1, 1, 3, 4], "a finer sensor states both"


def test_what_cannot_be_is_no_measurement_to_compare_with() -> None:
    values = [20.0, 99.0, 20.0, 99.0, 20.0]

    assert flags(values, "temperature") == [1, 4, 1, 4, 1], "else the good ones between would fail by their rate"


def test_the_real_flood_of_three_feet_in_twenty_minutes_is_good_at_every_step() -> None:
    flood = [0.0] * 5 + [0.0457 * step for step in range(1, 21)] + [0.914] * 10

    graded = Graded(sensor_toml("s", STREET))

    assert set(graded.offer(flood).tolist()) == {1}
    assert graded.told == {}


def test_a_flat_line_is_a_span_of_time_and_of_water_only_above_the_dry() -> None:
    seven_hours = 7 * 60
    stuck = [0.3, *[0.4] * seven_hours, 0.45]
    assert flags(stuck, STREET) == [1] * 361 + [3] * 60 + [1]
    assert set(flags([0.3, *[0.4] * (seven_hours // 5)], STREET, every=5 * MINUTE)[-11:]) == {3}, "no count"
    assert set(flags([0.02] * seven_hours, STREET)) == {1}
    assert set(flags([0.0] * seven_hours, STREET)) == {1}
    trembling = [0.4 + 0.0021 * (n % 2) for n in range(seven_hours)]
    assert set(flags(trembling, STREET)) == {1}
    assert set(flags([100.0] * 25, "humidity", every=HOUR)) == {1}
    assert flags([98.0] * 26, "humidity", every=HOUR)[-3:] == [1, 3, 3]
    assert set(flags([0.0] * 26, "voltage", every=HOUR)) == {1}, "a blackout is long"
    assert set(flags([0.6] * seven_hours, "rain")) == {1}, "steady rain is no fault"


def test_a_pause_longer_than_g_begins_a_new_run_and_is_told_and_no_fault() -> None:
    graded = Graded(sensor_toml("s", STREET))
    graded.offer([0.4] * 359)

    flag = graded.offer([0.4] * 10, begin=T0 + 362 * MINUTE)
    assert (set(flag.tolist()), graded.told) == ({1}, {("gap", 3): 1})

    whole = Graded(sensor_toml("s", STREET))
    whole.offer([0.4] * 359)
    assert whole.offer([0.4] * 10, begin=T0 + 361 * MINUTE).tolist() == [3] * 10, "G itself is no gap"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([0.1, 0.2, 0.1], {("spike", 3): 1}),
        ([0.1, 0.3, 0.1], {("spike", 4): 1, ("rate", 3): 2}),
        ([0.5, 0.4, 0.5], {("spike", 3): 1}),
        ([0.1, 0.2, 0.21], {}),
        ([0.0, 0.011, 0.0], {("blip", 3): 1}),
        ([0.0, 0.01, 0.0], {}),
        ([0.0, 0.011, 0.011, 0.0], {}),
    ],
)
def test_a_spike_or_a_blip_is_told_with_the_reading_after_it_and_is_nobodys_flag(
    values: list[float], found: dict[tuple[str, int], int]
) -> None:
    graded = Graded(sensor_toml("s", STREET))
    flag = graded.offer(values)

    assert graded.told == found
    without = Graded(sensor_toml("s", STREET, 'quality.off = ["spike", "blip"]'))
    assert flag.tolist() == without.offer(values).tolist()


def test_a_reading_has_its_flag_before_anybody_knows_whether_it_was_a_spike() -> None:
    for last in (3.0, 4.0, 5.0):
        graded = Graded(sensor_toml("s", "water_level"))
        graded.offer([1.0 + 0.004 * step for step in range(500)])

        assert graded.offer([4.0], begin=T0 + 500 * MINUTE).tolist() == [4]
        assert graded.offer([last], begin=T0 + 501 * MINUTE).tolist() == [{3.0: 3, 4.0: 1, 5.0: 3}[last]]


FLOOD_RULE = """
[[rule]]
name = "street"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 0.6 }
"""


def reached(depths: list[float]) -> dict[int, int]:
    """Level -> the minute in which it was first reached, of a street whose depth comes once a minute."""
    graded = Graded(sensor_toml("s", STREET), rules=FLOOD_RULE)
    engine = Engine()
    engine.step(graded.plan.configuration)
    minutes: dict[int, int] = {}
    for minute, depth in enumerate(depths):
        graded.offer([depth], begin=T0 + minute * MINUTE)
        for one in engine.step(Batch(graded.last.readings)).transitions:
            for level in range(one.from_ + 1, one.to + 1):
                minutes.setdefault(level, minute)
    return minutes


@pytest.mark.parametrize("height", [0.04, 0.09, 0.2, 0.24, 0.5, 1.5, -0.04, -0.1, -0.12, -0.2, -0.6])
def test_a_rising_flood_is_never_held_back_by_a_spike(height: float) -> None:
    """Three feet in twenty minutes, with a false echo at every minute in turn, at every third and at every second."""
    flood = [0.0] * 5 + [0.0457 * step for step in range(1, 21)] + [0.914] * 10
    undisturbed = reached(flood)
    assert sorted(undisturbed) == [1, 2, 3, 4]
    patterns = [{minute} for minute in range(2, 26)]
    patterns += [set(range(first, 26, every)) for every in (2, 3) for first in range(2, 2 + every)]

    for spiked in patterns:
        sent = [max(0.0, depth + height) if n in spiked else depth for n, depth in enumerate(flood)]
        found = reached(sent)
        for level, minute in undisturbed.items():
            spoilt = minute in spiked and (height < 0 or sent[minute] - flood[minute - 1] > 0.252)
            assert found[level] <= minute + spoilt, "at once, or where its own reading is the spike, with the next one"


def test_a_plateau_out_of_the_dry_is_a_parked_car_and_water_that_came_slowly_is_none() -> None:
    car = [0.0] * 5 + [0.2] * 30 + [0.0] * 3
    slow = [0.0] * 5 + [0.02, 0.05, 0.1, 0.15] + [0.2] * 30

    assert flags(car, STREET) == [1] * 5 + [3] + [1] * 9 + [3] * 20 + [3] + [1] * 2
    assert set(flags(slow, STREET)) == {1}


def test_values_on_the_other_side_of_a_unit_jump_stay_suspect_until_they_return() -> None:
    metres = [0.9, 0.91, 0.92]
    feet = [x * 3.28084 for x in (0.93, 0.94, 0.95)]
    off = 'quality.off = ["rate"]'

    assert flags([*metres, *feet, 0.96, 0.97], "water_level", off) == [1, 1, 1, 3, 3, 3, 1, 1]
    assert flags([*feet, 0.96, 0.97], "water_level", off) == [1, 1, 1, 3, 3], "to smaller ones as well"
    assert flags([0.011, 0.11, 0.11], STREET, off) == [1, 3, 3]
    assert flags([0.010, 0.10, 0.10], STREET, off) == [1, 1, 1], "out of the noise floor everything is a factor"
    later = flags([0.9, *[2.953] * 400], "water_level", 'quality.off = ["rate", "flat"]')
    assert later == [1] + [3] * 361 + [1] * 39, "after six hours it is how things are"
    assert flags([0.2, 2.0, 0.2, 5.0], "rain") == [1, 1, 1, 1], "ten tips after one are rain"


GAUGES = [(0.0, 0.0), (0.03, 0.0), (0.0, 0.03), (0.03, 0.03), (0.0, 0.2)]  # degrees; the last 21 km away


def gauges(*own: str) -> Graded:
    return Graded(*(sensor_toml(f"g{n}", "rain", f"lat = {16 + lat}", f"lon = {108 + lon}", *own)
                    for n, (lat, lon) in enumerate(GAUGES)))  # fmt: skip


def rain_on(graded: Graded, wet: dict[int, float], minutes: range, dry: float = 0.0) -> list[int]:
    """The flags of gauge 0 while the others measure as much a minute."""
    found = []
    for minute in minutes:
        found += graded.offer([dry], begin=T0 + minute * MINUTE).tolist()
        for number, amount in wet.items():
            graded.offer([amount], number=number, begin=T0 + minute * MINUTE)
    return found


def test_a_dry_gauge_among_three_wet_ones_is_clogged_after_an_hour() -> None:
    wet = {1: 0.3, 2: 0.3, 3: 0.3, 4: 9.0}
    found = rain_on(gauges(), wet, range(90))

    assert found == [1] * 60 + [3] * 30
    assert set(rain_on(gauges(), wet | {2: 0.24, 3: 0.24}, range(90))) == {1}, "14.4 mm in the hour are too little"
    assert set(rain_on(gauges(), {1: 0.3, 2: 0.3, 4: 9.0}, range(90))) == {1}, "two gauges are no median"
    assert set(rain_on(gauges(), wet | {2: 0.1, 3: 0.1}, range(90))) == {1}, "the median, not the greatest"
    assert set(rain_on(gauges(), wet, range(90), dry=0.2)) == {1}
    assert set(rain_on(gauges('quality.off = ["clogged"]'), wet, range(90))) == {1}


def test_a_gauge_that_was_silent_has_not_been_dry() -> None:
    graded = gauges()
    wet = {1: 0.5, 2: 0.5, 3: 0.5}
    rain_on(graded, wet, range(30))
    for minute in range(30, 80):
        for number, amount in wet.items():
            graded.offer([amount], number=number, begin=T0 + minute * MINUTE)

    found = rain_on(graded, wet, range(80, 150))

    assert found == [1] * 60 + [3] * 10


def test_a_reading_that_comes_late_is_held_against_what_was_before_it_and_leaves_runs_alone() -> None:
    rules = ('[[rule]]\nname = "r"\nhazard = "flood"\nquantity = "street_depth"\nstatistic = "max"\nwindow = "10m"\n'
             "levels = { danger = 1 }\n")  # fmt: skip
    graded = Graded(sensor_toml("s", STREET), rules=rules)
    graded.offer([0.4] * 20)

    late = graded.offer([0.8, 2.1, 0.9], times=[T0 + 15 * MINUTE + 30_000, T0 + 16 * MINUTE + 1, T0 - 2 * HOUR])

    assert late.tolist() == [4, 4, 1]
    assert graded.told == {("rate", 4): 2, ("gross", 3): 1}
    assert graded.last.readings.late.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("given", "value", "flag"), [(3, 0.1, 3), (4, 0.1, 4), (1, 2.5, 3), (1, 9.9, 4), (3, 9.9, 4), (4, None, 9)]
)
def test_a_flag_that_is_brought_along_makes_ours_worse_and_never_better(
    given: int, value: float | None, flag: int
) -> None:
    assert Graded(sensor_toml("s", STREET, "mount_height = 3")).offer(
        [None if value is None else 3 - value], given=given).tolist() == [flag]  # fmt: skip


@pytest.mark.parametrize(("given", "flag"), [(1, 2), (2, 2), (3, 3), (4, 4), (9, 2)])
def test_a_device_that_praises_itself_is_not_believed(given: int, flag: int) -> None:
    assert Graded(sensor_toml("s", STREET, 'quality.off = "all"')).offer([0.1], given=given).tolist() == [flag]


RIVER_RULES = """
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
[rule.station.cam_le]
levels = { advisory = 1.0, warning = 2.0, danger = 2.5, emergency = 3.5 }
"""


def test_a_river_stations_range_follows_its_alarm_levels() -> None:
    off = 'quality.off = ["rate", "unit"]'
    graded = Graded(sensor_toml("s", "water_level", 'station = "cam_le"', off), rules=RIVER_RULES)

    assert graded.offer([6.5, 6.51, 10.5, 10.51, -4.0, -4.01]).tolist() == [1, 3, 3, 4, 1, 4]
    assert flags([50.0, -9.0], "water_level", off) == [1, 1], "no station: the quantity's bounds"


def test_what_city_toml_states_stands_over_the_defaults_each_key_singly() -> None:
    head = (
        '[[quantity]]\nname = "street_depth"\n[quantity.quality]\nsuspect = [0.0, 0.5]\nrate = [0.01, 0.02]\n'
        '[[quantity]]\nname = "salinity"\nunit = "ppt"\nbounds = [0, 50]\n'
        'quality = { flat = { for = "10m", within = 0.5, above = 1.0 }, spike = [1, 2] }\n'
    )
    one = sensor_toml("one", STREET)
    two = sensor_toml("two", STREET, "quality = { suspect = [0.0, 1.0] }")
    three = sensor_toml("three", "salinity")
    graded = Graded(head, one, two, three)

    assert graded.offer([0.5, 0.51, 1.2], number=0).tolist() == [1, 3, 3]
    assert graded.offer([0.5, 0.51, 1.2], number=1).tolist() == [1, 1, 3]
    assert graded.offer([5.0] * 12, number=2).tolist() == [1] * 10 + [3, 3]
    assert graded.offer([0.5] * 12, number=2, begin=T0 + HOUR).tolist() == [1] * 12


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        ('quality.off = ["grosss"]', "quality.off: found 'grosss'"),
        ("quality.fail = [2, 1]", "quality.fail: found (2.0, 1.0)"),
        ("quality.rate = [2, 1]", "quality.rate: found (2.0, 1.0)"),
        ("quality.spike = [0, 1]", "quality.spike: found (0.0, 1.0)"),
        ('quality.flat = { for = "6 h", within = 1 }', "quality.flat.for: found '6 h'"),
        ('quality.flat = { for = "0s", within = 1 }', "quality.flat.for: found '0s'"),
        ('quality.flat = { for = "6h", within = 0 }', "quality.flat: found 0.0"),
        ("quality.flatt = 1", "an unknown key flatt"),
        ("counter = true\nquality.rate = [1, 2]", "a running total has no rate"),
    ],
)
def test_a_wrong_key_is_named_with_what_was_found(quality: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_city(HEAD + sensor_toml("s", "rain", quality))

    assert said in str(caught.value)


def test_with_everything_off_nothing_is_graded() -> None:
    assert flags([0.0, 9.0, None], STREET, 'quality.off = "all"') == [2, 2, 9]


def graded_world(seed: int, size: int) -> World:
    """A random world whose sensors are graded."""
    found = world(seed, size)
    stated = 'quality = { off = "all" }\n'

    def freed(text: str) -> str:
        return text.replace(stated, "")

    steps = tuple(
        (step[0], step[1], freed(step[2]), step[3]) if step[0] == "configure" else step for step in found.steps
    )
    assert stated in found.city_toml
    return World(found.at, freed(found.city_toml), found.rules_toml, steps)


def played(a_world: World, batch: int, restarts: Random | None = None) -> Player:
    player = Player(batch, restarts)
    play(a_world, player)
    player.flush()
    return player


def journalled(player: Player) -> bytes:
    parts = [entry.readings.to_bytes() for entry in player.journal if isinstance(entry, Batch)]
    return b"".join(part[name] for name in parts[0] for part in parts) if parts else b""


def test_the_same_offers_are_flagged_alike_in_any_batching_and_after_any_restart(tally: Tally) -> None:
    for seed in tally.seeds(12, 1_000):
        with tally.trial():
            a_world = graded_world(seed, 300)
            one = played(a_world, 1)
            for other in (played(a_world, 13), played(a_world, 7, Random(seed)), played(a_world, 100_000)):
                assert journalled(other) == journalled(one)
                assert other.acceptance.to_state() == one.acceptance.to_state()


def test_what_quality_remembers_can_be_had_again_from_the_journal_alone(tally: Tally) -> None:
    for seed in tally.seeds(12, 1_000):
        with tally.trial():
            player = played(graded_world(seed, 300), 5)
            for size in (1, 17):
                engine, acceptance = Engine(), Acceptance()
                for entry in regrouped(player.journal, size):
                    engine.step(entry)
                    if isinstance(entry, Configuration):
                        acceptance.configure(engine.plan)
                    elif isinstance(entry, Batch):
                        acceptance.recall(entry.readings)
                assert acceptance.to_state() == player.acceptance.to_state()


def test_random_worlds_have_readings_of_every_flag_and_test() -> None:
    """Else the two tests above would prove little."""
    seen: set[int] = set()
    for seed in range(12):
        for entry in played(graded_world(seed, 300), 50).journal:
            if isinstance(entry, Batch):
                seen |= set(entry.readings.flag.tolist())
    assert seen == {1, 3, 4, 9}


def test_a_snapshot_through_bytes_keeps_what_quality_remembers() -> None:
    graded = gauges()
    rain_on(graded, {1: 0.5, 2: 0.5, 3: 0.5}, range(59))
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(graded.acceptance.to_state()))

    graded.acceptance = Acceptance.from_state(state, graded.plan)

    assert rain_on(graded, {}, range(59, 62)) == [1, 3, 3]


def test_findings_are_counted_by_test_and_flag() -> None:
    assert told(np.array([1, 1 << 16 | 2, 0], np.int32)) == {("gross", 3): 1, ("gross", 4): 1, ("rate", 3): 1}


def test_a_rule_that_skips_what_is_suspect_neither_rises_nor_eases_by_it() -> None:
    rule = ('[[rule]]\nname = "{0}"\nhazard = "flood"\nquantity = "street_depth"\nstatistic = "last"\n'
            'suspect = "{0}"\nlevels = {{ danger = 0.3, emergency = 0.45 }}\n')  # fmt: skip
    graded = Graded(sensor_toml("s", STREET), rules=rule.format("use") + rule.format("skip"))
    engine = Engine()
    engine.step(graded.plan.configuration)
    rising_too_fast = [0.35, 0.36, 0.36, 0.5, 0.35, 0.5, 0.35, 0.35]

    flags = graded.offer(rising_too_fast).tolist()
    told = engine.step(Batch(graded.last.readings)).transitions

    assert flags == [1, 1, 1, 3, 3, 3, 3, 1]
    assert [((one.at - T0) // MINUTE, one.rule, one.to) for one in told] == [
        (0, "use", 3), (0, "skip", 3), (3, "use", 4), (4, "use", 3), (5, "use", 4), (6, "use", 3)
    ]  # fmt: skip


def test_a_reading_out_of_order_does_not_break_the_run_of_a_stuck_sensor() -> None:
    rules = ('[[rule]]\nname = "r"\nhazard = "flood"\nquantity = "street_depth"\nstatistic = "max"\nwindow = "10m"\n'
             "levels = { danger = 1 }\n")  # fmt: skip
    graded = Graded(sensor_toml("s", STREET), rules=rules)
    graded.offer([0.4] * 359)

    graded.offer([0.45], times=[T0 + 355 * MINUTE + 30_000])

    assert graded.offer([0.4] * 3, begin=T0 + 359 * MINUTE).tolist() == [1, 3, 3]


def test_a_change_of_the_registry_forgets_nothing_of_the_sensors_that_stay() -> None:
    places = [(n, 16 + lat, 108 + lon) for n, (lat, lon) in enumerate(GAUGES)]
    kept = "".join(sensor_toml(f"g{n}", "rain", f"lat = {lat}", f"lon = {lon}") for n, lat, lon in places)
    kept += sensor_toml("tower", STREET)
    graded = Graded(kept, sensor_toml("a-first", "rain"), head=HEAD)
    ids = ("a-first", *(f"g{n}" for n in range(len(GAUGES))), "tower")
    before = compile_plan(Configuration(T0, graded.plan.configuration.city_toml, "", ids))
    after = compile_plan(Configuration(T0, HEAD + kept, "", ids))
    graded.acceptance = Acceptance()
    graded.acceptance.configure(before)
    for minute in range(90):
        graded.offer([0.0], number=1, begin=T0 + minute * MINUTE)
        for number in (2, 3, 4):
            graded.offer([0.5], number=number, begin=T0 + minute * MINUTE)
    graded.offer([0.4] * 360, number=6)

    graded.acceptance.configure(after)  # every gauge is another row of what is remembered of gauges

    assert graded.offer([0.0], number=1, begin=T0 + 90 * MINUTE).tolist() == [3]
    assert graded.offer([0.4], number=6, begin=T0 + 360 * MINUTE).tolist() == [3]
