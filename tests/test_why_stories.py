"""Floods and rain from their readings to their reasons: engine, incidents, ledger and history as they are, and HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import MINUTE, NOW, Town, serving, town_city, town_view

from alerts.acting import Acted
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.verbs import Act, Approve, Comment, Verb
from alerts.web.app import create_app
from alerts.web.sources import Desks
from ingest.city import parse_city
from ingest.entries import Batch, Configuration, Entry, Position
from ingest.history.duckdb import DuckStore
from ingest.history.store import Named
from ingest.readings import Readings
from processing.engine import Engine
from processing.rules import parse_rules

TOKEN = "0" * 32
BEGIN = NOW - 60 * MINUTE
CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[sensor]]
id = "tower-1"
quantity = "street_depth"
area = "20242"
period = "60s"
lat = 16.06
lon = 108.22
[[sensor]]
id = "tower-2"
quantity = "street_depth"
area = "20242"
period = "60s"
lat = 16.07
lon = 108.22
"""
RULES = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "mean"
window = "3m"
min_readings = 2
levels = { advisory = 0.10, warning = 0.20, danger = 0.30 }
clear_by = 0.05
hold_clear = "5m"
[hazard.flood]
quiet = "10m"
min_update = "10m"
ends_when = { statistic = "mean", window = "10m", below = 0.05, for = "10m" }
"""
RAIN_CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[sensor]]
id = "gauge"
quantity = "rain"
area = "20242"
period = "60s"
"""
LONG_SUM = """
[[rule]]
name = "rain-3h"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "3h"
levels = { advisory = 40, warning = 100 }
[hazard.rain]
confirm_by = "none"
quiet = "10m"
ends_when = { statistic = "sum", window = "10m", below = 5, for = "30m" }
"""


class City(Town):
    """Engine, incidents, ledger and history at one position, without the journal and the threads between them."""

    def __init__(self, folder: Path, city_toml: str = CITY, rules_toml: str = RULES) -> None:
        city = parse_city(city_toml)
        super().__init__(folder, replace(town_view(town_city()), city=city, rules=parse_rules(rules_toml)))
        self.ids = tuple(city.sensors)
        self.engine = Engine()
        self.incidents_now = Incidents(chain_of=lambda *_: (("lan", "minh"),))
        self.store = DuckStore(folder / "history.duckdb", self.view.city.timezone)
        self.history = self.store
        self.position = 0
        self.enter(Configuration(BEGIN, city_toml, rules_toml, self.ids))

    def enter(self, entry: Entry) -> None:
        self.position += 1
        result, plan = self.engine.step(entry), self.engine.plan
        readings = entry.readings if isinstance(entry, Batch) else Readings.empty()
        heard = self.incidents_now.hear(result, readings, self.ids, plan.city)
        outcome = self.incidents_now.step(result, entry.arrival, plan.city, plan.rules, heard=heard)
        position = Position(self.position)
        self.ledger.record(
            position, entry.arrival, transitions=result.transitions, incidents=self.incidents_now.changed,
            outcome=outcome, health=result.health,
        )  # fmt: skip
        sensors = plan.city.sensors.values()
        named = {n: Named(s.id, s.quantity.name, s.quantity.unit, s.area, "") for n, s in enumerate(sensors)}
        self.store.append(readings, named, position)

    def minute(self, minute: int, *depths: float) -> None:
        """A reading of each tower that has a depth here."""
        t = [BEGIN + minute * MINUTE] * len(depths)
        columns = {"t": t, "arrival": t, "value": depths, "flag": [1] * len(t), "span": [MINUTE] * len(t)}
        self.enter(Batch(Readings.of(sensor=range(len(depths)), **columns)))

    def act(self, minute: int, verb: Verb, why: str) -> None:
        one, plan = Act(verb, "lan", BEGIN + minute * MINUTE, f"key-{minute}", why), self.engine.plan
        done = self.incidents_now.act(one, plan.city, plan.rules)
        assert not done.refused
        answer = Acted(one.at, done.incidents)
        self.ledger.record_act(Position(self.position), one, answer, self.incidents_now.changed, done.outcome, ())


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path)
    yield made
    made.store.close()
    made.ledger.close()


