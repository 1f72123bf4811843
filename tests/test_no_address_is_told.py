"""After a whole run, with providers that repeat addresses in their refusals, none stands anywhere but sealed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from brokers import Client, until
from post.town import KEY, Contact, Person, Residents
from test_desk_and_post import asked, tell
from test_service import service
from test_spine import CITY, RULES

from alerts.web.operators import operators_token

pytestmark = pytest.mark.slow
LAN = "905123456"  # who signs up; in whatever form it is written, these digits stand in it
PEOPLE = 24
NUMBERS = (LAN, *(f"90{n:07}" for n in range(1, PEOPLE + 1)))
WARDS = {("20242", "flood"): 1}


class Gateway(BaseHTTPRequestHandler):
    """Of short messages: it refuses every other number, and repeats it when it does."""

    came: list[dict[str, str]]

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.came.append(sent)
        refused = sent["to"][-1] in "13579"
        answer = {"error": f"{sent['to']} is no number of ours", "to": sent["to"]} if refused else {"id": "x"}
        text = json.dumps(answer).encode()
        self.send_response(400 if refused else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def gateway() -> Iterator[tuple[int, list[dict[str, str]]]]:
    came: list[dict[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Gateway,), {"came": came}))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, came
    finally:
        server.shutdown()
        server.server_close()


def subscribe(client: httpx.Client, came: list[dict[str, str]]) -> str:
    """By the code that the gateway was given; the token of who did."""
    contacts = [{"channel": "sms", "address": f"0{LAN}"}]
    asked_ = client.post("subscriptions", json={"areas": [{"code": "20242"}], "contacts": contacts}).json()
    until(lambda: any(LAN in one["to"] for one in came), "no code came", 30)
    code = re.findall(r"\b\d{6}\b", next(one["text"] for one in came if LAN in one["to"]))[0]
    confirm = {"id": asked_["confirm"][0]["id"], "code": code}
    answer = client.post("subscriptions/confirm", json=confirm)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def places(text: str | bytes) -> list[str]:
    """The numbers that stand in it."""
    raw = text.encode() if isinstance(text, str) else text
    return [number for number in NUMBERS if number.encode() in raw]


def test_a_whole_run_leaves_no_address_behind(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    data.mkdir()
    residents = Residents(data)
    residents.add(
        [Person(n, "vi", "", 9, WARDS, (Contact(n, "sms", f"+8490{n:07}"),)) for n in range(1, PEOPLE + 1)], 0
    )
    residents.close()
    with gateway() as (port, came):
        settings = {
            "CANHBAO_RESIDENTS__KEY": KEY, "CANHBAO_LOG__LEVEL": "debug", "CANHBAO_LOG__FORMAT": "json",
            "CANHBAO_SMS__URL": f"http://127.0.0.1:{port}/send",
            "CANHBAO_SMS__BODY": '{"to": "{to}", "text": "{text}", "key": "{key}"}', "CANHBAO_SMS__ID_AT": "/id",
        }  # fmt: skip
        with service(tmp_path, **settings) as (page, broker):
            machine = {"Authorization": f"Bearer {operators_token(data)}"}
            with httpx.Client(base_url=f"{page}api/v1/", headers=machine, timeout=10) as client:
                token = subscribe(client, came)
                with_own = {"Authorization": f"Bearer {token}"}
                assert client.patch("subscriptions", headers=with_own, json={"lang": "en"}).status_code == 200
                tell(Client(int(broker.rpartition(":")[2])), 2.6)
                done = "SELECT count(*) FROM message WHERE seq > 0 AND status IN ('sent', 'dead')"
                until(lambda: asked(data / "post.sqlite", done) == [(PEOPLE + 1,)], "not everybody was told", 60)
                until(lambda: "canhbao_messages_sent_total" in httpx.get(f"{page}metrics").text, "no metrics", 20)
                shown = {path: client.get(path).text for path in (
                    "deliveries", "deliveries?side=post", "deliveries?side=post&status=dead", "dead-letters", "audit",
                    "users", "health/sensors", "alerts?unpublished=true", "planned-outages", "silences",
                )}  # fmt: skip
                shown |= {
                    path: httpx.get(page + path).text for path in ("metrics", "readyz", "healthz", "openapi.json")
                }
                command = [sys.executable, "-m", "alerts", "backup", str(tmp_path / "kept.tar")]
                environ = {**os.environ, "CANHBAO_DATA__PATH": str(data)}
                subprocess.run(command, env=environ, check=True, capture_output=True, timeout=60)

    told = {one["to"] for one in came}
    assert len(told) == PEOPLE + 1, "every address was used"
    refused = asked(data / "post.sqlite", "SELECT count(*) FROM message WHERE status = 'dead'")
    assert refused[0][0] >= PEOPLE // 2, "refusals are part of it"
    assert "dead" in shown["deliveries?side=post&status=dead"]
    assert (tmp_path / "kept.tar").stat().st_size > 0
    assert "DEBUG" in (tmp_path / "log").read_text().upper(), "the log was at its most talkative"
    found = {name: there for name, text in shown.items() if (there := places(text))}
    assert not found
    for file in (tmp_path / "log", tmp_path / "kept.tar", *data.rglob("*")):
        assert not file.is_file() or not places(file.read_bytes()), file


def test_an_address_in_any_of_its_forms_would_be_found() -> None:
    assert places(f'{{"to": "+84{LAN}"}}') == places(f"0{LAN} is no number") == [LAN]
