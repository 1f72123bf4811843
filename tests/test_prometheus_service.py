"""From a gateway's message to a panel of Grafana's: the whole service, its history in a process of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from brokers import Client, until
from test_service import service
from test_spine import CITY, RULES


@pytest.mark.slow
def test_what_a_gateway_sends_is_on_the_panel(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    now = int(time.time()) * 1000
    with service(tmp_path) as (page, broker), Client(int(broker.rpartition(":")[2])) as gateway:
        token = (tmp_path / "data" / "operator_token").read_text()
        asking = httpx.Client(base_url=f"{page}prometheus/api/v1", headers={"Authorization": f"Bearer {token}"})

        def values(query: str) -> list[str]:
            said = asking.post("/query", data={"query": query}).raise_for_status().json()
            return [one["value"][1] for one in said["data"]["result"]]

        for n in range(3):
            reading = {"sensor": "river", "t": now - 1000 * n, "v": 1.5 + n}
            gateway.publish("canhbao/v1/gw-1/readings", json.dumps(reading).encode())
        until(lambda: values("count_over_time(water_level[5m])") == ["3"], "the history does not follow")
        assert values('water_level{sensor="river"}') == ["1.5"]
        assert values("sum by (area) (sum_over_time(water_level[5m]))") == ["7.5"]
        assert values('canhbao_part_ready{part="spine"}') == ["1"]
        asking.close()
