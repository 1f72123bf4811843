"""SenML packs are resolved as RFC 8428 says, in JSON and CBOR alike, and names find their sensors."""

from __future__ import annotations

import json
import math
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from ingest.city import parse_city
from ingest.formats import Decoded, RefusedError, decode
from ingest.formats.decoded import READINGS_MAX
from ingest.formats.senml import _LABELS
from ingest.lookup import Lookup
from ingest.networks import Networks

TOPIC = "canhbao/v1/gw-1/readings/senml"
NOW = 1_761_525_600_000
T = 1_761_525_000  # s
CITY = """
[city]
name = "Đà Nẵng"
[[area]]
code = "1"
name = "Một"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[[sensor]]
id = "urn:dev:ow:10e2073a01080063:level"
quantity = "water_level"
area = "1"
gateway = "gw-1"
[[sensor]]
id = "humidity"
quantity = "humidity"
area = "1"
gateway = "gw-1"
decoder = { network = "senml", id = "urn:dev:mac:0024be804ff1/rh" }
[[sensor]]
id = "rain"
quantity = "rain"
area = "1"
counter = true
decoder = { network = "senml", id = "gauge", field = "s" }
[[sensor]]
id = "depth"
quantity = "street_depth"
area = "1"
decoder = { network = "senml", id = "depth/x", unit = "cm" }
[[sensor]]
id = "mains"
quantity = "power"
area = "1"
"""
REGISTRY = parse_city(CITY)
NETWORKS = Networks.of(REGISTRY, {})
LOOKUP = Lookup(REGISTRY, list(REGISTRY.sensors))
NUMBERS = {label: number for number, label in _LABELS.items()}


def as_cbor(pack: Any) -> bytes:
    return cbor2.dumps([{NUMBERS.get(label, label): value for label, value in one.items()} for one in pack])


def read(pack: Any, topic: str = TOPIC) -> Decoded:
    """The pack, which must mean the same in JSON and in CBOR."""
    if isinstance(pack, bytes):
        return decode(topic, pack, retained=False, networks=NETWORKS, arrival=NOW)
    one, other = (
        decode(topic, payload, retained=False, networks=NETWORKS, arrival=NOW)
        for payload in (json.dumps(pack).encode(), as_cbor(pack))
    )
    assert repr(one) == repr(other)
    return one


def resolved(*pack: dict[str, Any]) -> list[tuple[str, float, int, str | None]]:
    decoded = read(list(pack))
    assert not decoded.refused
    return list(zip(decoded.sensors, decoded.values, decoded.t, decoded.units, strict=True))


def refused(record: Any) -> str:
    """The reason for which a record between two good ones is refused, alone."""
    decoded = read([{"n": "before", "v": 1, "t": T}, record, {"n": "after", "v": 1, "t": T}])
    assert decoded.sensors == ["before", "after"]
    assert list(decoded.indices()) == [0, 2]
    assert decoded.refused[0].detail.isprintable()
    return decoded.refused[0].reason


def test_the_example_of_the_rfc_is_resolved() -> None:
    assert resolved(
        {"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1.276020076001e09, "bu": "A", "bver": 5, "n": "voltage",
         "u": "V", "v": 120.1},
        {"n": "current", "t": -5, "v": 1.2},
        {"n": "current", "t": -4, "v": 1.3},
        {"n": "current", "v": 1.7},
    ) == [
        ("urn:dev:ow:10e2073a01080063:voltage", 120.1, 1_276_020_076_001, "V"),
        ("urn:dev:ow:10e2073a01080063:current", 1.2, 1_276_020_071_001, "A"),
        ("urn:dev:ow:10e2073a01080063:current", 1.3, 1_276_020_072_001, "A"),
        ("urn:dev:ow:10e2073a01080063:current", 1.7, 1_276_020_076_001, "A"),
    ]  # fmt: skip


