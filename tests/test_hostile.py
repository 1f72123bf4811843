"""Whatever is sent in whatever format: nothing crashes or hangs, each refusal has its reason, and neighbours count."""

from __future__ import annotations

import json
import math
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import cbor2
import pytest
from cbor2 import CBORTag
from conftest import Tally
from test_foreign import (
    CHIRPSTACK,
    CHIRPSTACK_STATUS,
    CITY,
    DEVICE_STATUS,
    MESSAGE,
    NOTICE,
    NOW,
    PREFIXES,
    SHELLY,
    TASMOTA,
    TELEGRAM,
    TTN,
    UPLINK,
)
from test_senml import NUMBERS
from test_spine import World

from ingest import letter_quota
from ingest.city import parse_city
from ingest.entries import Batch
from ingest.formats import REASONS, Decoded, Refusal, RefusedError, cbor, decode, largest, presence, sender_of
from ingest.inbox import Message
from ingest.lookup import Lookup, Resolved
from ingest.networks import Networks
from ingest.overlay import Overlay, Stood
from ingest.readings import Flag

OURS: Final = '[[gateway]]\nid = "gw-1"\n[[sensor]]\nid = "rain-1"\nquantity = "rain"\narea = "1"\nperiod = "60s"\n'
REGISTRY = parse_city(CITY + OURS)
NETWORKS = Networks.of(REGISTRY, PREFIXES)
LOOKUP = Lookup(REGISTRY, list(REGISTRY.sensors))
STANDING: Final = {n: 100.0 + n for n, id_ in enumerate(REGISTRY.sensors) if id_ in ("feeder", "relay", "relay-v")}
STOOD = Overlay(REGISTRY, list(REGISTRY.sensors))
STOOD.keep({n: Stood(NOW - 60_000, raw, 2) for n, raw in STANDING.items()})
TOPIC: Final = "canhbao/v1/gw-1/readings"
BOOT: Final = "9f0c31d2a7b84e65"
READINGS: Final = {"boot": BOOT, "seq": 7, "first": 3, "readings": [
    {"sensor": "rain-1", "t": NOW, "v": 0.2}, {"sensor": "rain-1", "t": "2025-10-27T00:39:00Z", "v": None, "u": "mm"},
]}  # fmt: skip
COLUMNS: Final = {"boot": BOOT, "seq": 7, "sensor": ["rain-1", "x"], "t0": NOW, "i": [0, 1, 0], "dt": [0, 5, 9],
                  "v": [0.2, None, 1]}  # fmt: skip
PACK: Final = [{"bn": "rain-", "bt": 1.7615256e9, "bu": "mm", "n": "1", "v": 0.2}, {"n": "1", "t": -60, "v": 1, "s": 5},
               {"n": "x", "vb": True}, {"n": "1", "vs": "wet"}, {"bver": 10}]  # fmt: skip


UPDATE: Final = {**NOTICE, "params": {"ts": NOW / 1000, "switch:0": {"id": 0, "output": True}, "wifi": {"rssi": -50}}}


@dataclass(frozen=True)
class Format:
    topic: str
    samples: tuple[bytes, ...]
    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]


def in_json(topic: str, *samples: Any) -> Format:
    return Format(topic, tuple(_json(sample) for sample in samples), json.loads, _json)


def in_cbor(topic: str, *samples: Any) -> Format:
    typed = cbor.encode_columns(["rain-1"] * 5, range(NOW, NOW + 5), [0.1, 0.2, 0.3, 0.4, 0.5], boot=BOOT, seq=8)
    more = (typed,) if topic.endswith("cbor") else ()
    return Format(topic, (*map(cbor2.dumps, samples), *more), cbor2.loads, cbor2.dumps)


_ENCODER: Final = json.JSONEncoder(default=repr, skipkeys=True)


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


