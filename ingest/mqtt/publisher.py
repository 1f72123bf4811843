"""What the city says on MQTT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

from ingest.mqtt.connection import Connection, MqttError
from ingest.tls import Identity

_PACKET_MOST: Final = 65_536  # what brokers are set to; a larger packet would cost the connection, again and again


class MqttPublisher(Connection):
    """The city's voice: a connection and user of its own, so that no warning can stop the listening."""

    def __init__(
        self, url: str, username: str, password: str, client_id: str = "", *, ca_file: Path | None = None,
        identity: Identity | None = None,
    ) -> None:  # fmt: skip
        """`client_id` defaults to the user's name, as brokers that tie the two want it. Raises MqttError."""
        super().__init__(
            url, username, password, client_id or username, clean_session=True, ca_file=ca_file, identity=identity
        )
        self.on_session: Callable[[], object] | None = None  # called, in paho's thread, once a lost connection is back

    def _opened(self) -> None:
        if self._connects > 1 and self.on_session is not None:
            self.on_session()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, timeout_s: float = 10.0) -> None:
        """At QoS 1; the broker has it when this returns. Raises MqttError: then it may still come, once or twice."""
        size = len(topic.encode()) + len(payload) + 16
        if size > _PACKET_MOST:
            raise MqttError(f"{topic}: {size} bytes, brokers take {_PACKET_MOST}")
        deadline = monotonic() + timeout_s
        if not self._connected:
            raise MqttError(f"{topic}: no connection to the MQTT broker at {self._where}")
        info = self._client.publish(topic, payload, 1, retain)
        try:
            info.wait_for_publish(max(0.0, deadline - monotonic()))
            confirmed = info.is_published()
        except (RuntimeError, ValueError) as error:
            raise MqttError(f"{topic}: {error}") from error
        if not confirmed:
            raise MqttError(f"{topic}: not confirmed by {self._where} within {timeout_s:g} s")
