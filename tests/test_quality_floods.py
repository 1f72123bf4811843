"""Measured floods, as they came and as sensors with shorter periods or in waves would have told them: no test of their
rate holds a level back (docs/decisions/0009).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from graded import HOUR, MINUTE, T0, Graded, sensor_toml

from ingest.entries import Batch
from ingest.quantity import convert
from ingest.readings import Flag, Float64, Int64
from ingest.tidy import read_tidy
from processing.engine import Engine
from processing.rules import DEFAULT_RULES_FILE
from processing.transitions import Transition

LEVELS = {  # of gauges in other countries: between their daily water and their highest
    "ea-aire-armley": "advisory = 1.9, warning = 2.7, danger = 3.9, emergency = 4.8",
    "ea-calder-mytholmroyd": "advisory = 2.0, warning = 3.0, danger = 4.5, emergency = 5.3",
    "usgs-01589330": "advisory = 0.6, warning = 0.9, danger = 1.3, emergency = 1.7",
}
RIVER = '[[rule]]\nname = "river"\nhazard = "flood"\nquantity = "water_level"\nstatistic = "last"\nclear_by = 0.1\n'
Series = tuple[str, Int64, Float64]  # sensor, t in ms UTC, m


def measured(folder: Path, file: str) -> list[Series]:
    rows = defaultdict(list)
    for row in read_tidy([folder / f"{file}.csv.gz"]):
        if row.quantity in ("river_stage", "street_depth") and np.isfinite(row.value):
            rows[row.sensor_id].append((row.t, convert(row.value, row.unit, "m")))
    columns = {sensor: np.array(own) for sensor, own in rows.items()}
    return [(sensor, own[:, 0].astype(np.int64), own[:, 1]) for sensor, own in columns.items()]


def floods(folder: Path) -> Iterator[tuple[str, Series]]:
    """(quantity, series): the days around the highest water of two flooded rivers, and 48 streets of two storms."""
    for file in ("river_aire_calder_2015-16", "river_dead_run_2018-06"):
        for sensor, t, value in measured(folder, file):
            near = np.abs(t - t[value.argmax()]) <= 9 * HOUR
            yield "water_level", (sensor, t[near], value[near])
    for series in measured(folder, "street_floodnet_nyc"):
        yield "street_depth", series


def pieces(t: Int64, value: Float64) -> list[tuple[Int64, Float64]]:
    """Cut where an hour and more is missing."""
    cuts = np.flatnonzero(np.diff(t) > HOUR) + 1
    return [(a, b) for a, b in zip(np.split(t, cuts), np.split(value, cuts), strict=True) if len(a) > 1]


def sampled(t: Int64, value: Float64, every: int, *, faster: int = 1, waves: float = 0.0) -> tuple[Int64, Float64]:
    """The same water at each `every` ms, running `faster`; in waves of ± `waves` m and with 3 mm of noise."""
    r = np.random.default_rng(7)
    times, values = [], []
    for own_t, own in pieces(t, value):
        sooner = own_t[0] + (own_t - own_t[0]) // faster
        at = np.arange(sooner[0], sooner[-1], every)
        wave = waves * np.sin(at / 1000.0) * r.uniform(0.3, 1.0, len(at)) + r.normal(0.0, 0.003, len(at))
        times.append(at)
        values.append(np.maximum(np.interp(at, sooner, own) + wave, -0.03))
    return np.concatenate(times), np.concatenate(values)


def judged(quantity: str, sensor: str, t: Int64, value: Float64, every: int, *off: str) -> tuple[int, list[Transition]]:
    """How many readings fail, and the rises that follow."""
    rules = (
        DEFAULT_RULES_FILE.read_text("utf-8")
        if quantity == "street_depth"
        else f"{RIVER}levels = {{ {LEVELS[sensor]} }}"
    )
    graded = Graded(sensor_toml("s", quantity, f"quality.off = {list(off)}", period=f"{every}ms"), rules=rules)
    engine = Engine()
    engine.step(graded.plan.configuration)
    graded.offer(value.tolist(), times=t.tolist())
    told = engine.step(Batch(graded.last.readings)).transitions
    failed = int((graded.last.readings.flag == Flag.FAIL).sum())
    return failed, [one for one in told if one.to > one.from_]


def moments(rises: Sequence[Transition]) -> list[tuple[int, int]]:
    return [(one.at, one.to) for one in rises]


def test_no_measured_flood_fails_by_its_rate_and_its_levels_come_when_they_would(shared_data: Path) -> None:
    told = 0
    for quantity, (sensor, t, value) in floods(shared_data):
        period = 15 * MINUTE if sensor.startswith("ea-") else 5 * MINUTE if sensor.startswith("usgs") else MINUTE
        failed, rises = judged(quantity, sensor, t, value, period)

        assert failed == 0
        assert moments(rises) == moments(judged(quantity, sensor, t, value, period, "rate")[1])
        told += len(rises)
    assert told > 60


@pytest.mark.parametrize(("every", "waves"), [(2000, 0.02), (5000, 0.03), (10_000, 0.0)])
def test_waves_between_readings_a_few_seconds_apart_hold_no_level_back(
    shared_data: Path, every: int, waves: float
) -> None:
    for quantity, (sensor, t, value) in floods(shared_data):
        if value.max() < 0.3:
            continue
        series = sampled(t, value, every, waves=waves)
        failed, rises = judged(quantity, sensor, *series, every)

        assert failed == 0
        assert moments(rises) == moments(judged(quantity, sensor, *series, every, "rate")[1])


def test_a_river_that_rises_six_times_as_fast_is_told_of_at_the_same_minute(shared_data: Path) -> None:
    """Up to 14 m an hour, once a minute: as in the mountains above a city."""
    for quantity, (sensor, t, value) in floods(shared_data):
        if quantity != "water_level":
            continue
        series = sampled(t, value, MINUTE, faster=6)
        failed, rises = judged(quantity, sensor, *series, MINUTE)

        assert failed == 0
        assert moments(rises) == moments(judged(quantity, sensor, *series, MINUTE, "rate")[1])
        assert rises


def test_the_steepest_rise_costs_one_reading() -> None:
    wall = np.array([0.4, 0.4, 1.0, 1.6, 2.2, 2.8])

    _, rises = judged("water_level", "usgs-01589330", T0 + MINUTE * np.arange(6), wall, MINUTE)

    assert [(one.at - T0, one.to, one.value) for one in rises] == [(3 * MINUTE, 3, 1.6), (4 * MINUTE, 4, 2.2)]
