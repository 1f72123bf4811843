"""What operators see of gateways and sensors that are not well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from faces import NOW, Town, serving, town_view

from alerts.watch.metrics import metrics_text, of_view
from alerts.web.app import create_app
from alerts.web.sources import Desks
from ingest.city import parse_city
from ingest.entries import Position
from ingest.gateways import GatewayState
from processing.transitions import LateBreach, Status

PATH = "/api/v1/health/sensors"
TOKEN = "0" * 32
CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[[gateway]]
id = "gw-well"
""" + "".join(
    f'[[sensor]]\nid = "{id_}"\nquantity = "rain"\narea = "20242"\nperiod = "60s"\n{gateway}\n'
    for id_, gateway in (
        ("a", 'gateway = "gw-1"'),
        ("b", 'gateway = "gw-1"'),
        ("c", 'gateway = "gw-2"'),
        ("d", 'gateway = "gw-2"'),
        ("e", ""),
        ("f", 'gateway = "gw-well"'),
        ("g", ""),
    )
) + "".join(
    f'[[sensor]]\nid = "{id_}"\nquantity = "voltage"\narea = "20242"\n'
    f'decoder = {{ network = "{network}", id = "{device}", field = "{field}" }}\n'
    for id_, network, device, field in (
        ("h", "shelly", "pump", "em:0.a_voltage"), ("i", "shelly", "pump", "em:0.b_voltage"),
        ("j", "tasmota", "Trạm", "ENERGY.Voltage"), ("k", "tasmota", "quiet", "ENERGY.Voltage"),
    )
)  # fmt: skip
STATUS = (Status.SILENT, Status.SILENT, Status.OK, Status.DELAYED, Status.NO_DATA, Status.OK, Status.OK,
          Status.OK, Status.SILENT, Status.OK, Status.OK)  # fmt: skip
LATE = [LateBreach("c", "rain-1h", NOW - 7_200_000 + n, 61.5, NOW - 60_000) for n in range(3)]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    states = (GatewayState("gw-1", False, NOW - 90_000, NOW - 95_000, 7, 12, 1, 2, 3, -250), GatewayState("gw-2"))
    devices = (GatewayState("shelly/pump", True, NOW - 90_000, NOW - 95_000, 7, 12, 1, 2, 3, -250),
               GatewayState("tasmota/Trạm", False, NOW - 90_000), GatewayState("tasmota/quiet"))  # fmt: skip
    town = Town(tmp_path, replace(town_view(parse_city(CITY)), status=STATUS, gateways=states, devices=devices))
    town.ledger.record(Position(1), NOW, late_breaches=LATE)
    yield town
    town.ledger.close()


@pytest.fixture
def client(town: Town) -> Iterator[httpx.Client]:
    app = create_app(replace(town.sources(), operators=Desks(TOKEN, None)))  # type: ignore[arg-type]  # no letters here
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serving(town, app) as url, httpx.Client(base_url=url, timeout=5, headers=headers) as asking:
        yield asking


def test_what_is_not_well_is_shown_by_gateway_and_nothing_else(client: httpx.Client) -> None:
    found = client.get(PATH).json()
    shown = {g["id"]: {s["id"]: s["status"] for s in g["sensors"]} for g in found["gateways"]}
    assert shown == {
        "gw-1": {"a": "silent", "b": "silent"}, "gw-2": {"d": "delayed"}, "": {"e": "no_data", "i": "silent"},
    }  # fmt: skip
    silent, mixed, _ = found["gateways"]
    assert (silent["online"], silent["clock_offset_ms"], silent["conflicts"]) == (False, -250, 3)
    assert silent["status_at"] == "2022-10-14T18:21:30.000+07:00"
    assert silent["statuses"] == {"silent": 2}
    assert mixed["statuses"] == {"ok": 1, "delayed": 1}
    assert (mixed["online"], mixed["heard"]) == (None, None)


def test_sensors_are_chosen_by_gateway_and_by_status(client: httpx.Client) -> None:
    def of(**query: str) -> list[str]:
        gateways = client.get(PATH, params=query).raise_for_status().json()["gateways"]
        return [sensor["id"] for gateway in gateways for sensor in gateway["sensors"]]

    assert of(gateway="gw-2") == ["d"]
    assert of(gateway="") == ["e", "i"]
    assert of(status="ok") == ["c", "f", "g", "h", "j", "k"]
    assert of(status="silent", gateway="gw-2") == []
    assert client.get(PATH, params={"status": "dead"}).status_code == 422


def test_a_gateway_that_is_away_is_shown_though_its_sensors_are_well_yet(town: Town, client: httpx.Client) -> None:
    assert [g["id"] for g in client.get(PATH, params={"gateway": "gw-well"}).json()["gateways"]] == ["gw-well"]
    town.view = replace(town.view, gateways=(GatewayState("gw-well", online=False),))
    away = client.get(PATH).json()["gateways"][-2]
    assert (away["id"], away["online"], away["sensors"], away["statuses"]) == ("gw-well", False, [], {"ok": 1})


def test_devices_of_other_networks_are_shown_that_are_away_or_have_a_sensor_that_is_shown(client: httpx.Client) -> None:
    def of(**query: str) -> dict[str, list[str]]:
        devices = client.get(PATH, params=query).raise_for_status().json()["devices"]
        return {device["id"]: device["sensors"] for device in devices}

    assert of() == {"shelly/pump": ["h", "i"], "tasmota/Trạm": ["j"]}
    assert of(status="silent") == {"shelly/pump": ["h", "i"]}
    assert of(status="ok") == {"shelly/pump": ["h", "i"], "tasmota/Trạm": ["j"], "tasmota/quiet": ["k"]}
    assert (of(gateway="gw-1"), of(gateway="")) == ({}, of())
    pump, away = client.get(PATH).json()["devices"]
    assert (pump["online"], pump["clock_offset_ms"], pump["conflicts"]) == (True, -250, 3)
    assert (away["online"], away["status_at"], away["heard"]) == (False, "2022-10-14T18:21:30.000+07:00", None)


def test_the_metrics_say_which_devices_are_there(town: Town) -> None:
    said = metrics_text(of_view(town.view))
    assert 'canhbao_device_online{device="shelly/pump"} 1\n' in said
    assert 'canhbao_device_online{device="tasmota/Trạm"} 0\n' in said
    assert "canhbao_device_heard_timestamp_seconds" in said
    assert "tasmota/quiet" not in said


def test_late_dangers_are_shown_the_newest_first_as_many_as_asked_for(client: httpx.Client) -> None:
    late = client.get(PATH, params={"late": 2}).json()["late_breaches"]
    assert len(late) == 2
    assert late[0] == {"sensor": "c", "rule": "rain-1h", "at": "2022-10-14T16:23:00.002+07:00", "value": 61.5,
                       "arrival": "2022-10-14T18:22:00.000+07:00"}  # fmt: skip
    assert client.get(PATH, params={"late": 501}).status_code == 422


def test_nobody_else_sees_it(client: httpx.Client) -> None:
    assert client.get(PATH, headers={"Authorization": "Bearer 1"}).status_code == 401
