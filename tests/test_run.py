"""`canhbao run` as its user meets it: on the wall's clock, over real brokers, and with everything that can be wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from brokers import Client, Mosquitto, until
from test_service import service
from test_spine import CITY, RULES

ALERT = "canhbao/v1/alerts/20242/flood"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


def reading(value: float, *, age_ms: int = 0) -> bytes:
    t = time.time_ns() // 1_000_000 - age_ms
    return json.dumps({"sensor": "river", "t": t, "v": value}).encode()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def alerts(page: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(f"{page}api/v1/alerts")["alerts"]
    return found


def failed_run(folder: Path, **settings: str) -> tuple[int, str]:
    environ = {**os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_MQTT__URL": "embedded:0",
               "CANHBAO_CITY__FILE": str(folder / "city.toml"), "CANHBAO_RULES__FILE": str(folder / "rules.toml"),
               "CANHBAO_DATA__PATH": str(folder / "data"), **settings}  # fmt: skip
    command = [sys.executable, "-m", "alerts", "run", "--log-level", "ERROR"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


def test_a_fresh_reading_becomes_a_warning_and_a_stale_one_does_not(folder: Path) -> None:
    with service(folder) as (page, url):
        with Client(int(url.rpartition(":")[2]), ALERT) as gateway:
            gateway.publish("canhbao/v1/gw-1/readings", reading(3.0, age_ms=16 * 60_000))
            gateway.publish("canhbao/v1/gw-1/readings", b"not json")
            gateway.publish("canhbao/v1/gw-1/readings", reading(3.0, age_ms=-6 * 60_000))
            until(lambda: 'canhbao_refused_total{reason="from_the_future"} 1' in metrics_of(page))
            assert alerts(page) == []
            gateway.publish("canhbao/v1/gw-1/readings", reading(3.0))
            until(lambda: len(gateway.heard) == 1)
        assert [(one["hazard"], one["level"]) for one in alerts(page)] == [("flood", 3)]
        assert 'canhbao_refused_total{reason="not_json"} 1' in metrics_of(page)
        assert get(f"{page}readyz")
    with service(folder) as (page, _):
        assert len(alerts(page)) == 1  # after a restart as before


def test_another_network_warns_where_it_is_asked_for(folder: Path) -> None:
    decoder = 'decoder = { network = "tasmota", id = "mast-1", field = "MCP.Depth", unit = "cm" }\n'
    (folder / "city.toml").write_text(CITY.replace('id = "river"\n', f'id = "river"\n{decoder}'))
    (folder / "canhbao.toml").write_text('[networks]\ntasmota = "tele"\n')
    command = [sys.executable, "-m", "alerts", "run", "--config", str(folder / "canhbao.toml")]
    with (
        service(folder, command=command) as (page, url),
        Client(int(url.rpartition(":")[2]), ALERT) as device,
    ):
        for name in ("stranger", "mast-1"):
            device.publish(f"tele/{name}/LWT", b"Online", retain=True)
            local = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 7 * 3600))
            device.publish(f"tele/{name}/SENSOR", json.dumps({"Time": local, "MCP": {"Depth": 300}}).encode())
        until(lambda: len(device.heard) == 1)
        assert [(one["hazard"], one["level"]) for one in alerts(page)] == [("flood", 3)]
        device.publish("tele/mast-1/LWT", b"Offline", retain=True)
        until(lambda: 'canhbao_device_online{device="tasmota/mast-1"} 0' in metrics_of(page))
        assert 'canhbao_refused_total{reason="unknown_sensor"} 1' in metrics_of(page)
        assert "stranger" not in metrics_of(page)


def metrics_of(page: str) -> str:
    with urllib.request.urlopen(f"{page}metrics", timeout=5) as answer:
        return str(answer.read(), "utf-8")


@pytest.mark.server("mosquitto")
def test_a_broker_that_lost_everything_is_given_the_open_warnings_again(
    folder: Path, program: Callable[[str], str], free_port: Callable[[], int]
) -> None:
    broker = Mosquitto(program("mosquitto"), folder, free_port())
    broker.start()
    try:
        with service(folder, CANHBAO_MQTT__URL=broker.url):
            with Client(broker.port, ALERT) as gateway:
                gateway.publish("canhbao/v1/gw-1/readings", reading(3.0))
                until(lambda: len(gateway.heard) == 1)
            broker.kill()
            broker.start()
            with Client(broker.port, ALERT) as listener:
                until(lambda: len(listener.heard) > 0, "the warning is not published again")
                assert json.loads(listener.heard[0][1])["level"] == 3
    finally:
        broker.stop()


def test_a_data_folder_belongs_to_one_process(folder: Path) -> None:
    with service(folder):
        code, said = failed_run(folder)

    assert code == 1
    assert "in use by process" in said
    assert "Traceback" not in said


def test_a_port_in_use_is_named(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = failed_run(folder, CANHBAO_HTTP__LISTEN=address)
        mqtt_code, mqtt_said = failed_run(folder, CANHBAO_MQTT__URL=f"embedded:{taken.getsockname()[1]}")

    assert (code, mqtt_code) == (1, 1)
    assert address in said
    assert str(taken) not in mqtt_said
    assert address.partition(":")[2] in mqtt_said
    assert "Traceback" not in said + mqtt_said


def test_an_absent_broker_is_named(folder: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    code, said = failed_run(folder, CANHBAO_MQTT__URL=f"mqtt://127.0.0.1:{port}")

    assert code == 1
    assert f"no MQTT broker at 127.0.0.1:{port}" in said
    assert "Traceback" not in said


def test_a_data_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    code, said = failed_run(folder, CANHBAO_DATA__PATH=str(folder / "file" / "data"))

    assert code == 1
    assert str(folder / "file") in said
    assert "Traceback" not in said


def test_a_wrong_rule_ends_with_2_and_names_file_and_key(folder: Path) -> None:
    (folder / "rules.toml").write_text(RULES.replace("danger = 2.5", "danger = 0.5"))
    code, said = failed_run(folder)

    assert code == 2
    assert "rule 'river' levels" in said
    assert "rules.toml" in said
    assert "Traceback" not in said
