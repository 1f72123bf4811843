"""Ward groups in the running service: its own channels, its own hooks, its own rules."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
from group_house import API
from test_service import service
from test_spine import CITY, RULES

from alerts.web.operators import known_token

SETTINGS = {
    "CANHBAO_RESIDENTS__KEY": "ab" * 32,
    "CANHBAO_SMS__URL": "https://sms.example.vn/send",
    "CANHBAO_SMS__BODY": '{"to": "{to}", "text": "{text}"}',
    "CANHBAO_SMS__REPLY_FROM_AT": "/from",
    "CANHBAO_SMS__REPLY_TEXT_AT": "/text",
    "CANHBAO_SMS__HOOK_SECRET": "the gateway's own secret",
}


def test_the_service_keeps_groups_and_takes_replies_of_its_providers(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY, "utf-8")
    (tmp_path / "rules.toml").write_text(RULES, "utf-8")
    with service(tmp_path, **SETTINGS) as (page, _), httpx.Client(base_url=page, timeout=10) as client:
        mine = {"Authorization": f"Bearer {known_token(tmp_path / 'data')}"}
        area = client.get(f"{API}/areas").json()["areas"][0]["code"]
        made = client.post(f"{API}/groups", json={"area": area, "name": "Tổ 1", "households": 80}, headers=mine)
        leader = {"contacts": [{"channel": "sms", "address": "0905 123 456"}]}
        shown = client.post(f"{API}/groups/{made.json()['id']}/leaders", json=leader, headers=mine)
        assert shown.json()["leaders"][0]["contacts"][0]["ends"] == "456"
        reply, secret = {"from": "0905123456", "text": "1"}, {"X-Canhbao-Secret": SETTINGS["CANHBAO_SMS__HOOK_SECRET"]}
        assert client.post(f"{API}/replies/sms", json=reply).status_code == 403
        assert client.post(f"{API}/replies/sms", json=reply, headers=secret).status_code == 204
        assert 'canhbao_group_replies_total{outcome="not_asked"} 1' in client.get("/metrics").text
        assert client.get("/g").status_code == 200
    held = sqlite3.connect(tmp_path / "data" / "residents.sqlite")
    hazards = {row[0] for row in held.execute("SELECT hazard FROM target WHERE floor = 2")}
    held.close()
    assert {"storm", "evacuation"} < hazards, "of its rules and of what persons warn of"
