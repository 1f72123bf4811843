"""CAP out of the whole service: a reading over MQTT, a document on the feed and on the broker, and a restart."""

from __future__ import annotations

import json
import time
from pathlib import Path

import feedparser
import httpx
import pytest
from brokers import Client, until
from cap_scenes import own_faults
from cap_schema import schema_faults
from oasis_examples import THUNDERSTORM
from test_service import service

from alerts.words.cap_in import received

CITY = """
[city]
name = "Đà Nẵng"
timezone = "Asia/Ho_Chi_Minh"
areas_geojson = "wards.geojson"
[[area]]
code = "20242"
name = "Hải Châu"
name_en = "Hai Chau"
lat = 16.06
lon = 108.22
[[gateway]]
id = "gw-1"
[[sensor]]
id = "tower"
quantity = "street_depth"
area = "20242"
gateway = "gw-1"
lat = 16.0671
lon = 108.2133
place = "Hồ Thạc Gián"
"""
RULES = """
[[rule]]
name = "depth"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3 }
[hazard.flood]
confirm_by = "none"
"""
WARD = {"type": "Polygon", "coordinates": [[[108.2, 16.0], [108.25, 16.0], [108.25, 16.1], [108.2, 16.0]]]}
WARDS = {
    "type": "FeatureCollection",
    "features": [{"type": "Feature", "properties": {"code": "20242"}, "geometry": WARD}],
}
TOPIC = "canhbao/v1/cap/20242"


@pytest.mark.slow
def test_a_flood_is_told_as_cap_and_is_the_same_document_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    (tmp_path / "wards.geojson").write_text(json.dumps(WARDS))
    settings = {"CANHBAO_CAP__SENDER": "canhbao@danang.example", "CANHBAO_CAP__CONTACT": "1022"}
    with service(tmp_path, **settings) as (page, url):
        told = _flood(int(url.rpartition(":")[2]))
        document = received(told)
        assert (document.sender, document.status, document.msg_type) == ("canhbao@danang.example", "Actual", "Alert")
        area = document.infos[0].areas[0]
        assert (len(area.polygons), area.circles) == (1, ("16.06710,108.21330 1.0",))
        assert document.infos[0].contact == "1022"
        assert schema_faults(told) == own_faults(told) == []
        assert _fed(page) == told
        _brought(page, (tmp_path / "data" / "operator_token").read_text())
    with service(tmp_path, **settings) as (page, url):
        assert _fed(page) == told
        with Client(int(url.rpartition(":")[2]), TOPIC) as listener:
            until(lambda: listener.heard)
            assert listener.heard[0][1] == told


def _flood(port: int) -> bytes:
    """What is told of a reading of 35 cm."""
    reading = {"sensor": "tower", "t": int(time.time() * 1000), "v": 0.35}
    with Client(port, TOPIC) as gateway:
        gateway.publish("canhbao/v1/gw-1/readings", json.dumps(reading).encode())
        until(lambda: gateway.heard, "no CAP document", wait_s=30)
        return gateway.heard[0][1]


def _fed(page: str) -> bytes:
    """The document that the feed's only entry leads to."""
    feed = feedparser.parse(httpx.get(f"{page}api/v1/cap/feed.atom", timeout=10).content)
    assert not feed.bozo
    (entry,) = feed.entries
    return httpx.get(entry.links[0].href, timeout=10).content


def _brought(page: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token.strip()}", "Content-Type": "application/cap+xml"}
    answer = httpx.post(f"{page}api/v1/cap", content=THUNDERSTORM, headers=headers, timeout=10)
    assert answer.status_code == 201
    counted = httpx.get(f"{page}metrics", timeout=10).text
    assert "canhbao_cap_documents_total 1\n" in counted
    assert "canhbao_cap_faulty_total 0\n" in counted
