"""A connection to an MQTT broker through paho, that comes back by itself."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from ingest.tls import Identity, ended, ends_soon, tls_context

log = logging.getLogger(__name__)

KEEPALIVE_S: Final = 30
_START_S: Final = 5.0  # for each step of a start: the TCP connection, then the broker's answers
_RECONNECT_S: Final = (1, 16)  # between tries, doubling, for as long as it takes
# Publishes without PUBACK. Full (a broker that takes and never answers): the next one is refused to its caller.
_UNCONFIRMED_MOST: Final = 4000


class MqttError(Exception):
    """The broker is absent, refuses or does not answer; one line that says which and where."""


@dataclass(frozen=True, slots=True)
class Broker:
    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Broker:
        """From mqtt://host[:1883] or mqtts://host[:8883]. Raises MqttError."""
        parts = urlsplit(url)
        with suppress(ValueError):  # the port
            if parts.scheme in ("mqtt", "mqtts") and parts.hostname and parts.username is None:
                tls = parts.scheme == "mqtts"
                return cls(parts.hostname, parts.port or (8883 if tls else 1883), tls)
        raise MqttError(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}: expected mqtt://host:port or mqtts://…")


class Client(paho.Client):
    """paho, whose thread ends for ever and silently with whatever its loop raises: here it connects anew instead."""

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:  # noqa: FBT001, FBT002  # paho's
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception:
                log.exception("mqtt: the connection's loop failed, connecting anew")
                self.cut()

    def cut(self) -> None:
        """End the connection from any thread; the loop sees it and connects anew."""
        sock = self.socket()
        if isinstance(sock, socket.socket):
            with suppress(OSError):  # it has just ended by itself
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own: that takes the loop's state away


class Connection:
    """A connection that comes back by itself, with the state that callbacks (in paho's thread) and callers share."""

    def __init__(
        self, url: str, username: str, password: str, client_id: str, *, clean_session: bool, ca_file: Path | None,
        identity: Identity | None,
    ) -> None:  # fmt: skip
        self.broker = Broker.of(url)
        self._where = f"{self.broker.host}:{self.broker.port}"
        self._username = username
        self._state = threading.Condition()
        self._connected = self._stopping = False
        self._refusal = ""
        self._connects = 0
        self._session_present = False  # at the last connect
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if username:
            client.username_pw_set(username, password)
        self._identity, self._tls = identity, tls_context(ca_file, identity) if self.broker.tls else None
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.connect_timeout = _START_S
        client.reconnect_delay_set(*_RECONNECT_S)
        client.max_queued_messages_set(_UNCONFIRMED_MOST)
        client.on_pre_connect = self._on_pre_connect
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect

    @property
    def connected(self) -> bool:
        return self._connected

    def start(self) -> None:
        """Connect, and stay connected until `stop`. Raises MqttError within some 10 s if that fails now."""
        self._stopping, self._refusal = False, ""
        if fault := self._own_certificate():
            raise MqttError(f"MQTT broker at {self._where} would not let {self._username or 'us'} in: {fault}")
        try:
            self._client.connect(self.broker.host, self.broker.port, KEEPALIVE_S)
        except ssl.SSLError as error:
            raise MqttError(f"MQTT broker at {self._where}: no TLS with it: {error}") from error
        except (OSError, ValueError) as error:
            raise MqttError(f"no MQTT broker at {self._where}: {error}") from error
        self._client.loop_start()
        with self._state:
            self._state.wait_for(lambda: self._refusal or self._ready(), _START_S)
            refusal = self._refusal or ("" if self._ready() else "it does not answer")
        if refusal:
            self.stop()
            raise MqttError(f"MQTT broker at {self._where} does not let {self._username or 'us'} in: {refusal}")

    def stop(self) -> None:
        """Say goodbye; acknowledgements given before still go out."""
        self._stopping = True
        self._client.disconnect()
        self._client.loop_stop()

    def _ready(self) -> bool:
        return self._connected

    def _opened(self) -> None:
        """A connection begins (in paho's thread, `_state` held)."""

    def _lost(self) -> None:
        """A connection has ended that we did not end (in paho's thread, `_state` held); `_ended` follows."""

    def _ended(self) -> None:
        """A connection has ended, or a new one is about to be tried (in paho's thread, `_state` held)."""

    def _own_certificate(self) -> str:
        """Read anew for every connection, so that one renewed meanwhile holds; what is wrong with it, "" if nothing."""
        if self._identity is None or self._tls is None:
            return ""
        now = datetime.now(UTC)
        try:
            if fault := ended(self._identity, now):
                return fault
            if soon := ends_soon(self._identity, now):
                log.warning("mqtt: %s", soon)
            self._identity.load_into(self._tls)
        except (OSError, ValueError) as error:
            return str(error)
        return ""

    def _on_pre_connect(self, _client: paho.Client, _userdata: Any) -> None:
        if self._connects and (fault := self._own_certificate()):
            log.error("mqtt: %s will not let us in: %s", self._where, fault)
        with self._state:
            self._connected = False
            if self._tls is not None:
                self._tls.alert = ""
            self._ended()

    def _on_connect(self, _c: paho.Client, _u: Any, flags: paho.ConnectFlags, reason: ReasonCode, _p: Any) -> None:
        with self._state:
            self._refusal = str(reason) if reason.is_failure else ""
            if self._refusal:
                log.error("mqtt: %s at %s refused: %s", self._username or "anonymous", self._where, reason)
            else:
                self._connected = True
                self._connects += 1
                self._session_present = flags.session_present
                self._opened()
            self._state.notify_all()

    def _on_disconnect(self, _c: paho.Client, _u: Any, _f: paho.DisconnectFlags, reason: ReasonCode, _p: Any) -> None:
        with self._state:
            if self._connected and not self._stopping:
                log.warning("mqtt: connection to %s lost (%s), connecting anew", self._where, reason)
                self._lost()
            elif self._tls is not None and self._tls.alert:
                self._refusal = f"it ends TLS: {self._tls.alert}"
                log.error("mqtt: %s at %s: %s", self._username or "anonymous", self._where, self._refusal)
                self._state.notify_all()
            self._connected = False
            self._ended()
