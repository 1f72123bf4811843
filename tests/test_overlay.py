"""Devices that say only what has changed: what they left out stands, and what they never said is never made up."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from conftest import Tally
from test_foreign import (
    CHIRPSTACK_STATUS,
    CITY,
    DEVICE_STATUS,
    LOOKUP,
    NETWORKS,
    NOTICE,
    NOW,
    PREFIXES,
    REGISTRY,
    SHELLY,
)
from test_hostile import RULES, _json
from test_spine import World

from alerts.driving import Asked, Drive
from alerts.intake import offer
from ingest.entries import Batch, ClockMode, Position
from ingest.inbox import Message
from ingest.overlay import Overlay

IDS: Final = list(REGISTRY.sensors)
DEVICE: Final = "shelly/shellypro3em-f08cf9"
WILL: Final = "shellypro3em-f08cf9/online"
NAN: Final = math.nan


class Device:
    """Messages, each taken before the next is offered, or several at once."""

    def __init__(self, clock: ClockMode = "wall") -> None:
        self.overlay, self.clock, self.now = Overlay(REGISTRY, IDS), clock, NOW

    def bring(self, *messages: Message, keep: bool = True) -> list[tuple[str, int, float]]:
        """What they become, taken together: sensor, ms after NOW, value."""
        offered = offer(
            list(messages), LOOKUP, self.clock, now=self.now, last_arrival=NOW, networks=NETWORKS, overlay=self.overlay
        )
        if keep:
            self.overlay.keep(offered.stood)
        self.reasons = dict(offered.reasons)
        rows = []
        for one in offered.resolved:
            arrival = one.found.arrival.tolist()
            assert arrival == sorted(arrival)
            assert not arrival or one.found.last_arrival == arrival[-1]
            assert self.clock == "wall" or all(a >= t for a, t in zip(arrival, one.found.t.tolist(), strict=True))
            rows += zip([IDS[n] for n in one.found.sensor.tolist()], (one.found.t - NOW).tolist(),
                        one.found.raw.tolist(), strict=True)  # fmt: skip
        return rows

    def says(self, after_ms: int, *, keep: bool = True, method: str = "NotifyStatus", **components: Any) -> list[Any]:
        return self.bring(update(after_ms, method, **components), keep=keep)


def update(after_ms: int, method: str = "NotifyStatus", **components: Any) -> Message:
    """em: of em:0, switch: of switch:0."""
    params = {f"{name}:0": value for name, value in components.items()}
    notice = {**NOTICE, "method": method, "params": {"ts": (NOW + after_ms) / 1000, **params}}
    return Message(SHELLY, json.dumps(notice).encode(), False, 1, 1, 1)


def will(payload: bytes, *, retained: bool = False) -> Message:
    return Message(WILL, payload, retained, 1, 1, 1)


@pytest.fixture
def device() -> Device:
    return Device()


def test_what_an_update_leaves_out_is_read_again_at_its_time(device: Device) -> None:
    assert device.says(0, em={"a_voltage": 230.0}) == [("feeder", 0, 230.0)], "nothing is known of the relay"
    assert device.says(10, switch={"output": True, "voltage": 229.0}) == [
        ("relay", 10, 1.0), ("relay-v", 10, 229.0), ("feeder", 10, 230.0),
    ]  # fmt: skip
    assert device.says(20, wifi={"rssi": -50}) == [("feeder", 20, 230.0), ("relay", 20, 1.0), ("relay-v", 20, 229.0)]
    assert device.says(30, em={"a_voltage": 231.0}) == [
        ("feeder", 30, 231.0), ("relay", 30, 1.0), ("relay-v", 30, 229.0),
    ]  # fmt: skip


def test_in_one_turn_each_message_is_laid_over_those_before_it(device: Device) -> None:
    assert device.bring(update(0, em={"a_voltage": 230.0}), update(1, switch={"output": False})) == [
        ("feeder", 0, 230.0), ("relay", 1, 0.0), ("feeder", 1, 230.0),
    ]  # fmt: skip


def test_an_offer_that_is_not_taken_changes_nothing(device: Device) -> None:
    device.says(0, keep=False, em={"a_voltage": 230.0})
    assert device.says(1, switch={"output": False}) == [("relay", 1, 0.0)]


def test_an_older_update_that_comes_late_is_no_news_for_what_was_said_after_it(device: Device) -> None:
    device.says(0, em={"a_voltage": 230.0}, switch={"output": True})
    device.says(100, em={"a_voltage": 100.0})
    assert device.says(50, em={"a_voltage": 180.0}) == [("feeder", 50, 180.0)], "itself, at its own time"
    assert device.says(200, switch={"output": False}) == [("relay", 200, 0.0), ("feeder", 200, 100.0)]


def test_a_full_status_leaves_out_nothing_and_what_is_not_in_it_is_known_no_more(device: Device) -> None:
    device.says(0, em={"a_voltage": 230.0}, switch={"output": True})
    assert device.says(1, method="NotifyFullStatus", em={"a_voltage": 231.0}) == [("feeder", 1, 231.0)]
    assert device.says(2, wifi={}) == [("feeder", 2, 231.0)]


def test_events_are_no_updates(device: Device) -> None:
    device.says(0, em={"a_voltage": 230.0})
    assert device.says(1, method="NotifyEvent", events=[]) == []


@pytest.mark.parametrize("said", ["?", 1e9, [], math.inf])
def test_what_is_said_and_cannot_count_stands_no_more_and_is_not_made_up(device: Device, said: Any) -> None:
    device.says(0, em={"a_voltage": 230.0}, switch={"output": True})
    assert device.says(1, em={"a_voltage": said}) == [("relay", 1, 1.0)]
    assert sum(device.reasons.values()) == 1
    assert device.says(2, wifi={}) == [("relay", 2, 1.0)]
    assert not device.reasons, "refused once, not at every update"


def test_a_missing_value_stands_like_any_other(device: Device) -> None:
    device.says(0, em={"a_voltage": None})
    (again,) = device.says(1, wifi={})
    assert again[:2] == ("feeder", 1)
    assert math.isnan(again[2])


@pytest.mark.parametrize("after_ms", [4_102_444_800_000 - NOW, 300_001, -NOW])
def test_a_mad_time_blinds_nothing(device: Device, after_ms: int) -> None:
    device.says(0, em={"a_voltage": 230.0})
    assert device.says(after_ms, em={"a_voltage": 100.0}) == []
    assert device.says(after_ms, wifi={}) == []
    assert device.says(1, wifi={}) == [("feeder", 1, 230.0)]


def test_of_a_device_that_is_gone_nothing_stands(device: Device) -> None:
    device.says(0, em={"a_voltage": 230.0})
    device.bring(will(b"true", retained=True))
    assert device.says(1, wifi={}) == [("feeder", 1, 230.0)]
    assert device.bring(will(b"false"), update(2, switch={"output": True})) == [("relay", 2, 1.0)]


def test_an_update_of_the_same_time_is_not_kept_out_by_what_was_filled_in(device: Device) -> None:
    """Else the first of two readings of one time stands: the one that nobody measured."""
    device.says(0, em={"a_voltage": 230.0})
    assert device.says(10, switch={"output": False}) == [("relay", 10, 0.0), ("feeder", 10, 230.0)]
    for _ in range(2):  # and when it comes again it is the same reading
        assert device.says(10, em={"a_voltage": 0.0}) == [("feeder", 11, 0.0)]
    assert device.says(10, em={"a_voltage": 230.0})[0] == ("feeder", 10, 230.0), "what was filled in, now said"


def test_with_the_clock_of_the_data_what_is_filled_in_arrives_with_its_update() -> None:
    device = Device("data")
    device.says(0, em={"a_voltage": 230.0})
    assert len(device.says(5_000, switch={"output": False})) == 2
    assert device.says(5_000, em={"a_voltage": 1.0}) == [("feeder", 5_001, 1.0)]
    assert device.says(9_000, wifi={}) == [("feeder", 9_000, 1.0), ("relay", 9_000, 0.0)]


def _random_updates(seed: int) -> None:
    """Against a model that looks through everything that was said."""
    random, device = Random(seed), Device()
    said: dict[str, dict[int, float]] = {"feeder": {}, "relay-v": {}}
    filled: dict[str, dict[int, float]] = {"feeder": {}, "relay-v": {}}
    for n in range(3, 15):
        at = n * 20 - random.choice((0, 0, 0, 30, 50))  # some come late, or at the time of another
        volts = [random.choice((None, 0.0, 80.0, 160.0)) for _ in said]
        named = {"em": {"a_voltage": volts[0]}, "switch": {"voltage": volts[1]}}
        rows = {id_: (t, value) for id_, t, value in device.says(
            at, **{name: one for (name, one), value in zip(named.items(), volts, strict=True) if value is not None}
        )}  # fmt: skip
        for id_, value in zip(said, volts, strict=True):
            newest, fills = max(said[id_], default=None), filled[id_]
            if value is not None:
                taken = at == max(fills, default=None) and fills[at] != value
                assert rows[id_] == (at + taken, value)
                said[id_][at] = value
            elif newest is not None and newest < at and max(fills, default=-1) < at:
                assert rows[id_] == (at, said[id_][newest])
                fills[at] = said[id_][newest]
            else:
                assert id_ not in rows


def test_whatever_comes_in_whatever_order_only_what_was_said_is_filled_in(tally: Tally) -> None:
    tally.all_hold(_random_updates, few=300, many=100_000)


# --- through the whole of it -----------------------------------------------------------------------------------------


def batches(world: World) -> list[Batch]:
    return [entry for entry in world.entries() if isinstance(entry, Batch)]


def test_what_stands_is_in_the_journal_and_a_restart_waits_until_it_is_said_again(tmp_path: Path) -> None:
    world = World(tmp_path, city=CITY, rules=RULES, now=NOW + 1000, prefixes=PREFIXES)
    spine = world.start()
    for message in (update(0, em={"a_voltage": 230.0}), update(10, switch={"voltage": 200.0})):
        world.waiting = [message]
        spine.turn()
    assert [len(one.readings) for one in batches(world)] == [1, 2]
    spine = world.start()
    world.waiting = [update(20, switch={"voltage": 201.0})]
    spine.turn()
    world.end()
    assert [len(one.readings) for one in batches(world)] == [1, 2, 1]


def test_a_letter_that_is_driven_again_neither_reads_what_stands_nor_changes_it(tmp_path: Path) -> None:
    asked: list[Asked] = []
    world = World(tmp_path, city=CITY, rules=RULES, now=NOW + 1000, prefixes=PREFIXES,
                  asked=lambda: [asked.pop()] if asked else [])  # fmt: skip
    spine = world.start()
    world.waiting = [update(0, em={"a_voltage": 230.0}, switch={"output": True})]
    spine.turn()
    letter = update(5, em={"a_voltage": 100.0})
    asked.append(Asked(Drive(1, Position(1), NOW, letter.topic, letter.payload, "ops", corrected=True)))
    spine.turn()
    world.waiting = [update(10, wifi={})]
    spine.turn()
    world.end()
    assert [one.readings.raw.tolist() for one in batches(world)] == [[230.0, 1.0], [100.0], [230.0, 1.0]]


def test_devices_are_citizens_and_a_retained_will_is_no_letter(tmp_path: Path) -> None:
    world = World(tmp_path, city=CITY, rules=RULES, now=NOW + 1000, prefixes=PREFIXES)
    spine = world.start()
    lwt = Message("city/tele/NAME/LWT", b"Offline", True, 1, 3, 1)
    world.waiting = [will(b"true", retained=True), lwt, update(0, em={"a_voltage": 230.0}),
                     update(0, em={"a_voltage": 230.0}), update(0, em={"a_voltage": "x"}),
                     will(b"perhaps", retained=True), replace(lwt, topic="city/tele/STRANGER/LWT")]  # fmt: skip
    spine.turn()
    assert world.waiting == [], "the broker may forget each"
    spine._show()
    assert spine.view is not None
    states = {state.id: state for state in spine.view.devices}
    world.end()

    assert set(states) == set(NETWORKS.devices)
    assert "tasmota/STRANGER" not in states
    shelly, tasmota = states[DEVICE], states["tasmota/NAME"]
    assert (shelly.online, shelly.messages, shelly.duplicates, shelly.refused) == (True, 3, 1, 1)
    assert (tasmota.online, tasmota.status_at, tasmota.heard_at) == (False, NOW + 1000, None)
    assert [letter.reason for one in batches(world) for letter in one.refused] == ["not_a_number"]
    assert spine.counters['canhbao_refused_total{reason="wrong_shape"}'] == 1, "counted, and not kept"


def test_a_device_of_chirpstack_is_heard_by_its_status(tmp_path: Path) -> None:
    world = World(tmp_path, city=CITY, rules=RULES, now=NOW + 1000, prefixes=PREFIXES)
    spine = world.start()
    world.waiting = [Message(CHIRPSTACK_STATUS, _json(DEVICE_STATUS), False, 1, 1, 1)]
    spine.turn()
    spine._show()
    assert spine.view is not None
    (state,) = [state for state in spine.view.devices if state.heard_at is not None]
    world.end()
    assert (state.id, state.online, state.readings) == ("chirpstack/24e124713c141234", None, 1)
    assert batches(world)[0].readings.raw.tolist() == [90.5]
