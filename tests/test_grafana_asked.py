"""Every query of every dashboard, asked: of the service's Prometheus endpoint and of the stand-in for InfluxDB, over
the same readings; what a panel shows is then the same in both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

import httpx
import numpy as np
import pytest
from boards import expanded, scene
from brokers import until
from faces import NOW, Town, serving, town_view
from influx_server import InfluxServer
from kept_readings import KeptReadings, as_readings, of_city

from alerts.web.app import create_app
from alerts.web.sources import Desks
from grafana import promql
from grafana.queries import Query, dashboards, queries
from ingest.entries import Position
from ingest.history.influx import InfluxStore
from ingest.history.influx_client import Address, InfluxClient
from ingest.quantity import metric_name
from ingest.readings import Flag

TOKEN = "0" * 32
MINUTE = 60_000
STEP = 5 * MINUTE
SHORT = "[3m]", "period: 3m"  # a window shorter than the step: Flux's begin at the steps, those of PromQL end there
END = NOW - NOW % STEP + STEP  # a whole step, as Grafana aligns the ends of a range
START = END - 30 * MINUTE
VARIABLES = {"area": ".*", "sensor": ".*"}
Values: TypeAlias = dict[tuple[str, int], float]  # (sensor or area, ms) -> value


@pytest.fixture(scope="module")
def kept() -> KeptReadings:
    """25 h of every sensor, every 45 min and at last every minute, never on a whole one; flags of all kinds."""
    city = scene().city
    kept = of_city(city)
    chance = np.random.default_rng(7)
    for id_ in kept.names:
        t = np.concatenate([np.arange(END - 25 * 60 * MINUTE, START, 45 * MINUTE), np.arange(START, END, MINUTE)])
        t = t + 13_000  # windows of one language begin where the other's end: nothing lies on that border
        flag = chance.choice([Flag.GOOD, Flag.SUSPECT, Flag.FAIL, Flag.MISSING], len(t), p=[0.8, 0.1, 0.05, 0.05])
        value = np.round(chance.gamma(0.5, 2.0, len(t)), 1)
        kept.keep(id_, t, np.where(flag == Flag.MISSING, np.nan, value), flag.astype(np.uint8))
    return kept


@pytest.fixture(scope="module")
def endpoint(kept: KeptReadings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    town = Town(tmp_path_factory.mktemp("town"), town_view(scene().city))
    desks = Desks(TOKEN, None)  # type: ignore[arg-type]  # no letters here
    app = create_app(replace(town.sources(), operators=desks, history=kept))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serving(town, app) as url,
        httpx.Client(base_url=f"{url}/prometheus/api/v1", headers=headers, timeout=30) as asking,
    ):
        until(
            lambda: asking.get("/series", params={"match[]": "canhbao_sensors"}).json()["data"], "no metrics are kept"
        )
        yield asking
    town.ledger.close()


@pytest.fixture(scope="module")
def influx(kept: KeptReadings) -> Iterator[InfluxServer]:
    with InfluxServer(TOKEN, bucket="canhbao") as server:
        store = InfluxStore(InfluxClient(Address(server.url, "city", "canhbao", TOKEN)), scene().city.timezone)
        readings, names = as_readings(kept)
        assert store.append(readings, names, Position(1)) == len(readings)
        store.close()
        yield server


def listed(kind: Any) -> list[Query]:
    return queries(dashboards(scene(kind), ["en"]))


def step(query: Query) -> int:
    return MINUTE if any(window in query.text for window in SHORT) else STEP


def by_prometheus(asking: httpx.Client, query: Query) -> Values:
    text = expanded(query.text, variables=VARIABLES, interval=f"{step(query) // MINUTE}m")
    if query.now:
        answer = asking.post("/query", data={"query": text, "time": END / 1000})
    else:
        asked = {"query": text, "start": START / 1000, "end": END / 1000, "step": step(query) / 1000}
        answer = asking.post("/query_range", data=asked)
    assert answer.status_code == 200, f"{text}: {answer.text}"
    found: Values = {}
    for one in answer.json()["data"]["result"]:
        name = one["metric"].get("sensor") or one["metric"].get("area") or str(one["metric"])
        for t, value in one.get("values") or [one["value"]]:
            found[name, 0 if query.now else round(t * 1000)] = float(value)
    return found


def by_flux(server: InfluxServer, query: Query) -> list[dict[str, str]]:
    start, stop = (datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for ms in (START, END))
    text = expanded(query.text, variables=VARIABLES, interval=f"{step(query) // MINUTE}m", start=start, stop=stop)
    body = {"query": text, "type": "flux", "dialect": {"annotations": []}}
    answer = httpx.post(f"{server.url}/api/v2/query?org=city", json=body, headers={"Authorization": f"Token {TOKEN}"})
    assert answer.status_code == 200, f"{text}: {answer.text}"
    return list(csv.DictReader(line for line in answer.text.splitlines() if line))


def values(rows: list[dict[str, str]], *, now: bool) -> Values:
    found = {
        (row.get("sensor") or row["area"],
         0 if now else round(datetime.fromisoformat(row["_time"]).timestamp() * 1000)): float(row["_value"])
        for row in rows
    }  # fmt: skip
    assert len(found) == len(rows)  # one value a moment
    return found


def test_every_query_is_answered_by_our_endpoint(endpoint: httpx.Client) -> None:
    metrics = {metric_name(name) for name in scene().city.quantities}
    for query in listed("prometheus"):
        if query.variable:
            selector = expanded(query.text, variables=VARIABLES, interval="").removeprefix("label_values(")
            asked = {"match[]": selector.rpartition(", ")[0], "start": START / 1000, "end": END / 1000}
            answer = endpoint.get("/label/sensor/values", params=asked)
            assert len(answer.json()["data"]) >= 2, answer.text
            continue
        found = by_prometheus(endpoint, query)
        measured = promql.check(query.text).removesuffix("_flag") in metrics
        one = query.board == "canhbao-sensor-en"  # a question a quantity; any of them may be of another sensor
        assert found or not measured or one, query


def test_every_question_has_the_same_answer_in_both_languages(endpoint: httpx.Client, influx: InfluxServer) -> None:
    compared = 0
    answers: dict[tuple[str, str], tuple[Values, Values]] = {}
    for mine, its in zip(listed("prometheus"), listed("influxdb"), strict=True):
        assert (mine.board, mine.panel, mine.ref, mine.variable) == (its.board, its.panel, its.ref, its.variable)
        if its.source == "prometheus" or (its.text, mine.text) in answers:
            continue
        if its.variable:
            assert len(by_flux(influx, its)) >= 2
            continue
        asked, found = by_prometheus(endpoint, mine), values(by_flux(influx, its), now=its.now)
        answers[its.text, mine.text] = asked, found
        if its.now:
            assert asked == pytest.approx(found), its
        else:  # Flux has neither the first step, whose window lies before the chart, nor the last
            inside = {key: value for key, value in asked.items() if START < key[1] < END}
            found = {key: value for key, value in found.items() if START < key[1] < END}
            assert inside == pytest.approx(found), its
        compared += len(found)
    assert compared > 700
