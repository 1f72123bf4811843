"""Dashboards and data sources into a running Grafana, and into files: again and again, and nothing changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import SERVICE, full_text, scene
from grafana_server import TOKEN, GrafanaServer, grafana_server
from ruamel.yaml import YAML

from grafana.__main__ import main
from grafana.client import Grafana, GrafanaError
from grafana.provisioning import Sources, data_sources, files
from grafana.push import Came, push_dashboard, push_folder, push_source, within
from grafana.queries import dashboards

FOLDER = "canhbao-en"
SECRET = "a-viewers-token-of-the-service"  # of nobody


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with grafana_server() as state:
        yield state


@pytest.fixture
def grafana(server: GrafanaServer) -> Grafana:
    return Grafana(server.url, TOKEN)


@pytest.fixture
def city(tmp_path: Path) -> Path:
    path = tmp_path / "city.toml"
    path.write_text(full_text(), "utf-8")
    return path


@pytest.fixture
def rain(grafana: Grafana) -> Any:
    """The dashboard of rain, before anybody pushed it; its folder is there."""
    push_folder(grafana, FOLDER, "City warnings")
    return next(tree for tree in dashboards(scene(), ["en"]) if tree["uid"] == "canhbao-rain-en")


def test_pushed_again_nothing_is_written(
    server: GrafanaServer, city: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)
    monkeypatch.setenv("CANHBAO_READER_TOKEN", SECRET)
    call = ["push", "--url", server.url, "--city", str(city), "--lang", "both", "--sources", "--service-url", SERVICE]

    assert main(call) == 0
    first = len(server.writes)
    assert main(call) == 0

    assert first == len(server.writes) == 1 + 2 + 20  # a data source, two folders, ten dashboards in two languages
    assert sorted(server.versions) == sorted((uid, 1) for uid in server.dashboards)
    assert server.sources["canhbao-prometheus"]["url"] == f"{SERVICE}/prometheus"
    assert server.sources["canhbao-prometheus"]["secureJsonFields"] == {"httpHeaderValue1": True}
    said = capsys.readouterr()
    assert said.out.count("new") == first == said.out.count("unchanged")
    assert TOKEN not in said.out + said.err
    assert SECRET not in said.out + said.err


def test_what_grafana_adds_is_no_change_and_what_a_hand_changed_is_put_right(
    server: GrafanaServer, grafana: Grafana, rain: Any
) -> None:
    assert push_dashboard(grafana, rain, FOLDER) is Came.NEW
    there = server.dashboards["canhbao-rain-en"]["dashboard"]
    there["panels"][0]["pluginVersion"] = "12.4.11"
    there["liveNow"] = False
    del there["panels"][1]["fieldConfig"]["defaults"]["thresholds"]["steps"][0][
        "value"
    ]  # Grafana leaves out what is null
    assert push_dashboard(grafana, rain, FOLDER) is Came.UNCHANGED

    there["panels"].pop()
    assert push_dashboard(grafana, rain, FOLDER) is Came.CHANGED
    assert within(rain, server.dashboards["canhbao-rain-en"]["dashboard"])
    assert push_dashboard(grafana, rain, FOLDER) is Came.UNCHANGED
    assert server.versions == [("canhbao-rain-en", 1), ("canhbao-rain-en", 2)]


def test_who_changes_the_same_at_the_same_time_costs_a_second_look(
    server: GrafanaServer, grafana: Grafana, rain: Any
) -> None:
    push_dashboard(grafana, rain, FOLDER)
    there = server.dashboards["canhbao-rain-en"]["dashboard"]
    there["title"] = "By hand"
    server.before = lambda: there.update(version=7)  # somebody saves between our look and our write

    assert push_dashboard(grafana, rain, FOLDER) is Came.CHANGED

    assert server.versions[-1] == ("canhbao-rain-en", 8)
    assert server.dashboards["canhbao-rain-en"]["dashboard"]["title"] == rain["title"]


def test_two_who_push_first_make_one_dashboard(server: GrafanaServer, grafana: Grafana, rain: Any) -> None:
    server.before = lambda: push_dashboard(Grafana(server.url, TOKEN), rain, FOLDER) and None

    assert push_dashboard(grafana, rain, FOLDER) is Came.UNCHANGED
    assert server.versions == [("canhbao-rain-en", 1)]


def test_another_dashboard_of_that_name_is_said_and_not_overwritten(
    server: GrafanaServer, grafana: Grafana, rain: Any
) -> None:
    push_dashboard(grafana, {**rain, "uid": "somebodys"}, FOLDER)

    with pytest.raises(GrafanaError, match="same name in the folder"):
        push_dashboard(grafana, rain, FOLDER)

    assert list(server.dashboards) == ["somebodys"]


def test_what_comes_from_files_is_left_alone(server: GrafanaServer, grafana: Grafana, rain: Any) -> None:
    push_dashboard(grafana, rain, FOLDER)
    server.dashboards["canhbao-rain-en"]["meta"]["provisioned"] = True
    (row,) = data_sources(Sources(SERVICE))
    push_source(grafana, row, {})
    server.sources[row["uid"]]["readOnly"] = True
    before = len(server.writes)

    assert push_dashboard(grafana, {**rain, "title": "Other"}, FOLDER) is Came.PROVISIONED
    assert push_source(grafana, {**row, "url": "http://other"}, {}) is Came.PROVISIONED
    assert len(server.writes) == before


def test_a_folder_is_renamed_and_a_data_source_moved_once(server: GrafanaServer, grafana: Grafana) -> None:
    assert [push_folder(grafana, FOLDER, title) for title in ("One", "Two", "Two")] == [
        Came.NEW, Came.CHANGED, Came.UNCHANGED,
    ]  # fmt: skip
    there, moved = (data_sources(Sources(url))[0] for url in (SERVICE, "https://new.example"))
    secrets = {"httpHeaderValue1": f"Bearer {SECRET}"}
    assert [push_source(grafana, row, known) for row, known in
            [(there, {}), (there, {}), (there, secrets), (there, secrets), (moved, {}), (moved, secrets)]] == [
        Came.NEW, Came.UNCHANGED, Came.CHANGED, Came.UNCHANGED, Came.CHANGED, Came.UNCHANGED,
    ]  # fmt: skip
    assert server.sources["canhbao-prometheus"]["secureJsonFields"] == {"httpHeaderValue1": True}


def test_an_answer_without_content_is_an_answer(server: GrafanaServer, grafana: Grafana, rain: Any) -> None:
    server.empty = True

    assert push_dashboard(grafana, rain, FOLDER) is Came.NEW
    assert push_dashboard(grafana, rain, FOLDER) is Came.UNCHANGED
    grafana.delete("/annotations/1")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, "application/json", '{"message":"Invalid API key"}'), "401 Invalid API key; is the token right?"),
        ((403, "application/json", '{"message":"Access denied"}'), "403 Access denied; the token needs the role"),
        ((502, "text/html", "<html>a message of a proxy</html>"), "refused without a reason"),
        ((502, "text/html", "<html>nginx</html>"), "502"),
        ((500, "application/json", "null"), "refused without a reason"),
        ((200, "text/html", "<html>Log in</html>"), "no JSON"),
        ((302, "text/html", "/login"), "redirects"),
        ((412, "application/json", '{"message":"changed by someone else"}'), "tried 3 times"),
    ],
)
def test_every_refusal_has_a_reason_and_never_the_token(
    server: GrafanaServer, grafana: Grafana, rain: Any, answer: tuple[int, str, str], says: str
) -> None:
    server.answers["/api/dashboards/db"] = answer

    with pytest.raises(GrafanaError) as caught:
        push_dashboard(grafana, rain, FOLDER)

    assert says in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("token", ["", "two\nlines", "tưng", " spaced out", "x" * 5000])
def test_a_token_that_is_no_header_is_refused_before_a_library_quotes_it(token: str) -> None:
    with pytest.raises(GrafanaError) as caught:
        Grafana("http://127.0.0.1:1", token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["ftp://x", "http://", "http://user:pass@host", "nonsense", "http://x:abc", "http://[::1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(GrafanaError, match="the address"):
        Grafana(url, TOKEN)


def test_the_command_says_what_is_missing_or_away(
    server: GrafanaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GRAFANA_TOKEN", raising=False)
    assert main(["push", "--url", server.url]) == 2
    assert "GRAFANA_TOKEN" in capsys.readouterr().err

    for wrong in ("grafana:3000", "http://", "http://x:99999", "http://[::1"):
        with pytest.raises(SystemExit, match="2"):
            main(["push", "--url", wrong])
        assert "expected http" in capsys.readouterr().err

    token = tmp_path / "token"
    token.write_text("wrong\n")
    assert main(["push", "--url", server.url, "--token-file", str(token)]) == 1
    assert "401" in capsys.readouterr().err

    token.write_text(f"{TOKEN}\n")
    assert main(["push", "--url", "http://127.0.0.1:1", "--token-file", str(token)]) == 1
    said = capsys.readouterr()
    assert "127.0.0.1" in said.err
    assert TOKEN not in said.err + said.out
    assert server.writes == []


# ---- files
def provisioned(tmp_path: Path, *more: str) -> tuple[Path, Any, Any]:
    folder = tmp_path / "out"
    city = tmp_path / "city.toml"
    city.write_text(full_text(), "utf-8")
    assert main(["write", str(folder), "--city", str(city), *more]) == 0
    yaml = YAML(typ="safe")
    found = [yaml.load(folder / "provisioning" / kind / "canhbao.yaml") for kind in ("datasources", "dashboards")]
    return folder, found[0], found[1]


def test_files_are_what_grafana_reads_and_hold_no_secret(tmp_path: Path) -> None:
    folder, sources, providers = provisioned(
        tmp_path, "--source", "influxdb", "--influx-url", "http://influxdb:8086", "--lang", "both",
        "--reader-token-file", "/run/secrets/reader", "--service-url", f"{SERVICE}/a$b",
    )  # fmt: skip

    assert sources["apiVersion"] == providers["apiVersion"] == 1
    prometheus, influx = sources["datasources"]
    assert prometheus["secureJsonData"] == {"httpHeaderValue1": "Bearer $__file{/run/secrets/reader}"}
    assert prometheus["url"] == f"{SERVICE}/a$$b/prometheus"
    assert influx["secureJsonData"] == {"token": "${CANHBAO_INFLUX_TOKEN}"}
    assert influx["jsonData"]["version"] == "Flux"
    for provider, lang in zip(providers["providers"], ("vi", "en"), strict=True):
        path = Path(provider["options"]["path"])
        assert len(list(path.glob("*.json"))) == 10
        tree = json.loads((path / f"canhbao-rain-{lang}.json").read_text("utf-8"))
        assert {target["datasource"]["uid"] for panel in tree["panels"] if panel["type"] == "timeseries"
                for target in panel["targets"]} == {influx["uid"]}  # fmt: skip
    assert folder.exists()


def test_written_again_no_file_changes_and_what_is_no_more_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, _ = provisioned(tmp_path, "--lang", "both")
    ours = folder / "dashboards" / "vi" / "canhbao-gone-vi.json"
    theirs = folder / "dashboards" / "vi" / "mine.json"
    ours.write_text("{}")
    theirs.write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path not in (ours, theirs)}

    provisioned(tmp_path, "--lang", "both")

    assert "0 written, 22 unchanged, 1 removed" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path != theirs} == before
    assert theirs.exists()


def test_a_container_sees_its_own_paths(tmp_path: Path) -> None:
    _, _, providers = provisioned(tmp_path, "--dashboards-path", "/var/lib/grafana/dashboards")

    assert [row["options"]["path"] for row in providers["providers"]] == ["/var/lib/grafana/dashboards/vi"]


def test_the_same_city_is_the_same_text() -> None:
    once, again = (files(scene(), ("vi", "en"), Sources(SERVICE), "/d") for _ in range(2))
    assert once == again


def test_check_says_what_is_wrong_with_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _, _ = provisioned(tmp_path)
    board = folder / "dashboards" / "vi" / "canhbao-rain-vi.json"
    assert main(["check", str(board)]) == 0

    board.write_text(board.read_text("utf-8").replace("sum_over_time(", "rate("), "utf-8")
    assert main(["check", str(board)]) == 2
    assert "is no selector" in capsys.readouterr().out

    board.write_text("[")
    assert main(["check", str(board)]) == 2
    assert str(board) in capsys.readouterr().err


def test_check_says_what_is_wrong_with_the_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert "0 problems" in capsys.readouterr().out
    assert main(["check", "--city", str(tmp_path / "nowhere.toml")]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["write", "push", "annotate", "check"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"python -m grafana {command}" in capsys.readouterr().out.split("example")[1]