FORMATS: Final = {
    "native": in_json(TOPIC, READINGS, READINGS["readings"][0]),
    "cbor": in_cbor(f"{TOPIC}/cbor", READINGS, COLUMNS),
    "senml-json": in_json(f"{TOPIC}/senml", PACK),
    "senml-cbor": in_cbor(
        f"{TOPIC}/senml", [{NUMBERS[label]: value for label, value in record.items()} for record in PACK]
    ),
    "chirpstack": in_json(CHIRPSTACK, UPLINK),
    "chirpstack-status": in_json(CHIRPSTACK_STATUS, DEVICE_STATUS),
    "ttn": in_json(TTN, MESSAGE),
    "tasmota": in_json(TASMOTA, TELEGRAM),
    "shelly": in_json(SHELLY, NOTICE, {**NOTICE, "method": "NotifyFullStatus"}, UPDATE),
}
WILLS: Final = {  # topic -> what is said there: off, on
    "city/tele/NAME/LWT": (b"offline", b"online"), "canhbao/v1/gw-1/status": (b"offline", b"online"),
    "shellypro3em-f08cf9/online": (b"false", b"true"),
}  # fmt: skip
JUNK: Final = (
    None, True, False, 0, -1, 0.5, 1e308, math.nan, math.inf, 2**63, -(2**64), 10**30, 10**320, "", "x", "\0", "\u202e",
    "3.4 V", "1200 mm", "2100-01-01T00:00:00Z", 4_102_444_800_000, "NaN", [], {}, [[]], {"v": 1}, [1, 2], "1" * 300,
    "ngập", b"\xff", CBORTag(4, [500, 1]), CBORTag(4, [-2, 15]), CBORTag(2, b"\xff" * 40), CBORTag(35, "(a+)+$"),
    cbor2.undefined, CBORTag(86, bytes(24)), CBORTag(69, bytes(6)), CBORTag(28, [1]), CBORTag(0, "x"), CBORTag(1, 5),
)  # fmt: skip
KEYS: Final = ("v", "t", "n", "s", "bn", "bv", "bs", "bver", "x_", "batteryLevel", "switch:0", "history", "timestamp",
               "depth_error", "position", "", 5, -2, "\0")  # fmt: skip


def junk(random: Random) -> Any:
    """One of JUNK, not shared: what it is put into is changed further."""
    chosen = random.choice(JUNK)
    return chosen.copy() if isinstance(chosen, (list, dict)) else chosen


def structured(random: Random, form: Format) -> bytes:
    """A sample with some of its parts gone, doubled or something else."""
    document = [form.loads(random.choice(form.samples))]
    for _ in range(random.randint(1, 4)):
        at: Any = document
        while True:
            key = random.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if not (isinstance(at[key], (dict, list)) and at[key]) or random.random() < 0.2:
                break
            at = at[key]
        change = random.random()
        if change < 0.6:
            at[key] = junk(random)
        elif change < 0.75 and len(at) > 1:
            del at[key]
        elif isinstance(at, dict):
            at[random.choice(KEYS)] = at[key] if change < 0.9 else junk(random)
        elif at is not document:
            at.append(at[key])
        if not document:
            document.append(None)
    return form.dumps(document[0])


def damaged(random: Random, form: Format) -> bytes:
    """A sample with some of its bytes changed, gone, doubled or taken from elsewhere."""
    payload = bytearray(random.choice(form.samples))
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(payload) + 1)
        change = random.random()
        if change < 0.4:
            payload[at : at + 1] = bytes([random.randrange(256)])
        elif change < 0.6:
            del payload[at : at + random.randint(1, 9)]
        elif change < 0.8:
            payload[at:at] = payload[at : at + random.randint(1, 30)]
        else:
            payload[at:at] = random.choice(
                (b"1e999", b"NaN", b"[[[", b"\xff", b"\x9f", b"\xbf", b"\xc6", b'":', b"\0\0", b"-")
            )
    return bytes(payload)


_OUR_UNITS: Final = str.maketrans("", "", "°µ")


def _is_fit_to_print(refusal: Refusal | RefusedError) -> None:
    assert refusal.reason in REASONS
    assert refusal.detail.isprintable()
    assert refusal.detail.isascii() or refusal.detail.translate(_OUR_UNITS).isascii()
    assert len(refusal.detail) < 400


