"""Signs of life: which sensors are heard of by what is refused or known already, and how little of it is kept."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import numpy as np
import pytest
import test_foreign
import test_senml
from numpy.typing import NDArray
from test_foreign import MESSAGE, TASMOTA, TELEGRAM, TTN, changed

from alerts.intake import worth_keeping
from ingest.formats import decode
from ingest.readings import NO_SIGNS, Int64, Readings, Signs

NOW = test_senml.NOW
RIVER = "urn:dev:ow:10e2073a01080063:level"
COLUMNS: dict[str, Any] = {"sensor": ["humidity", RIVER], "t0": NOW, "i": [1, 0, 7], "dt": [0, 1, 2],
                           "v": [float("inf"), 50.0, 1.0]}  # fmt: skip


def readings(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"readings": list(rows)}).encode()


def heard(kind: str, payload: bytes, gateway: str = "gw-1") -> list[str]:
    """Of whom there is a sign in a message on `…/{kind}`."""
    decoded = decode(
        f"canhbao/v1/{gateway}/{kind}", payload, retained=False, networks=test_senml.NETWORKS, arrival=NOW
    )  # fmt: skip
    resolved = test_senml.LOOKUP.resolve(decoded, arrival=NOW, clock_mode="wall", previous_arrival=0)
    return [list(test_senml.REGISTRY.sensors)[number] for number in resolved.signs.tolist()]


@pytest.mark.parametrize(
    "row",
    [{"t": NOW}, {"t": "noon", "v": 1}, {"v": 1}, {"t": NOW, "v": "x"}, {"t": NOW, "v": 999}, {"t": 0, "v": 1},
     {"t": NOW + 600_000, "v": 1}, {"t": NOW, "v": 1, "u": "kg"}, {"t": NOW, "v": 1, "u": 5}],
)  # fmt: skip
def test_a_sensor_whose_reading_is_refused_was_there(row: dict[str, Any]) -> None:
    mine, good = {"sensor": RIVER, **row}, {"sensor": "mains", "t": NOW, "v": 1}

    assert heard("readings", readings(mine, good, mine)) == [RIVER]
    assert heard("readings/cbor", cbor2.dumps({"readings": [mine, good]})) == [RIVER]
    assert heard("readings", readings(mine), "gw-2") == [], "it belongs to another gateway"


def test_what_names_no_sensor_of_ours_is_nobodys_sign() -> None:
    rows: list[Any] = [{"sensor": "nobody", "t": NOW, "v": 1}, {"sensor": 7, "t": NOW, "v": 1}, 5, {"t": NOW, "v": 1}]

    assert heard("readings", readings(*rows)) == []
    assert heard("readings", readings({"sensor": RIVER, "t": NOW, "v": 1.0})) == [], "a reading says it itself"


def test_columns_and_records_name_the_sensors_of_what_they_get_wrong() -> None:
    assert heard("readings/cbor", cbor2.dumps(COLUMNS)) == [RIVER]
    pack = [{"n": "urn:dev:mac:0024be804ff1/rh", "v": "x"}, {"n": RIVER, "v": True}, {"n": "gauge", "s": "x"},
            {"n": "mains", "t": "x", "v": 1}, {"v": 1}]  # fmt: skip
    assert heard("readings/senml", json.dumps(pack).encode()) == [RIVER, "humidity", "rain", "mains"]


def test_a_device_of_another_network_was_there_as_well() -> None:
    for topic, message, name in (
        (TTN, changed(MESSAGE, uplink_message__decoded_payload={"distance": "far"}), "river"),
        (TTN, changed(MESSAGE, uplink_message__decoded_payload={"distance": 900_000}), "river"),
        (TASMOTA, changed(TELEGRAM, ENERGY={"Voltage": "x"}), "mains"),
    ):
        resolved = test_foreign.looked_up(test_foreign.read(topic, message))
        assert [list(test_foreign.REGISTRY.sensors)[number] for number in resolved.signs.tolist()] == [name]


def signs(*rows: tuple[int, int]) -> Signs:
    columns: NDArray[np.int64] = np.array(rows, np.int64).reshape(-1, 2)
    return Signs(columns[:, 0].astype(np.int32), columns[:, 1].copy())


def rows_of(kept: Signs) -> list[tuple[int, int]]:
    return list(zip(kept.sensor.tolist(), kept.arrival.tolist(), strict=True))


def test_of_a_storm_one_sign_a_sensor_and_tick_is_kept_and_none_that_says_nothing_new() -> None:
    storm = signs(*[(sensor, 100_000 + ms) for ms in range(0, 20_000, 10) for sensor in range(3)])
    heard_at: Int64 = np.array([0, 0, 100_000])  # of the third the engine knows for the first of the two ticks
    own = Readings.of(sensor=[0], t=[105_000], value=[1.0], arrival=[105_000])  # the first brings a reading itself

    kept = worth_keeping(storm, own, heard_at)

    assert rows_of(kept) == [(1, 100_000), (0, 110_000), (1, 110_000), (2, 110_000)]
    assert rows_of(worth_keeping(kept, own, np.full(3, 110_000))) == []
    assert len(worth_keeping(NO_SIGNS, own, heard_at)) == 0
