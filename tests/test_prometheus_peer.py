"""Grafana's questions, asked of us and of a real Prometheus with the same readings: the same answers.

What differs on purpose is written down in docs/reference/prometheus.md, and is tested here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from conftest import Tally
from faces import NOW, Town, serving, town_view
from kept_readings import as_readings, of_city, open_metrics, weather
from prometheus_peer import a_query, a_selector, a_slip, left_open, prometheus
from servers import SERVERS

from alerts.web.app import create_app
from alerts.web.sources import Desks
from ingest.city import City, parse_city
from ingest.entries import Position
from ingest.history.duckdb import DuckStore

pytestmark = pytest.mark.server("prometheus")
TOKEN = "0" * 32
HOUR = 3_600_000
END = NOW // HOUR * HOUR
CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[area]]
code = "20260"
name = "Cẩm Lệ"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
""" + "".join(
    f'[[sensor]]\nid = "{id_}"\nquantity = "{quantity}"\narea = "{area}"\nperiod = "{period}"\n{gateway}\n'
    for id_, quantity, area, period, gateway in (
        ("r-1", "rain", "20242", "60s", 'gateway = "gw-1"'),
        ("r-2", "rain", "20242", "60s", 'gateway = "gw-2"'),
        ("r-3", "rain", "20260", "60s", ""),
        ("w-1", "water_level", "20242", "150s", 'gateway = "gw-1"'),
        ("w-2", "water_level", "20260", "60s", 'gateway = "gw-2"'),
        ("co2-1", "co2", "20260", "60s", ""),
        ("co2-2", "co2", "20242", "60s", 'gateway = "gw-2"'),
    )
)


@contextmanager
def ours(folder: Path, city: City, kept: DuckStore) -> Iterator[httpx.Client]:
    """The routes over the embedded history."""
    town = Town(folder, town_view(city))
    desks = Desks(TOKEN, None)  # type: ignore[arg-type]  # no letters here
    app = create_app(replace(town.sources(), operators=desks, history=kept))
    with serving(town, app) as url:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"{url}/prometheus/api/v1", headers=headers, timeout=30) as client:
            yield client
    town.ledger.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """We, and the peer."""
    city = parse_city(CITY)
    kept = of_city(city)
    weather(kept, END - 8 * HOUR, END, seed=7)
    program = SERVERS["prometheus"].program()
    assert program is not None
    folder = tmp_path_factory.mktemp("prometheus")
    history = DuckStore(folder / "history.duckdb", city.timezone)
    history.append(*as_readings(kept), Position(1))
    with (
        closing(history),
        prometheus(program, folder, open_metrics(city, kept)) as url,
        httpx.Client(base_url=url, timeout=30) as peer,
        ours(folder, city, history) as us,
    ):
        yield us, peer


def answers(both: tuple[httpx.Client, httpx.Client], path: str, **asked: Any) -> tuple[httpx.Response, httpx.Response]:
    us, peer = both
    narrower = {**asked, "query": left_open(asked["query"])} if "query" in asked else asked
    return us.post(path, data=asked), peer.post(path, data=narrower)


def same(us: httpx.Response, peer: httpx.Response) -> bool:
    """Status, kind and data; the order of series is nobody's promise. Numbers but for the last bits of long sums."""
    ours, theirs = us.json(), peer.json()
    if us.status_code != peer.status_code or ours.get("errorType") != theirs.get("errorType"):
        return False
    if ours["status"] == "error":
        return True
    if ours["data"]["resultType"] != theirs["data"]["resultType"]:
        return False
    return same_points(points(ours["data"]), points(theirs["data"]))


def same_points(us: dict[frozenset[Any], list[tuple[float, float]]], peer: dict[frozenset[Any], Any]) -> bool:
    if us.keys() != peer.keys():
        return False
    return all(
        len(line) == len(peer[labels])
        and all(t == u and math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
                for (t, a), (u, b) in zip(line, peer[labels], strict=True))
        for labels, line in us.items()
    )  # fmt: skip


def points(data: dict[str, Any]) -> dict[frozenset[Any], list[tuple[float, float]]]:
    if data["resultType"] == "scalar":
        return {frozenset(): [(data["result"][0], float(data["result"][1]))]}
    return {
        frozenset(one["metric"].items()): [(t, float(v)) for t, v in one.get("values", [one.get("value")])]
        for one in data["result"]
    }


