"""What a public sensor has measured, asked over real sockets of a server that asks a real store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import MINUTE, NOW, Town, serving, town_city, town_view

from alerts.web import asking
from ingest.entries import Position
from ingest.history.duckdb import DuckStore
from ingest.history.store import Named, Points, StoreError
from ingest.readings import Readings

HOUR = 60 * MINUTE
RAIN, CO2 = "rain-20242-0", "school-20242-co2"
DAY = "from=2022-10-14T00:00:00%2B07:00&to=2022-10-15T00:00:00%2B07:00"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Ten minutes of rain in every hour of two days, one of them failed, one missing; and a classroom."""
    made = Town(tmp_path, town_view(town_city()))
    store = DuckStore(tmp_path / "history.duckdb", made.view.city.timezone)
    midnight = 1_665_680_400_000
    t = [midnight + hour * HOUR + minute * MINUTE for hour in range(-24, 18) for minute in range(10)]
    value = [float("nan") if n % 10 == 9 else 0.2 * (n % 10) for n in range(len(t))]
    flag = [9 if n % 10 == 9 else 4 if n % 10 == 8 else 1 for n in range(len(t))]
    rain = Readings.of(sensor=[0] * len(t), t=t, value=value, flag=flag)
    store.append(rain, {0: Named(RAIN, "rain", "mm", "20242", "")}, Position(1))
    store.append(
        Readings.of(sensor=[0], t=[NOW - 1], value=[900.0]), {0: Named(CO2, "co2", "ppm", "20242", "")}, Position(2)
    )
    made.history = store
    yield made
    store.close()
    made.ledger.close()


@pytest.fixture
def client(town: Town) -> Iterator[httpx.Client]:
    with serving(town) as url, httpx.Client(base_url=f"{url}/api/v1/sensors/", timeout=20) as client:
        yield client


