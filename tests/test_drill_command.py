"""`canhbao drill` against a server that checks every call: what is asked for, and that no real warning is ended."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from brokers import Client, until
from test_run import get, reading
from test_service import service
from test_spine import CITY, RULES

from alerts.__main__ import main
from alerts.web.operators import operators_token
from ingest.data_folder import announce

DRILL = {"id": "flood.20242.drill", "hazard": "flood", "area": "20242", "area_name": "Hải Châu", "level_name": "danger",
         "opened_at": "2026-10-14T09:00:00.000+07:00", "drill": True}  # fmt: skip
TOPICS = ("canhbao/v1/alerts/#", "canhbao/v1/cap/#", "canhbao/v1/drill/alerts/#")
START = ["drill", "start", "--area", "20242", "--area", "20260", "--hazard", "flood", "--level", "danger", "--for",
         "30m", "--where", "chợ Hàn", "--what", "first term"]  # fmt: skip


class Service(HTTPServer):
    """The running service: it knows its token, the drills that run, and what it was asked."""

    token = ""
    calls: list[tuple[str, str, Any]]


class Answering(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self._answer({"as_of": "", "alerts": [DRILL], "next": None} if "drill=true" in self.path else {"alerts": []})

    def do_POST(self) -> None:
        said = {"at": "", "by": "operator", "incidents": ["flood.20242.drill", "flood.20260.drill"], "versions": []}
        self._answer(said)

    def _answer(self, said: Any) -> None:
        sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        self.server.calls.append((self.command, self.path, sent))
        right = self.headers["Authorization"] == f"Bearer {self.server.token}"
        body = json.dumps(said if right else {"detail": "no"}).encode()
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path))
    server = Service(("127.0.0.1", 0), Answering)
    server.token, server.calls = operators_token(tmp_path), []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with announce(tmp_path, f"http://127.0.0.1:{server.server_port}/"):
        yield server
    server.shutdown()
    server.server_close()


def test_a_drill_is_asked_for_as_the_api_wants_it(running: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(START) == 0

    ((method, path, sent),) = running.calls
    until = datetime.fromisoformat(sent.pop("until"))
    assert (method, path) == ("POST", "/api/v1/alerts")
    assert sent == {
        "template": "seen", "hazard": "flood", "areas": ["20242", "20260"], "level": 3, "fields": {"where": "chợ Hàn"},
        "drill": True, "why": "first term",
    }  # fmt: skip
    assert until.tzinfo is not None
    assert abs(until.timestamp() - time.time() - 1800) < 60
    assert capsys.readouterr().out.splitlines()[0].startswith("flood.20242.drill  until ")


def test_templates_get_their_fields(running: Service) -> None:
    assert main(["drill", "start", "--area", "20260", "--template", "reservoir", "--level", "3", "--for", "1h",
                 "--field", "name=A Vương", "--field", "where=a=b"]) == 0  # fmt: skip

    sent = running.calls[0][2]
    assert (sent["template"], sent["hazard"], sent["fields"]) == ("reservoir", "", {"name": "A Vương", "where": "a=b"})
    assert sent["drill"] is True


def test_only_drills_are_stopped(running: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "stop", "flood.20242.drill", "flood.20242.real"]) == 2
    assert "no drill 'flood.20242.real' runs" in capsys.readouterr().err
    assert [call[0] for call in running.calls] == ["GET"], "nothing is ended where one of them is no drill"

    assert main(["drill", "stop", "flood.20242.drill"]) == 0
    assert main(["drill", "stop", "--all"]) == 0
    closed = [call for call in running.calls if call[0] == "POST"]
    assert closed == [("POST", "/api/v1/alerts/flood.20242.drill/close", {})] * 2


def test_the_drills_that_run_are_listed(running: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "list"]) == 0
    assert capsys.readouterr().out.split()[:5] == ["flood.20242.drill", "flood", "20242", "Hải", "Châu"]
    assert "drill=true" in running.calls[0][1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--for", "soon"], "--for"),
        (["--for", "0s"], "more than nothing"),
        (["--for", "999h"], "at most 7 days"),
        (["--level", "5"], "expected 1-4"),
        (["--level", "²"], "expected 1-4"),
        (["--field", "where"], "NAME=TEXT"),
    ],
)
def test_a_wrong_call_asks_nobody(
    running: Service, capsys: pytest.CaptureFixture[str], wrong: list[str], said: str
) -> None:
    try:
        code = main([*START, *wrong])
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    assert said in capsys.readouterr().err
    assert running.calls == []


def test_which_drills_to_stop_has_to_be_said(running: Service) -> None:
    assert main(["drill", "stop"]) == main(["drill", "stop", "x", "--all"]) == 2
    assert running.calls == []


def test_without_a_service_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path))
    assert main(START) == 1
    assert "does not run" in capsys.readouterr().err


def test_a_refusal_is_told(running: Service, capsys: pytest.CaptureFixture[str]) -> None:
    running.token = "another"
    assert main(START) == 1
    assert "answers 401: no" in capsys.readouterr().err


def test_a_drill_of_the_whole_service_is_told_apart_and_gives_way_to_a_real_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(tmp_path / "data"))
    with service(tmp_path) as (page, url), Client(int(url.rpartition(":")[2]), *TOPICS) as heard:
        assert main([*START[:4], *START[6:]]) == 0
        until(lambda: len(heard.heard) == 1)
        topic, payload, *_ = heard.heard[0]
        told = json.loads(payload)
        assert (topic, told["exercise"], told["level"]) == ("canhbao/v1/drill/alerts/20242/flood", True, 3)
        assert all(told[form]["vi"].startswith("DIỄN TẬP") for form in ("texts", "long", "spoken"))
        assert get(f"{page}api/v1/alerts")["alerts"] == []
        assert get(f"{page}api/v1/situation/20242")["level"] == 0
        assert [one["id"] for one in get(f"{page}api/v1/alerts?drill=true")["alerts"]] == [told["incident"]]
        shown = get(f"{page}api/v1/v/{told['code']}")
        assert (shown["verdict"], shown["exercise"]) == ("genuine", True)
        until(lambda: "DIỄN TẬP" in (tmp_path / "log").read_text())
        assert capsys.readouterr().out.startswith(told["incident"])

        heard.publish("canhbao/v1/gw-1/readings", reading(1.5))
        until(lambda: ("canhbao/v1/drill/alerts/20242/flood", b"") in [row[:2] for row in heard.heard])
        until(lambda: [one["level"] for one in get(f"{page}api/v1/alerts")["alerts"]] == [1])
        until(lambda: any(row[0] == "canhbao/v1/alerts/20242/flood" for row in heard.heard))
        assert get(f"{page}api/v1/v/{told['code']}")["verdict"] == "over"
        assert main(["drill", "stop", "--all"]) == 0
        assert capsys.readouterr().out == "", "none runs any more"
