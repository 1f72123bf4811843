"""What Grafana's Prometheus data source asks of us beyond the values, and how we say no."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from brokers import until
from faces import NOW, Town, serving, town_view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept_readings import KeptReadings, of_city

from alerts.promql import evaluate
from alerts.promql.answers import number
from alerts.watch.metrics import Sample
from alerts.watch.ring import Ring
from alerts.web.app import create_app
from alerts.web.prometheus import measured, queries
from alerts.web.prometheus.gate import TOGETHER, WAITING_MAX, BusyError, Gate
from alerts.web.sources import Desks
from ingest.city import parse_city
from ingest.history.store import Named

TOKEN = "0" * 32
MINUTE = 60_000
ALIKE = "a" * 64
CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "20242"
name = "Hải Châu"
[[gateway]]
id = "gw-1"
[[quantity]]
name = "ph-value.2"
unit = "pH"
bounds = [0.0, 14.0]
""" + "".join(
    f'[[sensor]]\nid = "{id_}"\nquantity = "{quantity}"\narea = "20242"\n{more}\n'
    for id_, quantity, more in (
        ("r-1", "rain", 'gateway = "gw-1"\nperiod = "60s"'),
        ("r-2", "rain", 'period = "60s"'),
        ("slow", "water_level", 'period = "15m"'),
        ("room", "co2", 'period = "60s"'),
        ("power", "power", ""),
        ("ph", "ph-value.2", ""),
        (ALIKE, "noise", ""),
    )
)


@pytest.fixture
def kept() -> KeptReadings:
    """An hour to NOW of each, a reading a minute, the value its number; the slow one's last is 20 min old."""
    kept = of_city(parse_city(CITY))
    t = np.arange(NOW - 60 * MINUTE, NOW + 1, MINUTE)
    for id_ in kept.names:
        has = t[t <= NOW - 20 * MINUTE] if id_ == "slow" else t
        kept.keep(id_, has, np.arange(len(has), dtype=np.float64), np.ones(len(has), np.uint8))
    return kept


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path, town_view(parse_city(CITY), counters={"canhbao_readings_total": 7,
                'canhbao_refused_total{reason="a \\"b\\"\\\\"}': 3, "canhbao_turn_seconds_sum": 0.25}))  # fmt: skip
    yield town
    town.ledger.close()


@pytest.fixture
def client(town: Town, kept: KeptReadings) -> Iterator[httpx.Client]:
    desks = Desks(TOKEN, None)  # type: ignore[arg-type]  # no letters here
    app = create_app(replace(town.sources(), operators=desks, history=kept))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serving(town, app) as url,
        httpx.Client(base_url=f"{url}/prometheus/api/v1", headers=headers, timeout=30) as asking,
    ):
        until(lambda: data(asking, "/series", **{"match[]": "canhbao_sensors"}), "no metrics are kept")
        yield asking


def data(client: httpx.Client, path: str, **asked: Any) -> Any:
    answer = client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "success"
    return answer.json()["data"]


def value(client: httpx.Client, query: str, at: int = NOW) -> Any:
    """label -> value, of the label that tells the series apart."""
    found = data(client, "/query", query=query, time=at / 1000)
    return {one["metric"].get("sensor", ""): float(one["value"][1]) for one in found["result"]}


def refused(client: httpx.Client, path: str, **asked: Any) -> tuple[int, str, str]:
    answer = client.get(path, params=asked)
    said = answer.json()
    assert said.keys() == {"status", "errorType", "error"}
    assert said["status"] == "error"
    return answer.status_code, said["errorType"], said["error"]


def test_nobody_else_may_ask(client: httpx.Client) -> None:
    for path in ("/query?query=rain", "/labels", "/label/sensor/values", "/series", "/metadata", "/status/buildinfo"):
        assert client.get(path, headers={"Authorization": "Bearer 1"}).status_code == 401, path
    assert client.post("/query", headers={"Authorization": ""}).status_code == 401
    assert client.get("/labels").headers["Cache-Control"] == "no-store"


