"""A broker that misbehaves, and clients that do, with the whole service: nothing receipted is lost, all is seen."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokers import until
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from stories import (
    ALERT,
    ALTERED,
    BOOT,
    GATEWAY,
    READINGS,
    RECEIPT,
    Bundled,
    City,
    Peer,
    bare,
    connected,
    field,
    letters,
    levels,
    memory_mb,
    metrics,
    now_ms,
    numbered,
    part,
    pid_of,
    stored,
    until_metric,
)
from test_service import service
from test_spine import CITY, RULES

# What a broker may make of the service's memory: the inbox by its own account (64 MiB), and as much for the messages of
# one turn with the columns and rows that are made of them.
MEMORY_MB = 128
IN_TIME_S = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


@pytest.fixture
def bundled(folder: Path, free_port: Callable[[], int]) -> Iterator[Bundled]:
    peer = Bundled(folder / "nats", free_port())
    yield peer
    peer.stop()


@pytest.fixture
def city(folder: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[City]:
    peer = City(program("mosquitto"), folder / "mosquitto", free_port())
    yield peer
    peer.stop()


@pytest.fixture(params=["bundled", pytest.param("city", marks=pytest.mark.server("mosquitto"))])
def peer(request: pytest.FixtureRequest) -> Peer:
    made: Peer = request.getfixturevalue(request.param)
    return made


# --- the collector is away, or slow ----------------------------------------------------------------------------------


def away_story(folder: Path, peer: Peer, count: int) -> None:
    """`count` messages, half of them of a device without numbers, wait for a collector that is not there."""
    with service(folder, **peer.settings):
        idle_mb = memory_mb(folder / "data")  # and from here on its session is known
    begin = now_ms() - count
    with connected(peer, RECEIPT) as gateway:
        for at in range(0, count, 1000):
            gateway.publish(READINGS, *(
                bare(begin + n, 0.2, "street") if n % 2 else numbered(n // 2 + 1, begin + n, 0.2)
                for n in range(at, at + 1000)
            ))  # fmt: skip
        with service(folder, **peer.settings) as (page, _):
            last = b'{"boot":"%s","seq":%d}' % (BOOT.encode(), count // 2)
            until(lambda: (RECEIPT, last, False) in gateway.heard, "not all have a receipt", 120)
            until_metric(page, "canhbao_readings_total", count)
            used_mb = memory_mb(folder / "data")
            assert metrics(page)["canhbao_lost_total"] == 0
    assert stored(folder / "data") == Counter(range(begin, begin + count))
    assert used_mb - idle_mb < MEMORY_MB, f"{idle_mb:.0f} MiB idle, {used_mb:.0f} MiB"
    print(f"{count} messages: {idle_mb:.0f} MiB idle, {used_mb:.0f} MiB at most")


def test_what_was_sent_while_the_collector_was_away_is_stored_once_and_receipted(folder: Path, peer: Peer) -> None:
    away_story(folder, peer, 1_000)


@pytest.mark.proof
def test_twenty_thousand_messages_wait_for_the_collector(folder: Path, peer: Peer) -> None:
    away_story(folder, peer, 20_000)


def slow_story(folder: Path, peer: Peer, count: int) -> None:
    """A tenth of a second a message: turns take longer than pings, and than the bundled broker waits for an answer."""
    begin = now_ms()
    with service(folder, command=[*ALTERED, "slow", "short_keepalive"], **peer.settings) as (page, _):
        with connected(peer, RECEIPT) as gateway:
            gateway.publish(READINGS, *(numbered(n + 1, begin + n, 0.2) for n in range(count)))
            gateway.publish(READINGS, numbered(count + 1, now_ms(), 3.0))
            last = b'{"boot":"%s","seq":%d}' % (BOOT.encode(), count + 1)
            until(lambda: (RECEIPT, last, False) in gateway.heard, "not all have a receipt", count * 0.1 * 4 + 10)
            until(lambda: levels(page) == [3], "the warning is not told", IN_TIME_S)
        shown = metrics(page)
        assert part(page, "broker") == (True, "")
    assert shown["canhbao_messages_total"] == count + 1, "what was under way was taken again"
    assert [shown[f"canhbao_{name}_total"] for name in ("reconnects", "shed", "lost", "stale_acks")] == [0, 0, 0, 0]
    assert (shown["canhbao_repeated_total"] > 0) == isinstance(peer, Bundled)
    assert sum(stored(folder / "data").values()) == count + 1


def test_a_slow_collector_loses_nothing_and_is_sent_nothing_in_vain(folder: Path, peer: Peer) -> None:
    slow_story(folder, peer, 60 if isinstance(peer, Bundled) else 40)


@pytest.mark.proof
def test_a_collector_that_is_slow_for_minutes_loses_nothing(folder: Path, peer: Peer) -> None:
    slow_story(folder, peer, 1_500)


@pytest.mark.proof  # a minute, after which a gateway sends again
def test_what_is_beyond_the_rate_has_no_receipt_and_comes_again_by_itself(folder: Path, peer: Peer) -> None:
    """A gateway with a spool sends 40 at once where 20 are allowed; what has no receipt once more after a minute."""
    limited = f'canhbao_rate_limited_total{{gateway="{GATEWAY}"}}'
    with (
        service(folder, command=[*ALTERED, "strict"], **peer.settings) as (page, _),
        field(folder / "spool", peer.port, peer.gateway[1]) as gateways,
    ):
        times = gateways.offer(*(0.1 for _ in range(40)))
        gateways.until(lambda: metrics(page)[limited] >= 1, "nothing is beyond the rate")
        assert gateways.unreceipted >= metrics(page)[limited]
        time.sleep(1.0)
        times += gateways.offer(0.1)  # behind it there is a hole
        gateways.until_receipted(100)
        assert gateways.parked == 0
    assert stored(folder / "data") == Counter(times)
    assert f"gateway {GATEWAY} sends more than it may" in (folder / "log").read_text()


# --- the broker forgets, or refuses ----------------------------------------------------------------------------------


def forgetful_story(folder: Path, peer: Peer, *, collector_first: bool) -> None:
    """The broker loses its sessions, and with them messages that it has acknowledged and the retained warning."""
    with service(folder, **peer.settings) as (page, _):
        data = folder / "data"
        with field(folder / "spool", peer.port, peer.gateway[1]) as gateways:
            times = gateways.offer(3.0)
            gateways.until_receipted()
            os.kill(pid_of(data), signal.SIGSTOP)
            times += gateways.offer(*(2.9 for _ in range(20)))
            gateways.until(lambda: gateways.confirmed, "the broker does not take them")
            peer.wipe()
            os.kill(pid_of(data), signal.SIGCONT)
            if collector_first:  # else the broker has nobody to keep it for, and it goes once more after a minute
                until(
                    lambda: metrics(page)["canhbao_sessions_lost_total"] and part(page, "broker")[0], wait_s=IN_TIME_S
                )
            gateways.until_receipted(100)
            assert gateways.parked == 0
        until(lambda: part(page, "out")[0], wait_s=IN_TIME_S)
        with connected(peer, ALERT, user=peer.listener) as listener:
            until(lambda: listener.heard, "the warning is not published again", IN_TIME_S)
        assert metrics(page)["canhbao_sessions_lost_total"] == 1
        assert part(page, "broker") == (True, "")
    assert stored(data) == Counter(times)
    assert "has lost our session" in (folder / "log").read_text()


def test_a_broker_that_lost_everything_costs_the_gateways_nothing(folder: Path, peer: Peer) -> None:
    forgetful_story(folder, peer, collector_first=True)


@pytest.mark.proof
def test_what_nobody_was_there_to_hear_is_sent_once_more(folder: Path, peer: Peer) -> None:
    forgetful_story(folder, peer, collector_first=False)


def refused_story(folder: Path, peer: Peer) -> None:
    with service(folder, **peer.settings) as (page, _):
        assert part(page, "broker") == (False, "it refuses us canhbao/v1/+/readings/+")
        assert metrics(page)["canhbao_topics_refused"] == 1
        assert metrics(page)['canhbao_part_ready{part="broker"}'] == 0
        with field(folder / "spool", peer.port, peer.gateway[1]) as gateways:
            times = gateways.offer(0.1, 3.0)
            gateways.until_receipted()
        until(lambda: levels(page) == [3], "the warning is not told", IN_TIME_S)
    assert stored(folder / "data") == Counter(times)
    assert "refuses to collector: canhbao/v1/+/readings/+" in (folder / "log").read_text()


def test_a_broker_that_refuses_a_topic_is_said_and_the_rest_goes_on(
    folder: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.broker.nats._LIVE", ["canhbao.v1.*.readings", "canhbao.v1.*.status"])
    peer = Bundled(folder / "nats", free_port())
    try:
        refused_story(folder, peer)
    finally:
        peer.stop()


# --- other clients ---------------------------------------------------------------------------------------------------


def intrude(port: int, client_id: str, user: tuple[str, str]) -> None:
    """Connects once with somebody's client id, takes what it is sent for a moment, and goes."""
    intruder = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=False)
    answers: list[str] = []
    intruder.on_connect = lambda _c, _u, _f, reason, _p: answers.append(str(reason))
    if user[0]:
        intruder.username_pw_set(*user)
    intruder.connect("127.0.0.1", port)
    intruder.loop_start()
    until(lambda: answers)
    time.sleep(0.2)
    intruder.disconnect()
    intruder.loop_stop()
    intruder._reset_sockets()
    assert answers[0] == "Success"


