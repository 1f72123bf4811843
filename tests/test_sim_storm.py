"""`python -m firmware_sim` as a process of its own: the storm on a real broker."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sim_collector import Collector, broker, until

from firmware_sim.storm import NOON_MS
from ingest.city import parse_city

STORM = [sys.executable, "-m", "firmware_sim", "storm"]


@pytest.fixture
def url(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """Where a NATS server waits."""
    with broker("nats", tmp_path, free_port()) as address:
        yield address


def _ran(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*STORM, *options], capture_output=True, text=True, timeout=60, check=False)


def test_the_storm_plays_minute_by_minute_through_40_gateways_and_is_quiet_in_a_pipe(url: str, tmp_path: Path):
    collector = Collector(url)
    out = tmp_path / "city.toml"

    ended = _ran("--url", url, "--for", "3", "--city-out", str(out))
    collector.stop()

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "from 40 gateways, 0 without a receipt, 0 parked, 0 dropped" in ended.stderr
    city = parse_city(out.read_text(encoding="utf-8"))
    assert len({message.gateway for message in collector.heard}) == 40
    newest: dict[str, int] = defaultdict(int)
    for message in collector.heard:
        assert {city.sensors[sensor].gateway for sensor in message.sensors} == {message.gateway}
        newest[message.gateway] = max(newest[message.gateway], *message.t)
        assert min(message.t) > max(newest.values()) - 4 * 60_000  # nobody is left behind
    assert 10 < (max(newest.values()) - NOON_MS) / 60_000 < 40  # 36 minutes of the storm in 3 s


def test_the_storm_waits_for_a_service_that_is_slow(url: str):
    collector = Collector(url, lambda message: message.gateway != "gw-hai-chau-1" or message.seq <= 4)

    with subprocess.Popen([*STORM, "--url", url, "--for", "4"], stderr=subprocess.PIPE, text=True) as storm:
        until(lambda: any(m.gateway == "gw-hai-chau-1" and m.seq == 7 for m in collector.heard), "three are waiting")
        until(lambda: len(collector.heard) == 7 * 40, "the others are as far")
        time.sleep(0.5)  # their receipts are on the way
        storm.send_signal(signal.SIGTERM)
        _, said = storm.communicate(timeout=20)
    collector.stop()

    assert max(t for m in collector.heard for t in m.t) < NOON_MS + 8 * 60_000
    assert storm.returncode == 0  # whoever says stop, knows
    assert "3 without a receipt" in said


def test_without_a_broker_it_ends_with_1_and_a_sentence(free_port: Callable[[], int]):
    ended = _ran("--url", f"mqtt://127.0.0.1:{free_port()}", "--for", "1")

    assert ended.returncode == 1
    assert "no connection within 1 s" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_address_is_a_sentence_too():
    ended = _ran("--url", "broker.example")

    assert (ended.returncode, ended.stdout) == (2, "")
    said = "firmware_sim: --url: found 'broker.example', expected mqtt://host:port or mqtts://host:port"
    assert ended.stderr.splitlines() == [said]


def test_help_has_an_example_and_city_out_alone_writes_the_file_and_ends(tmp_path: Path):
    out = tmp_path / "city.toml"

    assert "python -m firmware_sim storm --url" in _ran("--help").stdout
    assert _ran("--city-out", str(out), "--seed", "9").returncode == 0

    assert len(parse_city(out.read_text(encoding="utf-8")).sensors) == 82 + 56 + 2 * 200 + 6 * 60