def got(client: httpx.Client, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_reading_with_its_flag_of_the_last_day_up_to_now(client: httpx.Client) -> None:
    shown = got(client, f"{RAIN}/readings")

    assert {name: shown[name] for name in ("sensor", "quantity", "unit", "every_s", "next", "buckets")} == {
        "sensor": RAIN, "quantity": "rain", "unit": "mm", "every_s": None, "next": None, "buckets": None,
    }  # fmt: skip
    assert shown["since"] == "2022-10-13T18:23:00.001+07:00"
    assert len(shown["readings"]) == 23 * 10
    assert shown["readings"][0] == {"at": "2022-10-13T19:00:00.000+07:00", "value": 0.0, "flag": 1}
    assert shown["readings"][8:10] == [
        {"at": "2022-10-13T19:08:00.000+07:00", "value": 1.6, "flag": 4},
        {"at": "2022-10-13T19:09:00.000+07:00", "value": None, "flag": 9},
    ]


def test_buckets_of_a_stretch_are_whole_and_in_the_citys_time(client: httpx.Client) -> None:
    hours = got(client, f"{RAIN}/readings?{DAY}&every=1h")
    days = got(client, f"{RAIN}/readings?from=1665700000000&every=1d&to=2022-10-20T00:00:00Z")

    assert len(hours["buckets"]) == 18
    first = hours["buckets"][0]
    assert first == {
        "start": "2022-10-14T00:00:00.000+07:00", "count": 8, "mean": pytest.approx(0.7), "min": 0.0,
        "max": pytest.approx(1.4), "sum": pytest.approx(5.6), "last": pytest.approx(1.4), "flag": 4,
    }  # fmt: skip
    assert (days["since"], days["every_s"]) == ("2022-10-14T00:00:00.000+07:00", 86400)
    assert [(row["start"], row["count"]) for row in days["buckets"]] == [("2022-10-14T00:00:00.000+07:00", 18 * 8)]


@pytest.mark.parametrize(("every", "rows"), [("", "readings"), ("&every=1m", "buckets"), ("&every=6h", "buckets")])
def test_pages_follow_each_other_without_a_gap(client: httpx.Client, every: str, rows: str) -> None:
    asked = f"{RAIN}/readings?{DAY}{every}"
    whole, pages, page = got(client, asked)[rows], [], got(client, f"{asked}&limit=97")
    while True:
        pages += page[rows]
        assert len(page[rows]) <= 97
        if page["next"] is None:
            break
        page = got(client, f"{asked}&limit=97&cursor={page['next']}")

    assert pages == whole
    assert whole


def test_what_is_not_public_or_unknown_is_not_there(client: httpx.Client) -> None:
    for id_ in (CO2, "nobody", "x'--"):
        answer = client.get(f"{id_}/readings")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_sensor_shows_only_what_it_measured_as_what_it_is(client: httpx.Client, town: Town) -> None:
    assert isinstance(town.history, DuckStore)
    was = Named(RAIN, "co2", "ppm", "20242", "")  # in a room, before it was hung out in the rain
    town.history.append(Readings.of(sensor=[0], t=[NOW - 1], value=[900.0]), {0: was}, Position(3))

    assert all(row["value"] != 900.0 for row in got(client, f"{RAIN}/readings")["readings"])
    assert all(row["max"] != 900.0 for row in got(client, f"{RAIN}/readings?every=1h")["buckets"])


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("every=7m", "every"), ("every=0m", "every"), ("every=2d", "every"), ("every=1", "every"), ("from=x", "from"),
        ("from=1665700000", "from"), ("to=1900-01-01T00:00:00Z", "to"), ("to=9999-01-01T00:00:00Z", "to"),
        ("from=2022-10-15T00:00:00Z&to=2022-10-14T00:00:00Z", "from"), ("from=2022-10-15T00:00:00", "from"),
        ("limit=0", "limit"), ("limit=10001", "limit"), ("cursor=abc", "cursor"), ("form=1665700000000", "form"),
        ("every=1d&to=2022-10-14T00:00:00Z&cursor=2022-10-20T00:00:00Z", "cursor"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_told_what_is_wrong(client: httpx.Client, query: str, name: str) -> None:
    answer = client.get(f"{RAIN}/readings?{query}")

    assert answer.status_code == 422
    assert name in answer.json()["detail"]


def test_an_answer_bears_its_tag_and_is_not_sent_twice(client: httpx.Client) -> None:
    asked = f"{RAIN}/readings?{DAY}&every=1h"
    first = client.get(asked)
    again = client.get(asked, headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "public, max-age=2"
    assert (again.status_code, again.content) == (304, b"")


class Stuck:
    """A history that is away, or that answers when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Semaphore(0)

    def readings(self, *_: object) -> Points:
        self.asked.release()
        self.go.wait(30)
        raise StoreError("/secret/path: away")


def test_a_history_that_is_away_is_said_and_nothing_of_our_inside(town: Town) -> None:
    stuck = Stuck()
    stuck.go.set()
    town.history = stuck  # type: ignore[assignment]
    with serving(town) as url:
        answer = httpx.get(f"{url}/api/v1/sensors/{RAIN}/readings", timeout=20)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["title"] == "Service Unavailable"
    assert "secret" not in answer.text


def test_a_crowd_at_a_history_that_is_stuck_holds_up_no_other_page(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WAITING_MOST", 60)  # more than there are threads for all other pages
    stuck = Stuck()
    town.history = stuck  # type: ignore[assignment]
    answers: list[int] = []
    with serving(town) as url:

        def ask() -> None:
            answers.append(httpx.get(f"{url}/api/v1/sensors/{RAIN}/readings", timeout=60).status_code)

        crowd = [threading.Thread(target=ask) for _ in range(60)]
        for one in crowd:
            one.start()
        for _ in range(asking.THREADS):
            stuck.asked.acquire()
        assert httpx.get(f"{url}/api/v1/latest", timeout=20).status_code == 200
        assert httpx.get(f"{url}/", timeout=20).status_code == 200
        stuck.go.set()
        for one in crowd:
            one.join()
    assert answers == [503] * 60


def test_questions_have_threads_of_their_own() -> None:
    names = [asyncio.run(asking.Asking(Stuck()).ask(lambda _: threading.current_thread().name)) for _ in range(3)]  # type: ignore[arg-type]
    assert all(name.startswith("history") for name in names)


def test_a_question_too_many_is_refused_at_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WAITING_MOST", 1)
    stuck = Stuck()
    town.history = stuck  # type: ignore[assignment]
    with serving(town) as url:
        first = threading.Thread(
            target=httpx.get, args=(f"{url}/api/v1/sensors/{RAIN}/readings",), kwargs={"timeout": 60}
        )
        first.start()
        stuck.asked.acquire()
        assert httpx.get(f"{url}/api/v1/sensors/{RAIN}/readings", timeout=20).status_code == 503
        assert not stuck.asked.acquire(blocking=False)
        stuck.go.set()
        first.join()