@pytest.mark.server("mosquitto")
def test_a_gateway_that_calls_itself_collector_takes_nothing(folder: Path, city: City) -> None:
    with service(folder, **city.settings, CANHBAO_MQTT__CLIENT_ID="collector") as (page, _):
        for n in range(5):
            intrude(city.port, "collector", city.gateway)
            with connected(city) as device:
                device.publish(READINGS, bare(now_ms(), 0.1 * n))
        until_metric(page, "canhbao_readings_total", 5)
        shown = metrics(page)
        assert [shown[f"canhbao_{name}_total"] for name in ("reconnects", "sessions_lost", "stale_acks")] == [0, 0, 0]
    assert sum(stored(folder / "data").values()) == 5


def test_a_client_id_that_others_use_is_said_and_the_gateways_lose_nothing(folder: Path, bundled: Bundled) -> None:
    with service(folder, **bundled.settings) as (page, _):
        client_id = (folder / "data" / "client_id").read_text().strip()
        with field(folder / "spool", bundled.port) as gateways:
            times = gateways.offer(0.1)
            gateways.until_receipted()
            for n in range(1, 6):
                times += gateways.offer(0.1 * n)  # some of it is the intruder's, who acknowledges it
                intrude(bundled.port, client_id, bundled.gateway)
                gateways.until(lambda n=n: metrics(page)["canhbao_reconnects_total"] >= n, "it does not come back")
            ready, detail = part(page, "broker")
            assert (ready, "does another client use our id?" in detail) == (False, True)
            times += gateways.offer(3.0)
            gateways.until(lambda: levels(page) == [3], "the warning is not told")
            gateways.until_receipted(100)
            assert gateways.parked == 0
    assert stored(folder / "data") == Counter(times)
    log = (folder / "log").read_text()
    assert "does another client use our client id?" in log
    assert client_id not in log


