"""The public API and the page as the server makes them, asked over real sockets of a real server and ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import AREAS, MINUTE, NOW, Town, notice, serving, storm, town_city, town_view
from listening import listening, wait_until

from alerts.incidents.incident import Reason
from alerts.ledger.store import LedgerError
from alerts.web import payloads
from alerts.web.app import create_app
from alerts.web.pages import language
from alerts.web.rendered import Rendered, Shelf

PUBLIC = ["/", "/api/v1/areas", "/api/v1/sensors", "/api/v1/latest", "/api/v1/alerts", "/api/v1/alerts/flood-20242",
          "/api/v1/situation/20242", "/api/v1/situation/city?lang=en"]  # fmt: skip


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, town_view(town_city()))
    yield made
    made.ledger.close()


@pytest.fixture
def stormy(town: Town) -> Town:
    town.tell(*storm())
    return town


@pytest.fixture
def client(stormy: Town) -> Iterator[httpx.Client]:
    with serving(stormy) as url, httpx.Client(base_url=url, timeout=5) as asking:
        yield asking


def get(client: httpx.Client, path: str, **headers: str) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- what is public


def test_latest_says_of_every_public_sensor_value_age_quality_level_and_whether_it_is_stale(
    client: httpx.Client, stormy: Town
) -> None:
    shown = get(client, "/api/v1/latest")

    rows = {row["sensor"]: row for row in shown["readings"]}
    assert set(rows) == {id_ for id_, sensor in stormy.view.city.sensors.items() if sensor.public}
    assert rows["tower-20242-1"] == {
        "sensor": "tower-20242-1", "quantity": "street_depth", "value": 0.08, "unit": "m",
        "at": "2022-10-14T18:22:39.000+07:00", "arrival": "2022-10-14T18:22:40.000+07:00", "flag": 1,
        "level": 1, "level_name": "advisory", "status": "ok", "stale": False,
    }  # fmt: skip
    assert (rows["rain-20260-0"]["status"], rows["rain-20260-0"]["stale"]) == ("silent", True)
    never_heard = rows["rain-20260-2"]
    assert (never_heard["value"], never_heard["at"], never_heard["arrival"], never_heard["flag"]) == (
        None,
        None,
        None,
        9,
    )


def test_nothing_public_says_anything_of_a_sensor_that_is_not(client: httpx.Client) -> None:
    for path in [*PUBLIC, "/api/v1/alerts/school-20305", "/api/v1/situation/20305", "/?area=20305", "/?lang=en"]:
        text = client.get(path).text
        for secret in ("Secret", "co2", "2713", "1234.5", "school-20305-co2"):
            assert secret not in text, (path, secret)


def test_a_sensor_that_is_not_public_cannot_be_told_from_one_that_does_not_exist(client: httpx.Client) -> None:
    private, absent = (client.get(f"/api/v1/sensors/{id_}") for id_ in ("school-20242-co2", "school-20242-co3"))

    assert private.status_code == absent.status_code == 404
    assert private.text.replace("co2", "co3") == absent.text


def test_areas_and_sensors_are_the_registry_as_it_stands_behind_the_view(client: httpx.Client) -> None:
    areas = get(client, "/api/v1/areas")
    sensor = get(client, "/api/v1/sensors/rain-20242-0")

    assert areas["city"] == "Đà Nẵng"
    assert {row["code"]: row["name"] for row in areas["areas"]} == {code: vi for code, (vi, _) in AREAS.items()}
    assert (sensor["place"], sensor["period_s"], sensor["affects"]) == ("Hồ Thạc Gián", 60.0, ["20242"])
    assert sensor["latest"]["value"] == 0.0
    assert len(get(client, "/api/v1/sensors")["sensors"]) == 15


# ---- warnings


def test_alerts_are_filtered_by_area_hazard_activity_and_time(client: httpx.Client, stormy: Town) -> None:
    stormy.tell(notice("20275", 0, version=2, reason=Reason.OVER, previous=1, at=NOW - MINUTE))

    def ids(query: str) -> set[str]:
        return {row["id"] for row in get(client, f"/api/v1/alerts?{query}")["alerts"]}

    assert ids("active=false") == {"flood-20275"}
    assert len(ids("active=true")) == 5
    assert ids("area=20242") == {"flood-20242", "rain-20242"}
    assert ids("hazard=rain&active=true") == {"rain-20242", "rain-20300"}
    assert ids("since=2022-10-14T18:22:00%2B07:00") == {"flood-20275"}
    assert ids("since=2022-10-14T18:22:00+07:00") == {"flood-20275"}, "a plus typed into the address is a blank"
    assert ids("since=2022-10-14T11:22:00Z") == {"flood-20275"}


def test_pages_of_alerts_follow_their_cursor_and_show_each_once(client: httpx.Client) -> None:
    seen: list[str] = []
    path, pages = "/api/v1/alerts?limit=4", 0
    while path:
        page = get(client, path)
        seen += [row["id"] for row in page["alerts"]]
        path, pages = (f"/api/v1/alerts?limit=4&cursor={page['next']}" if page["next"] else ""), pages + 1
        assert pages < 5

    assert len(seen) == len(set(seen)) == 6


def test_one_alert_shows_why_and_everything_that_was_published_of_it(client: httpx.Client, stormy: Town) -> None:
    stormy.tell(notice("20242", 4, version=2, reason=Reason.WORSE, previous=3, value=1.25))

    shown = get(client, "/api/v1/alerts/flood-20242")

    assert (shown["level"], shown["level_name"], shown["peak"], shown["version"]) == (4, "emergency", 4, 2)
    assert shown["because"][0] | {"at": ""} == {
        "sensor": "tower-20242-1", "quantity": "street_depth", "place": "Nguyễn Văn Linh", "rule": "depth",
        "statistic": "mean", "window_s": 180.0, "value": 1.25, "unit": "m", "level": 4, "at": "",
    }  # fmt: skip
    assert [(v["version"], v["reason"], v["previous_level"]) for v in shown["versions"]] == [
        (1, "first", 0),
        (2, "worse", 3),
    ]
    assert shown["versions"][1]["text"]["vi"].startswith("Khẩn cấp: ngập lụt quanh Nguyễn Văn Linh (Hải Châu)")
    assert shown["versions"][1]["text"]["en"].startswith("Emergency: flooding around Nguyễn Văn Linh (Hai Chau)")


def test_the_situation_is_one_sentence_and_its_facts(client: httpx.Client) -> None:
    here = get(client, "/api/v1/situation/20242")
    city = get(client, "/api/v1/situation/city?lang=en")
    calm = get(client, "/api/v1/situation/20260?lang=en")

    assert here["sentence"] == "Hải Châu: Nguy hiểm – ngập lụt; Đề phòng – mưa lớn."
    assert (here["level_name"], [row["id"] for row in here["alerts"]]) == ("danger", ["flood-20242", "rain-20242"])
    assert (here["sensors"], here["sensors_stale"]) == (3, 0)
    assert city["sentence"] == "6 warnings in force; highest: Emergency – flooding in Cam Le."
    assert (len(city["alerts"]), city["sensors"], city["sensors_stale"]) == (6, 15, 4)
    assert calm["level"] == 4


def test_a_new_version_is_in_the_next_answer_although_answers_are_kept(client: httpx.Client, stormy: Town) -> None:
    for path in ("/api/v1/alerts", "/api/v1/situation/20275", "/?area=20275"):
        client.get(path)  # now it is kept

    stormy.tell(notice("20275", 4, version=2, reason=Reason.WORSE, previous=1, value=1.3))
    wait_until(lambda: "Sơn Trà: Khẩn cấp" in client.get("/?area=20275").text)

    assert get(client, "/api/v1/situation/20275")["level"] == 4
    assert {row["id"]: row["level"] for row in get(client, "/api/v1/alerts")["alerts"]}["flood-20275"] == 4


def test_played_back_data_says_so_everywhere(tmp_path: Path) -> None:
    town = Town(tmp_path, town_view(town_city(), clock="data"))
    with serving(town) as url, httpx.Client(base_url=url) as client, listening(url) as heard:
        town.tell(notice())
        told = heard.until("alert")
        assert told.data["simulated"]
        assert told.data["text"]["en"].startswith("EXERCISE")
        assert heard.until("situation").data["sentence"]["vi"].startswith("DIỄN TẬP")
        assert get(client, "/api/v1/situation/20242")["sentence"].startswith("DIỄN TẬP. Hải Châu")
        assert get(client, "/api/v1/latest")["simulated"]
        assert "Thời gian mô phỏng" in client.get("/").text
        assert "Simulated time" in client.get("/?lang=en").text
    town.ledger.close()


# ---- answers that are kept, errors, headers


def test_who_has_the_answer_already_is_told_so_until_it_changes(client: httpx.Client, stormy: Town) -> None:
    for path in PUBLIC:
        first = client.get(path)
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["cache-control"] == first.headers["cache-control"]

    tag = client.get("/api/v1/latest").headers["etag"]
    stormy.view = replace(stormy.view, value=stormy.view.value + 1, position=stormy.view.position + 1)
    assert client.get("/api/v1/latest", headers={"If-None-Match": tag}).status_code == 200


def test_a_compressed_answer_is_the_same_answer(client: httpx.Client) -> None:
    plain = client.get("/api/v1/latest", headers={"Accept-Encoding": "identity"})
    packed = client.get("/api/v1/latest", headers={"Accept-Encoding": "gzip"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content


def test_an_answer_is_made_once_for_a_mark_and_the_oldest_is_forgotten_beyond_the_limit() -> None:
    shelf, made = Shelf(most=2), []

    def ask(key: str, mark: int) -> None:
        shelf.get(key, mark, lambda: made.append((key, mark)) or Rendered.of(b"x"))  # type: ignore[func-returns-value]

    for key, mark in [("a", 1), ("a", 1), ("b", 1), ("a", 1), ("a", 2), ("c", 1), ("b", 1)]:
        ask(key, mark)

    assert made == [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 1)]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/nowhere", 404, "Not Found"),
        ("/api/v1/alerts/none", 404, "no warning 'none'"),
        ("/api/v1/situation/99999", 404, "no area '99999'"),
        ("/static/../app.py", 404, "Not Found"),
        ("/static/..%2fapp.py", 404, "Not Found"),
        ("/api/v1/alerts?limit=0", 422, "limit"),
        ("/api/v1/alerts?areas=20242", 422, "areas"),
        ("/api/v1/alerts?area=99999", 422, "99999"),
        ("/api/v1/alerts?since=2022-10-14T15:00:00", 422, "since"),
        ("/api/v1/alerts?cursor=zz", 422, "cursor"),
        ("/api/v1/alerts?cursor=99999999999999999999999~x", 422, "cursor"),
        ("/api/v1/situation/20242?lang=fr", 422, "lang"),
    ],
)
def test_every_error_is_a_problem_that_says_what_is_wrong(
    client: httpx.Client, path: str, status: int, says: str
) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert {"title", "detail", "instance"} <= set(problem)
    assert says in problem["detail"]
    assert "Value error" not in answer.text, "how a library of ours introduces our own words"


def test_a_wrong_method_is_a_problem_too(client: httpx.Client) -> None:
    answer = client.post("/api/v1/alerts")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert answer.headers["allow"] == "GET"


def test_a_failing_ledger_is_a_problem_that_tells_nothing_of_our_inside(stormy: Town) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(stormy.ledger, name)

        def open_incidents(self) -> Sequence[Any]:
            raise LedgerError("/secret/path is full")

    app = create_app(replace(stormy.sources(), ledger=Broken()))
    with serving(stormy, app) as url:
        answer = httpx.get(f"{url}/api/v1/situation/20242")
        assert httpx.get(f"{url}/api/v1/latest").status_code == 200

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text


def test_every_answer_holds_a_browser_to_what_we_serve_ourselves(client: httpx.Client) -> None:
    for path in [*PUBLIC, "/metrics", "/nowhere", "/openapi.json"]:
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer"), path


def test_the_api_describes_itself_with_examples(client: httpx.Client) -> None:
    shown = get(client, "/openapi.json")

    assert {"/api/v1/areas", "/api/v1/latest", "/api/v1/alerts", "/api/v1/events", "/healthz"} <= set(shown["paths"])
    assert "/" not in shown["paths"]
    latest = shown["components"]["schemas"]["LatestOut"]["properties"]
    assert latest["value"]["examples"] == [0.34]
    assert "text/event-stream" in shown["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"]
    for path, operations in shown["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            problems = [row for status, row in operation["responses"].items() if int(status) >= 400]
            assert all("application/problem+json" in row["content"] for row in problems), path


# ---- the page as the server makes it


@pytest.mark.parametrize(
    ("asked", "browser", "lang"),
    [("", "", "vi"), ("en", "vi", "en"), ("xx", "en-GB,en;q=0.9", "en"), ("", "fr", "vi"), ("", "en;q=x", "vi"),
     ("", "en;q=0.5, vi;q=0.8", "vi"), ("", "de, en;q=0.7", "en"), ("", "vi;q=0, en;q=0.1", "en"), ("", ",;,", "vi")],
)  # fmt: skip
def test_the_language_is_the_one_asked_for_then_the_browsers_then_vietnamese(
    asked: str, browser: str, lang: str
) -> None:
    assert language(asked, browser) == lang


def test_a_name_from_the_registry_is_text_and_never_markup(tmp_path: Path) -> None:
    city = town_city()
    evil = '<script>alert(1)</script>"&'
    areas = {code: replace_area(area, evil) for code, area in city.areas.items()}
    town = Town(tmp_path, town_view(replace(city, areas=areas, name=evil)))
    town.tell(*storm())
    with serving(town) as url:
        text = httpx.get(f"{url}/").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    town.ledger.close()


def replace_area(area: Any, name: str) -> Any:
    return type(area)(area.code, name, name, area.lat, area.lon, area.parent)


def test_the_page_says_when_the_service_stands_still(client: httpx.Client, stormy: Town) -> None:
    assert "Số liệu bị chậm" not in client.get("/").text

    stormy.now_ms += 61_000

    assert "Số liệu bị chậm: chưa có gì mới từ 18:23" in client.get("/").text


def test_an_area_or_sensor_that_left_the_registry_breaks_nothing(client: httpx.Client, stormy: Town) -> None:
    city = stormy.view.city
    less = replace(city, areas={k: v for k, v in city.areas.items() if k != "20242"},
                   sensors={k: v for k, v in city.sensors.items() if "20242" not in k})  # fmt: skip
    stormy.view = replace(stormy.view, city=less, position=stormy.view.position + 1, arrival=NOW + 10_000)

    for path in ("/", "/?area=20242", "/api/v1/alerts", "/api/v1/alerts/flood-20242", "/api/v1/latest", "/metrics"):
        assert client.get(path).status_code == 200, path
    assert client.get("/api/v1/situation/20242").status_code == 404
    assert "20242" not in client.get("/api/v1/latest").text


def test_times_carry_the_citys_offset() -> None:
    zone = town_city().timezone
    assert payloads.local_time(NOW + 7, zone) == "2022-10-14T18:23:00.007+07:00"
