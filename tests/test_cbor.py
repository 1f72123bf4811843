"""Our own messages in CBOR: maps as in JSON, columns that fit together, and nothing else that CBOR can say."""

from __future__ import annotations

import math
import struct
from typing import Any

import cbor2
import numpy as np
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import Decoded, Numbering, RefusedError, decode
from ingest.formats.cbor import encode_columns
from ingest.formats.decoded import PAYLOAD_BYTES_MAX, READINGS_MAX
from ingest.formats.documents import DEPTH_MAX, Unread, cbor_document

TOPIC = "canhbao/v1/gw-1/readings/cbor"
BOOT = "9f0c31d2a7b84e65"
T = 1_761_525_600_000
GOOD = {"sensor": "rain-1", "t": T, "v": 0.2}
COLUMNS: dict[str, Any] = {"sensor": ["a", "b"], "t0": T, "i": [0, 1, 0], "dt": [0, 5, -7], "v": [1.5, 2, None]}


def read(message: Any, topic: str = TOPIC) -> Decoded:
    return decode(topic, message if isinstance(message, bytes) else cbor2.dumps(message), retained=False)


def reason(message: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        read(message)
    return caught.value.reason


def refused(reading: Any) -> str:
    """The reason for which a reading between two good ones is refused, alone."""
    decoded = read({"readings": [dict(GOOD, sensor="before"), reading, dict(GOOD, sensor="after")]})
    assert decoded.sensors == ["before", "after"]
    assert list(decoded.indices()) == [0, 2]
    return decoded.refused[0].reason


def test_the_maps_of_the_json_are_read_in_cbor() -> None:
    message = {"boot": BOOT, "seq": 1041, "first": 1040, "readings": [GOOD, {**GOOD, "v": None, "u": "mm"}]}

    decoded = read(message)

    assert decoded.numbering == Numbering(BOOT, 1041, 1040)
    assert (decoded.sensors, decoded.t, decoded.units) == (["rain-1"] * 2, [T, T], [None, "mm"])
    assert decoded.values[0] == 0.2
    assert math.isnan(decoded.values[1])
    assert read(GOOD, "canhbao/v1/gw-1/backfill/cbor").gateway == "gw-1"


def test_what_fills_a_hole_below_first_is_owed_its_receipt() -> None:
    numbers = {"boot": BOOT, "seq": 1039, "first": 1041}
    columns = {**numbers, **COLUMNS, "i": [], "dt": [], "v": []}

    for message in ({**numbers, "readings": []}, columns):
        assert read(message).numbering == Numbering(BOOT, 1039, 1039)
    for first in (0, 1.0, True):
        assert reason({**columns, "first": first}) == "wrong_shape"


def test_columns_are_read_row_by_row() -> None:
    decoded = read(COLUMNS)

    assert (decoded.sensors, decoded.t) == (["a", "b", "a"], [T, T + 5, T - 7])
    assert (decoded.values[:2], decoded.units, decoded.refused) == ([1.5, 2.0], [None] * 3, [])
    assert math.isnan(decoded.values[2])


@pytest.mark.parametrize(
    ("tag", "form", "values"),
    [
        (64, "3B", [0, 1, 255]), (65, ">3H", [0, 1, 65535]), (66, ">3I", [0, 1, 2**32 - 1]),
        (67, ">3Q", [0, 1, 2**64 - 1]), (69, "<3H", [0, 1, 65535]), (70, "<3I", [0, 1, 2**32 - 1]),
        (71, "<3Q", [0, 1, 2**64 - 1]), (72, "3b", [0, -1, -128]), (73, ">3h", [0, -1, -(2**15)]),
        (74, ">3i", [0, -1, -(2**31)]), (75, ">3q", [0, -1, -(2**63)]), (77, "<3h", [0, -1, -(2**15)]),
        (78, "<3i", [0, -1, -(2**31)]), (79, "<3q", [0, -1, -(2**63)]), (80, ">3e", [0.0, -1.5, 65504.0]),
        (81, ">3f", [0.0, -1.5, 2.0**100]), (82, ">3d", [0.0, 0.1, -1e300]), (84, "<3e", [0.0, -1.5, 65504.0]),
        (85, "<3f", [0.0, -1.5, 2.0**100]), (86, "<3d", [0.0, 0.1, -1e300]),
    ],
)  # fmt: skip
def test_values_may_be_any_typed_array_of_rfc_8746(tag: int, form: str, values: list[float]) -> None:
    decoded = read({**COLUMNS, "v": CBORTag(tag, struct.pack(form, *values))})

    assert decoded.values == [float(value) for value in values]


def test_nan_is_not_a_number_in_a_typed_array_either() -> None:
    decoded = read({**COLUMNS, "v": CBORTag(86, struct.pack("<3d", 1.0, math.nan, math.inf))})

    assert decoded.sensors == ["a"]
    assert [(one.index, one.reason) for one in decoded.refused] == [(1, "not_a_number"), (2, "not_a_number")]


@pytest.mark.parametrize(
    "change",
    [
        {"sensor": None}, {"sensor": "ab"}, {"sensor": ["a", 1]}, {"i": None}, {"dt": 5}, {"v": "x"}, {"v": b"abc"},
        {"i": [0]}, {"dt": [0, 0, 0, 0]}, {"v": []}, {"readings": [GOOD]}, {"u": ["mm", "mm"]},
        {"v": CBORTag(86, b"\0" * 23)}, {"v": CBORTag(76, b"\0" * 3)}, {"v": CBORTag(83, b"\0" * 48)},
        {"v": CBORTag(87, b"\0" * 48)}, {"v": CBORTag(64, "abc")}, {"v": CBORTag(1000, [1, 2, 3])},
        {"v": CBORTag(64, b"\0" * (READINGS_MAX + 1))}, {"i": [0] * (READINGS_MAX + 1)},
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_together_are_refused_whole_and_keep_their_number(change: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        read({"boot": BOOT, "seq": 9, "first": 3, **COLUMNS, **change})

    assert caught.value.reason == "wrong_shape"
    assert caught.value.numbering == Numbering(BOOT, 9, 3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"i": [0, 2, 1]}, "wrong_shape"), ({"i": [0, -1, 1]}, "wrong_shape"), ({"i": [0, 1.0, 1]}, "wrong_shape"),
        ({"i": [0, True, 1]}, "wrong_shape"), ({"dt": [0, 0.5, 1]}, "no_time"), ({"dt": [0, None, 1]}, "no_time"),
        ({"v": [0, "1", 1]}, "not_a_number"), ({"v": [0, True, 1]}, "not_a_number"),
        ({"v": [0.5, math.nan, 1]}, "not_a_number"), ({"v": [0, 2**200, 1.0]}, "not_a_number"),
    ],
)  # fmt: skip
def test_one_bad_row_of_columns_is_refused_alone(change: dict[str, Any], why: str) -> None:
    decoded = read({**COLUMNS, "v": [1.5, 2.5, 3.5], **change})

    assert [(one.index, one.reason) for one in decoded.refused] == [(1, why)]
    assert len(decoded.sensors) == len(decoded.t) == len(decoded.values) == len(decoded.units) == 2
    assert list(decoded.indices()) == [0, 2]


def test_a_batch_is_refused_for_its_bytes_never_for_its_readings() -> None:
    rows = 2_600
    of = np.arange(rows)
    message = {"boot": BOOT, "seq": 9, "first": 3, "sensor": ["a", "b"], "t0": T,
               "i": CBORTag(64, (of % 2).astype("u1").tobytes()), "dt": CBORTag(69, of.astype("<u2").tobytes()),
               "v": CBORTag(84, (of / 4).astype("<f2").tobytes())}  # fmt: skip
    assert len(cbor2.dumps(message)) < 13_100

    decoded = read(message)

    assert (len(decoded.sensors), decoded.refused) == (rows, [])
    assert (decoded.t[-1], decoded.values[-1]) == (T + rows - 1, pytest.approx((rows - 1) / 4, abs=0.5))


def test_columns_have_as_many_rows_as_16000_bytes_hold() -> None:
    def columns(rows: int) -> dict[str, Any]:
        return {**COLUMNS, **{key: CBORTag(64, bytes(rows)) for key in ("i", "dt", "v")}}

    def length(rows: int) -> int:
        return len(cbor2.dumps(columns(rows)))

    most = next(rows for rows in range(READINGS_MAX, 0, -1) if length(rows) <= PAYLOAD_BYTES_MAX)
    assert most > 5_300, "no denser message is known"
    assert len(read(columns(most)).sensors) == most
    assert reason(columns(most + 1)) == "too_large"
    assert reason({"readings": [0] * READINGS_MAX + [0]}) == "wrong_shape"


@pytest.mark.parametrize("t0", [None, 1.0, "2025-10-27T00:40:00Z", True])
def test_columns_start_at_a_whole_millisecond(t0: object) -> None:
    assert reason({**COLUMNS, "t0": t0}) == "no_time"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"v": math.nan}, "not_a_number"), ({"v": math.inf}, "not_a_number"), ({"v": 2**200}, "not_a_number"),
        ({"v": "1"}, "not_a_number"), ({"v": b"1"}, "not_a_number"), ({"v": True}, "not_a_number"),
        ({"v": cbor2.undefined}, "not_a_number"), ({"v": CBORTag(1, 5)}, "not_a_number"),
        ({"v": CBORTag(86, b"\0" * 8)}, "not_a_number"), ({"v": [1]}, "not_a_number"),
        ({"v": CBORTag(4, [2**62, 1])}, "not_a_number"), ({"v": CBORTag(4, [400, 1])}, "not_a_number"),
        ({"v": CBORTag(4, [1.5, 1])}, "not_a_number"), ({"v": CBORTag(4, 15)}, "not_a_number"),
        ({"t": 1.0}, "no_time"), ({"t": CBORTag(0, "2025-10-27T00:40:00Z")}, "no_time"), ({"t": 2**200}, "no_time"),
        ({"sensor": b"rain-1"}, "wrong_shape"), ({"sensor": CBORTag(35, "(a+)+$")}, "wrong_shape"),
        ({"u": b"mm"}, "wrong_unit"),
    ],
)  # fmt: skip
def test_what_cbor_can_say_and_a_reading_cannot_is_refused_alone(change: dict[str, Any], why: str) -> None:
    assert refused({**GOOD, **change}) == why