def test_base_fields_hold_until_the_next_ones_and_may_stand_alone() -> None:
    assert resolved(
        {"bn": "a", "bt": T, "bu": "m", "bv": 20}, {"n": "1", "v": 0.1}, {"bn": "b", "bv": -1, "v": 0, "u": "mm"},
        {"bt": 0, "t": T + 0.5, "v": 1, "n": ""}, {},
    ) == [("a1", 20.1, T * 1000, "m"), ("b", -1.0, T * 1000, "mm"), ("b", 0.0, T * 1000 + 500, "m")]  # fmt: skip


def test_a_missing_value_is_that_of_the_base() -> None:
    """Section 4.5.4: "If the Base Value or Value is not present, the missing field(s) are considered to have a value of
    zero. The Base Value and Value are added together to get the value of the measurement."
    """
    assert resolved({"n": "a", "bt": T, "bv": 20}, {"n": "b", "t": 1}, {"n": "c", "v": 0.5}, {"n": "d", "v": 0}) == [
        ("a", 20.0, T * 1000, None), ("b", 20.0, (T + 1) * 1000, None), ("c", 20.5, T * 1000, None),
        ("d", 20.0, T * 1000, None),
    ]  # fmt: skip
    assert resolved({"n": "a", "t": T, "v": 3}) == [("a", 3.0, T * 1000, None)]
    assert refused({"n": "a", "t": T}) == "wrong_shape", 'section 4.2: "Exactly one value field MUST appear unless …"'


def test_base_fields_alone_and_sums_alone_make_no_value_of_the_base() -> None:
    assert resolved({"bn": "a", "bv": 20, "bt": T}, {"vb": True}, {"v": 1}) == [
        ("a", 1.0, T * 1000, ""), ("a", 21.0, T * 1000, None),
    ]  # fmt: skip
    assert found({"bn": "gauge", "bv": 20, "s": 3}) == [("rain", 3.0)]


