"""Quantities: units are converted exactly, and bounds of an amount grow with its span."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.quantity import CATALOGUE, RAIN_RECORDS, Quantity, UnitError, convert, metric_name

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def test_the_catalogue_is_that_of_the_contract() -> None:
    assert {name: quantity.unit for name, quantity in CATALOGUE.items()} == {
        "rain": "mm", "water_level": "m", "street_depth": "m", "voltage": "V", "power": "", "co2": "ppm",
        "pm25": "µg/m3", "pm10": "µg/m3", "temperature": "°C", "humidity": "%", "noise": "dBA", "light": "lux",
        "ammonia": "ppm", "occupancy": "count", "battery": "%", "rssi": "dBm",
    }  # fmt: skip
    assert [name for name, quantity in CATALOGUE.items() if quantity.public] == ["rain", "water_level", "street_depth"]
    assert all(
        quantity.low < quantity.high and quantity.name_vi and quantity.name_en for quantity in CATALOGUE.values()
    )


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (12.0, "in", "m", 0.3048), (1.0, "ft", "m", 0.3048), (20.0, "cm", "m", 0.2), (1.5, "m", "mm", 1500.0),
        (1.0, "in", "mm", 25.4), (0.2, "mm", "mm", 0.2), (0.22, "kV", "V", 220.0), (11.0, "V", "kV", 0.011),
        (32.0, "°F", "°C", 0.0), (212.0, "degF", "°C", 100.0), (-40.0, "degF", "Cel", -40.0),
        (25.0, "degC", "°C", 25.0), (100.0, "°C", "°F", 212.0), (7.0, "ppm", "ppm", 7.0), (1.0, "", "", 1.0),
    ],
)  # fmt: skip
def test_known_multiples_are_converted_exactly(value: float, unit: str, to: str, expected: float) -> None:
    assert convert(value, unit, to) == expected


@pytest.mark.parametrize(
    ("unit", "to"), [("m", "V"), ("V", "°C"), ("°F", "mm"), ("", "mm"), ("MM", "mm"), ("\0", "m"), ("ppm", "µg/m3")]
)
def test_what_measures_something_else_cannot_be_converted(unit: str, to: str) -> None:
    with pytest.raises(UnitError):
        convert(1.0, unit, to)


@given(st.floats(-1e6, 1e6), st.sampled_from([("mm", "m"), ("in", "cm"), ("ft", "mm"), ("kV", "V"), ("°F", "°C")]))
def test_there_and_back_is_the_same(value: float, units: tuple[str, str]) -> None:
    unit, to = units

    assert convert(convert(value, unit, to), to, unit) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_a_missing_value_stays_missing() -> None:
    assert math.isnan(convert(math.nan, "in", "m"))


@pytest.mark.parametrize(("span_ms", "most"), RAIN_RECORDS)
def test_the_greatest_rain_over_a_span_is_the_record(span_ms: int, most: float) -> None:
    assert CATALOGUE["rain"].most(span_ms) == most


def test_between_and_beyond_the_records_the_bound_is_a_line() -> None:
    rain = CATALOGUE["rain"]

    assert rain.most(30_000) == 19.0
    assert rain.most(HOUR // 2 + 7 * MINUTE + MINUTE // 2) == (198.0 + 401.0) / 2
    assert rain.most(2 * DAY) == 3650.0


def test_an_unknown_span_is_bounded_by_the_greatest_record() -> None:
    assert CATALOGUE["rain"].most(0) == CATALOGUE["rain"].high == 1825.0


def test_the_storm_of_2022_lies_within_the_bounds() -> None:
    rain = CATALOGUE["rain"]

    assert rain.most(HOUR) > 150.2
    assert rain.most(3 * HOUR) > 406.6
    assert rain.most(6 * HOUR) > 567.8
    assert rain.most(DAY) > 775.2


def test_a_quantity_without_records_has_one_bound() -> None:
    assert Quantity("wind", "m/s", 0.0, 80.0).most(DAY) == 80.0


@given(st.integers(0, 10 * DAY), st.integers(1, DAY))
def test_a_longer_span_never_holds_less(span_ms: int, more_ms: int) -> None:
    rain = CATALOGUE["rain"]

    assert span_ms == 0 or rain.most(span_ms + more_ms) >= rain.most(span_ms)


@pytest.mark.parametrize(("name", "metric"), [("rain", "rain"), ("h2s.1-min", "h2s_1_min"), ("10min", "_10min")])
def test_a_quantity_has_a_metrics_name(name: str, metric: str) -> None:
    assert metric_name(name) == metric
