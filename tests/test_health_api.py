"""What operators see of gateways and sensors that are not well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from faces import NOW, Town, serving, town_view

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
)
STATUS = (Status.SILENT, Status.SILENT, Status.OK, Status.DELAYED, Status.NO_DATA, Status.OK, Status.OK)
LATE = [LateBreach("c", "rain-1h", NOW - 7_200_000 + n, 61.5, NOW - 60_000) for n in range(3)]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    states = (GatewayState("gw-1", False, NOW - 90_000, NOW - 95_000, 7, 12, 1, 2, 3, -250), GatewayState("gw-2"))
    town = Town(tmp_path, replace(town_view(parse_city(CITY)), status=STATUS, gateways=states))
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
    assert shown == {"gw-1": {"a": "silent", "b": "silent"}, "gw-2": {"d": "delayed"}, "": {"e": "no_data"}}
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
    assert of(gateway="") == ["e"]
    assert of(status="ok") == ["c", "f", "g"]
    assert of(status="silent", gateway="gw-2") == []
    assert client.get(PATH, params={"status": "dead"}).status_code == 422


def test_a_gateway_that_is_away_is_shown_though_its_sensors_are_well_yet(town: Town, client: httpx.Client) -> None:
    assert [g["id"] for g in client.get(PATH, params={"gateway": "gw-well"}).json()["gateways"]] == ["gw-well"]
    town.view = replace(town.view, gateways=(GatewayState("gw-well", online=False),))
    away = client.get(PATH).json()["gateways"][-2]
    assert (away["id"], away["online"], away["sensors"], away["statuses"]) == ("gw-well", False, [], {"ok": 1})


def test_late_dangers_are_shown_the_newest_first_as_many_as_asked_for(client: httpx.Client) -> None:
    late = client.get(PATH, params={"late": 2}).json()["late_breaches"]
    assert len(late) == 2
    assert late[0] == {"sensor": "c", "rule": "rain-1h", "at": "2022-10-14T16:23:00.002+07:00", "value": 61.5,
                       "arrival": "2022-10-14T18:22:00.000+07:00"}  # fmt: skip
    assert client.get(PATH, params={"late": 501}).status_code == 422


def test_nobody_else_sees_it(client: httpx.Client) -> None:
    assert client.get(PATH, headers={"Authorization": "Bearer 1"}).status_code == 401