def test_a_missing_sum_is_that_of_the_base_and_without_both_there_is_none() -> None:
    """Section 4.5.4: "If only one of the Base Sum or Sum value is present, the missing field is considered to have a
    value of zero. […] If neither the Base Sum or Sum are present, then the measurement does not have a sum value."
    """
    assert found({"bn": "gauge", "v": 7}, {"s": 5}, {"bs": 100, "v": 7}, {"s": 0.5}, {"t": 1}) == [
        ("rain", 5.0), ("rain", 100.0), ("rain", 100.5), ("rain", 100.0),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a b", "ngập", "-a", ":a", "_a", "a\n", "\u0661", "a|b"])
def test_a_name_has_the_characters_of_the_rfc(name: str) -> None:
    """Section 4.5.1: A to Z, a to z, 0 to 9, "-", ":", ".", "/" and "_"; "furthermore, it MUST start with a character
    out of the set" of letters and digits.
    """
    assert refused({"n": name, "v": 1}) == "wrong_shape"
    assert resolved({"bn": "Z9-:./_", "n": "-:./_a", "v": 1, "t": T}) == [("Z9-:./_-:./_a", 1.0, T * 1000, None)]


@pytest.mark.parametrize(
    ("record", "t"),
    [
        ({}, NOW), ({"t": 0}, NOW), ({"t": -60}, NOW - 60_000), ({"t": -0.25}, NOW - 250), ({"t": 5}, NOW + 5000),
        ({"bt": -60, "t": 1.5}, NOW - 58_500), ({"t": 2**28 - 1}, NOW + (2**28 - 1) * 1000),
        ({"t": 2**28}, 2**28 * 1000), ({"bt": T, "t": -(T - 2**28) - 1}, NOW + (2**28 - 1) * 1000),
    ],
)  # fmt: skip
def test_a_time_below_2_to_28_is_relative_to_now(record: dict[str, Any], t: int) -> None:
    assert resolved({"n": "a", "v": 1, **record}) == [("a", 1.0, t, None)]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"n": "a"}, "wrong_shape"), ({"n": "a", "t": T}, "wrong_shape"), ({"n": "a", "ut": 5, "t": T}, "wrong_shape"),
        ({"v": 1}, "wrong_shape"), ({"n": "", "v": 1}, "wrong_shape"), ({"n": 5, "v": 1}, "wrong_shape"),
        ({"n": "a", "v": 1, "vb": True}, "wrong_shape"), ({"n": "a", "s": 1}, "wrong_shape"),
        ({"n": "a", "v": 1, "flow_": 1}, "wrong_shape"), ({"n": "\u202e\0", "v": 1, "\u202e_": 1}, "wrong_shape"),
        ({"n": "a", "v": "1"}, "not_a_number"), ({"n": "a", "v": None}, "not_a_number"),
        ({"n": "a", "v": True}, "not_a_number"), ({"n": "a", "vs": "on"}, "not_a_number"),
        ({"n": "a", "vd": "aGk"}, "not_a_number"), ({"n": "a", "vb": 1}, "not_a_number"),
        ({"n": "a", "v": 1, "t": "now"}, "no_time"), ({"n": "a", "v": 1, "t": None}, "no_time"),
        ({"n": "a", "v": 1, "t": True}, "no_time"), ({"n": "a", "v": 1, "u": 5}, "wrong_unit"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_resolved_is_refused_alone(record: dict[str, Any], why: str) -> None:
    assert refused(record) == why


@pytest.mark.parametrize("record", [None, 1, "x", []])
def test_what_is_no_record_is_refused_alone(record: Any) -> None:
    payload = json.dumps([{"n": "a", "v": 1}, record, {"n": "b", "v": 1}]).encode()

    decoded = read(payload)

    assert decoded.sensors == ["a", "b"]
    assert [(one.reason, one.index) for one in decoded.refused] == [("wrong_shape", 1)]


def test_what_must_be_understood_of_the_base_is_wanting_from_there_on() -> None:
    decoded = read([{"n": "a", "v": 1}, {"bct_": 1, "n": "b", "v": 1}, {"n": "c", "v": 1}])

    assert decoded.sensors == ["a"]
    assert [one.reason for one in decoded.refused] == ["wrong_shape"] * 2


@pytest.mark.parametrize("base", [{"bv": "x"}, {"bv": math.inf}])
def test_a_wrong_base_value_spoils_what_stands_on_it(base: dict[str, Any]) -> None:
    decoded = read([{"n": "a", "v": 1, **base}, {"n": "b", "v": 1}, {"n": "c", "bv": 1, "v": 1}])

    assert (decoded.sensors, decoded.values) == (["c"], [2.0])
    assert [one.reason for one in decoded.refused] == ["not_a_number"] * 2


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 320, "9" * 5000])
def test_what_float64_cannot_hold_is_no_value_and_no_time(number: str) -> None:
    decoded = read(b'[{"n":"a","v":%s},{"n":"a","v":1,"t":%s},{"n":"b","v":1}]' % ((number.encode(),) * 2))

    assert decoded.sensors == ["b"]
    assert [one.reason for one in decoded.refused] == ["not_a_number", "no_time"]


