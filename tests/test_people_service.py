"""People and the real service: the first token before it runs, verbs while it runs, all of it there after a kill."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
from brokers import Client, until
from test_run import reading
from test_service import RUN, _addresses
from test_spine import CITY, RULES

from alerts.__main__ import main
from alerts.ledger.audit import Audit
from alerts.ledger.ledger import Ledger
from alerts.web.operators import known_token

UNCONFIRMED = RULES.replace('confirm_by = "none"', "")


class Place:
    """A data folder; `run` starts the service in it, `user` is `canhbao user`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "city.toml").write_text(CITY)
        (folder / "rules.toml").write_text(UNCONFIRMED)
        self.environ = {
            **os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_MQTT__URL": "embedded:0",
            "CANHBAO_CITY__FILE": str(folder / "city.toml"), "CANHBAO_RULES__FILE": str(folder / "rules.toml"),
            "CANHBAO_DATA__PATH": str(folder / "data"),
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"

    def run(self) -> tuple[str, int]:
        self.log.unlink(missing_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(RUN, env=self.environ, stdout=log, stderr=log)
        page, gateways = _addresses(self.log, self.process)
        return page.rstrip("/") + "/api/v1", int(gateways.rpartition(":")[2])

    def end(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(30)
        self.process = None


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)


def user(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["user", *arguments]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


def test_who_was_made_before_the_service_ran_acts_while_it_runs_and_nothing_is_lost_with_it(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    vy = user(capsys, "add", "vy", "--role", "approver").strip()
    url, gateways = place.run()
    an = user(capsys, "add", "an", "--role", "viewer").strip()
    assert user(capsys, "list").splitlines() == [
        f"an\tviewer\twhole city\tall hazards\tother\tactive\t{an[3:15]}",
        f"vy\tapprover\twhole city\tall hazards\tother\tactive\t{vy[3:15]}",
    ]
    client = Client(gateways)
    client.publish("canhbao/v1/gw-1/readings", json.dumps({"readings": [json.loads(reading(3.0))]}).encode())

    def ask(method: str, path: str, token: str = vy, body: Any = None, key: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
        return httpx.request(method, url + path, json=body, headers=headers, timeout=20)

    def waiting() -> list[Any]:
        return list(ask("GET", "/alerts?unpublished=true").json()["alerts"])

    until(waiting)
    (alert,) = waiting()
    approve = f"/alerts/{alert['id']}/approve"
    assert (alert["version"], alert["awaiting"]) == (0, True)
    assert ask("POST", approve, an).status_code == 403
    assert httpx.get(f"{url}/alerts").json()["alerts"] == []
    until(lambda: waiting()[0]["called"] == ["vy"])
    done = ask("POST", approve, body={"why": "seen"}, key="k1").json()
    assert done["versions"] == [{"incident": alert["id"], "version": 1}]
    assert [row["version"] for row in httpx.get(f"{url}/alerts").json()["alerts"]] == [1]
    until_time = "2099-01-01T00:00:00+07:00"
    assert ask("POST", "/silences", body={"hazard": "x", "until": until_time, "reason": "x"}).status_code == 422
    page = ask("GET", "/audit", vy)
    assert page.status_code == 403

    place.end(signal.SIGKILL)
    url, gateways = place.run()
    assert ask("POST", approve, body={"why": "seen"}, key="k1").json() == done | {"already": True}
    assert ask("POST", f"/alerts/{alert['id']}/close", key="k2").json()["versions"] == [
        {"incident": alert["id"], "version": 2}
    ]
    _by_hand(ask, user(capsys, "add", "duc", "--role", "approver").strip())
    assert user(capsys, "revoke", "vy") == "vy: 1 token has ended\n"
    assert ask("GET", "/silences").status_code == 401
    head = user(capsys, "audit").split()[-1]
    rows = ask("GET", "/audit?limit=100", known_token(place.folder / "data")).json()["rows"]
    place.end(signal.SIGTERM)

    since_kill = [f"audit {row['seq']}:{row['hash']}" for row in rows if row["verb"] in ("close", "token_revoke")]
    assert len(since_kill) == 2
    assert all(one in place.log.read_text() for one in since_kill), "every head is in the log"
    assert head in user(capsys, "audit", "--head", head)
    ledger = Ledger.open(place.folder / "data" / "ledger.sqlite")
    kept = [row.entry for row in Audit(ledger.store).page()[0]]
    ledger.close()
    assert [(row.verb, row.by) for row in kept if row.key.startswith("k")] == [
        ("close", "vy"),
        ("approve", "vy"),
    ]
    assert all(secret not in str(kept) + place.log.read_text() for secret in (vy, an))
    lost = user(capsys, "audit", "--head", f"99:{'0' * 64}", code=1)
    assert "the end is missing" in lost


def _by_hand(ask: Callable[..., httpx.Response], duc: str) -> None:
    """What persons say of themselves, by one approver and a second one."""
    soon, later = ((datetime.now(UTC) + timedelta(minutes=n)).isoformat() for n in (0, 60))
    leave = {"template": "evacuation", "level": 4, "areas": ["20242"], "until": later,
             "fields": {"where": "chợ Hàn", "shelter": "trường Trần Phú"}}  # fmt: skip
    raised = ask("POST", "/alerts", body=leave).json()
    assert raised["versions"] == [], "one person alone sends nobody away"
    approve = f"/alerts/{raised['incidents'][0]}/approve"
    alone = ask("POST", approve)
    assert (alone.status_code, "another person" in alone.json()["detail"]) == (409, True)
    assert len(ask("POST", approve, duc).json()["versions"]) == 1

    silence = ask("POST", "/silences", body={"sensor": "street", "until": later, "reason": "mast lies"}).json()
    assert [one["id"] for one in ask("GET", "/silences").json()["silences"]] == [silence["id"]]
    assert ask("DELETE", f"/silences/{silence['id']}", duc).status_code == 200
    assert ask("GET", "/silences").json()["silences"] == []
    official = {"level": 3, "issuer": "Đài KTTV", "bulletin": "12", "valid_from": soon, "valid_until": later}
    assert ask("POST", "/official-level", body=official).status_code == 200
    assert ask("GET", "/official-level").json()["official_level"]["level"] == 3
    assert ask("POST", "/official-level", body=official | {"level": 0}).status_code == 200
    assert ask("GET", "/official-level").json()["official_level"] is None


@pytest.mark.usefixtures("place")
def test_wrong_calls_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "areas: 'nowhere'" in user(capsys, "add", "an", "--role", "viewer", "--area", "nowhere", code=2)
    assert "'Operator!'" in user(capsys, "add", "Operator!", "--role", "viewer", code=2)
    assert "nothing to change" in user(capsys, "scope", "an", code=2)
    assert "one of them" in user(capsys, "scope", "an", "--area", "20242", "--whole-city", code=2)
    assert "no user an" in user(capsys, "token", "an", code=1)
    assert "no head" in user(capsys, "audit", "--head", "x", code=2)
    token = user(capsys, "add", "an", "--role", "viewer", "--area", "20242", "--hazard", "flood")
    assert user(capsys, "scope", "an", "--role", "admin", "--whole-city", "--all-hazards") == (
        "an\tadmin\twhole city\tall hazards\tother\tactive\n"
    )
    assert user(capsys, "revoke", "an", token[3:15]) == "an: 1 token has ended\n"
    assert user(capsys, "revoke", "an") == "an: 0 tokens have ended\n"
    assert "not active" in user(capsys, "token", "an", code=1)
    assert "active" in user(capsys, "scope", "an", "--active")
    assert json.loads(user(capsys, "list", "--json"))["role"] == "admin"
    assert "start it first" in user(capsys, "contact", "an", "--none", code=1)


def test_a_call_reaches_the_phone_that_an_admin_has_entered_through_the_real_post(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    came = Queue[dict[str, str]]()

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "12")
            self.end_headers()
            self.wfile.write(b'{"id":"g-1"}')

        def log_message(self, *_: object) -> None:
            pass

    phone, number = "+84 905 000 001", "84905000001"
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as gateway:
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        place.environ |= {
            "CANHBAO_RESIDENTS__KEY": "ab" * 32, "CANHBAO_SMS__URL": f"http://127.0.0.1:{gateway.server_port}/send",
            "CANHBAO_SMS__BODY": '{"to": "{to}", "text": "{text}", "key": "{key}"}', "CANHBAO_SMS__ID_AT": "/id",
            "CANHBAO_SMS__RECEIPT_ID_AT": "/id", "CANHBAO_SMS__RECEIPT_STATUS_AT": "/state",
            "CANHBAO_SMS__RECEIPT_RECEIVED": "5", "CANHBAO_SMS__HOOK_SECRET": "a secret of the gateway",
        }  # fmt: skip
        user(capsys, "add", "vy", "--role", "approver")
        url, gateways = place.run()
        monkeypatch.setattr(sys, "stdin", StringIO(f"{phone}\n"))
        assert user(capsys, "contact", "vy", "sms") == "vy: called by sms\n"
        assert json.loads(user(capsys, "list", "--json"))["called_by"] == "sms"
        body = {"readings": [json.loads(reading(3.0))]}
        Client(gateways).publish("canhbao/v1/gw-1/readings", json.dumps(body).encode())
        call = came.get(timeout=30)
        assert call["to"] == number
        assert "Truc ban: can duyet Nguy hiem - ngap lut, Hai Chau" in call["text"]
        assert call["text"].count(f"{url.removesuffix('/api/v1')}/ioc") == 1
        receipt, known = {"id": "g-1", "state": 5}, {"X-Canhbao-Secret": "a secret of the gateway"}
        assert httpx.post(f"{url}/receipts/sms", json=receipt).status_code == 403
        assert httpx.post(f"{url}/receipts/sms", json=receipt, headers=known).status_code == 204
        assert user(capsys, "contact", "vy", "--none") == "vy: called on the console alone\n"
        place.end(signal.SIGTERM)
        gateway.shutdown()
    with closing(sqlite3.connect(place.folder / "data" / "post.sqlite")) as post:
        assert post.execute("SELECT count(*) FROM message WHERE received_at > 0").fetchone() == (1,)
    assert number[2:] not in place.log.read_text()
    for file in (place.folder / "data").rglob("*"):
        assert not file.is_file() or number[2:].encode() not in file.read_bytes(), file
