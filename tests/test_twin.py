"""The oracle held to the text: hand-computed cases of CONTRACTS section 4."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from twin import Twin, high
from twin_rules import days_of, judge_of
from world_rules import city_toml, rules_toml
from worlds import play, world

MINUTE, HOUR = 60, 3600  # seconds, as every time in these tests
NOON = int(datetime(2022, 10, 14, 5, tzinfo=UTC).timestamp() * 1000)  # a Friday, 12:00 in Đà Nẵng
Move = tuple[float, int, int, float | None]


def rule(name: str = "river", **keys: Any) -> dict[str, Any]:
    levels = {"advisory": 1, "warning": 2, "danger": 3}
    return {
        "name": name,
        "hazard": "flood",
        "quantity": "water_level",
        "statistic": "last",
        "levels": levels,
    } | keys


def sensor(**keys: Any) -> dict[str, Any]:
    return {"id": "s", "quantity": "water_level", "period": "60s"} | keys


def a_twin(*rules: dict[str, Any], zone: str = "Asia/Ho_Chi_Minh", at: float = 0, **keys: Any) -> Twin:
    twin = Twin()
    twin.configure(ms(at), city_toml(zone, [sensor(**keys)]), rules_toml(list(rules)))
    return twin


def change(twin: Twin, at: float, rules: list[dict[str, Any]], sensors: list[dict[str, Any]]) -> None:
    twin.configure(ms(at), city_toml("Asia/Ho_Chi_Minh", sensors), rules_toml(rules))


def ms(seconds: float) -> int:
    return NOON + round(seconds * 1000)


def say(twin: Twin, *values: float | None, at: float = 0, step: float = MINUTE, after: float = 0) -> None:
    for n, value in enumerate(values):
        t = at + n * step
        twin.offer("s", ms(t), value, ms(t + after))


def moves(twin: Twin) -> list[Move]:
    rows = twin.transitions
    return [((row["at"] - NOON) / 1000, row["from"], row["to"], row["value"]) for row in rows]


def news(twin: Twin) -> list[tuple[float, str, str]]:
    return [((at - NOON) / 1000, was, now) for at, _, was, now in twin.health]


# Thresholds and clear values


@pytest.mark.parametrize(
    ("value", "level"), [(0.1 - 9e-10, 1), (0.1 - 1.1e-9, 0), (1000 - 9e-7, 2), (1000 - 1.1e-6, 1), (1e6, 3)]
)
def test_a_value_on_the_threshold_or_a_hair_below_reaches_it(value: float, level: int) -> None:
    twin = a_twin(rule(levels={"advisory": 0.1, "warning": 1000, "danger": 1e6}))
    say(twin, value)
    assert moves(twin) == ([(0, 0, level, value)] if level else [])


def test_by_default_a_level_eases_only_under_nine_tenths_of_its_threshold() -> None:
    twin = a_twin(rule(levels={"advisory": 10}))
    say(twin, 10, 9.5, 9.0, 9 - 1e-9, 8.99)
    assert moves(twin) == [(0, 0, 1, 10.0), (240, 1, 0, 8.99)]


def test_a_threshold_under_zero_clears_a_tenth_of_its_size_further_down() -> None:
    twin = a_twin(rule(levels={"advisory": -10}))
    say(twin, -10, -11, -11.01)
    assert moves(twin) == [(0, 0, 1, -10.0), (120, 1, 0, -11.01)]


def test_a_threshold_of_zero_clears_by_its_own_distance() -> None:
    twin = a_twin(rule(levels={"advisory": 0}, clear_by=0.5))
    say(twin, -0.1, 0.0, -0.5, -0.51)
    assert moves(twin) == [(60, 0, 1, 0.0), (180, 1, 0, -0.51)]


def test_a_factor_stands_for_the_clear_value() -> None:
    twin = a_twin(rule(levels={"advisory": 10}, clear=0.5))
    say(twin, 10, 5, 4.9)
    assert moves(twin) == [(0, 0, 1, 10.0), (120, 1, 0, 4.9)]


def test_below_means_that_low_values_breach_and_higher_ones_clear() -> None:
    twin = a_twin(rule(direction="below", levels={"advisory": 20, "danger": 10}))
    say(twin, 20.1, 20, 9, 11, 11.1, 22, 22.1)
    assert moves(twin) == [(60, 0, 1, 20.0), (120, 1, 3, 9.0), (240, 3, 1, 11.1), (360, 1, 0, 22.1)]


def test_of_equal_thresholds_the_highest_level_counts() -> None:
    twin = a_twin(rule(levels={"advisory": 1, "emergency": 1}))
    say(twin, 1)
    assert moves(twin) == [(0, 0, 4, 1.0)]


def test_levels_ease_step_by_step_past_each_clear_value() -> None:
    twin = a_twin(rule())
    say(twin, 3, 2, 0.9, 0.8)
    assert moves(twin) == [(0, 0, 3, 3.0), (60, 3, 2, 2.0), (120, 2, 1, 0.9), (180, 1, 0, 0.8)]


# Timers


def test_a_level_counts_once_it_was_breached_for_hold() -> None:
    twin = a_twin(rule(hold="2m"))
    say(twin, 1, 1, 1)
    assert moves(twin) == [(120, 0, 1, 1.0)]


def test_a_dip_starts_the_hold_anew() -> None:
    twin = a_twin(rule(hold="2m"))
    say(twin, 1, 1, 0.95, 1, 1, 1)
    assert moves(twin) == [(300, 0, 1, 1.0)]


def test_the_highest_level_held_long_enough_is_taken_and_the_next_follows() -> None:
    twin = a_twin(rule(hold="1m"))
    say(twin, 1, 1.5, 2, 3, 3)
    assert moves(twin) == [(60, 0, 1, 1.5), (180, 1, 2, 3.0), (240, 2, 3, 3.0)]


def test_easing_waits_for_hold_clear_level_by_level() -> None:
    twin = a_twin(rule(hold_clear="2m"))
    say(twin, 3, 2, 0, 0, 0)
    assert moves(twin) == [(0, 0, 3, 3.0), (180, 3, 2, 0.0), (240, 2, 0, 0.0)]


def test_a_return_to_the_clear_value_stops_the_clear_timer() -> None:
    twin = a_twin(rule(levels={"advisory": 1}, hold_clear="2m"))
    say(twin, 1, 0, 0, 0.9, 0, 0, 0)
    assert moves(twin) == [(0, 0, 1, 1.0), (360, 1, 0, 0.0)]


@pytest.mark.parametrize(("apart", "level"), [(180, 1), (180.001, 0)])
def test_evaluations_more_than_g_apart_restart_the_timers(apart: float, level: int) -> None:
    twin = a_twin(rule(hold="3m"))
    say(twin, 1, 1, step=apart)
    assert moves(twin) == ([(apart, 0, 1, 1.0)] if level else [])


def test_an_undefined_statistic_touches_no_timer() -> None:
    twin = a_twin(rule(statistic="max", window="90s", min_readings=2, hold="2m"))
    say(twin, 1, 1, at=0)  # defined at 60: the timer starts
    say(twin, 0, at=155)  # alone in its window
    say(twin, 1, at=180)  # two again: defined, breached since 60
    assert moves(twin) == [(180, 0, 1, 1.0)]


# Windows and statistics


def test_a_window_leaves_out_its_far_end_and_keeps_its_near_one() -> None:
    twin = a_twin(rule(statistic="sum", window="2m", levels={"advisory": 3}))
    say(twin, 1, 1, 1, 2)
    assert moves(twin) == [(180, 0, 1, 3.0)]


@pytest.mark.parametrize(
    ("statistic", "value"), [("sum", 7.0), ("mean", 7 / 3), ("max", 4.0), ("min", 1.0), ("count", 3.0)]
)
def test_statistics_are_those_of_any_textbook(statistic: str, value: float) -> None:
    twin = a_twin(rule(statistic=statistic, window="3m", min_readings=3, levels={"advisory": 0.5}))
    say(twin, 1, 4, 2)
    assert moves(twin) == [(120, 0, 1, value)]


def test_rise_is_the_slope_per_hour() -> None:
    twin = a_twin(rule(statistic="rise", window="4m", levels={"advisory": 1}))
    say(twin, 0.0, 0.1, 0.2)
    assert [(at, level, round(value or 0.0, 9)) for at, _, level, value in moves(twin)] == [(120, 1, 6.0)]


@pytest.mark.parametrize(("step", "level"), [(60, 1), (59.999, 0)])
def test_rise_needs_readings_over_half_its_window(step: float, level: int) -> None:
    twin = a_twin(rule(statistic="rise", window="4m", levels={"advisory": 1}))
    say(twin, 0.0, 1.0, 2.0, step=step)
    assert len(moves(twin)) == level


def test_a_reading_out_of_order_fills_its_window_and_is_judged_at_t() -> None:
    twin = a_twin(rule(statistic="sum", window="10m", levels={"advisory": 3}))
    say(twin, 1, 1, at=0, step=500)
    twin.offer("s", ms(60), 1.0, ms(500 + 900))
    assert moves(twin) == [(500, 0, 1, 3.0)]


def test_a_reading_older_than_the_longest_window_is_late_and_takes_no_part() -> None:
    twin = a_twin(rule(statistic="sum", window="2m", levels={"advisory": 3}))
    say(twin, 1, 1, at=60)
    for t in (0, -0.001):
        assert twin.offer("s", ms(t), 9.0, ms(130)) == "accepted"
    assert [row[-1] for row in twin.accepted] == [False, False, False, True]
    assert moves(twin) == []


def test_rules_that_a_period_cannot_fill_skip_the_sensor() -> None:
    for keys, skipped in [
        (("rise", 179), True),
        (("rise", 180), False),
        (("sum", 59), True),
        (("sum", 60), False),
    ]:
        table = rule(statistic=keys[0], window=f"{keys[1]}s")
        assert (judge_of(table, "water_level", None, 60_000, "UTC") is None) is skipped


def test_a_failed_or_missing_reading_takes_no_part() -> None:
    twin = a_twin(rule())
    assert twin.offer("s", ms(0), 5.0, ms(0), 4) == "accepted"
    say(twin, None, at=60)
    assert [(row[2], row[3]) for row in twin.accepted] == [(5.0, 4), (None, 9)]
    assert moves(twin) == []


# Gaps


def test_before_the_first_reading_is_a_gap_so_the_rule_rises_but_does_not_ease() -> None:
    twin = a_twin(rule(statistic="min", window="10m", levels={"advisory": 1}))
    say(twin, 1, *[0] * 12)
    assert moves(twin) == [(0, 0, 1, 1.0), (540, 1, 0, 0.0)]


@pytest.mark.parametrize(("apart", "moved"), [(180, 2), (180.001, 1)])
def test_a_gap_counts_when_it_is_longer_than_g(apart: float, moved: int) -> None:
    twin = a_twin(rule(statistic="min", window="10m", levels={"advisory": 1}))
    say(twin, *[1] * 31)
    say(twin, 0, at=1800 + apart)
    assert len(moves(twin)) == moved


def test_of_a_gap_only_the_part_inside_the_window_counts() -> None:
    twin = a_twin(rule(statistic="min", window="40m", levels={"advisory": 1}))
    say(twin, *[1] * 41)
    say(twin, *[0] * 41, at=2400 + 600)
    assert moves(twin) == [(0, 0, 1, 1.0), (2400 + 2760, 1, 0, 0.0)]


def test_a_gap_of_a_tenth_of_the_window_still_lets_it_ease() -> None:
    for apart, eases in [(240, True), (240.001, False)]:
        twin = a_twin(rule(statistic="mean", window="40m", levels={"advisory": 1}))
        say(twin, *[1] * 41)
        say(twin, -99, at=2400 + apart)
        assert len(moves(twin)) == (2 if eases else 1)


def test_without_a_period_no_gap_is_known() -> None:
    twin = Twin()
    twin.configure(NOON, None, rules_toml([rule(statistic="max", window="10m", levels={"advisory": 1})]))
    twin.series("s", "water_level")
    for minute, value in [(0, 1.0), (20, 0.0)]:
        twin.offer("s|water_level", ms(minute * 60), value, ms(minute * 60))
    assert moves(twin) == [(0, 0, 1, 1.0), (1200, 1, 0, 0.0)]


# Freshness and late breaches


@pytest.mark.parametrize(("after", "moved"), [(900, 1), (900.001, 0)])
def test_t_is_fresh_up_to_a_quarter_of_an_hour(after: float, moved: int) -> None:
    twin = a_twin(rule())
    say(twin, 1, after=after)
    assert len(moves(twin)) == moved


def test_a_slow_sensor_is_fresh_for_two_periods() -> None:
    twin = a_twin(rule(), period="15m")
    say(twin, 1, after=1800)
    say(twin, 2, at=900, after=1800.001)
    assert moves(twin) == [(0, 0, 1, 1.0)]


def test_hours_of_backfill_ring_no_bell_and_the_first_fresh_reading_sees_full_windows() -> None:
    twin = a_twin(rule(statistic="sum", window="1h", levels={"advisory": 60}))
    for minute in range(60):
        twin.offer("s", ms(minute * 60 - 3600), 1.0, ms(0) + 900_000)
    say(twin, 1, at=900 - 2700, after=2700)
    assert moves(twin) == []
    say(twin, 1, at=0, after=900)
    assert moves(twin) == [(0, 0, 1, 60.0)]


@pytest.mark.parametrize(("after", "shown"), [(6 * HOUR, 1), (6 * HOUR + 0.001, 0), (900, 0)])
def test_a_danger_not_judged_is_shown_to_operators_up_to_six_hours(after: float, shown: int) -> None:
    twin = a_twin(rule())
    say(twin, 3, after=after)
    assert twin.late_breaches == [("s", "river", NOON, 3.0, ms(after))] * shown


def test_the_six_hours_are_those_of_the_reading_that_came_and_not_of_t() -> None:
    twin = a_twin(rule(statistic="sum", window="1h"))
    say(twin, 1, at=600, after=6 * HOUR - 600)
    twin.offer("s", NOON, 9.0, ms(6 * HOUR + 0.001))
    assert twin.late_breaches == []
    twin.offer("s", ms(1), 9.0, ms(6 * HOUR + 1))
    assert twin.late_breaches == [("s", "river", ms(600), 19.0, ms(6 * HOUR + 1))]


@pytest.mark.parametrize(("after", "shown"), [(6 * HOUR, 1), (6 * HOUR + 0.001, 0)])
def test_a_late_danger_is_shown_by_the_rules_that_one_value_can_answer(after: float, shown: int) -> None:
    statistics = ("last", "mean", "max", "min", "sum", "rise", "count")
    twin = a_twin(*[rule(name, statistic=name, window="3m", min_readings=2) for name in statistics])
    say(twin, 0, at=240)
    twin.offer("s", ms(0), 2.9, ms(after))
    twin.offer("s", ms(1), 3.5, ms(1 + after))
    expected = [("s", name, ms(1), 3.5, ms(1 + after)) for name in ("last", "mean", "max", "min")]
    assert twin.late_breaches == expected * shown
    assert moves(twin) == []


# Identity


def test_the_same_reading_again_is_a_duplicate_and_another_value_a_conflict() -> None:
    twin = a_twin(rule())
    answers = [twin.offer("s", NOON, value, NOON) for value in (1.0, 1.0, 2.0, None)]
    assert answers == ["accepted", "duplicate", "conflict", "conflict"]
    assert moves(twin) == [(0, 0, 1, 1.0)]


def test_a_null_takes_its_identity_too() -> None:
    twin = a_twin(rule())
    answers = [twin.offer("s", NOON, value, NOON) for value in (None, None, 2.0)]
    assert answers == ["accepted", "duplicate", "conflict"]


def test_identity_is_checked_an_hour_back_and_older_readings_are_stored_late() -> None:
    twin = a_twin(rule())
    say(twin, 1, 1, 1, at=0, step=0.001)
    say(twin, 1, at=3600.001)
    answers = [twin.offer("s", ms(t), 1.0, ms(3601)) for t in (0, 0.001, 0.002)]
    assert answers == ["accepted", "duplicate", "duplicate"]
    assert twin.accepted[-1] == ("s", NOON, 1.0, 2, 60_000, ms(3601), True)


def test_an_identity_once_forgotten_stays_so_when_the_horizon_grows() -> None:
    twin = a_twin(rule())
    say(twin, 1, 1, step=HOUR + 1)
    change(twin, HOUR + 2, [rule(statistic="max", window="3h")], [sensor()])
    assert twin.offer("s", NOON, 1.0, ms(HOUR + 3)) == "accepted"
    assert [row[-1] for row in twin.accepted] == [False, False, False]


# Counters


def totals(twin: Twin, *pairs: tuple[float, float | None]) -> list[tuple[float | None, int, int, bool]]:
    for t, total in pairs:
        twin.offer("s", ms(t), total, ms(400))
    return [(value, flag, span // 1000, late) for _, _, value, flag, span, _, late in twin.accepted]


def a_counter(**keys: Any) -> Twin:
    rain = rule(quantity="rain", statistic="sum", window="5m", levels={"danger": 99})
    return a_twin(rain, quantity="rain", counter=True, **keys)


def test_the_first_total_books_nothing_and_the_next_books_what_was_added() -> None:
    rows = totals(a_counter(), (0, 7), (60, 7.5), (180, None), (240, 9.5))
    assert rows == [(None, 9, 0, False), (0.5, 2, 60, False), (None, 9, 0, False), (2.0, 2, 180, False)]


def test_an_older_total_is_late_and_books_nothing() -> None:
    rows = totals(a_counter(), (0, 7), (120, 9), (60, 8), (180, 10))
    assert rows[2:] == [(None, 9, 0, True), (1.0, 2, 60, False)]


def test_a_decrease_without_wrap_is_a_reset_and_the_new_base() -> None:
    rows = totals(a_counter(), (0, 7), (60, 2), (120, 3))
    assert rows[1:] == [(None, 9, 0, False), (1.0, 2, 60, False)]


def test_a_decrease_is_a_wrap_where_the_increment_is_then_within_bounds() -> None:
    rows = totals(a_counter(wrap=100.0), (0, 99), (60, 1), (120, 0.5))
    assert rows[1:] == [(2.0, 2, 60, False), (None, 9, 0, False)]


def test_an_impossible_increment_fails_and_still_becomes_the_base() -> None:
    rows = totals(a_counter(), (0, 0), (60, 38), (120, 76.5), (180, 77))
    assert rows[1:] == [(38.0, 2, 60, False), (38.5, 4, 60, False), (0.5, 2, 60, False)]


def test_the_bound_grows_with_the_span() -> None:
    bounds = [high("rain", seconds * 1000) for seconds in (0, 30, 60, 330, 600, 3600, 86_400, 172_800)]
    assert bounds == [0.0, 19.0, 38.0, 94.0, 150.0, 401.0, 1825.0, 3650.0]


def test_a_sum_leaves_out_an_increment_that_covers_more_than_its_window() -> None:
    twin = a_twin(
        rule("short", quantity="rain", statistic="sum", window="2m", levels={"advisory": 1}),
        rule("long", quantity="rain", statistic="sum", window="3m", levels={"advisory": 1}),
        quantity="rain", counter=True,
    )  # fmt: skip
    totals(twin, (0, 0), (180, 5))
    assert [row["rule"] for row in twin.transitions] == ["long"]


# Schedules


def scheduled(days: str, begin: str, end: str, **keys: Any) -> dict[str, Any]:
    return rule(schedule={"days": days, "from": begin, "to": end}, **keys)


def test_outside_its_schedule_nothing_is_judged_and_the_opening_is_inside() -> None:
    twin = a_twin(scheduled("mon-sat", "12:02", "12:04"))
    say(twin, 1, 2, 3)
    assert moves(twin) == [(120, 0, 3, 3.0)]


def test_at_the_closing_tick_the_level_goes_to_zero_with_no_value() -> None:
    twin = a_twin(scheduled("fri", "11:00", "12:02"))
    say(twin, 1, 1, 1, 1)
    assert moves(twin) == [(0, 0, 1, 1.0), (120, 1, 0, None)]


def test_after_the_closing_tick_no_earlier_t_is_judged() -> None:
    twin = a_twin(scheduled("fri", "11:00", "12:02"))
    twin.offer("s", ms(110), 1.0, ms(119))
    twin.offer("s", ms(119), 2.0, ms(120))
    assert moves(twin) == [(110, 0, 1, 1.0), (120, 1, 0, None)]


def test_no_window_reaches_back_before_the_opening() -> None:
    twin = a_twin(scheduled("fri", "12:02", "13:00", statistic="sum", window="10m", levels={"advisory": 2}))
    say(twin, 5, 5, 1, 1)
    assert moves(twin) == [(180, 0, 1, 2.0)]


def test_a_schedule_over_midnight_belongs_to_the_day_it_starts() -> None:
    evening = 9 * HOUR + 30 * MINUTE  # Friday 21:30
    twin = a_twin(scheduled("fri", "21:00", "02:00"), at=evening)
    for hours in (0.0, 4.0, 5.0, 24.0, 28.0):
        say(twin, 1, at=evening + hours * HOUR)
    assert moves(twin) == [(evening, 0, 1, 1.0), (14 * HOUR, 1, 0, None)]


def test_from_equal_to_is_a_whole_day_that_closes_and_opens_at_once() -> None:
    twin = a_twin(scheduled("mon-sun", "12:02", "12:02", statistic="sum", window="10m", levels={"advisory": 1}))
    say(twin, 1, 1, 1)
    assert moves(twin) == [(0, 0, 1, 1.0), (120, 1, 0, None), (120, 0, 1, 1.0)]


def test_the_schedule_follows_the_clocks_of_the_city_when_they_change() -> None:
    two_utc = int(datetime(2025, 10, 26, 2, tzinfo=UTC).timestamp()) - NOON // 1000  # 03:00 in Berlin, once
    twin = a_twin(scheduled("sun", "03:00", "04:00"), zone="Europe/Berlin", at=two_utc - 120)
    say(twin, 1, 1, 1, at=two_utc - 60)
    twin.tick(ms(two_utc + HOUR))
    assert moves(twin) == [(two_utc, 0, 1, 1.0), (two_utc + HOUR, 1, 0, None)]


def test_an_hour_told_twice_opens_at_the_first_of_the_two() -> None:
    half_past = int(datetime(2025, 10, 26, 0, 30, tzinfo=UTC).timestamp()) - NOON // 1000  # 02:30 in Berlin
    twin = a_twin(scheduled("sun", "02:30", "04:00"), zone="Europe/Berlin", at=half_past - 120)
    say(twin, 1, 1, at=half_past - 60)
    assert moves(twin) == [(half_past, 0, 1, 1.0)]


def test_a_closing_drops_the_timers() -> None:
    twin = a_twin(scheduled("mon-sun", "12:02", "12:02", hold="1m"))
    say(twin, 0, 1, 1, 1)
    assert moves(twin) == [(180, 0, 1, 1.0)]


def test_days_may_be_one_a_span_or_a_span_round_the_week() -> None:
    assert [sorted(days_of(text)) for text in ("sun", "mon-sat", "sat-mon")] == [
        [6],
        [0, 1, 2, 3, 4, 5],
        [0, 5, 6],
    ]


# Stations and several rules


def test_a_stations_levels_replace_the_rules_wholly_and_its_other_keys_singly() -> None:
    own = {"cam_le": {"levels": {"danger": 5}, "hold": "1m"}}
    twin = a_twin(rule(station=own, hold_clear="1m"), station="cam_le")
    say(twin, 4, 5, 5, 0, 0)
    assert moves(twin) == [(120, 0, 3, 5.0), (240, 3, 0, 0.0)]


def test_a_rule_without_levels_of_its_own_skips_unlisted_stations() -> None:
    table = rule(station={"cam_le": {"levels": {"danger": 5}}, "ai_nghia": {"hold": "1m"}})
    del table["levels"]
    skipped = [judge_of(table, "water_level", s, 60_000, "UTC") is None for s in ("cam_le", "ai_nghia", "x", None)]
    assert skipped == [False, True, True, True]


def test_transitions_come_in_the_order_of_the_rules() -> None:
    twin = a_twin(rule("b"), rule("other", quantity="rain"), rule("a"))
    say(twin, 1)
    assert [row["rule"] for row in twin.transitions] == ["b", "a"]


# Changes


def test_a_removed_rule_and_a_removed_sensor_go_to_zero_at_the_change() -> None:
    for rules, sensors in [([rule("other")], [sensor()]), ([rule()], [sensor(id="x")])]:
        twin = a_twin(rule())
        say(twin, 1)
        change(twin, 5.5, rules, sensors)
        assert moves(twin) == [(0, 0, 1, 1.0), (5.5, 1, 0, None)]


def test_a_changed_rule_keeps_its_level_and_is_judged_at_the_next_evaluation() -> None:
    twin = a_twin(rule())
    say(twin, 1)
    change(twin, 5, [rule(levels={"advisory": 5, "warning": 6})], [sensor()])
    say(twin, 1, at=60)
    assert moves(twin) == [(0, 0, 1, 1.0), (60, 1, 0, 1.0)]


@pytest.mark.parametrize(("clear", "raised"), [(0.9, 60), (0.8, 120)])
def test_a_change_drops_the_timers_and_the_same_rule_keeps_them(clear: float, raised: int) -> None:
    twin = a_twin(rule(hold="1m", clear=0.9))
    say(twin, 1)
    change(twin, 5, [dict(reversed(rule(hold="1m", clear=clear).items()))], [sensor()])
    say(twin, 1, 1, at=60)
    assert moves(twin) == [(raised, 0, 1, 1.0)]


def test_a_changed_rule_uses_what_the_sensor_still_holds() -> None:
    twin = a_twin(rule(statistic="sum", window="2m", levels={"advisory": 99}))
    say(twin, 1, 1, 1, 1)  # holds those at 120 and 180, and the one at 60 before the window
    change(twin, 185, [rule(statistic="sum", window="10m", levels={"advisory": 1})], [sensor()])
    say(twin, 1, at=240)
    assert moves(twin) == [(240, 0, 1, 4.0)]


def test_a_sensor_with_another_quantity_is_a_new_one() -> None:
    twin = a_twin(rule(), rule("wet", quantity="rain"))
    say(twin, 1)
    change(twin, 5, [rule(), rule("wet", quantity="rain")], [sensor(quantity="rain")])
    assert twin.offer("s", NOON, 2.0, ms(6)) == "accepted"
    assert moves(twin) == [(0, 0, 1, 1.0), (5, 1, 0, None), (0, 0, 2, 2.0)]


def test_a_sensor_that_becomes_a_counter_is_a_new_one() -> None:
    twin = a_twin(rule())
    say(twin, 1)
    change(twin, 5, [rule()], [sensor(counter=True)])
    assert moves(twin) == [(0, 0, 1, 1.0), (5, 1, 0, None)]


def test_a_change_tells_sensors_in_the_order_they_were_first_known() -> None:
    twin = a_twin(rule())
    change(twin, 1, [rule()], [sensor(id="z"), sensor()])
    for name in ("s", "z"):
        twin.offer(name, ms(2), 1.0, ms(2))
    change(twin, 3, [rule("new")], [sensor(id="z"), sensor()])
    told = [(row["sensor"], row["to"]) for row in twin.transitions]
    assert told == [("s", 1), ("z", 1), ("s", 0), ("z", 0)]


def test_a_change_runs_the_ticks_before_it_under_the_old_rules() -> None:
    twin = a_twin(scheduled("fri", "11:00", "12:02"))
    say(twin, 1)
    change(twin, 120, [rule()], [sensor()])
    assert moves(twin) == [(0, 0, 1, 1.0), (120, 1, 0, None)]


# Silence


def test_a_sensor_not_heard_for_g_is_silent_from_the_next_tick_on() -> None:
    twin = a_twin(rule())
    say(twin, 1, at=5)
    twin.tick(ms(180))
    assert news(twin) == []
    say(twin, 1, at=200)
    twin.tick(ms(210))
    assert news(twin) == [(190, "ok", "silent"), (210, "silent", "ok")]
    assert moves(twin) == [(5, 0, 1, 1.0)]


def test_a_tick_precedes_the_reading_that_arrives_with_it() -> None:
    twin = a_twin(rule())
    say(twin, 1, 1, step=180)
    twin.tick(ms(190))
    assert news(twin) == [(180, "ok", "silent"), (190, "silent", "ok")]


def test_a_sensor_that_sends_only_nulls_has_no_data_and_one_that_sends_old_news_is_delayed() -> None:
    twin = a_twin(rule())
    say(twin, None, None, None, None, step=50)
    twin.tick(ms(180))
    say(twin, 1, 1, 1, 1, at=200 - 1000, step=50, after=1000)
    twin.tick(ms(400))
    assert news(twin) == [(180, "ok", "no_data"), (200 + 10, "no_data", "delayed")]


def test_time_while_the_collector_was_down_is_no_silence() -> None:
    twin = a_twin(rule())
    say(twin, 1)
    twin.tick(ms(60))
    twin.start(ms(3600))
    twin.tick(ms(3710))
    assert news(twin) == []
    twin.tick(ms(3720))
    assert news(twin) == [(3720, "ok", "silent")]


# What leaves


def test_lines_are_the_json_of_replay() -> None:
    twin = Twin()
    twin.configure(NOON, None, rules_toml([rule("mưa-1h", quantity="rain", statistic="count", window="1h")]))
    twin.series("Cẩm Lệ", "rain")
    twin.offer("Cẩm Lệ|rain", NOON + 7, 0.5, NOON + 7)
    line = '{"at":"2022-10-14T05:00:00.007Z","sensor":"Cẩm Lệ","rule":"mưa-1h","from":0,"to":1,"value":1.0}'
    assert twin.lines() == [line]
    assert json.loads(line)["to"] == 1


def test_the_same_seed_gives_the_same_world_and_the_same_transitions() -> None:
    twins = [Twin(), Twin()]
    for twin in twins:
        play(world(7, 200), twin)
    assert twins[0].lines() == twins[1].lines() != []