def test_address_and_form_ask_the_same(client: httpx.Client) -> None:
    asked = {"query": 'rain{sensor=~"r-.*"}', "start": NOW / 1000 - 600, "end": NOW / 1000, "step": "2m"}
    by_address = client.get("/query_range", params=asked)
    by_form = client.post("/query_range", data=asked)
    assert by_address.json() == by_form.json()
    assert by_address.json()["data"] == {"resultType": "matrix", "result": [
        {"metric": {"__name__": "rain", "sensor": "r-1", "area": "20242", "gateway": "gw-1", "unit": "mm"},
         "values": [[NOW // 1000 - 120 * n, str(60 - 2 * n)] for n in (5, 4, 3, 2, 1, 0)]},
        {"metric": {"__name__": "rain", "sensor": "r-2", "area": "20242", "unit": "mm"},
         "values": [[NOW // 1000 - 120 * n, str(60 - 2 * n)] for n in (5, 4, 3, 2, 1, 0)]},
    ]}  # fmt: skip
    posted = client.post("/series", data={"match[]": ["rain", "co2"]}).json()["data"]
    assert [one["sensor"] for one in posted] == ["r-1", "r-2", "room"]


def test_times_are_seconds_or_rfc_3339_and_now_where_none_is_given(client: httpx.Client) -> None:
    for time in ("1665746580", "1665746580.000", "2022-10-14T18:23:00+07:00", "2022-10-14T11:23:00.000000000Z", ""):
        found = data(client, "/query", query="co2", **({"time": time} if time else {}))
        assert found["result"][0]["value"] == [1665746580, "60"], time
    assert data(client, "/query", query="co2", time="1665746580.5")["result"][0]["value"][0] == 1665746580.5


NOES: list[tuple[dict[str, str], str, str]] = [
    ({}, "bad_data", '"query"'),
    ({"query": "rain", "time": "soon"}, "bad_data", "valid timestamp"),
    ({"query": "rain", "time": "nan"}, "bad_data", "valid timestamp"),
    ({"query": "rain", "time": "1e300"}, "bad_data", "valid timestamp"),
    ({"query": "rain", "time": "2022-10-14T11:23:00"}, "bad_data", "valid timestamp"),
    ({"query": "rain{"}, "bad_data", "1:6: parse error: unexpected the end of the query"),
    ({"query": 'rain{a~"b"}'}, "bad_data", "1:7: parse error: unexpected character '~'"),
    ({"query": 'rain{a="b}'}, "bad_data", "1:8: parse error: an open string"),
    ({"query": 'rain{a="\\q"}'}, "bad_data", "unknown escape"),
    ({"query": "{}"}, "bad_data", "at least one matcher"),
    ({"query": '{a=~".*"}'}, "bad_data", "at least one matcher"),
    ({"query": 'rain{a=~"("}'}, "bad_data", "regexp"),
    ({"query": 'rain{a=~"((a{1000}){1000}){1000}"}'}, "bad_data", "regexp"),
    ({"query": f'rain{{a=~"{"a" * 9_000}"}}'}, "bad_data", "at most 8192"),
    ({"query": "rain" + " " * 20_000}, "bad_data", "at most 16384"),
    ({"query": "sum_over_time(rain[5])"}, "bad_data", "a duration such as 5m"),
    ({"query": "sum_over_time(rain[0s])"}, "bad_data", "greater than 0"),
    ({"query": "sum_over_time(rain[999y])"}, "bad_data", "out of range"),
    ({"query": "sum_over_time(rain)"}, "bad_data", "expected ["),
    ({"query": "rain{" + 'a="b",' * 65 + "}"}, "bad_data", "more than 64 matchers"),
    ({"query": "rate(rain[5m])"}, "execution", "1:1: rate() is not supported; supported here: name{"),
    ({"query": "rain * 2"}, "execution", "the operator *"),
    ({"query": "rain offset 5m"}, "execution", "offset"),
    ({"query": "rain @ 1"}, "execution", "@"),
    ({"query": "rain[5m]"}, "execution", "a range"),
    ({"query": "max_over_time(rain[1h:1m])"}, "execution", "a subquery"),
    ({"query": "sum without (area) (rain)"}, "execution", "without"),
    ({"query": "sum(sum(rain))"}, "execution", "within another"),
    ({"query": "max_over_time(rate(rain[1m])[5m])"}, "execution", "rate() within"),
    ({"query": "topk(3, rain)"}, "execution", "topk()"),
    ({"query": "2"}, "execution", "begins with 2"),
    ({"query": "(rain)"}, "execution", "begins with ("),
    ({"query": 'avg_over_time({sensor="power"}[5m])'}, "execution", "same labelset"),
]


def test_a_no_says_what_is_wrong_and_what_would_do(client: httpx.Client) -> None:
    for asked, kind, why in NOES:
        status, found, error = refused(client, "/query", **asked)
        assert (status, found) == (400 if kind == "bad_data" else 422, kind), asked
        assert why in error, asked


NO_RANGES = [
    ({"step": "0"}, "at least a millisecond"),
    ({"step": "-5"}, "at least a millisecond"),
    ({"step": "soon"}, "not a valid duration"),
    ({"step": ""}, '"step"'),
    ({"start": ""}, '"start"'),
    ({"end": "0"}, "must not be before"),
    ({"step": "0.01"}, "exceeded maximum resolution of 11,000 points per timeseries"),
]


def test_a_range_that_is_none_is_refused(client: httpx.Client) -> None:
    for changed, why in NO_RANGES:
        asked = {"query": "rain", "start": "1665746000", "end": "1665746580", "step": "15"}
        status, kind, error = refused(client, "/query_range", **(asked | changed))
        assert (status, kind) == (400, "bad_data")
        assert why in error, changed


def test_too_much_is_refused_before_it_is_done(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"query": '{sensor!=""}', "start": NOW / 1000 - 3600, "end": NOW / 1000, "step": 60}
    assert len(data(client, "/query_range", **asked)["result"]) == 14
    for where, name, most, why in (
        (queries, "POINTS_MAX", 14 * 61 - 1, "14 series at 61 times are more than"),
        (evaluate, "WORK_MAX", 14 * 61 - 1, "samples would be looked at"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, most)
            status, kind, error = refused(client, "/query_range", **asked)
            assert (status, kind) == (422, "execution")
            assert why in error


def test_more_groups_than_an_answer_holds_are_refused_before_memory_is_taken_for_them(
    client: httpx.Client, kept: KeptReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"query": 'avg by (sensor) ({sensor!=""})', "start": NOW / 1000 - 3600, "end": NOW / 1000, "step": 60}
    assert len(data(client, "/query_range", **asked)["result"]) == 7
    monkeypatch.setattr(queries, "POINTS_MAX", 7 * 61 - 1)
    kept.scanned = 0
    assert "7 series at 61 times are more than" in refused(client, "/query_range", **asked)[2]
    assert kept.scanned == 0
    assert len(data(client, "/query_range", **{**asked, "query": 'avg({sensor!=""})'})["result"]) == 1


def test_no_more_rows_are_taken_from_the_history_than_fit(
    client: httpx.Client, kept: KeptReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "SAMPLES_MAX", 100)
    kept.chunk = 10
    status, kind, error = refused(client, "/query", query='sum(sum_over_time({sensor!=""}[1h]))', time=NOW / 1000)
    assert (status, kind) == (422, "execution")
    assert "too many samples, more than 100" in error
    assert kept.scanned == 110, "the rest stays where it is"
    assert kept.open_scans == 0


def test_sensors_are_read_a_few_at_a_time_where_much_is_expected(
    client: httpx.Client, kept: KeptReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"query": '{sensor!=""}', "start": NOW / 1000 - 3600, "end": NOW / 1000, "step": 60}
    whole = data(client, "/query_range", **asked)
    assert kept.scans == 1
    monkeypatch.setattr(measured, "TOGETHER", 130)
    assert data(client, "/query_range", **asked) == whole
    assert kept.scans == 1 + 5, (
        "two that speak each minute, the slow one with one that does, and each that says nothing"
    )
    kept.scans = 0
    value(client, 'sum(sum_over_time({unit=~"mm|m"}[9y]))')
    assert kept.scans == 1, "nothing is expected of years before the first reading"


def test_a_slow_sensor_holds_for_two_of_its_periods(client: httpx.Client) -> None:
    assert value(client, "water_level") == {"slow": 40}
    last = NOW - 20 * MINUTE
    assert value(client, "water_level", last + 30 * MINUTE - 1) == {"slow": 40}
    assert value(client, "water_level", last + 30 * MINUTE) == {}
    assert value(client, "rain", NOW + 5 * MINUTE - 1) == {"r-1": 60, "r-2": 60}
    assert value(client, "rain", NOW + 5 * MINUTE) == {}


def test_what_a_sensor_measured_when_it_was_another_one_is_left_out(client: httpx.Client, kept: KeptReadings) -> None:
    kept.names["r-2"] = Named("r-2", "water_level", "m", "20242", "")
    assert value(client, "rain") == {"r-1": 60}


def test_series_are_those_of_the_registry_whenever_they_measured(client: httpx.Client) -> None:
    asked = {"match[]": '{sensor="slow"}', "start": 0, "end": 1}
    assert data(client, "/series", **asked) == [
        {"__name__": "water_level", "sensor": "slow", "area": "20242", "unit": "m"},
        {"__name__": "water_level_flag", "sensor": "slow", "area": "20242"},
    ]
    assert refused(client, "/series")[:2] == (400, "bad_data")


def test_names_of_quantities_that_no_metric_may_have_are_changed(client: httpx.Client) -> None:
    assert value(client, "ph_value_2") == {"ph": 60}
    assert data(client, "/metadata", metric="ph_value_2") == {
        "ph_value_2": [{"type": "gauge", "help": "ph-value.2: accepted values.", "unit": "pH"}]
    }


def test_labels_and_values_are_listed_as_many_as_wanted(client: httpx.Client) -> None:
    assert data(client, "/labels", **{"match[]": "rain"}) == ["__name__", "area", "gateway", "sensor", "unit"]
    assert data(client, "/label/sensor/values", **{"match[]": ["rain", "co2"]}) == ["r-1", "r-2", "room"]
    assert {"rain", "rain_flag", "canhbao_sensors"} <= set(data(client, "/label/__name__/values"))
    cut = client.get("/label/sensor/values", params={"match[]": "rain", "limit": 1}).json()
    assert (cut["data"], cut["warnings"]) == (["r-1"], ["results truncated due to limit"])
    assert refused(client, "/label/a-b/values") == (400, "bad_data", "invalid label name: 'a-b'")
    assert refused(client, "/labels", limit="-1")[:2] == (400, "bad_data")
    assert refused(client, "/labels", **{"match[]": ["rain"] * 65})[:2] == (400, "bad_data")


def test_metrics_are_described_and_a_build_is_named(client: httpx.Client) -> None:
    told = data(client, "/metadata")
    assert told["rain"] == [{"type": "gauge", "help": "Mưa / Rain: accepted values.", "unit": "mm"}]
    assert told["canhbao_readings_total"][0]["type"] == "counter"
    assert len(data(client, "/metadata", limit=2)) == 2
    assert data(client, "/status/buildinfo")["version"].startswith("3.")


def test_the_services_own_metrics_are_asked_in_the_same_way(client: httpx.Client) -> None:
    found = data(client, "/query", query="canhbao_refused_total")["result"]
    assert found == [{"metric": {"__name__": "canhbao_refused_total", "reason": 'a "b"\\'},
                      "value": [NOW // 1000, "3"]}]  # fmt: skip
    assert data(client, "/query", query="canhbao_turn_seconds_sum")["result"][0]["value"][1] == "0.25"
    ranged = {"start": NOW / 1000 - 60, "end": NOW / 1000 + 60, "step": 60}
    [line] = data(client, "/query_range", query="sum(last_over_time(canhbao_sensors[5m]))", **ranged)["result"]
    assert line["values"] == [[NOW // 1000, "7"], [NOW // 1000 + 60, "7"]]


def test_without_the_history_the_answer_says_so_and_the_rest_goes_on(client: httpx.Client, kept: KeptReadings) -> None:
    kept.fault = "it is being restarted"
    answer = client.get("/query", params={"query": "rain"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json() == {"status": "error", "errorType": "unavailable",
                             "error": "the history does not answer: it is being restarted"}  # fmt: skip
    assert data(client, "/query", query="canhbao_readings_total")["result"]
    assert data(client, "/series", **{"match[]": "rain"})


def test_a_pattern_that_would_keep_a_backtracking_engine_for_ever_is_answered(client: httpx.Client) -> None:
    assert value(client, 'noise{sensor=~"(a|a)*b"}') == {}
    assert value(client, 'noise{sensor=~"((a*)*)*"}') == {ALIKE: 60}


_TEXT = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*'{}()[],="\'`\\\n', "rain", "co2_flag", "sum", "by", "_over_time(", "5m", "=~", "!~",
                              '"r.*"', "sensor", " ", "1", "é", "\x00", "offset"]), max_size=14).map("".join),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=_TEXT, pattern=st.text(max_size=12), start=_TEXT, step=_TEXT, name=st.text(min_size=1, max_size=8))
def test_nothing_that_is_sent_is_a_fault_of_ours(
    client: httpx.Client, query: str, pattern: str, start: str, step: str, name: str
) -> None:
    quoted = pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    answers = [
        client.post("/query", data={"query": query}),
        client.post("/query", data={"query": f'rain{{sensor=~"{quoted}"}}'}),
        client.post("/query_range", data={"query": "rain", "start": start, "end": "1665746580", "step": step}),
        client.post("/query_range", content=query.encode()),
        client.get("/series", params={"match[]": query, "limit": step}),
    ]
    named = client.get(f"/label/{quote(name, safe='')}/values", params={"match[]": "rain"})
    if named.status_code != 404 or "/" not in name.replace(".", "/"):  # which makes another path of it
        answers.append(named)
    for answer in answers:
        assert answer.status_code in (200, 400, 422), (query, pattern, start, step, name, answer.text)
        assert answer.json()["status"] == ("success" if answer.status_code == 200 else "error")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (0.1, "0.1"), (1e21, "1000000000000000000000"), (1e-7, "0.0000001"),
        (123456789.125, "123456789.125"), (float("nan"), "NaN"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"),
    ],
)  # fmt: skip
def test_values_are_written_without_exponents(value: float, text: str) -> None:
    assert number(value) == text


def test_few_questions_are_worked_at_together_and_whoever_waits_too_long_is_told() -> None:
    at_work, go_on = threading.Semaphore(0), threading.Event()

    def work() -> int:
        at_work.release()
        assert go_on.wait(30)
        return 7

    async def story() -> None:
        gate = Gate()
        waiting = [asyncio.create_task(gate.through(work)) for _ in range(TOGETHER)]
        for _ in range(TOGETHER):
            await asyncio.to_thread(at_work.acquire, timeout=30)
        waiting += [asyncio.create_task(gate.through(work)) for _ in range(WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="are waiting already"):
            await gate.through(work)
        assert not at_work.acquire(blocking=False), "nobody else has begun"
        impatient = Gate(wait_s=0)
        holding = [asyncio.create_task(impatient.through(work)) for _ in range(TOGETHER)]
        for _ in range(TOGETHER):
            await asyncio.to_thread(at_work.acquire, timeout=30)
        with pytest.raises(BusyError, match="within 0 s"):
            await impatient.through(work)
        go_on.set()
        assert set(await asyncio.gather(*waiting, *holding)) == {7}

    asyncio.run(story())


def test_the_ring_keeps_its_last_values_and_no_more() -> None:
    ring = Ring(slots=3)
    for n in range(5):
        ring.take(1000 * n, [Sample("a", n), *([Sample("b", -n)] if n == 3 else [])])
    assert _kept(ring, "a") == [(2000, 2), (3000, 3), (4000, 4)]
    assert _kept(ring, "b") == [(3000, -3)]
    assert _kept(ring, "c") == []
    ring.take(4000, [Sample("a", 44)])
    assert _kept(ring, "a") == [(2000, 2), (3000, 3), (4000, 44)], "the same time once more"
    ring.take(1500, [Sample("a", 9)])
    assert _kept(ring, "a") == [(1500, 9)], "a clock that was set back: nothing lies in the future"


def test_a_full_ring_takes_the_place_of_what_is_gone_and_counts_what_has_none() -> None:
    ring = Ring(slots=2, series_max=300)
    ring.take(0, [Sample(f"m{n}", n) for n in range(302)])
    assert (ring.left_out, len(ring.names())) == (2, 300)
    ring.take(1, [Sample("m1", 1), Sample("new", 1)])
    assert ring.left_out == 1, "the others were there a moment ago"
    ring.take(2, [Sample("m1", 2), Sample("new", 2)])
    assert (ring.left_out, _kept(ring, "new"), _kept(ring, "m1")) == (0, [(2, 2)], [(1, 1), (2, 2)])
    assert sorted(ring.names()) == ["m1", "new"]


def _kept(ring: Ring, name: str) -> list[tuple[int, float]]:
    t, values = ring.samples(name)
    return list(zip(t.tolist(), values.tolist(), strict=True))
