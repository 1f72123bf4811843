"""The whole service: a reading becomes a signed event at a receiver to copy, and a text for loudspeakers."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from brokers import Client, until
from test_run import reading
from test_service import service
from test_spine import CITY, RULES
from test_webhook import EXAMPLE, SECRET

from alerts.web.operators import known_token


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "ioc.secret").write_text(SECRET)
    return tmp_path


def test_a_reading_becomes_an_event_and_a_spoken_text(folder: Path) -> None:
    events = folder / "events"
    command = [sys.executable, str(EXAMPLE), "0", str(folder / "ioc.secret"), str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            port = receiver.stdout.readline().split()[-1]
            (folder / "webhooks.toml").write_text(
                f'[[webhook]]\nname = "ioc"\nurl = "http://127.0.0.1:{port}/"\nsecret_file = "ioc.secret"\n'
                'areas = ["20242"]\nfloor = 3\n'
            )
            settings = {
                "CANHBAO_WEBHOOK__FILE": str(folder / "webhooks.toml"),
                "CANHBAO_WEBHOOK__ALLOW_INSECURE": "yes",
            }
            with service(folder, **settings) as (page, url):
                with Client(int(url.rpartition(":")[2]), "canhbao/v1/speak/+") as speaker:
                    speaker.publish("canhbao/v1/gw-1/readings", reading(3.0))
                    until(lambda: speaker.heard and events.exists())
                    ((topic, said, retained),) = speaker.heard
                until(lambda: _deliveries(folder, page) == [("ioc", "sent", 1)])
        finally:
            receiver.kill()

    (event,) = [json.loads(line) for line in events.read_text().splitlines()]
    alert = event["alert"]
    assert (event["type"], alert["hazard"], alert["area"], alert["level"]) == ("alert", "flood", "20242", 3)
    assert "Hải Châu" in alert["texts"]["vi"]
    assert (topic, retained) == ("canhbao/v1/speak/20242", False)
    assert json.loads(said)["incident"] == alert["incident"]


def _deliveries(folder: Path, page: str) -> list[tuple[str, str, int]]:
    headers = {"Authorization": f"Bearer {known_token(folder / 'data')}"}
    asked = urllib.request.Request(f"{page}api/v1/deliveries?channel=webhook", headers=headers)
    with urllib.request.urlopen(asked, timeout=5) as answer:
        rows = json.load(answer)["deliveries"]
    return [(row["recipient"], row["status"], row["attempts"]) for row in rows]
