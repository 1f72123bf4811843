"""Real brokers and plain MQTT clients for the tests of whatever speaks MQTT."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.broker.nats import NatsBroker, _answers

WAIT_S = 10.0


def until(true: Callable[[], Any], what: str = "", wait_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < deadline, what or "it never came about"
        time.sleep(0.01)


class Mosquitto:
    """Open to everybody and without persistence: killed, it has lost every session."""

    username, password = "collector", "any"

    def __init__(self, program: str, folder: Path, port: int, more: str = "") -> None:
        self.port, self.url = port, f"mqtt://127.0.0.1:{port}"
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 2000\n"
            f"max_queued_messages 0\nuser root\n{more}"  # else it may not read its files
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until(lambda: _port_open(self.port), "mosquitto does not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    stop = kill


class Nats:
    """The bundled broker behind the same face."""

    def __init__(self, data: Path) -> None:
        self._broker = NatsBroker.start(data, 0)
        self.url, self.port = self._broker.url, self._broker.address[1]
        self.username, self.password = self._broker.collector.username, self._broker.collector.password

    def start(self) -> None:
        until(lambda: _answers(self._broker.address, self._broker.collector))

    def kill(self) -> None:
        assert self._broker._process is not None
        before = self._broker.restarts
        self._broker._process.kill()
        until(lambda: self._broker.restarts > before)

    def stop(self) -> None:
        self._broker.stop()


def _port_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Client:
    """A gateway or a listener: anonymous unless told otherwise; remembers what it heard and what was refused."""

    def __init__(self, port: int, *topics: str, username: str = "", password: str = "", will: str = "") -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.granted: list[bool] = []
        self.reason = ""
        self.client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True)
        if username:
            self.client.username_pw_set(username, password)
        if will:
            self.client.will_set(will, b"offline", qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, m: self.heard.append((m.topic, m.payload, m.retain))
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(not c.is_failure for c in codes)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(lambda: self.reason, "no answer to CONNECT")
        if topics:
            self.client.subscribe([(topic, 1) for topic in topics])
            until(lambda: self.granted, "no answer to SUBSCRIBE")

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.reason = str(reason)

    def publish(self, topic: str, *payloads: bytes, qos: int = 1, retain: bool = False) -> None:
        """Returns when the broker has acknowledged all of them."""
        for info in [self.client.publish(topic, payload, qos, retain) for payload in payloads]:
            info.wait_for_publish(WAIT_S)
            assert info.is_published()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
