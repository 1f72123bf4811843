"""Our own JSON: encode and decode undo each other, and whatever else comes is refused with its reason."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.formats import Decoded, RefusedError, decode, gateway_of
from ingest.formats.decoded import PAYLOAD_BYTES_MAX, READINGS_MAX, SHOWN_CHARACTERS_MAX, Numbering
from ingest.formats.documents import DEPTH_MAX, json_document
from ingest.formats.message import SEQ_MAX, decoded_message
from ingest.formats.native import encode
from ingest.formats.times import rfc3339_ms

TOPIC = "canhbao/v1/gw-1/readings"
BOOT = "9f0c31d2a7b84e65"
T = 1_761_525_600_000
GOOD = {"sensor": "rain-1", "t": T, "v": 0.2}


def read(payload: bytes | str | dict[str, Any] | list[Any], topic: str = TOPIC) -> Decoded:
    if not isinstance(payload, (bytes, str)):
        payload = json.dumps(payload)
    return decode(topic, payload.encode() if isinstance(payload, str) else payload, retained=False)


def reason(payload: bytes | str | dict[str, Any] | list[Any], topic: str = TOPIC) -> str:
    with pytest.raises(RefusedError) as caught:
        read(payload, topic)
    return caught.value.reason


def refused(reading: Any) -> str:
    """The reason for which a reading between two good ones is refused, alone."""
    before, after = dict(GOOD, sensor="before"), dict(GOOD, sensor="after")
    decoded = read({"readings": [before, reading, after]})
    assert decoded.sensors == ["before", "after"]
    assert list(decoded.indices()) == [0, 2]
    assert [refusal.index for refusal in decoded.refused] == [1]
    return decoded.refused[0].reason


def test_the_message_of_the_contract_is_read() -> None:
    payload = (
        b'{"boot":"9f0c31d2a7b84e65","seq":1041,"first":1040,'
        b'"readings":[{"sensor":"rain-hai-chau-1","t":1761525600000,"v":0.2}]}'
    )

    assert read(payload) == Decoded(
        "gw-1", BOOT, 1041, 1040, sensors=["rain-hai-chau-1"], t=[T], values=[0.2], units=[None]
    )
    assert encode(["rain-hai-chau-1"], [T], [0.2], boot=BOOT, seq=1041, first=1040) == payload


def test_a_simple_device_sends_one_bare_reading() -> None:
    assert read(GOOD) == Decoded("gw-1", sensors=["rain-1"], t=[T], values=[0.2], units=[None])


def test_a_bare_reading_that_is_wrong_is_refused_as_a_reading() -> None:
    decoded = read({"sensor": "rain-1", "t": T, "v": "0.2"})

    assert [(refusal.reason, refusal.index) for refusal in decoded.refused] == [("not_a_number", 0)]


def test_a_parked_seq_comes_empty() -> None:
    assert read({"boot": BOOT, "seq": 7, "readings": []}).numbering == Numbering(BOOT, 7, None)


@pytest.mark.parametrize("more", [{}, {"firmware": "read the slow way"}])
def test_what_fills_a_hole_below_first_is_owed_its_receipt(more: dict[str, str]) -> None:
    decoded = read({"boot": BOOT, "seq": 1039, "first": 1041, "readings": [], **more})

    assert decoded.numbering == Numbering(BOOT, 1039, 1039)


def test_null_is_a_missing_value_and_keeps_its_place() -> None:
    decoded = read({"readings": [GOOD, dict(GOOD, v=None)]})

    assert math.isnan(decoded.values[1])
    assert not decoded.refused


@pytest.mark.parametrize("v", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "9" * 5000, "1e999999"])
def test_what_json_or_float64_cannot_hold_is_not_a_number(v: str) -> None:
    decoded = read('{"readings":[{"sensor":"a","t":1,"v":%s},{"sensor":"b","t":1,"v":2}]}' % v)  # noqa: UP031  # braces

    assert decoded.sensors == ["b"]
    assert [(refusal.reason, refusal.index) for refusal in decoded.refused] == [("not_a_number", 0)]


@pytest.mark.parametrize("v", ["1.5", "", True, False, [], [1], {}, {"v": 1}])
def test_a_value_of_another_type_is_not_a_number(v: object) -> None:
    assert refused(dict(GOOD, v=v)) == "not_a_number"


@pytest.mark.parametrize(
    "t",
    [
        None, True, 1.0, 1761525600000.5, "1761525600000", "", "2025-10-27", "2025-10-27T00:40:00", "27/10/25 00:40",
        "2025-10-27T00:40:00.1234567890Z", "2025-02-30T00:00:00Z", "2025-10-27T24:00:00Z", "2025-10-27T00:00:61Z",
        "2025-10-27T00:00:00+24:00", "2025-10-27T00:00:00+07:60", "2025-10-27T00:00:00+0700", "٢٠٢٥-10-27T00:00:00Z",
        "0000-01-01T00:00:00Z", "2025-10-27T00:00:00Z ", "now", [1], {},
    ],
)  # fmt: skip
def test_a_time_without_zone_or_sense_is_no_time(t: object) -> None:
    assert refused(dict(GOOD, t=t)) == "no_time"


def test_a_reading_without_a_time_has_no_time() -> None:
    assert refused({"sensor": "rain-1", "v": 1}) == "no_time"


@pytest.mark.parametrize(
    "reading", [None, 1, "x", [], [GOOD], {}, {"t": T, "v": 1}, dict(GOOD, sensor=5), {"sensor": "rain-1", "t": T}]
)
def test_a_reading_of_another_shape_is_refused_alone(reading: object) -> None:
    assert refused(reading) == "wrong_shape"


@pytest.mark.parametrize("u", [5, True, [], {}])
def test_a_unit_is_text(u: object) -> None:
    assert refused(dict(GOOD, u=u)) == "wrong_unit"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2025-10-27T00:40:00Z", T),
        ("2025-10-27T07:40:00+07:00", T),
        ("2025-10-26t19:40:00-05:00", T),
        ("2025-10-27 00:40:00z", T),
        ("2025-10-27T00:40:00.123456789Z", T + 123),
        ("2025-10-27T00:40:00.9999Z", T + 999),
        ("2025-10-27T00:40:00.5-00:00", T + 500),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
    ],
)
def test_times_of_rfc_3339_are_floored_to_milliseconds(text: str, ms: int) -> None:
    assert rfc3339_ms(text) == ms
    assert read({"readings": [dict(GOOD, t=text)]}).t == [ms]


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001  # the zone is drawn beside it
    st.integers(-1439, 1439),
)
def test_any_moment_in_any_zone_is_understood(moment: datetime, offset_minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))

    assert rfc3339_ms(aware.isoformat()) == (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "payload",
    [
        [], 1, "text", None, {}, {"readings": None}, {"readings": {}}, {"readings": "x"}, {"t": T, "v": 1},
        {"readings": [GOOD], **GOOD},
        {"boot": BOOT, "readings": []}, {"seq": 1, "readings": []}, {"first": 1, "readings": []},
        {"boot": BOOT[1:], "seq": 1, "readings": []}, {"boot": "g" * 16, "seq": 1, "readings": []},
        {"boot": "a" * 65, "seq": 1, "readings": []}, {"boot": 5, "seq": 1, "readings": []},
        {"boot": BOOT + "\n", "seq": 1, "readings": []},
        {"boot": BOOT, "seq": 0, "readings": []}, {"boot": BOOT, "seq": -1, "readings": []},
        {"boot": BOOT, "seq": 1.0, "readings": []}, {"boot": BOOT, "seq": "1", "readings": []},
        {"boot": BOOT, "seq": True, "readings": []}, {"boot": BOOT, "seq": SEQ_MAX + 1, "readings": []},
        {"boot": BOOT, "seq": 10**500, "readings": []},
        {"boot": BOOT, "seq": 5, "first": 0, "readings": []}, {"boot": BOOT, "seq": 5, "first": -1, "readings": []},
        {"boot": BOOT, "seq": 5, "first": 1.0, "readings": []}, {"boot": BOOT, "seq": 5, "first": True, "readings": []},
    ],
)  # fmt: skip
def test_a_message_of_another_shape_is_refused_whole(payload: Any) -> None:
    assert reason(json.dumps(payload)) == "wrong_shape"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"readings":[]} x', "not_json"),
        (b"\xef\xbb\xbf" + b'{"readings":[]}', "not_json"),
        (b'{"readings":[{"sensor":"a\nb","t":1,"v":1}]}', "not_json"),
        (b'{"readings":[{"sensor":"\xff","t":1,"v":1}]}', "not_utf8"),
        (b'{"readings":[{"sensor":"\xed\xa0\x80","t":1,"v":1}]}', "not_utf8"),
        (b'{"other":"\xff","readings":[]}', "not_utf8"),
        (b"[" * 15_000, "too_deep"),
        (b'{"a":' * 3_000, "too_deep"),
        (b'{"readings":[],"x":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}", "too_deep"),
        (b'{"readings":[{"sensor":"a","t":1,"v":1,"x":' + b"[" * 20 + b"]" * 20 + b"}]}", "too_deep"),
        (b'{"readings":[{"sensor":"a","t":1,"v":1,"x":"\xff"}]}', "not_utf8"),
        (b" " * (PAYLOAD_BYTES_MAX + 1), "too_large"),
        (b'{"readings":[' + b"1," * READINGS_MAX + b"1]}", "wrong_shape"),
    ],
)
def test_what_is_not_a_message_is_refused_whole(payload: bytes, why: str) -> None:
    assert reason(payload) == why


def test_brackets_within_text_are_not_depth() -> None:
    payload = json.dumps({"readings": [GOOD], "note": '\\" [[{{' * 100})

    assert read(payload).sensors == ["rain-1"]


def test_a_message_may_be_exactly_as_large_as_allowed() -> None:
    payload = json.dumps({"readings": [GOOD]}).encode().ljust(PAYLOAD_BYTES_MAX)

    assert read(payload).sensors == ["rain-1"]


def test_unknown_keys_are_left_alone() -> None:
    decoded = read({"firmware": {"v": [1]}, "readings": [dict(GOOD, rssi=-70)]})

    assert (decoded.sensors, decoded.refused) == (["rain-1"], [])


@pytest.mark.parametrize("extra", ["", ',"rssi":-70'])  # the fast way and the slow one
def test_a_key_that_stands_twice_counts_with_its_last_value(extra: str) -> None:
    decoded = read('{"readings":[],"readings":[{"sensor":"a","sensor":"b","t":1,"t":2,"v":"x","v":3%s}]}' % extra)  # noqa: UP031  # braces

    assert (decoded.sensors, decoded.t, decoded.values) == (["b"], [2], [3.0])


def test_a_refused_message_keeps_its_number_where_it_can_be_read() -> None:
    with pytest.raises(RefusedError) as caught:
        read({"boot": BOOT, "seq": 9, "first": 3, "readings": "gone"})

    assert caught.value.numbering == Numbering(BOOT, 9, 3)


@pytest.mark.parametrize("id_", ["\0", "\ud800", "\u202eevil", "x" * 15_000, "\x1b[31m", "ngập"])
def test_what_a_device_calls_itself_is_never_echoed_raw(id_: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read({"readings": id_})

    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) < SHOWN_CHARACTERS_MAX + 80
    assert read({"readings": [dict(GOOD, sensor=id_)]}).sensors == [id_]


@pytest.mark.parametrize(
    "topic",
    [
        "", "readings", "canhbao/v1/readings", "canhbao/v1/gw-1", "canhbao/v1/gw-1/", "canhbao/v1/gw-1/status",
        "canhbao/v1/gw-1/readings/", "canhbao/v1/gw-1/readings/cobol", "canhbao/v2/gw-1/readings",
        "canhbao/v1/GW/readings", "canhbao/v1//readings", "canhbao/v1/alerts/readings", "canhbao/v1/collector/readings",
        f"canhbao/v1/{'g' * 33}/readings", "x/canhbao/v1/gw-1/readings", "canhbao/v1/\u202e/readings",
    ],
)  # fmt: skip
def test_on_other_topics_no_readings_are_expected(topic: str) -> None:
    assert reason({"readings": [GOOD]}, topic) == "wrong_shape"


def test_the_old_spool_has_a_topic_of_its_own() -> None:
    assert read(GOOD, "canhbao/v1/gw-1/backfill").gateway == "gw-1"


def test_a_retained_reading_is_no_news() -> None:
    with pytest.raises(RefusedError) as caught:
        decode(TOPIC, json.dumps(GOOD).encode(), retained=True)

    assert caught.value.reason == "retained"
    assert caught.value.numbering is None


@pytest.mark.parametrize("readings", [[GOOD], "broken"])
def test_a_retained_message_is_owed_the_receipt_of_its_number(readings: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        decode(TOPIC, json.dumps({"boot": BOOT, "seq": 7, "first": 3, "readings": readings}).encode(), retained=True)

    assert caught.value.reason == "retained"
    assert caught.value.numbering == Numbering(BOOT, 7, 3)


def test_the_gateway_stands_in_the_topic() -> None:
    assert gateway_of("canhbao/v1/gw-1/readings/cbor") == "gw-1"
    assert gateway_of("canhbao/v1/alerts/20242/flood") == ""
    assert gateway_of("application/1/device/2/event/up") == ""


def test_an_infinite_value_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="infinite"):
        encode(["a"], [T], [math.inf])


rows = st.tuples(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.one_of(st.just(math.nan), st.floats(allow_nan=False, allow_infinity=False)),
    st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=4)),
)
numberings = st.one_of(
    st.none(),
    st.builds(
        lambda boot, seq, back: Numbering(boot, seq, None if back is None else max(1, seq - back)),
        st.text("0123456789abcdef", min_size=16, max_size=32),
        st.integers(1, SEQ_MAX),
        st.one_of(st.none(), st.integers(0, 1000)),
    ),
)


def encoded(readings: Sequence[tuple[str, int, float, str | None]], numbering: Numbering | None) -> bytes:
    sensors, t, values, units = map(list, zip(*readings, strict=True)) if readings else ([], [], [], [])
    if numbering is None:
        return encode(sensors, t, values, units)
    return encode(sensors, t, values, units, boot=numbering.boot, seq=numbering.seq, first=numbering.first)


@given(st.lists(rows, max_size=30), numberings)
def test_decode_undoes_encode(readings: list[tuple[str, int, float, str | None]], numbering: Numbering | None) -> None:
    payload = encoded(readings, numbering)
    assume(len(payload) <= PAYLOAD_BYTES_MAX)

    decoded = read(payload)

    assert decoded.numbering == numbering
    assert not decoded.refused
    assert (decoded.sensors, decoded.t, decoded.units) == tuple([row[n] for row in readings] for n in (0, 1, 3))
    assert list(map(repr, decoded.values)) == [repr(row[2]) for row in readings]  # NaN is NaN, -0.0 is not 0.0


def outcome(payload: bytes) -> str:
    """What comes of it, readable and comparable; anything but RefusedError breaks the test."""
    try:
        return repr(read(payload))
    except RefusedError as error:
        return repr(error)


def slow_outcome(payload: bytes) -> str:
    try:
        return repr(decoded_message("gw-1", json_document(payload)))
    except RefusedError as error:
        return repr(error)


@given(st.binary(max_size=200))
def test_no_bytes_bring_the_decoder_down(payload: bytes) -> None:
    outcome(payload)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["readings", "sensor", "t", "v", "u", "boot", "seq", "first", "x"]), inner),
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_json_brings_the_decoder_down(value: Any) -> None:
    outcome(json.dumps(value).encode())


@given(st.lists(rows, max_size=5), numberings, st.data())
def test_a_damaged_message_is_read_alike_on_the_fast_way_and_the_slow_one(
    readings: list[tuple[str, int, float, str | None]], numbering: Numbering | None, data: st.DataObject
) -> None:
    payload = bytearray(encoded(readings, numbering))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        some = data.draw(st.sampled_from([b"", b"}", b"]", b'"', b",", b"0", b"1e9", b"null", b"\xff", b"\\", b"-"]))
        payload[at : at + data.draw(st.integers(0, 4))] = some

    assert outcome(bytes(payload)) == slow_outcome(bytes(payload))
