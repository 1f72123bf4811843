"""The column batch: one shape, cut, joined and stored without a change; and the entries that carry it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.entries import Batch, DeadLetter, Header
from ingest.readings import Flag, Readings

INT64 = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**31 - 1), INT64, st.floats(), st.floats(), st.sampled_from(list(Flag)), INT64, INT64,
        st.integers(0, 1),
    )
)  # fmt: skip


def batch(rows: list[tuple[int, int, float, float, int, int, int, int]]) -> Readings:
    names = ("sensor", "t", "value", "raw", "flag", "span", "arrival", "late")
    return Readings.of(**{name: [row[n] for row in rows] for n, name in enumerate(names)})


def same(one: Readings, other: Readings) -> bool:
    return one.to_bytes() == other.to_bytes()


def test_what_is_left_out_has_its_plain_meaning() -> None:
    readings = Readings.of(sensor=[3, 4], t=[10, 20], value=[0.5, math.nan])

    assert list(readings.flag) == [Flag.NOT_EVALUATED] * 2
    assert list(readings.arrival) == [10, 20]
    assert list(readings.span) == list(readings.late) == [0, 0]
    assert readings.raw[0] == 0.5
    assert math.isnan(readings.raw[1])


@given(ROWS)
def test_bytes_bring_back_every_bit(rows: list[tuple[int, int, float, float, int, int, int, int]]) -> None:
    readings = batch(rows)
    back = Readings.from_bytes(readings.to_bytes())

    assert same(back, readings)
    assert [getattr(back, name).dtype for name in ("sensor", "t", "value", "flag")] == [
        np.int32, np.int64, np.float64, np.uint8,
    ]  # fmt: skip
    assert back.value.flags.writeable


def test_bytes_are_little_endian_whatever_the_machine() -> None:
    assert Readings.of(sensor=[1], t=[258], value=[1.0]).to_bytes()["t"] == b"\x02\x01" + bytes(6)


@given(ROWS, st.integers(0, 10), st.integers(0, 10))
def test_parts_joined_again_are_the_whole(
    rows: list[tuple[int, int, float, float, int, int, int, int]], one: int, two: int
) -> None:
    readings = batch(rows)
    first, last = sorted((min(one, len(rows)), min(two, len(rows))))

    parts = [readings[:first], readings[first:last], readings[last:]]

    assert same(Readings.join(parts), readings)
    assert sum(map(len, parts)) == len(readings)


def test_nothing_joined_is_nothing() -> None:
    assert len(Readings.join([])) == len(Readings.empty()) == 0
    assert len(Readings.from_bytes(Readings.empty().to_bytes())) == 0


def test_columns_of_different_length_are_no_batch() -> None:
    with pytest.raises(AssertionError, match="value"):
        Readings.of(sensor=[1, 2], t=[1, 2], value=[1.0], raw=[1.0, 2.0])


def test_columns_of_another_type_are_no_batch() -> None:
    good = Readings.of(sensor=[1], t=[1], value=[1.0])

    with pytest.raises(AssertionError, match="t"):
        Readings(
            good.sensor, good.t.astype(np.float64), good.value, good.raw, good.flag, good.span, good.arrival, good.late
        )


def test_a_batch_arrives_with_the_last_thing_in_it() -> None:
    readings = Readings.of(sensor=[1, 1], t=[1, 2], value=[0.0, 0.0], arrival=[5, 7])

    assert Batch(readings).arrival == 7
    assert Batch(readings, headers=(Header("g", "b", 1, None, 9),)).arrival == 9
    assert Batch(readings, refused=(DeadLetter(8, "t", b"", "not_json"),)).arrival == 8
    assert Batch(Readings.empty(), arrival=3).arrival == 3