def test_retained_poison_is_a_dead_letter_once_a_start(folder: Path, peer: Peer) -> None:
    poison = {READINGS: bare(now_ms(), 3.0), f"{READINGS}/x": b"[" * 10_000, f"{READINGS}/cbor": b"\xff" * 15_999}
    retained = 'canhbao_refused_total{reason="retained"}'
    with connected(peer) as device:
        for topic, payload in poison.items():
            device.publish(topic, payload, retain=True)
    with service(folder, **peer.settings) as (page, _):
        until_metric(page, "canhbao_messages_total", 3)
        first = metrics(page)
        peer.restart()
        until_metric(page, "canhbao_retained_again_total", 3)
        with connected(peer) as device:
            device.publish(READINGS, bare(now_ms(), 0.1))
        until_metric(page, "canhbao_readings_total", 1)
        assert metrics(page)[retained] == first[retained]
        assert metrics(page)["canhbao_messages_total"] == 4
        assert levels(page) == []
    kept = letters(folder / "data")
    assert sum(kept.values()) == 3
    with service(folder, **peer.settings) as (page, _):
        until_metric(page, "canhbao_messages_total", 3)
    assert letters(folder / "data") == {reason: 2 * count for reason, count in kept.items()}


def test_what_is_too_large_costs_only_its_sender(folder: Path, peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    with service(folder, **peer.settings) as (page, _):
        idle_mb = memory_mb(folder / "data")
        with connected(peer) as careless:
            gone: list[str] = []
            careless.client.on_disconnect = lambda _c, _u, _f, reason, _p: gone.append(str(reason))
            careless.client.publish(READINGS, bytes(50 * 1024 * 1024), 1)
            until(lambda: gone, "the broker does not throw it out", IN_TIME_S)
        with connected(peer) as device:
            device.publish(READINGS, bytes(20_000), bare(now_ms(), 3.0))
            until(lambda: levels(page) == [3], "the warning is not told", IN_TIME_S)
        shown = metrics(page)
        assert shown['canhbao_refused_total{reason="too_large"}'] == 1
        assert (shown["canhbao_messages_total"], shown["canhbao_reconnects_total"]) == (2, 0)
        assert memory_mb(folder / "data") - idle_mb < MEMORY_MB
    assert letters(folder / "data") == {"too_large": 1}
    if isinstance(peer, City):
        assert f"{GATEWAY} disconnected due to oversize packet" in peer.log
    else:
        assert "maximum payload exceeded: 52428833" in caplog.text
