"""A reading finds its sensor, its unit and its arrival, or the reason why it counts for nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.city import City, parse_city
from ingest.entries import ClockMode, Header
from ingest.formats import Decoded, Numbering, Refusal
from ingest.lookup import FUTURE_MS_MAX, NEWEST_MS, OLDEST_MS, Lookup, Resolved, dead_letters, header

NOW = 1_761_525_600_000
TOPIC = "canhbao/v1/gw-1/readings"
CITY = """
[city]
name = "Đà Nẵng"
[[area]]
code = "20242"
name = "Hải Châu"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[[sensor]]
id = "tower"
quantity = "street_depth"
area = "20242"
period = "60s"
[[sensor]]
id = "gauge"
quantity = "rain"
area = "20242"
period = "60s"
[[sensor]]
id = "slow-gauge"
quantity = "rain"
area = "20242"
period = "1h"
[[sensor]]
id = "odd-gauge"
quantity = "rain"
area = "20242"
[[sensor]]
id = "total"
quantity = "rain"
area = "20242"
counter = true
[[sensor]]
id = "room"
quantity = "temperature"
area = "20242"
[[sensor]]
id = "theirs"
quantity = "rain"
area = "20242"
gateway = "gw-2"
"""


@pytest.fixture(scope="module")
def city() -> City:
    return parse_city(CITY)


@pytest.fixture(scope="module")
def lookup(city: City) -> Lookup:
    return Lookup(city, ["removed", *reversed(list(city.sensors))])


def message(*rows: tuple[Any, ...], refused: list[Refusal] | None = None) -> Decoded:
    """Rows of (sensor, value), (sensor, value, unit) or (sensor, value, unit, t)."""
    full = [(*row, *(None, NOW)[len(row) - 2 :]) for row in rows]
    sensors, values, units, t = ([row[n] for row in full] for n in range(4))
    return Decoded("gw-1", sensors=sensors, t=t, values=values, units=units, refused=refused or [])


def resolve(
    lookup: Lookup, decoded: Decoded, clock: ClockMode = "wall", *, now: int = NOW, before: int = 0
) -> Resolved:
    return lookup.resolve(decoded, arrival=now, clock_mode=clock, previous_arrival=before)


def why(lookup: Lookup, *row: Any) -> str:
    """The reason for which one reading is refused beside a good one, "" if it is not."""
    resolved = resolve(lookup, message(row, ("tower", 0.5)))
    assert resolved.raw[-1] == 0.5
    return resolved.refused[0].reason if resolved.refused else ""


def test_readings_come_back_by_number_in_their_order(city: City, lookup: Lookup) -> None:
    resolved = resolve(lookup, message(("gauge", 0.2), ("tower", 0.5, "m", NOW - 7), ("gauge", math.nan)))
    numbers = {id_: n for n, id_ in enumerate(["removed", *reversed(list(city.sensors))])}

    assert list(resolved.sensor) == [numbers["gauge"], numbers["tower"], numbers["gauge"]]
    assert list(resolved.t) == [NOW, NOW - 7, NOW]
    assert resolved.raw[:2].tolist() == [0.2, 0.5]
    assert math.isnan(resolved.raw[2])
    assert list(resolved.arrival) == [NOW] * 3
    assert [column.dtype for column in (resolved.sensor, resolved.t, resolved.raw, resolved.arrival)] == [
        np.int32, np.int64, np.float64, np.int64,
    ]  # fmt: skip


def test_units_become_those_of_the_quantity(lookup: Lookup) -> None:
    resolved = resolve(lookup, message(("tower", 12.0, "in"), ("room", 86.0, "degF"), ("tower", 20.0, "cm")))

    assert resolved.raw.tolist() == [0.3048, 30.0, 0.2]


def test_a_sensor_that_nobody_registered_is_unknown(lookup: Lookup) -> None:
    assert why(lookup, "nobody", 1.0) == "unknown_sensor"
    assert why(lookup, "removed", 1.0) == "unknown_sensor"


def test_only_its_own_gateway_speaks_for_a_sensor(lookup: Lookup) -> None:
    assert why(lookup, "theirs", 1.0) == "wrong_gateway"


def test_a_unit_of_something_else_is_refused(lookup: Lookup) -> None:
    assert why(lookup, "tower", 1.0, "V") == "wrong_unit"
    assert why(lookup, "tower", 1.0, "\0\u202e") == "wrong_unit"


@pytest.mark.parametrize(
    ("sensor", "value", "unit", "reason"),
    [
        ("tower", -0.03, None, ""),
        ("tower", -0.031, None, "out_of_bounds"),
        ("tower", 10.0, None, ""),
        ("tower", 1001.0, "cm", "out_of_bounds"),
        ("gauge", 38.0, None, ""),
        ("gauge", 38.1, None, "out_of_bounds"),
        ("slow-gauge", 401.0, None, ""),
        ("slow-gauge", 401.1, None, "out_of_bounds"),
        ("odd-gauge", 1825.0, None, ""),
        ("odd-gauge", 1825.1, None, "out_of_bounds"),
        ("gauge", -0.1, None, "out_of_bounds"),
        ("total", 1e300, None, ""),
        ("total", -5.0, None, ""),
        ("total", 1e308, "ft", "out_of_bounds"),
        ("tower", math.nan, "cm", ""),
    ],
)
def test_what_cannot_be_is_refused_and_totals_wait(
    lookup: Lookup, sensor: str, value: float, unit: str | None, reason: str
) -> None:
    assert why(lookup, sensor, value, unit) == reason


@pytest.mark.parametrize(
    ("t", "reason"),
    [
        (NOW + FUTURE_MS_MAX, ""), (NOW + FUTURE_MS_MAX + 1, "from_the_future"), (NOW * 1000, "from_the_future"),
        (10**30, "from_the_future"), (OLDEST_MS, ""), (OLDEST_MS - 1, "too_old"), (0, "too_old"),
        (-(10**30), "too_old"),
    ],
)  # fmt: skip
def test_by_the_wall_clock_a_time_is_neither_ahead_nor_of_another_age(lookup: Lookup, t: int, reason: str) -> None:
    assert why(lookup, "gauge", 0.2, None, t) == reason


def test_by_the_data_s_clock_nothing_that_can_be_written_is_from_the_future(lookup: Lookup) -> None:
    decoded = message(("tower", 0.1, None, NEWEST_MS + 1), ("tower", 0.1, None, 5), ("tower", 0.1, None, NEWEST_MS))

    resolved = resolve(lookup, decoded, "data")

    assert [refusal.reason for refusal in resolved.refused] == ["from_the_future", "too_old"]
    assert list(resolved.arrival) == [NEWEST_MS]


def test_by_the_data_s_clock_each_reading_arrives_when_it_was_measured_or_after_the_last(lookup: Lookup) -> None:
    decoded = message(*(("tower", 0.1, None, NOW + at) for at in (5, 3, 9, 1)))

    resolved = resolve(lookup, decoded, "data", now=0, before=NOW + 4)

    assert (resolved.arrival - NOW).tolist() == [5, 5, 9, 9]
    assert resolved.last_arrival == NOW + 9


def test_what_is_refused_does_not_move_the_data_s_clock(lookup: Lookup) -> None:
    resolved = resolve(lookup, message(("nobody", 0.1, None, NOW)), "data", before=7 * OLDEST_MS // 6)

    assert resolved.last_arrival == 7 * OLDEST_MS // 6


def test_arrival_never_decreases_when_the_wall_clock_does(lookup: Lookup) -> None:
    resolved = resolve(lookup, message(("tower", 0.1)), now=NOW, before=NOW + 3)

    assert (list(resolved.arrival), resolved.last_arrival) == ([NOW + 3], NOW + 3)


def test_refusals_keep_the_index_within_the_message(lookup: Lookup) -> None:
    decoded = message(("nobody", 1.0), ("tower", 0.1), ("tower", 99.0), refused=[Refusal("no_time", "t", 1)])

    resolved = resolve(lookup, decoded)

    assert [(refusal.index, refusal.reason) for refusal in resolved.refused] == [
        (0, "unknown_sensor"), (1, "no_time"), (3, "out_of_bounds"),
    ]  # fmt: skip


def test_what_a_device_says_of_its_values_stays_with_them(lookup: Lookup) -> None:
    rows = message(
        ("nobody", 1.0), ("tower", 0.1), ("tower", 99.0), ("gauge", 0.2), refused=[Refusal("no_time", "t", 0)]
    )
    rows.flags.extend([3, 2, 3, 3])

    assert resolve(lookup, rows).flag.tolist() == [2, 3]
    assert resolve(lookup, message(("nobody", 1.0), ("tower", 0.1))).flag.tolist() == [2]


def test_every_sensor_has_a_number(city: City) -> None:
    with pytest.raises(ValueError, match="gauge"):
        Lookup(city, ["tower"])


def test_one_letter_a_reason_is_kept_with_the_whole_message() -> None:
    refused = [
        Refusal("no_time", "t is None", 0),
        Refusal("unknown_sensor", "'x'", 2),
        *(Refusal("no_time", "t is 'now'", n) for n in range(3, 40)),
    ]

    letters = dead_letters(TOPIC, b"payload", refused, arrival=NOW, sender="gw-1")

    assert [(letter.reason, letter.detail) for letter in letters] == [
        ("no_time", "reading 0: t is None; and 37 more: 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …"),
        ("unknown_sensor", "reading 2: 'x'"),
    ]
    assert {(letter.topic, letter.payload, letter.gateway, letter.arrival) for letter in letters} == {
        (TOPIC, b"payload", "gw-1", NOW)
    }


def test_a_message_refused_whole_is_one_letter() -> None:
    letters = dead_letters("x/y", b"\xff", [Refusal("not_utf8", "byte 0")], arrival=NOW, sender="")

    assert [(letter.reason, letter.detail, letter.gateway) for letter in letters] == [("not_utf8", "byte 0", "")]


def test_a_numbered_message_has_a_header() -> None:
    numbering = Numbering("a" * 16, 5, 2)
    assert header("gw-1", numbering, NOW, backfill=False) == Header("gw-1", "a" * 16, 5, 2, NOW)
    assert header("gw-1", numbering, NOW, backfill=True) == Header("gw-1", "a" * 16, 5, 2, NOW, backfill=True)
    assert header("gw-1", None, NOW, backfill=False) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tower", "gauge", "total", "room", "theirs", "nobody"]),
            st.one_of(st.just(math.nan), st.floats(allow_nan=False, allow_infinity=False)),
            st.sampled_from([None, "m", "mm", "cm", "degF", "kV", ""]),
            st.one_of(st.integers(), st.integers(NOW - 10**6, NOW + 10**6)),
        ),
        max_size=20,
    ),
    st.sampled_from(["wall", "data"]),
)
def test_each_reading_is_either_kept_or_refused(
    rows: list[tuple[str, float, str | None, int]], clock: ClockMode
) -> None:
    resolved = resolve(
        Lookup(parse_city(CITY), list(parse_city(CITY).sensors)), message(*rows), clock, before=OLDEST_MS
    )

    assert len(resolved.t) + len(resolved.refused) == len(rows)
    assert len({refusal.index for refusal in resolved.refused}) == len(resolved.refused)
    assert (np.diff(resolved.arrival) >= 0).all()
    assert not np.isinf(resolved.raw).any()
    assert resolved.last_arrival >= OLDEST_MS