def survives(topic: str, payload: bytes) -> list[str]:
    """The reasons of its refusals; whatever else comes is as the next room expects it."""
    try:
        decoded = decode(topic, payload, retained=False, networks=NETWORKS, arrival=NOW)
    except RefusedError as error:
        _is_fit_to_print(error)
        return [error.reason]
    resolved = LOOKUP.resolve(decoded, arrival=NOW, clock_mode="wall", previous_arrival=NOW)
    _lies_over_what_stood(decoded, resolved)
    rows = len(decoded.sensors)
    assert rows == len(decoded.t) == len(decoded.values) == len(decoded.units)
    assert len(decoded.flags) in (0, rows)
    assert len(resolved.t) + len(resolved.refused) == rows + len(decoded.refused)
    assert len(resolved.flag) == len(resolved.t)
    assert len({one.index for one in resolved.refused}) == len(resolved.refused)
    for t, raw in zip(resolved.t.tolist(), resolved.raw.tolist(), strict=True):
        assert 946_684_800_000 <= t <= NOW + 300_000
        assert not math.isinf(raw)
    for one in resolved.refused:
        _is_fit_to_print(one)
    return [one.reason for one in resolved.refused]


def _lies_over_what_stood(decoded: Decoded, resolved: Resolved) -> None:
    """Whatever it is, what it says stays as it was; what is laid under it stood before, and is said nowhere in it."""
    draft = STOOD.draft()
    laid = draft.lay(decoded, resolved, "wall")
    said = len(resolved.t)
    assert laid.sensor.tolist()[:said] == resolved.sensor.tolist()
    assert laid.t.tolist()[:said] == resolved.t.tolist()
    assert laid.raw.tolist()[said:] == [STANDING[n] for n in laid.sensor.tolist()[said:]]
    assert not set(laid.sensor.tolist()[said:]) & set(resolved.sensor.tolist())
    assert {decoded.update_t} >= set(laid.t.tolist()[said:])
    assert len(laid.arrival) == len(laid.flag) == len(laid.t)
    assert len(draft.changes) <= len(STANDING), "bounded by what is registered"


def tried(mistreated: Callable[[Random, Format], bytes], name: str, seed: int) -> None:
    survives(FORMATS[name].topic, mistreated(Random(seed), FORMATS[name]))


@pytest.mark.parametrize("name", FORMATS)
def test_no_message_of_wrong_parts_brings_a_decoder_down(name: str, tally: Tally) -> None:
    tally.all_hold(partial(tried, structured, name), few=10_000, many=1_000_000)


@pytest.mark.parametrize("name", FORMATS)
def test_no_message_of_wrong_bytes_brings_a_decoder_down(name: str, tally: Tally) -> None:
    tally.all_hold(partial(tried, damaged, name), few=10_000, many=1_000_000)


def said_of_itself(topic: str, seed: int) -> None:
    """On, off, or refused with a reason that can be printed: of a device that is registered nothing else."""
    random, words = Random(seed), WILLS[topic]
    payload = bytearray(random.choice(words))
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(payload) + 1)
        put = random.choice((b"", b"\0", b" ", b"\xff", bytes([random.randrange(256)])))
        payload[at : at + random.randint(0, 1)] = put
    word, found = bytes(payload).strip().lower(), None
    try:
        found = presence(topic, bytes(payload), NETWORKS)
    except RefusedError as error:
        _is_fit_to_print(error)
    assert (found is None) == (word not in words)
    if found is not None:
        assert found[0] in ("tasmota/NAME", "shelly/shellypro3em-f08cf9", "gw-1")
        assert words[found[1]] == word


@pytest.mark.parametrize("topic", WILLS)
def test_no_will_brings_a_decoder_down(topic: str, tally: Tally) -> None:
    tally.all_hold(partial(said_of_itself, topic), few=2_000, many=1_000_000)


@pytest.mark.parametrize("name", FORMATS)
def test_the_samples_themselves_are_read(name: str) -> None:
    for sample in FORMATS[name].samples:
        assert not set(survives(FORMATS[name].topic, sample)) - {"unknown_sensor", "not_a_number"}


