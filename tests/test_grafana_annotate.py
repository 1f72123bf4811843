"""Warnings of the real public API as Grafana's annotations: one a warning, whatever is run how often."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faces import MINUTE, NOW, Town, notice, serving, storm, town_city, town_view
from grafana_server import TOKEN, GrafanaServer, grafana_server

from alerts.incidents.incident import Reason
from grafana import annotate as annotate_module
from grafana import public_api
from grafana.__main__ import main
from grafana.annotate import annotate
from grafana.annotations import plan, wanted
from grafana.client import Grafana, GrafanaError
from grafana.public_api import ServiceError, alerts

SINCE = "2022-01-01T00:00:00+07:00"
STORM = len(storm())


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, town_view(town_city()))
    made.tell(*storm())
    yield made
    made.ledger.close()


@pytest.fixture
def service(town: Town) -> Iterator[str]:
    with serving(town) as url:
        yield url


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with grafana_server() as state:
        yield state


@pytest.fixture
def run(server: GrafanaServer, service: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)

    def once(*more: str) -> int:
        return main(["annotate", "--url", server.url, "--service-url", service, "--since", SINCE, *more])

    return once


def of(server: GrafanaServer, incident: str) -> Any:
    found = [row for row in server.annotations.values() if f"incident:{incident}" in row["tags"]]
    assert len(found) == 1
    return found[0]


def test_each_warning_is_one_region_and_a_second_run_writes_nothing(
    run: Any, server: GrafanaServer, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--lang", "en") == 0
    first = dict(server.annotations)
    assert run("--lang", "en") == 0

    assert len(server.writes) == STORM == len(first)
    assert server.annotations == first
    assert f"0 new, 0 changed, {STORM} unchanged" in capsys.readouterr().out
    flood = of(server, "flood-20242")
    assert sorted(flood["tags"]) == ["area:20242", "canhbao", "flood", "incident:flood-20242"]
    assert flood["time"] == NOW - 62 * MINUTE
    assert flood["text"].startswith("Hải Châu: flooding, Danger (in force)")
    links = re.findall(r'href="([^"]+)"', flood["text"])
    assert links == [f"{service}/api/v1/alerts/flood-20242", f"{service}/api/v1/alerts/flood-20242/why"]
    assert httpx.get(links[0]).status_code == 200


def test_a_warning_that_went_on_and_one_that_ended_are_changed_and_no_other(
    run: Any, server: GrafanaServer, town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    town.tell(
        notice("20242", 4, version=2, reason=Reason.WORSE, previous=3, at=NOW),
        notice("20260", 0, version=2, reason=Reason.OVER, previous=4, at=NOW + MINUTE),
    )

    assert run() == 0

    assert f"0 new, 2 changed, {STORM - 2} unchanged" in capsys.readouterr().out
    worse, over = of(server, "flood-20242"), of(server, "flood-20260")
    assert (worse["timeEnd"], over["timeEnd"]) == (NOW, NOW + MINUTE)
    assert "Khẩn cấp (đang có hiệu lực)" in worse["text"]
    assert "(đã hết)" in over["text"]
    before = len(server.writes)
    assert run() == 0
    assert len(server.writes) == before


def test_doubles_of_two_who_wrote_at_once_go_and_what_is_not_ours_stays(
    run: Any, server: GrafanaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    double = dict(of(server, "flood-20242"))
    server.annotations[900] = {**double, "id": 900}
    server.annotations[901] = {**double, "id": 901, "tags": ["deployment"], "text": "a release"}

    assert run() == 0

    assert "1 doubles removed" in capsys.readouterr().out
    assert 900 not in server.annotations
    assert 901 in server.annotations
    assert of(server, "flood-20242")["id"] == double["id"]


def test_answers_without_content_are_answers(run: Any, server: GrafanaServer) -> None:
    server.empty = True

    assert run() == 0
    assert run() == 0
    assert len(server.writes) == STORM


def test_a_simulated_warning_says_so(service: str) -> None:
    exercise = {**alerts(service, SINCE)[0], "simulated": True}

    assert wanted(exercise, "vi", service)["text"].startswith("DIỄN TẬP. ")


def test_a_name_from_the_registry_is_no_markup(service: str) -> None:
    row = {**alerts(service, SINCE)[0], "area_name": "<img src=x onerror=alert(1)>", "id": 'a"b/c?d'}

    text = wanted(row, "en", service)["text"]

    assert "<img" not in text
    assert f'href="{service}/api/v1/alerts/a%22b%2Fc%3Fd"' in text


def test_all_pages_of_warnings_are_read_and_beyond_the_limit_it_is_said(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_api, "PAGE", 2)
    assert len({row["id"] for row in alerts(service, SINCE)}) == STORM

    monkeypatch.setattr(public_api, "PAGES_MAX", STORM // 2 - 1)
    with pytest.raises(ServiceError, match="a later --since"):
        alerts(service, SINCE)


def test_more_annotations_than_are_looked_at_are_said_before_anything_is_written(
    run: Any, server: GrafanaServer, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    before = len(server.writes)
    monkeypatch.setattr(annotate_module, "LIMIT", STORM)

    with pytest.raises(GrafanaError, match="a later --since"):
        annotate(Grafana(server.url, TOKEN), alerts(service, SINCE), "vi", service)
    assert len(server.writes) == before


def test_no_warnings_ask_nothing_of_grafana(run: Any, server: GrafanaServer) -> None:
    assert run("--since", "2030-01-01T00:00:00+07:00") == 0
    assert server.requests == []


def test_a_warning_that_is_none_is_an_error_and_no_traceback(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("grafana.commands.annotate.alerts", lambda *_: [{"id": "x"}])
    assert run() == 1
    assert "a warning that is none" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "code"), [(("--since", "soon"), 2), (("--api-url", "http://127.0.0.1:1"), 1)])
def test_a_wrong_call_and_a_service_that_is_away_are_said(
    run: Any, more: tuple[str, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*more) == code
    assert capsys.readouterr().err.startswith("python -m grafana annotate: ")


def test_a_page_that_is_no_list_of_warnings_is_said(service: str) -> None:
    with pytest.raises(ServiceError, match="is it the service"):
        public_api._page(f"{service}/api/v1/areas")
    with pytest.raises(ServiceError, match="begins with http"):
        public_api._page("file:///etc/passwd")


def test_a_region_without_an_end_is_the_same_moment() -> None:
    row = {"time": 5, "timeEnd": 5, "tags": ["incident:a"], "text": "x"}
    assert plan([row], [{**row, "id": 1, "timeEnd": 0}]).unchanged == 1
