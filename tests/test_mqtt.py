"""The collector's ear, against real brokers: what is not acknowledged comes again, what is acknowledged was stored."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import Client, Mosquitto, Nats, until

from ingest.inbox import Inbox, Message
from ingest.mqtt.connection import Broker, MqttError
from ingest.mqtt.publisher import MqttPublisher
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource

READINGS = "canhbao/v1/gw-1/readings"
STATUS = "canhbao/v1/gw-1/status"
Peer = Mosquitto | Nats


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[Mosquitto]:
    broker = Mosquitto(program("mosquitto"), tmp_path, free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def nats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nats]:
    monkeypatch.setattr("ingest.broker.nats._ACK_WAIT", "1s")  # how long it waits before it sends again
    broker = Nats(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture(params=["nats", pytest.param("mosquitto", marks=pytest.mark.server("mosquitto"))])
def broker(request: pytest.FixtureRequest) -> Peer:
    peer: Peer = request.getfixturevalue(request.param)
    return peer


@pytest.fixture
def connect() -> Iterator[Callable[..., MqttSource]]:
    """Started sources, by default with the same client id; ended after the test."""
    begun: list[MqttSource] = []

    def begin(peer: Peer, inbox: Inbox, topics: tuple[str, ...] = COLLECTOR_TOPICS) -> MqttSource:
        source = MqttSource(peer.url, peer.username, peer.password, "collector-5eed", topics, inbox)
        source.start()
        begun.append(source)
        return source

    yield begin
    for source in begun:
        source.stop()


def drain(inbox: Inbox, count: int, wait_s: float = 10.0) -> list[Message]:
    """`count` messages, whatever the batches; fewer if no more came."""
    taken: list[Message] = []
    deadline = time.monotonic() + wait_s
    while len(taken) < count and time.monotonic() < deadline:
        taken += inbox.drain(0.1)
    return taken


def payloads(messages: list[Message]) -> list[bytes]:
    return sorted({message.payload for message in messages})


NUMBERS = [b"%03d" % n for n in range(40)]


def until_read(broker: Peer, packets: int) -> None:
    """A busy Mosquitto has read them: of each connection it reads one before it looks at the others again."""
    with Client(broker.port) as other:
        for _ in range(packets):
            other.publish("canhbao/v1/gw-1/backfill", b"")


def test_what_was_acknowledged_does_not_come_again(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox()
    source = connect(broker, inbox)
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *NUMBERS)
    messages = drain(inbox, 40)
    assert payloads(messages) == NUMBERS
    assert {(m.topic, m.qos, m.retained) for m in messages} == {(READINGS, 1, False)}
    source.acknowledge(messages)
    source.stop()  # the acknowledgements go out before the goodbye
    until_read(broker, len(messages))

    later = Inbox()
    connect(broker, later)
    assert drain(later, 1, wait_s=0.5) == []
    assert (source.counters["acked"], source.counters["stale_acks"]) == (40, 0)


def test_what_was_not_acknowledged_comes_again(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox()
    first = connect(broker, inbox)
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *NUMBERS)
        messages = drain(inbox, 40)
        first.acknowledge([message for message in messages if message.payload < b"010"])
        first.stop()
        until_read(broker, len(messages))
        gateway.publish(READINGS, b"while it was away")

    later = Inbox()
    connect(broker, later)
    assert payloads(drain(later, 31)) == [*NUMBERS[10:], b"while it was away"]


def test_an_acknowledgement_of_an_earlier_connection_is_not_sent(
    broker: Peer, connect: Callable[..., MqttSource]
) -> None:
    inbox = Inbox()
    source = connect(broker, inbox)
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *NUMBERS)
    before = drain(inbox, 40)
    source._client.cut()
    again = drain(inbox, 40)
    assert payloads(again) == NUMBERS

    source.acknowledge(before)
    source.stop()

    assert (source.counters["acked"], source.counters["stale_acks"], source.counters["reconnects"]) == (0, 40, 1)
    later = Inbox()
    connect(broker, later)
    assert payloads(drain(later, 40)) == NUMBERS


@pytest.mark.server("mosquitto")
def test_a_late_acknowledgement_deletes_nothing_after_the_broker_lost_its_sessions(
    mosquitto: Mosquitto, connect: Callable[..., MqttSource]
) -> None:
    inbox = Inbox()
    source = connect(mosquitto, inbox)
    with Client(mosquitto.port) as gateway:
        gateway.publish(READINGS, b"a", b"b", b"c")
    stored_slowly = drain(inbox, 3)
    mosquitto.kill()
    mosquitto.start()
    until(lambda: source.counters["reconnects"] == 1 and source._subscribed)
    with Client(mosquitto.port) as gateway:
        gateway.publish(READINGS, b"x", b"y", b"z")  # under the same numbers 1, 2, 3
    unstored = drain(inbox, 3)
    assert [message.mid for message in unstored] == [message.mid for message in stored_slowly]

    source.acknowledge(stored_slowly)
    source.stop()

    later = Inbox()
    connect(mosquitto, later)
    assert payloads(drain(later, 3)) == [b"x", b"y", b"z"]


def test_a_full_inbox_loses_nothing_at_qos_1(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox(most=5)
    source = connect(broker, inbox)
    numbers = [b"%03d" % n for n in range(60)]
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *numbers)
    until(lambda: source.counters["shed"])
    stored: set[bytes] = set()
    deadline = time.monotonic() + 60
    while len(stored) < 60 and time.monotonic() < deadline:
        messages = inbox.drain(0.05, most=3)
        assert len(inbox) <= 5
        stored |= {message.payload for message in messages}
        source.acknowledge(messages)

    assert sorted(stored) == numbers
    assert source.counters["reconnects"] > 0
    assert source.counters["lost"] == 0


def test_a_full_inbox_counts_what_it_loses_at_qos_0(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox(most=5)
    source = connect(broker, inbox)
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *NUMBERS[:12], qos=0)
        until(lambda: source.counters["received"] == 12)
    messages = drain(inbox, 5)
    assert [message.payload for message in messages] == NUMBERS[:5]
    source.acknowledge(messages)
    assert {name: source.counters[name] for name in ("lost", "shed", "acked", "reconnects")} == {
        "lost": 7, "shed": 0, "acked": 0, "reconnects": 0,
    }  # fmt: skip


def test_what_is_under_way_is_not_taken_again(nats: Nats, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox()
    source = connect(nats, inbox)
    with Client(nats.port) as gateway:
        gateway.publish(READINGS, *NUMBERS)
    messages = drain(inbox, 40)
    until(lambda: source.counters["repeated"] >= 80, "the broker does not send again")
    assert len(inbox) == 0
    source.acknowledge(messages)
    with Client(nats.port) as gateway:
        gateway.publish(READINGS, *NUMBERS)  # the numbers that brokers give are free again
    assert payloads(drain(inbox, 40)) == NUMBERS
    assert source.counters["stale_acks"] == 0


def test_a_copy_that_found_no_room_is_not_under_way(nats: Nats, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox(most=2)
    source = connect(nats, inbox)
    source._bring_again = inbox.on_room = lambda: None  # it does not connect anew, so the broker's copies have to do
    with Client(nats.port) as gateway:
        gateway.publish(READINGS, b"a", b"b", b"c")
    until(lambda: source.counters["shed"])
    source.acknowledge(drain(inbox, 2))
    source._shedding = False
    assert payloads(drain(inbox, 1)) == [b"c"]


def test_a_retained_message_is_taken_once_however_often_it_comes(
    broker: Peer, connect: Callable[..., MqttSource]
) -> None:
    inbox = Inbox()
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, b"poison", retain=True)
        source = connect(broker, inbox)
        source.acknowledge(drain(inbox, 1))
        for _ in range(2):
            before = source.counters["retained_again"]
            source._client.cut()
            until(lambda before=before: source.counters["retained_again"] > before)
        assert len(inbox) == 0
        gateway.publish(READINGS, b"other poison", retain=True)
        came = drain(inbox, 1)  # both, where the broker hears of the subscription only now
        source._client.cut()

        def kept_came() -> bool:
            came.extend(inbox.drain(0.1))
            return any(m.retained and m.payload == b"other poison" for m in came)

        until(kept_came)


def test_a_retained_status_is_taken_at_every_connection(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    """Between two copies that are alike it may have been otherwise: the will of a device that came back for a while."""
    inbox = Inbox()
    with Client(broker.port) as gateway:
        gateway.publish(STATUS, b"offline", retain=True)
        source = connect(broker, inbox)
        source.acknowledge(drain(inbox, 1))
        source._client.cut()
        assert [(m.payload, m.retained) for m in drain(inbox, 1)] == [(b"offline", True)]
        assert source.counters["retained_again"] == 0


def test_a_connection_that_is_lost_all_the_time_is_told_once(
    broker: Peer, connect: Callable[..., MqttSource], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ingest.mqtt.source._LOSSES", (3, 60.0))
    source = connect(broker, Inbox())
    for n in range(1, 5):
        assert source.unsteady == (n > 3)
        source._client.cut()
        until(lambda n=n: source.counters["reconnects"] == n)
    assert caplog.text.count("does another client use our client id?") == 1
    assert source.counters["sessions_lost"] == 0
    later = time.monotonic() + 61
    monkeypatch.setattr("ingest.mqtt.source.monotonic", lambda: later)
    assert not source.unsteady


@pytest.mark.server("mosquitto")
def test_a_broker_that_forgot_us_is_told(
    mosquitto: Mosquitto, connect: Callable[..., MqttSource], caplog: pytest.LogCaptureFixture
) -> None:
    source = connect(mosquitto, Inbox())
    assert source.counters["sessions_lost"] == 0
    mosquitto.kill()
    mosquitto.start()
    until(lambda: "has lost our session" in caplog.text)
    assert source.counters["sessions_lost"] == 1


def test_pings_go_on_while_the_inbox_is_full(
    broker: Peer, connect: Callable[..., MqttSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.mqtt.connection.KEEPALIVE_S", 2)  # a broker waits one and a half times as long
    source = connect(broker, Inbox(most=1))
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, b"a", b"b", b"c")
        until(lambda: source.counters["shed"])
        time.sleep(5)
    assert source.connected
    assert source.counters["reconnects"] == 0


def test_the_retained_mark_is_passed_on(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    with Client(broker.port) as gateway:
        gateway.publish("canhbao/v1/gw-1/status", b"online", retain=True)
        inbox = Inbox()
        connect(broker, inbox)
        (kept,) = drain(inbox, 1)
        gateway.publish("canhbao/v1/gw-1/status", b"again", retain=True)
        (fresh,) = drain(inbox, 1)
    assert (kept.payload, kept.retained) == (b"online", True)
    assert (fresh.payload, fresh.retained) == (b"again", False)


def test_a_receipt_reaches_its_gateway(broker: Peer, connect: Callable[..., MqttSource]) -> None:
    source = connect(broker, Inbox())
    with Client(broker.port, "canhbao/v1/gw-1/receipt") as gateway:
        assert source.publish("canhbao/v1/gw-1/receipt", b'{"seq":1}')
        until(lambda: gateway.heard)
        assert gateway.heard == [("canhbao/v1/gw-1/receipt", b'{"seq":1}', False)]
    source.stop()
    assert not source.publish("canhbao/v1/gw-1/receipt", b"nobody there")


def test_a_refused_subscription_is_shown(nats: Nats, connect: Callable[..., MqttSource]) -> None:
    inbox = Inbox()
    source = connect(nats, inbox, ("canhbao/v1/+/secret", READINGS))
    assert source.refused_topics == ("canhbao/v1/+/secret",)
    with Client(nats.port) as gateway:
        gateway.publish(READINGS, b"heard all the same")
    assert payloads(drain(inbox, 1)) == [b"heard all the same"]


def test_a_message_that_cannot_be_taken_does_not_end_the_listening(
    nats: Nats, connect: Callable[..., MqttSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox()
    source = connect(nats, inbox)
    put = inbox.put

    def poisoned(message: Message) -> bool:
        if message.payload == b"poison":
            raise RuntimeError("no")
        return put(message)

    monkeypatch.setattr(inbox, "put", poisoned)
    with Client(nats.port) as gateway:
        gateway.publish(READINGS, b"poison", b"good")
    assert payloads(drain(inbox, 1)) == [b"good"]
    assert source.counters["failed"] == 1


def test_a_fault_in_the_clients_own_loop_only_costs_the_connection(
    nats: Nats, connect: Callable[..., MqttSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox()
    source = connect(nats, inbox)
    real, faults = source._client._packet_handle, [RuntimeError("bad packet")]

    def faulty() -> Any:
        if faults:
            raise faults.pop()
        return real()

    monkeypatch.setattr(source._client, "_packet_handle", faulty)
    with Client(nats.port) as gateway:
        gateway.publish(READINGS, b"after it")
    assert payloads(drain(inbox, 1)) == [b"after it"]
    until(lambda: source.counters["reconnects"] == 1)


# --- starting ------------------------------------------------------------------------------------------------------


def source_at(url: str, username: str = "collector", password: str = "wrong") -> MqttSource:
    return MqttSource(url, username, password, "collector-5eed", COLLECTOR_TOPICS, Inbox())


def test_an_absent_broker_is_named_at_once(free_port: Callable[[], int]) -> None:
    port, begun = free_port(), time.monotonic()
    with pytest.raises(MqttError, match=f"no MQTT broker at 127.0.0.1:{port}: .*refused"):
        source_at(f"mqtt://127.0.0.1:{port}").start()
    assert time.monotonic() - begun < 2


def test_a_refusal_is_named_at_once_without_the_password(nats: Nats, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MqttError, match=f"127.0.0.1:{nats.port} does not let collector in: Not authorized"):
        source_at(nats.url, password="hunter2").start()
    assert "hunter2" not in caplog.text


def test_something_else_on_the_port_is_named_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.mqtt.connection._START_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(MqttError, match="it does not answer"):
        source_at(f"mqtt://127.0.0.1:{mute.getsockname()[1]}").start()


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://a", Broker("a", 1883, tls=False)),
        ("mqtts://a", Broker("a", 8883, tls=True)),
        ("mqtt://a:77", Broker("a", 77, tls=False)),
        ("mqtts://[::1]:77", Broker("::1", 77, tls=True)),
    ],
)
def test_a_url_names_a_broker(url: str, broker: Broker) -> None:
    assert Broker.of(url) == broker


@pytest.mark.parametrize("url", ["a:1883", "http://a", "mqtt://", "mqtt://a:x", "mqtt://a:99999", "mqtt://u:secret@a"])
def test_a_wrong_url_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(MqttError, match="expected mqtt://host:port") as wrong:
        Broker.of(url)
    assert "secret" not in str(wrong.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused TLS socket open
@pytest.mark.server("mosquitto")
def test_mqtts_wants_a_certificate_that_it_knows(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o644)
    broker = Mosquitto(program("mosquitto"), tmp_path, free_port(), f"certfile {certificate}\nkeyfile {key}\n")
    broker.start()
    url = f"mqtts://localhost:{broker.port}"
    with pytest.raises(MqttError, match="certificate verify failed"):
        source_at(url).start()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    source = source_at(url)
    source.start()
    assert source.connected
    source._client.cut()
    until(lambda: source.counters["reconnects"] == 1)
    source.stop()
    broker.stop()


# --- the inbox by itself -------------------------------------------------------------------------------------------


def message(payload: bytes = b"x") -> Message:
    return Message("t", payload, retained=False, qos=1, mid=1, epoch=1)


def test_a_drain_gathers_what_comes_shortly_after() -> None:
    inbox = Inbox()

    def trickle() -> None:
        for n in range(3):
            inbox.put(message(b"%d" % n))
            time.sleep(0.02)

    thread = threading.Thread(target=trickle)
    thread.start()
    assert [m.payload for m in inbox.drain(5, gather_s=1, most=3)] == [b"0", b"1", b"2"]  # full: no need to wait
    thread.join()
    assert inbox.drain(0) == []


def test_a_drain_leaves_what_is_too_much_for_one_turn() -> None:
    inbox = Inbox()
    for n in range(5):
        inbox.put(message(b"%d" % n))
    assert [[m.payload for m in inbox.drain(0, 0, most=2)] for _ in range(3)] == [[b"0", b"1"], [b"2", b"3"], [b"4"]]


def test_an_inbox_is_bounded_in_bytes_and_takes_one_giant_alone() -> None:
    inbox = Inbox(most_bytes=2000)
    assert [inbox.put(message(bytes(500))) for _ in range(4)] == [True, True, False, False]
    assert not inbox.put(message(bytes(5000)))
    inbox.drain(0, 0)
    assert inbox.put(message(bytes(5000)))
    assert not inbox.put(message())
    inbox.drain(0, 0)
    assert inbox.put(message())


def test_waking_ends_the_wait_and_is_not_forgotten() -> None:
    inbox = Inbox()
    inbox.wake()
    begun = time.monotonic()
    assert inbox.drain(10) == []
    threading.Timer(0.05, inbox.wake).start()
    assert inbox.drain(10) == []
    assert time.monotonic() - begun < 5
    assert inbox.drain(0.01) == []  # one wake, one return


# --- the voice -----------------------------------------------------------------------------------------------------


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[MqttPublisher]:
    voice = MqttPublisher(mosquitto.url, "collector-out", "any")
    voice.start()
    yield voice
    voice.stop()


@pytest.mark.server("mosquitto")
def test_a_warning_is_with_the_broker_when_publish_returns(mosquitto: Mosquitto, publisher: MqttPublisher) -> None:
    topic = "canhbao/v1/alerts/20242/flood"
    publisher.publish(topic, b"{}", retain=True)
    with Client(mosquitto.port, topic) as listener:
        until(lambda: listener.heard == [(topic, b"{}", True)])
    publisher.publish(topic, b"", retain=True)
    with Client(mosquitto.port, topic) as listener:
        time.sleep(0.2)
        assert listener.heard == []


@pytest.mark.server("mosquitto")
def test_a_warning_that_no_broker_takes_is_an_error_until_one_is_back(
    mosquitto: Mosquitto, publisher: MqttPublisher
) -> None:
    with pytest.raises(MqttError, match="65552 bytes, brokers take 65536"):
        publisher.publish("t", bytes(65_535))
    mosquitto.kill()
    with pytest.raises(MqttError, match=r"no connection|not confirmed|not currently connected"):
        publisher.publish("t", b"x", timeout_s=0.5)
    sessions: list[int] = []
    publisher.on_session = lambda: sessions.append(1)
    mosquitto.start()
    until(lambda: publisher.connected)
    publisher.publish("t", b"x")
    assert sessions == [1]  # whoever keeps a state there has to publish it again


def test_a_broker_that_takes_and_never_confirms_is_an_error_in_time() -> None:
    def take_and_say_nothing(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.recv(1000)
            client.sendall(b"\x20\x02\x00\x00")  # CONNACK
            while client.recv(1000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=take_and_say_nothing, args=(server,))
        thread.start()
        voice = MqttPublisher(f"mqtt://127.0.0.1:{server.getsockname()[1]}", "collector-out", "any")
        voice.start()
        with pytest.raises(MqttError, match=r"t: not confirmed by .* within 0.3 s"):
            voice.publish("t", b"x", timeout_s=0.3)
        voice.stop()
        thread.join(10)
        assert not thread.is_alive()