def bombs(form: Format) -> dict[str, bytes]:
    sample = form.samples[0]
    return {
        "1 MiB": sample + b" " * 2**20, "1 MiB of brackets": b"[" * 2**20, "1 MiB of CBOR arrays": b"\x81" * 2**20,
        "1 MiB of quotes": b'"' * 2**20, "deep": b"[" * 100_000, "deep objects": b'{"a":' * 15_000,
        "deep enough": b"[" * 15_000, "deep CBOR": b"\x81" * 15_000, "deep tags": b"\xc6" * 15_000,
        "indefinite": b"\x9f" * 15_000, "indefinite text": b"\x7f" + b"\x61a" * 7_000,
        "long": b"\x9b" + b"\xff" * 15_000,
        "long map": b"\xbb\0\0\0\xff" + bytes(15_000), "huge int": b"[" + b"9" * 15_000 + b"]",
        "big number": b"\xc2\x59\x3a\x98" + b"\xff" * 15_000,
        "many keys": b"[{" + b'"a":1,' * 2_000 + b'"a":1}]',
        "many ints": b"[" + b"1," * 7_000 + b"1]", "many CBOR ints": b"\x99\x3a\x98" + b"\x01" * 15_000,
        "keys that collide": b"\xb9\x06\x00" + b"".join(
            b"\x1b" + (n * (2**61 - 1) % 2**64).to_bytes(8, "big") + b"\0" for n in range(1536)),
        "empty": b"", "NUL": b"\0" * 15_000, "escapes": b'"' + b"\\u0000" * 2_500 + b'"',
        "surrogates": b'["' + b"\\ud800" * 2_500 + b'"]', "NaN": b"NaN", "Infinity": b"[-Infinity]", "1e400": b"1e400",
    }  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_made_to_exhaust_us_is_refused_at_little_cost(name: str) -> None:
    form = FORMATS[name]
    for what, payload in bombs(form).items():
        tracemalloc.start()
        began = time.process_time()
        reasons = survives(form.topic, payload)
        took_s, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert reasons, what
        assert took_s < 2.0, what
        assert peak < 8 * 2**20, (what, peak)


# --- through the whole of it -----------------------------------------------------------------------------------------

RULES = """
[[rule]]
name = "wet"
hazard = "rain"
quantity = "rain"
statistic = "last"
levels = { advisory = 5 }
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1 }
[[rule]]
name = "volts"
hazard = "power"
quantity = "voltage"
statistic = "last"
levels = { advisory = 240 }
clear_by = 2.0
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { advisory = 1.5 }
[[rule]]
name = "battery"
hazard = "power"
quantity = "battery"
statistic = "last"
direction = "below"
levels = { advisory = 30 }
clear_by = 2.0
"""
YEAR_2100_S: Final = 4_102_444_800
YEAR_2100: Final = "2100-01-01T00:00:00Z"
HALF_PAST: Final = "2025-10-27T00:40:00.5Z"


def native(t: Any, v: float) -> Any:
    return {"readings": [{"sensor": "rain-1", "t": t, "v": v}]}


