"""A tiny collector and real brokers for the gateways' tests."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from servers import SERVERS

from ingest.formats import Decoded, decode


def _commands(kind: str, port: int, folder: Path, users: str) -> list[str]:
    config = folder / f"{kind}.conf"
    if kind == "mosquitto":
        access = f"allow_anonymous false\npassword_file {users}" if users else "allow_anonymous true"
        config.write_text(f"user root\nlistener {port} 127.0.0.1\n{access}\nmax_queued_messages 0\n")
        return [SERVERS["mosquitto"].program() or "", "-c", str(config)]
    config.write_text(
        f'server_name: t\nlisten: "127.0.0.1:-1"\njetstream {{ store_dir: "{folder}/js" }}\n'
        f'mqtt {{ listen: "127.0.0.1:{port}" }}\n'
    )
    return [str(Path(sys.executable).with_name("nats-server")), "-c", str(config)]


@contextmanager
def broker(kind: str, folder: Path, port: int, users: str = "") -> Iterator[str]:
    """A real broker, "mosquitto" or "nats"; gives its URL. `users`: a file of passwords, without it all may enter."""
    with subprocess.Popen(_commands(kind, port, folder, users), stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _answers(port), "the broker answers")
            yield f"mqtt://127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Collector:
    """Receives; stores and receipts what `takes` lets it. What it does not store is as good as lost."""

    def __init__(self, url: str, takes: Callable[[Decoded], bool] = lambda _: True) -> None:
        self.takes = takes
        self.heard: list[Decoded] = []  # all that came, in order
        self.stored: dict[str, dict[int, Decoded]] = defaultdict(dict)  # by gateway and seq
        self.statuses: dict[str, list[str]] = defaultdict(list)
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="collector-test", clean_session=False)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("canhbao/v1/+/readings", 1), ("canhbao/v1/+/status", 1)]
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def readings(self) -> set[tuple[str, int, float | None]]:
        return {
            (sensor, t, None if math.isnan(value) else value)
            for messages in self.stored.values()
            for m in messages.values()
            for sensor, t, value in zip(m.sensors, m.t, m.values, strict=True)
        }

    def tell(self, gateway: str, told: dict[str, object]) -> None:
        self._client.publish(f"canhbao/v1/{gateway}/receipt", json.dumps(told), qos=1)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("status"):
            self.statuses[message.topic.split("/")[2]].append(bytes(message.payload).decode())
            return
        assert len(message.payload) <= 16_000
        decoded = decode(message.topic, bytes(message.payload), retained=bool(message.retain))
        assert not decoded.refused
        assert decoded.seq is not None
        assert decoded.first is not None
        self.heard.append(decoded)
        if self.takes(decoded):
            own = self.stored[decoded.gateway]
            own.setdefault(decoded.seq, decoded)
            through = decoded.first - 1
            while through + 1 in own:
                through += 1
            if through >= decoded.first:
                self.tell(decoded.gateway, {"boot": decoded.boot, "seq": through})