def test_times_that_float64_holds_one_by_one_and_not_together_are_no_time() -> None:
    decoded = read([{"n": "a", "v": 1, "bt": 1e308, "t": 1e308}, {"n": "b", "v": 1, "bt": 0}])

    assert (decoded.sensors, [one.reason for one in decoded.refused]) == (["b"], ["no_time"])


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"{}", "wrong_shape"), (b"1", "wrong_shape"), (b"", "not_json"), (b"[", "not_json"), (b"[\xff]", "not_utf8"),
        (b"\x81", "not_cbor"), (b"\xff", "not_cbor"), (b"\xa0", "wrong_shape"), (b"\xef\xbb\xbf[]", "not_cbor"),
        (b"[" * 10_000, "too_deep"), (b"\x81" * 10_000, "too_deep"), (b" " * 16_001, "too_large"),
        (b'[{"bver":11,"n":"a","v":1}]', "wrong_shape"), (b'[{"bver":"10","n":"a","v":1}]', "wrong_shape"),
        (b'[{"bver":0,"n":"a","v":1}]', "wrong_shape"), (b'[{"bver":10},{"bver":9}]', "wrong_shape"),
        (b'[{"n":"a","v":1},{"bver":9,"n":"b","v":1}]', "wrong_shape"), (b'[{"bver":9},{"bver":99}]', "wrong_shape"),
        (b"\x99" + (READINGS_MAX + 1).to_bytes(2, "big") + b"\xa0" * (READINGS_MAX + 1), "wrong_shape"),
    ],
)  # fmt: skip
def test_what_is_no_pack_is_refused_whole(payload: bytes, why: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read(payload)

    assert caught.value.reason == why


def test_cbor_may_have_decimal_fractions_other_labels_and_say_that_it_is_cbor() -> None:
    pack = [{-2: "a", 0: "b", 6: CBORTag(4, [-3, T * 1000 + 1]), 2: CBORTag(4, [-1, 15]), 99: "x", -99: "y", "n": "z"}]

    decoded = read(b"\xd9\xd9\xf7" + cbor2.dumps(pack), "canhbao/v1/gw-1/backfill/senml")

    assert (decoded.sensors, decoded.values, decoded.t) == (["az"], [1.5], [T * 1000 + 1])


def found(*pack: dict[str, Any], gateway: str = "gw-1") -> list[Any]:
    """Sensor and value of each reading in its quantity's unit, or the reason for which there is none."""
    decoded = read([{"bt": T}, *pack], f"canhbao/v1/{gateway}/readings/senml")
    looked = LOOKUP.resolve(decoded, arrival=NOW, clock_mode="wall", previous_arrival=0)
    ids = [list(REGISTRY.sensors)[number] for number in looked.sensor.tolist()]
    return [*zip(ids, looked.raw.tolist(), strict=True), *(one.reason for one in looked.refused)]


def test_the_resolved_name_is_the_sensor_or_what_its_decoder_says() -> None:
    base = {"bn": "urn:dev:ow:10e2073a01080063:"}

    assert found({**base, "n": "level", "u": "cm", "v": 120}) == [("urn:dev:ow:10e2073a01080063:level", 1.2)]
    assert found({"n": "urn:dev:mac:0024be804ff1/rh", "u": "%RH", "v": 80}) == [("humidity", 80.0)]
    assert found({"n": "humidity", "u": "%", "v": 80}) == [("humidity", 80.0)]
    assert found({"n": "nobody", "v": 80}) == ["unknown_sensor"]
    assert (
        found({"n": "humidity", "v": 1}, {"n": "urn:dev:mac:0024be804ff1/rh", "v": 1}, gateway="gw-2")
        == ["wrong_gateway"] * 2
    )


def test_the_registry_knows_the_unit_of_what_has_none() -> None:
    assert found({"n": "depth/x", "v": 35}, {"n": "depth/x", "v": 0.5, "u": "m"}) == [("depth", 0.35), ("depth", 0.5)]


def test_a_truth_fits_what_has_no_unit() -> None:
    assert found({"n": "mains", "vb": True}, {"n": "depth/x", "vb": True}) == [("mains", 1.0), "wrong_unit"]


def test_sums_are_for_those_who_ask_and_values_for_the_others() -> None:
    pack = [{"bs": 100, "n": "gauge", "v": 7, "u": "mm"}, {"n": "gauge", "s": 0.5}, {"n": "gauge", "v": 7, "s": "x"}]

    assert found(*pack) == [("rain", 100.0), ("rain", 100.5), "not_a_number"]
    assert found({"n": "humidity", "v": 50, "s": 1e9}) == [("humidity", 50.0)]


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6)), min_size=1, max_size=10),
       st.integers(T * 1000, T * 1000 + 10**9), st.integers(-(10**6), 10**6))  # fmt: skip
def test_base_and_own_part_add_up_in_the_decimals_that_were_written(
    rows: list[tuple[int, int]], base_ms: int, base: int
) -> None:
    pack = [{"n": "a", "t": dt / 1000, "v": v / 1000} for dt, v in rows]

    assert resolved({"bt": base_ms / 1000, "bv": base / 1000}, *pack) == [
        ("a", (base + v) / 1000, base_ms + dt, None) for dt, v in rows
    ]