def test_half_and_single_floats_and_decimal_fractions_are_numbers() -> None:
    values = [bytes.fromhex(number) for number in ("f93e00", "fa3fc00000", "fb3ff8000000000000", "c482200f")]
    payload = b"\xa1\x68readings\x84" + b"".join(
        b"\xa3\x66sensor\x61a\x61t\x01\x61v" + number for number in values
    )  # fmt: skip

    assert read(payload).values == [1.5] * 4


def test_ints_of_64_bits_are_numbers_and_times() -> None:
    decoded = read({"readings": [{"sensor": "a", "t": 2**64 - 1, "v": -(2**64)}]})

    assert (decoded.t, decoded.values) == ([2**64 - 1], [-(2.0**64)])


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not_cbor"), (b"\xff", "not_cbor"), (b"\x1c", "not_cbor"), (b"\xa1\x61\xff\x01", "not_cbor"),
        (b"\x01\x02", "not_cbor"), (cbor2.dumps(GOOD) + b"\x00", "not_cbor"), (cbor2.dumps(GOOD)[:-1], "not_cbor"),
        (b"\xa1\x63\xed\xa0\x80\x01", "not_cbor"),
        (b"\x9b" + b"\xff" * 8, "not_cbor"), (b"\xbb\x00\x00\x01" + b"\0" * 5, "not_cbor"),
        (b"\x5b\x00\x00\x01" + b"\0" * 5 + b"abc", "not_cbor"), (b"\x7b" + b"\x7f" * 8 + b"abc", "not_cbor"),
        (b"\x81" * 15_000, "too_deep"), (b"\x9f" * 15_000, "too_deep"), (b"\xc6" * 15_000, "too_deep"),
        (b"\xa1\x01" * 7_000, "too_deep"), (b"\xd8\x1c" * 7_000, "too_deep"), (b"\x7f" * 100, "not_cbor"),
        (b"\x81" * DEPTH_MAX + b"\x81\x01", "too_deep"),
        (b"\xd8\x1c\xa1\x61x\xd8\x1d\x00", "wrong_shape"), (b"\xc2\x59\x3e\x00" + b"\xff" * 15_872, "wrong_shape"),
        (b"\0" * (PAYLOAD_BYTES_MAX + 1), "too_large"), (b"\xa0", "wrong_shape"), (b"\x80", "wrong_shape"),
        (b'{"readings":[]}', "not_cbor"),
    ],
)  # fmt: skip
def test_what_is_not_a_message_is_refused_whole(payload: bytes, why: str) -> None:
    assert reason(payload) == why