# Format -> a message of the year 2100, and one of now, at a moment that no rubbish has, that reaches a level.
SOON: Final = NOW + 500
IN_TIME: Final = {
    "native": (native(YEAR_2100, 9), native(SOON, 9)),
    "cbor": ({**COLUMNS, "t0": YEAR_2100_S * 1000}, {"sensor": ["rain-1"], "t0": SOON, "i": [0], "dt": [0], "v": [9]}),
    "senml-json": ([{"n": "rain-1", "t": YEAR_2100_S, "v": 9}], [{"n": "rain-1", "t": SOON / 1000, "v": 9}]),
    "senml-cbor": ([{0: "rain-1", 6: YEAR_2100_S, 2: 9}], [{0: "rain-1", 6: SOON / 1000, 2: 9}]),
    "chirpstack": ({**UPLINK, "time": YEAR_2100}, {**UPLINK, "time": HALF_PAST, "object": {"depth": 55}}),
    "ttn": (
        {**MESSAGE, "uplink_message": {**MESSAGE["uplink_message"], "received_at": YEAR_2100}},
        {**MESSAGE, "uplink_message": {**MESSAGE["uplink_message"], "received_at": HALF_PAST,
                                         "decoded_payload": {"distance": 900}}},
    ),
    "chirpstack-status": ({**DEVICE_STATUS, "time": YEAR_2100},
                          {**DEVICE_STATUS, "time": HALF_PAST, "batteryLevel": 20}),
    "tasmota": ({**TELEGRAM, "Time": YEAR_2100}, {**TELEGRAM, "Time": HALF_PAST, "ENERGY": {"Voltage": 250}}),
    "shelly": ({**NOTICE, "params": {**NOTICE["params"], "ts": YEAR_2100_S}},
               {**NOTICE, "params": {**NOTICE["params"], "ts": SOON / 1000, "em:0": {"a_voltage": 250}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_one_reading_of_the_year_2100_and_much_rubbish_blind_nothing(name: str, tmp_path: Path) -> None:
    form, random = FORMATS[name], Random(name)
    far, near = map(form.dumps, IN_TIME[name])
    rubbish = [b for b in bombs(form).values() if len(b) < 65_536]
    rubbish += [b for b in (damaged(random, form) for _ in range(100)) if survives(form.topic, b)]
    world = World(tmp_path, city=CITY + OURS, rules=RULES, now=NOW + 1000, prefixes=PREFIXES)
    spine = world.start()
    payloads = [*rubbish, far, near, *rubbish]
    world.waiting = [Message(form.topic, each, False, 1, n, 1) for n, each in enumerate(payloads)]
    spine.turn()
    world.end()

    at = "2025-10-27T00:40:00.500Z"
    assert world.waiting == []  # each is on disk, and the broker may forget it
    batch = next(entry for entry in world.entries() if isinstance(entry, Batch))
    kept = {letter.payload for letter in batch.refused}
    assert kept >= {each[: largest(sender_of(form.topic, NETWORKS)) + 1] for each in (*rubbish, far)}
    assert "from_the_future" in {letter.reason for letter in batch.refused if letter.payload == far}
    assert int(batch.readings.t.max()) <= NOW + 300_000
    world.start()
    assert any(told["at"] == at and told["to"] == 1 for told in map(json.loads, world.told()))
    world.end()


def test_what_a_device_thinks_of_its_own_values_is_written_down(tmp_path: Path) -> None:
    aslant = {**MESSAGE["uplink_message"], "decoded_payload": {"distance": 2116, "position": "tilt"}}
    world = World(tmp_path, city=CITY + OURS, rules=RULES, now=NOW + 1000, prefixes=PREFIXES)
    spine = world.start()
    world.waiting = [Message(TTN, _json({**MESSAGE, "uplink_message": aslant}), False, 0, 1, 1)]
    spine.turn()
    world.end()

    readings = next(entry for entry in world.entries() if isinstance(entry, Batch)).readings
    assert readings.flag.tolist() == [Flag.SUSPECT]
    assert readings.value.tolist() == pytest.approx([3.0 - 2.116])


def test_a_time_relative_to_now_is_counted_from_the_arrival(tmp_path: Path) -> None:
    world = World(tmp_path, city=CITY + OURS, rules=RULES, now=NOW + 1000, prefixes=PREFIXES)
    spine = world.start()
    world.waiting = [Message(f"{TOPIC}/senml", _json([{"n": "rain-1", "t": -60, "v": 1}]), False, 1, 1, 1)]
    spine.turn()
    world.end()

    readings = next(entry for entry in world.entries() if isinstance(entry, Batch)).readings
    assert (readings.t - NOW).tolist() == [1000 - 60_000]


def test_a_network_full_of_strangers_takes_no_room_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letter_quota, "QUOTA_BYTES", 2_000)
    world = World(tmp_path, city=CITY + OURS, rules=RULES, now=NOW, prefixes=PREFIXES)
    spine = world.start()
    strangers = [Message("city/tele/x/SENSOR", b"{}", False, 1, n, 1) for n in range(30)]
    nobodys = [Message("canhbao/v1/gw-9/readings", b"1", False, 1, 99, 1)]
    world.waiting = [*strangers, *nobodys]
    spine.turn()
    world.end()

    letters = next(entry for entry in world.entries() if isinstance(entry, Batch)).refused
    assert {letter.gateway for letter in letters} == {"network:tasmota", "gw-9"}
    assert len(letters) == 10
    assert spine.counters['canhbao_dead_letters_dropped_total{gateway="network:tasmota"}'] == 21
