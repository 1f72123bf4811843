"""The two brokers as a storm sees them, and one who listens to what is told there."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from brokers import CityMosquitto, until
from chaos.processes import children
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.broker.nats import NatsBroker

ALERTS: Final = ("canhbao/v1/alerts/#", "canhbao/v1/drill/alerts/#")
RETAINED_S: Final = 20.0


class NatsSide:
    """The bundled broker: the service's own child. Its address never changes; `wipe` while the service is down."""

    durable = True

    def __init__(self, folder: Path, port: int, service_pid: Callable[[], int]) -> None:
        self.port, self._data, self._pid = port, folder / "data", service_pid
        self.settings = {"CANHBAO_MQTT__URL": f"embedded:{port}"}
        self.passwords: dict[str, str] = {}
        self.listener_login = ("", "")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> bool:
        """Whether there was one to kill, or to stop; the service starts it again itself."""
        found = children(self._pid(), "nats-server")
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(found)

    def wake(self) -> None:
        self.kill(signal.SIGCONT)

    def look(self) -> None:
        """Nothing to do."""

    def wipe(self) -> None:
        shutil.rmtree(self._data / "broker" / "store", ignore_errors=True)

    @contextmanager
    def listener(self) -> Iterator[tuple[int, str, str]]:
        """Port, user and password of one who reads alerts, after the service has ended."""
        broker = NatsBroker.start(self._data, 0)
        try:
            yield broker.address[1], "", ""
        finally:
            broker.stop()

    def close(self) -> None:
        """Its life was the service's."""


class MosquittoSide:
    """As a city runs it, by itself, with the configuration that we generate."""

    durable = False  # killed, it forgets what it has acknowledged since its last save

    def __init__(self, program: str, folder: Path, port: int, users: list[str], random: Random) -> None:
        self._broker = CityMosquitto(program, folder / "mosquitto", port, users)
        self.port, self.settings = port, self._broker.settings
        self.passwords = {user: self._broker.password_of(user) for user in users}
        self.listener_login = ("collector-listener", self._broker.password_of("collector-listener"))
        self._random = random
        self._back_at: float | None = None
        self._broker.start()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> bool:
        """Whether there was one to kill, or to stop; it comes back soon."""
        if self._back_at is not None:
            return False
        if number == signal.SIGSTOP:
            os.kill(self._broker.pid, number)
            return True
        os.kill(self._broker.pid, signal.SIGCONT)
        (self._broker.terminate if number == signal.SIGTERM else self._broker.kill)()
        self._back_at = time.monotonic() + self._random.uniform(0, 0.5)
        return True

    def wake(self) -> None:
        if self._back_at is None:
            os.kill(self._broker.pid, signal.SIGCONT)

    def look(self) -> None:
        if self._back_at is not None and time.monotonic() >= self._back_at:
            self._broker.start()
            self._back_at = None

    def wipe(self) -> None:
        if self._back_at is None:
            self._broker.kill()
        for saved in (self._broker.folder.folder / "state").glob("mosquitto.db*"):
            saved.unlink()
        self._broker.start()
        self._back_at = None

    @contextmanager
    def listener(self) -> Iterator[tuple[int, str, str]]:
        yield self.port, *self.listener_login

    def close(self) -> None:
        self._broker.kill()


class Ear:
    """Hears the retained warnings, over any number of connections."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.listening = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if user:
            self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(0.2, 1.0)
        self._client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in ALERTS])
        self._client.on_subscribe = self._subscribed
        self._client.on_message = lambda _c, _data, message: self.heard.append((message.topic, message.payload))
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def _subscribed(self, *_: Any) -> None:
        self.listening = True

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def retained(side: NatsSide | MosquittoSide, wanted: int) -> dict[str, bytes]:
    """What the broker holds of the warnings, now that nobody publishes: `wanted` topics, if they come in time."""
    with side.listener() as who:
        ear = Ear(*who)
        try:
            until(lambda: ear.listening, "the broker does not answer")
            with suppress(AssertionError):  # what is missing is said by the checks
                until(lambda: len(dict(ear.heard)) >= wanted, "", RETAINED_S)
            time.sleep(0.3)  # and what is too much
        finally:
            ear.close()
    return dict(ear.heard)