def test_lengths_may_be_indefinite() -> None:
    good = cbor2.dumps(GOOD)
    payload = b"\xbf\x68readings\x9f" + good + b"\xbf" + good[1:] + b"\xff" + b"\xff\xff"

    assert read(payload).sensors == ["rain-1", "rain-1"]


def test_a_message_may_say_that_it_is_cbor() -> None:
    assert read(b"\xd9\xd9\xf7" + cbor2.dumps({"readings": [GOOD]})).sensors == ["rain-1"]


def test_a_key_that_stands_twice_counts_with_its_last_value_and_keys_may_be_anything() -> None:
    payload = b"\xa5\x61v\x61x\x61v\x02\x66sensor\x61a\x61t\x01\x82\x01\x02\xf6"

    assert read(payload).values == [2.0]


def test_no_tag_makes_anything_but_data() -> None:
    plain = (type(None), bool, int, float, str, bytes, list, dict, Unread, CBORTag)
    for tag in [*range(300), 1004, 1040, 4711, 43000, 55799, 2**32, 2**64 - 1]:
        for content in (0, -1, 1e300, b"\x01\x02\x03\x04", "2025-10-27T00:40:00Z", "(a+)+$", [1, 2], [-(10**9), 5], {}):
            made = cbor_document(cbor2.dumps(CBORTag(tag, content)))
            assert type(made) in plain, (tag, content, made)
    assert cbor_document(bytes.fromhex("d81c81d81d00")) == Unread([Unread(0)])  # a list that would contain itself


rows = st.tuples(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(T, T + 2**31 - 1),
    st.one_of(st.just(math.nan), st.floats(allow_nan=False, allow_infinity=False)),
)


@given(st.lists(rows, max_size=30), st.one_of(st.none(), st.tuples(st.integers(1, 2**53 - 1), st.booleans())))
def test_decode_undoes_encode(readings: list[tuple[str, int, float]], number: tuple[int, bool] | None) -> None:
    sensors, t, values = map(list, zip(*readings, strict=True)) if readings else ([], [], [])
    numbering = {} if number is None else {"boot": BOOT, "seq": number[0], **({"first": 1} if number[1] else {})}

    decoded = read(encode_columns(sensors, t, values, **numbering))

    assert not decoded.refused
    assert (decoded.sensors, decoded.t, list(map(repr, decoded.values))) == (sensors, t, list(map(repr, values)))
    assert decoded.numbering == (Numbering(**numbering) if numbering else None)


def test_what_columns_cannot_say_is_not_sent() -> None:
    with pytest.raises(ValueError, match="infinite"):
        encode_columns(["a"], [T], [math.inf])
    with pytest.raises(OverflowError):
        encode_columns(["a", "a"], [T, T + 2**31], [1.0, 2.0])
