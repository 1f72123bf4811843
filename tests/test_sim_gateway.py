"""The reference gateway against real brokers and a collector that withholds, asks, dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sim_collector import Collector, broker, until

from firmware_sim.gateway import Broker, Gateways
from firmware_sim.payload import EMPTY, numbered, unnumbered
from firmware_sim.play import Player
from firmware_sim.spool import Spool
from ingest.formats import Decoded, decode

T0 = 1_665_723_600_000
BROKERS = [pytest.param("mosquitto", marks=pytest.mark.server("mosquitto")), "nats"]


@pytest.fixture
def url(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """Where a NATS server waits."""
    with broker("nats", tmp_path, free_port()) as address:
        yield address


def _message(n: int) -> bytes:
    (message,) = unnumbered(["rain-1"], [T0 + n * 60_000], [n / 10])
    return message


@contextmanager
def _gateways(url: str, folder: Path, ids: tuple[str, ...] = ("gw-a",)) -> Iterator[Gateways]:
    with closing(Spool(folder / "spool.sqlite")) as spool:
        gateways = Gateways(ids, spool, Broker.at(url))
        gateways.start()
        try:
            yield gateways
        finally:
            gateways.stop()


@contextmanager
def _collector(url: str, takes: Callable[[Decoded], bool] = lambda _: True) -> Iterator[Collector]:
    collector = Collector(url, takes)
    try:
        yield collector
    finally:
        collector.stop()


def _step_until(gateways: Gateways, true: Callable[[], bool], what: str, now_ms: int | None = None) -> None:
    def stepped() -> bool:
        gateways.step(int(time.monotonic() * 1000) if now_ms is None else now_ms)
        return true()

    until(stepped, what)


@pytest.mark.parametrize("kind", BROKERS)
def test_everything_offered_is_received_and_receipted(kind: str, tmp_path: Path, free_port: Callable[[], int]):
    with broker(kind, tmp_path, free_port()) as url, _collector(url) as collector:
        with _gateways(url, tmp_path) as gateways:
            gateways.offer([("gw-a", _message(n)) for n in range(200)])
            _step_until(gateways, lambda: gateways.unreceipted() == 0, "all receipted")

        assert collector.readings() == {("rain-1", T0 + n * 60_000, n / 10) for n in range(200)}
        assert [m.seq for m in collector.heard] == list(range(1, 201))
        until(lambda: collector.statuses["gw-a"] == ["online", "offline"], "online and then offline")
    with closing(Spool(tmp_path / "spool.sqlite")) as spool:
        assert spool.open(["gw-a"])["gw-a"].seqs == ()


def test_hours_without_a_broker_park_nothing_and_a_full_spool_says_what_it_dropped(
    tmp_path: Path, free_port: Callable[[], int]
):
    port = free_port()
    with closing(Spool(tmp_path / "s", messages_max=40)) as spool:
        gateways = Gateways(["gw-a"], spool, Broker.at(f"mqtt://127.0.0.1:{port}"))
        gateways.start()
        for hour in range(50):
            gateways.offer([("gw-a", _message(hour))])
            gateways.step(hour * 3_600_000)
        with broker("nats", tmp_path, port) as url, _collector(url) as collector:
            _step_until(gateways, lambda: gateways.unreceipted() == 0, "all receipted", 50 * 3_600_000)
            gateways.stop()

            assert [(m.seq, m.values) for m in collector.heard] == [(n + 1, [n / 10]) for n in range(10, 50)]
            assert collector.heard[0].first == 11
        assert (spool.dropped, spool.parked()) == (10, [])


def test_without_receipts_32_messages_are_sent_and_no_more_until_one_comes(url: str, tmp_path: Path):
    with (
        _collector(url, takes=lambda _: False) as deaf,
        _gateways(url, tmp_path) as gateways,
    ):
        gateways.offer([("gw-a", _message(n)) for n in range(50)])
        _step_until(gateways, lambda: len(deaf.heard) >= 32, "32 messages")
        for _ in range(20):
            gateways.step(int(time.monotonic() * 1000))
            time.sleep(0.01)
        assert [m.seq for m in deaf.heard] == list(range(1, 33))

        deaf.tell("gw-a", {"boot": deaf.heard[0].boot, "seq": 3})
        _step_until(gateways, lambda: len(deaf.heard) >= 35, "three more")
        assert [(m.seq, m.first) for m in deaf.heard[32:]] == [(33, 4), (34, 4), (35, 4)]


def test_a_hole_is_filled_from_the_spool_or_with_an_empty_message(url: str, tmp_path: Path):
    with (
        _collector(url, takes=lambda _: False) as asking,
        _gateways(url, tmp_path) as gateways,
    ):
        gateways.offer([("gw-a", _message(n)) for n in range(5)])
        _step_until(gateways, lambda: len(asking.heard) == 5, "five messages")
        boot = asking.heard[0].boot
        asking.tell("gw-a", {"boot": boot, "seq": 2})
        _step_until(gateways, lambda: gateways.unreceipted() == 3, "two receipted")
        asking.tell("gw-a", {"boot": boot, "missing": [2, 4]})
        _step_until(gateways, lambda: len(asking.heard) == 7, "two answers")

        gone, again = asking.heard[5:]
        assert (gone.seq, gone.sensors) == (2, [])
        assert (again.seq, again.t, again.values) == (4, [T0 + 3 * 60_000], [0.3])


def test_a_message_without_receipt_after_five_sends_goes_empty_and_its_readings_stay(url: str, tmp_path: Path):
    with (
        _collector(url, takes=lambda m: not m.sensors) as choosy,
        closing(Spool(tmp_path / "s")) as spool,
    ):
        gateways = Gateways(["gw-a"], spool, Broker.at(url))
        gateways.start()
        gateways.offer([("gw-a", _message(7))])
        _step_until(gateways, gateways.ready, "connected", 0)
        for i, minute in enumerate([0, 1, 3, 7, 15, 31], start=1):
            _step_until(gateways, lambda i=i: len(choosy.heard) >= i, f"send {i}", minute * 60_000)
        _step_until(gateways, lambda: gateways.unreceipted() == 0, "receipted", 31 * 60_000)
        gateways.stop()

        assert [m.values for m in choosy.heard] == [[0.7]] * 5 + [[]]
        assert {m.seq for m in choosy.heard} == {1}
        assert spool.parked() == [("gw-a", 1, _message(7))]


@pytest.mark.parametrize("kind", BROKERS)
def test_a_broker_that_loses_everything_costs_no_reading(kind: str, tmp_path: Path, free_port: Callable[[], int]):
    port = free_port()
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    with _gateways(f"mqtt://127.0.0.1:{port}", tmp_path) as gateways:
        with (
            broker(kind, tmp_path / "first", port) as url,
            _collector(url, takes=lambda m: m.seq <= 10) as collector,
        ):
            gateways.offer([("gw-a", _message(n)) for n in range(60)])
            _step_until(gateways, lambda: len(collector.heard) >= 42 and gateways.unreceipted() == 50, "ten receipted")
        _step_until(gateways, lambda: not gateways.ready(), "the connection is lost")
        with broker(kind, tmp_path / "second", port) as url, _collector(url) as after:
            _step_until(gateways, lambda: gateways.unreceipted() == 0, "the rest receipted")

            assert after.readings() == {("rain-1", T0 + n * 60_000, n / 10) for n in range(10, 60)}


def test_a_collector_that_dies_and_comes_back_gets_everything(url: str, tmp_path: Path):
    with _gateways(url, tmp_path) as gateways:
        gateways.offer([("gw-a", _message(n)) for n in range(100)])
        first = Collector(url, takes=lambda m: m.seq <= 40)
        _step_until(gateways, lambda: gateways.unreceipted() <= 60, "forty receipted")
        first.stop()
        with _collector(url) as second:
            # What the first heard and did not store comes again when its time is up.
            later_ms = int(time.monotonic() * 1000) + 61_000
            _step_until(gateways, lambda: gateways.unreceipted() == 0, "all receipted", later_ms)

            assert first.readings() | second.readings() == {("rain-1", T0 + n * 60_000, n / 10) for n in range(100)}


def test_back_pressure_keeps_every_gateway_beside_the_slowest(url: str, tmp_path: Path):
    ids = ("gw-a", "gw-b", "gw-c")
    portions = [[(id_, _message(n)) for id_ in ids] for n in range(30)]
    with (
        _collector(url, takes=lambda m: m.gateway != "gw-b" or m.seq <= 5) as collector,
        _gateways(url, tmp_path, ids) as gateways,
    ):
        player = Player(gateways, lambda: len(collector.heard) >= 24)
        played = player.play(iter(portions), every_s=0.0, behind_max=2, for_s=5.0)

        # The slow one has 5 receipted and 3 waiting: nobody else is further than that.
        assert max(m.seq for m in collector.heard) == 8
        assert played.messages == 24
        assert not played.finished


def _tidy(folder: Path, rows: int) -> Path:
    lines = ["sensor_id,time_utc,quantity,value,unit"]
    for n in range(rows):
        minute = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 / 1000 + 60 * n))
        lines += [f"gauge-{s},{minute},rain,{n % 7 / 10},mm" for s in range(10)]
    path = folder / "rain.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_after_kill_minus_9_boot_and_seq_go_on_and_nothing_spooled_is_lost(url: str, tmp_path: Path):
    file = _tidy(tmp_path, 1000)
    run = [sys.executable, "-m", "firmware_sim", "--csv", file, "--spool", tmp_path / "spool", "--url"]
    with _collector(url, takes=lambda m: m.seq <= 20) as collector:
        first = subprocess.Popen([*run, url], stderr=subprocess.DEVNULL)
        until(lambda: any(m.seq == 52 for m in collector.heard), "a full wire behind the last receipt")
        os.kill(first.pid, 9)
        first.wait()
        until(lambda: collector.statuses["csv"][-1:] == ["offline"], "the last will")
        unstored = {m.seq: m for m in collector.heard if m.seq > 20}
        heard = len(collector.heard)

        collector.takes = lambda _: True
        second = subprocess.run([*run, url], capture_output=True, text=True, timeout=60, check=False)

        assert second.returncode == 0, second.stderr
        assert "0 without a receipt" in second.stderr
        again = collector.heard[heard:]
        assert {m.boot for m in collector.heard} == {collector.heard[0].boot}
        assert max(m.seq for m in again) > 52
        for seq, message in unstored.items():
            assert next((m.sensors, m.t, m.values) for m in again if m.seq == seq) == (
                message.sensors, message.t, message.values,
            )  # fmt: skip
        assert len(collector.readings()) == 10_000


@pytest.mark.server("mosquitto")
def test_a_password_that_the_broker_refuses_ends_the_call_with_2_and_is_not_shown(
    tmp_path: Path, free_port: Callable[[], int]
):
    users, password = tmp_path / "users", tmp_path / "password"
    subprocess.run(["mosquitto_passwd", "-b", "-c", users, "csv", "right-one"], check=True, capture_output=True)
    file = _tidy(tmp_path, 2)
    with broker("mosquitto", tmp_path, free_port(), users=str(users)) as url:
        run = [sys.executable, "-m", "firmware_sim", "--csv", file, "--url", url, "--password-file", password]
        password.write_text("wrong-one\n")
        refused = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        password.write_text("right-one\n")
        # No collector: nothing is receipted, but it may connect.
        let_in = subprocess.Popen(run, stderr=subprocess.PIPE, text=True)
        time.sleep(1.0)
        let_in.terminate()
        _, said = let_in.communicate(timeout=20)

    assert refused.returncode == 2
    assert "ot authori" in refused.stderr or "Bad user name" in refused.stderr
    assert "wrong-one" not in refused.stderr
    assert "Traceback" not in refused.stderr + said
    assert let_in.returncode == 1
    assert "1 messages from 1 gateways, 1 without a receipt" in said


def test_messages_are_cut_to_16000_bytes_and_keep_their_order():
    n = 1_000
    sensors, t, values = [f"sensor-{i % 7}" for i in range(n)], list(range(T0, T0 + n)), [i / 8 for i in range(n)]

    parts = [numbered(part, boot="f" * 16, seq=2**53 - 1, first=2**53 - 1) for part in unnumbered(sensors, t, values)]
    found = [decode("canhbao/v1/gw-a/readings", part, retained=False) for part in parts]

    assert max(map(len, parts)) <= 16_000
    assert len(parts) < 8
    assert [s for f in found for s in f.sensors] == sensors
    assert [at for f in found for at in f.t] == t
    assert [v for f in found for v in f.values] == values


@pytest.mark.parametrize("padding", range(0, 400, 10))
def test_a_message_near_the_limit_keeps_to_it_with_the_longest_numbers(padding: int):
    n = 380
    sensors = ["s" * (1 + padding), *["s"] * (n - 1)]

    parts = unnumbered(sensors, [T0] * n, [0.5] * n)

    assert sum(len(part) for part in parts) > 15_000
    assert all(len(numbered(part, boot="f" * 16, seq=2**53 - 1, first=2**53 - 1)) <= 16_000 for part in parts)


def test_an_empty_message_is_a_seq_without_readings():
    assert json.loads(numbered(EMPTY, boot="f" * 16, seq=3, first=2)) == {
        "boot": "f" * 16, "seq": 3, "first": 2, "readings": [],
    }  # fmt: skip