def asked(city: City, **query: Any) -> Any:
    (id_,) = {row.id for row in city.ledger.incidents()[0]}
    app = create_app(replace(city.sources(), operators=Desks(TOKEN, None)))  # type: ignore[arg-type]  # no letters here
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serving(city, app) as url, httpx.Client(base_url=url, timeout=20, headers=headers) as client:
        answer = client.get(f"/api/v1/alerts/{id_}/why", params={"lang": "en", "limit": 200} | query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def flood(city: City, depths: Sequence[float], *, beside: float) -> None:
    for minute, depth in enumerate(depths, 1):
        city.minute(minute, depth, beside)


def test_a_person_approves_what_the_tower_beside_does_not_see(city: City) -> None:
    flood(city, [0.0, 0.0, 0.0, 0.36, 0.36, 0.36, 0.36], beside=0.0)
    (open_,) = city.incidents_now.open
    city.act(8, Comment(open_.id, "gọi tổ dân phố"), "")
    city.act(9, Approve(open_.id), "tôi thấy nước")

    found = asked(city)

    assert [(row["what"], row["because"], row["level"]) for row in found["decisions"]] == [
        ("rose", "", 1), ("unconfirmed", "others_are_calm tower-2", 1),
        ("rose", "", 2), ("rose", "", 3),
        ("asked", "others_are_calm tower-2", 3), ("called", "approve", 3),
        ("acted", "comment", 0), ("acted", "approve", 3),
        ("confirmed", "person", 3), ("published", "first", 3),
    ]  # fmt: skip
    rose = found["decisions"][3]["evidence"]
    assert [row["value"] for row in rose["readings"]] == [0.36, 0.36, 0.36]
    assert (rose["value"], rose["complete"], rose["note"]) == (pytest.approx(0.36), True, "")
    assert [row["reached"] for row in rose["levels"]] == [True, True, True]
    (version,) = found["versions"]
    assert (version["level"], version["by"], version["confirmation"]["by"]) == (3, "lan", "person")
    assert [call["to"] for call in found["calls"]] == [["lan", "minh"]]
    assert "lan commented. “gọi tổ dân phố”" in [row["text"] for row in found["decisions"]]
    assert all(row["text"].endswith((".", "”")) for row in found["decisions"])
    entries = [(row["what"], row["entry"]) for row in found["decisions"]]
    assert entries[0] == ("rose", 5), "the configuration is entry 1, minute 4 the fifth"
    assert entries[-1] == ("published", None), "an act has no entry"


def test_a_tower_beside_that_rises_confirms_and_says_from_where(city: City) -> None:
    for minute in range(1, 9):
        city.minute(minute, 0.36, 0.24 if minute > 4 else 0.0)

    found = asked(city)

    confirmed = [row for row in found["decisions"] if row["what"] == "confirmed" and row["sensor"] == "tower-1"]
    assert [(row["because"], row["confirmation"]["witness"]) for row in confirmed][:1] == [("neighbour", "tower-2")]
    assert confirmed[0]["confirmation"]["distance_km"] == pytest.approx(1.112, abs=0.001)
    assert confirmed[0]["confirmation"]["witness_level"] == 1
    assert found["versions"][0]["confirmation"]["by"] == "neighbour"


def test_from_the_first_word_to_the_end_every_reason_has_a_sentence_and_every_decision_its_number(city: City) -> None:
    for minute in range(1, 60):
        city.minute(minute, 0.36 if minute < 9 else 0.0, 0.24 if 4 < minute < 9 else 0.0)

    found = asked(city)

    assert [(version["reason"], version["level"]) for version in found["versions"]] == [
        ("first", 2), ("worse", 3), ("over", 0),
    ]  # fmt: skip
    assert {"rose", "unconfirmed", "asked", "called", "confirmed", "published", "fell"} == {
        row["what"] for row in found["decisions"]
    }
    assert not [row["text"] for row in found["decisions"] if f"({row['because']})" in row["text"]], "no reason unknown"
    assert (found["dropped"], found["next"]) == (0, None)
    assert [row["number"] for row in found["decisions"]] == list(range(len(found["decisions"])))


@pytest.fixture
def rain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[City]:
    made = City(tmp_path, RAIN_CITY, LONG_SUM.replace('"10m", below', f'"{request.param}", below'))
    yield made
    made.store.close()
    made.ledger.close()


@pytest.mark.parametrize("rain", ["10m"], indirect=True)
def test_what_a_long_sum_holds_open_is_over_once_the_short_one_has_stayed_below(rain: City) -> None:
    for minute in range(1, 100):
        rain.minute(minute, 2.0 if minute <= 30 else 0.0)

    found = asked(rain)

    assert [version["reason"] for version in found["versions"]] == ["first", "over"]
    (calm,) = (row for row in found["decisions"] if row["what"] == "calm")
    assert calm["text"] == (
        "gauge holds it open no more until it rises again: below 5.0 mm (sum, 10 minutes) for 30 minutes."
    )
    minutes = [_minute(version["published_at"]) for version in found["versions"]]
    assert minutes == [20, 38 + 30 + 10], "under 5 mm in minute 38, for 30 minutes, and quiet for 10"
    assert rain.engine.latest()[4].tolist() == [1], "the long sum stands yet"


@pytest.mark.parametrize("rain", ["30s"], indirect=True)
def test_a_gauge_that_the_short_sum_cannot_judge_holds_its_incident_open(rain: City) -> None:
    for minute in range(1, 90):
        rain.minute(minute, 2.0 if minute <= 30 else 0.0)

    found = asked(rain)

    assert [version["reason"] for version in found["versions"]] == ["first"]
    assert "calm" not in {row["what"] for row in found["decisions"]}


@pytest.mark.parametrize("rain", ["10m"], indirect=True)
@pytest.mark.parametrize("dry_before", [0, 15])
def test_a_gauge_that_the_short_sum_no_longer_judges_is_not_calm_for_it(rain: City, dry_before: int) -> None:
    for minute in range(1, 26 + dry_before):
        rain.minute(minute, 2.0 if minute < 26 else 0.0)
    slower = RAIN_CITY.replace("60s", "15m")  # the sum over 10 min is no longer defined
    rules_toml = rain.engine.plan.configuration.rules_toml

    rain.enter(Configuration(BEGIN + (25 + dry_before) * MINUTE + 1, slower, rules_toml, rain.ids))
    for minute in range(45, 110, 15):
        rain.minute(minute, 12.0)

    assert rain.incidents_now.open, "it rains"
    assert "over" not in {version["reason"] for version in asked(rain)["versions"]}


def _minute(at: str) -> int:
    return (int(datetime.fromisoformat(at).timestamp() * 1000) - BEGIN) // MINUTE