@pytest.mark.parametrize(
    "query",
    [
        "rain", 'rain{sensor="r-1"}', 'rain_flag{area=~"2024."}', "sum_over_time(rain[1h])", "avg(rain)", "co2",
        "avg_over_time(water_level[10m])", "max by (area) (max_over_time(rain[30m]))", "count by (unit) (rain)",
        'last_over_time(rain_flag{gateway=""}[7m])', 'min_over_time({__name__=~"rain|co2"}[5m])',
        'sum by (area, __name__) ({sensor=~".+"})', "1+1", " 1 + 1 # Grafana's", "count_over_time(rain[2ms])",
    ],
)  # fmt: skip
def test_the_same_at_one_time_and_over_time(both: tuple[httpx.Client, httpx.Client], query: str) -> None:
    """The times lie just on readings, so that an end of a window on the wrong side is seen."""
    for at in (END - 2 * HOUR, END - 2 * HOUR + 1, END + 299_999 - 60_000, END - HOUR + 30_500):
        asked = {"query": query, "time": at / 1000}
        us, peer = answers(both, "/query", **asked)
        assert same(us, peer), (asked, us.text[:2000], peer.text[:2000])
    for step in ("60", "37.5", "15s", "5m", "2h", "1e4"):
        asked = {"query": query, "start": (END - 4 * HOUR) / 1000, "end": (END + HOUR) / 1000, "step": step}
        us, peer = answers(both, "/query_range", **asked)
        assert same(us, peer), (asked, us.text[:2000], peer.text[:2000])


def test_the_same_for_random_questions(both: tuple[httpx.Client, httpx.Client], tally: Tally) -> None:
    some = 0
    for seed in tally.seeds(150, 5_000):
        chance = Random(seed)
        end = chance.choice((END, END - HOUR, END + 200_000)) + chance.choice((0, 0, 1, 59_999, 60_000))
        start, step = end - chance.randrange(6 * HOUR), chance.choice((1, 15, 60, 60, 300, 3600, 77.7))
        asked = {"query": a_query(chance), "start": start / 1000, "end": end / 1000, "step": step}
        with tally.trial():
            us, peer = answers(both, "/query_range", **asked)
            if us.status_code == 422 and "500,000" in us.text:
                continue
            assert same(us, peer), (asked, us.text[:2000], peer.text[:2000])
            some += us.status_code == 200 and us.json()["data"]["result"] != []
    assert some > 50, "most questions have an answer"


def test_what_we_cannot_read_nobody_can_and_what_we_answer_is_the_same(
    both: tuple[httpx.Client, httpx.Client], tally: Tally
) -> None:
    seen = {200: 0, 400: 0, 422: 0}
    for seed in tally.seeds(200, 5_000):
        asked = {"query": a_slip(Random(seed)), "time": (END - HOUR) / 1000}
        with tally.trial():
            us, peer = answers(both, "/query", **asked)
            seen[us.status_code] += 1
            if us.status_code == 200:
                assert same(us, peer), (asked, us.text[:2000], peer.text[:2000])
            elif us.status_code == 400:
                assert peer.status_code == 400, (asked, us.text, peer.text[:2000])
            else:
                assert us.json()["errorType"] == "execution"
    assert min(seen.values()) > 10, seen


def test_series_labels_and_values_are_the_same_where_every_series_has_samples(
    both: tuple[httpx.Client, httpx.Client], tally: Tally
) -> None:
    us, peer = both
    within = {"start": (END - 8 * HOUR) / 1000, "end": END / 1000}
    for seed in tally.seeds(30, 500):
        chance = Random(seed)
        selectors = [a_selector(chance) for _ in range(chance.choice((1, 2)))]
        # The service's own metrics, which have no sensor, are ours alone.
        matches = [
            f'{name}{{sensor!="",{inside or "}"}' for name, _, inside in (one.partition("{") for one in selectors)
        ]
        with tally.trial():
            for path in ("/series", "/labels", "/label/sensor/values", "/label/__name__/values", "/label/none/values"):
                asked = {**within, "match[]": matches}
                found, expected = us.get(path, params=asked), peer.get(path, params=asked)
                assert found.status_code == expected.status_code, (path, asked, found.text, expected.text)
                if found.status_code == 200:
                    assert _sorted(found.json()["data"]) == _sorted(expected.json()["data"]), (path, asked)


def _sorted(data: list[Any]) -> list[Any]:
    return (
        sorted(data, key=repr) if not data or isinstance(data[0], str) else sorted(sorted(one.items()) for one in data)
    )
