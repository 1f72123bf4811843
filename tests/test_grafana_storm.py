"""Every query of every dashboard over the storm of 14 October 2022: its heaviest hours go through the spine into the
journal, from there into the embedded history, and are asked for at its height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import httpx
import pytest
from boards import default_text, expanded, scene
from brokers import until
from faces import Town, serving
from test_spine import World

from alerts.web.app import create_app
from alerts.web.sources import Desks
from firmware_sim.fleet import city_toml, fleet
from firmware_sim.play import storm_portions
from firmware_sim.storm import BEGIN_MS, HOUR_MS, MINUTE_MS
from grafana import promql
from grafana.queries import Query, dashboards, queries
from ingest.city import parse_city
from ingest.entries import Position
from ingest.history.duckdb import DuckStore
from ingest.history.follow import Follower
from ingest.history.store import Keep
from ingest.inbox import Message
from ingest.quantity import metric_name
from processing.rules import DEFAULT_RULES_FILE

TOKEN = "0" * 32
END = BEGIN_MS + 19 * HOUR_MS  # 20:00 in Da Nang: the wettest hour is over
START = END - 60 * MINUTE_MS
STEP = 5 * MINUTE_MS
RULES = DEFAULT_RULES_FILE.read_text("utf-8")
FLEET = fleet(parse_city(default_text()), 2022)
CITY = city_toml(FLEET, parse_city(default_text()))
VARIABLES = {"area": ".*", "sensor": ".*"}


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("storm"), city=CITY, rules=RULES, clock="data")
    spine = world.start()
    for portion in storm_portions(FLEET, START - HOUR_MS, END):
        world.waiting = [Message(f"canhbao/v1/{gateway}/readings", one, False, 1, n, 1)
                         for n, (gateway, one) in enumerate(portion, 1)]  # fmt: skip
        spine.turn()
    spine.end()
    return world


@pytest.fixture(scope="module")
def endpoint(storm: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = DuckStore(tmp_path_factory.mktemp("history") / "history.duckdb", parse_city(CITY).timezone)
    follower = Follower(storm.folder / "journal", store, Keep(400, 800), lambda: Position(2**62), Random(1))
    while follower.step():
        pass
    spine = storm.start()
    assert spine.view is not None
    town = Town(tmp_path_factory.mktemp("town"), spine.view)
    desks = Desks(TOKEN, None)  # type: ignore[arg-type]  # no letters here
    app = create_app(replace(town.sources(), operators=desks, history=store))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serving(town, app) as url,
        httpx.Client(base_url=f"{url}/prometheus/api/v1", headers=headers, timeout=60) as asking,
    ):
        until(
            lambda: asking.get("/series", params={"match[]": "canhbao_sensors"}).json()["data"], "no metrics are kept"
        )
        yield asking
    town.ledger.close()
    store.close()
    storm.end()


def asked(endpoint: httpx.Client, query: Query) -> list[float]:
    text = expanded(query.text, variables=VARIABLES, interval="5m")
    if query.now:
        answer = endpoint.post("/query", data={"query": text, "time": END / 1000})
    else:
        span = {"query": text, "start": START / 1000, "end": END / 1000, "step": STEP / 1000}
        answer = endpoint.post("/query_range", data=span)
    assert answer.status_code == 200, f"{text}: {answer.text}"
    found = answer.json()["data"]["result"]
    return [float(value) for one in found for _, value in one.get("values") or [one["value"]]]


@pytest.mark.slow
def test_the_storm_is_on_every_panel(endpoint: httpx.Client) -> None:
    measured = {metric_name(sensor.quantity.name) for sensor in parse_city(CITY).sensors.values()}
    seen: dict[str, list[float]] = {}
    for query in queries(dashboards(scene("prometheus", CITY, RULES), ["en"])):
        if query.variable or query.text in seen:
            continue
        values = seen[query.text] = asked(endpoint, query)
        metric = promql.check(query.text).removesuffix("_flag")
        assert values or metric not in measured or query.board == "canhbao-sensor-en", query

    hours = [max(values) for text, values in seen.items() if "rain" in text and "[1h]" in text and values]
    assert max(hours) > 80.0  # an emergency by the default rules
    assert len(seen) > 100
