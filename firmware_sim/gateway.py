"""The reference gateway: spool, window and one MQTT connection (CONTRACTS section 3, the gateway's side)."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_sim.payload import EMPTY, numbered
from firmware_sim.spool import Spool
from firmware_sim.window import ON_WIRE_MAX, Window
from ingest.tls import Identity, tls_context

_log: Final = logging.getLogger(__name__)
RECEIPTS_MAX: Final = 1_000  # unread ones of a gateway; beyond it they are dropped: the collector answers again
KEEPALIVE_S: Final = 30
_REFUSED: Final = ("Bad user name or password", "Not authorized", "Client identifier not valid")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to connect. `username` "": each gateway's own id, once there is a password; otherwise anonymous.

    `password`: one for all, or each gateway's own. `ca_file` None: whom this machine believes. `certificates`: a folder
    with ID.crt and ID.key of every gateway, where the broker asks for them.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    username: str = ""
    password: str | Mapping[str, str] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificates: Path | None = None

    @classmethod
    def at(
        cls,
        url: str,
        username: str = "",
        password: str | Mapping[str, str] | None = None,
        ca_file: Path | None = None,
        certificates: Path | None = None,
    ) -> Broker:
        """From mqtt://host:1883 or mqtts://host:8883. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc:
            raise ValueError("mqtt://host:port or mqtts://host:port")
        tls = parts.scheme == "mqtts"
        return cls(
            parts.hostname, parts.port or (8883 if tls else 1883), tls, username, password, ca_file, certificates
        )

    def password_of(self, gateway: str) -> str | None:
        return self.password.get(gateway) if isinstance(self.password, Mapping) else self.password

    def identity_of(self, gateway: str) -> Identity | None:
        if self.certificates is None:
            return None
        return Identity(self.certificates / f"{gateway}.crt", self.certificates / f"{gateway}.key")


class Link:
    """One gateway's connection. paho's thread only fills `receipts`; all else is asked by the owner's thread."""

    def __init__(self, gateway: str, broker: Broker, news: threading.Event) -> None:
        """`news` is set whenever there is something to look at."""
        self.receipts: queue.Queue[bytes] = queue.Queue(RECEIPTS_MAX)
        self.epoch = 0  # connections that were ready so far
        self.ready = False  # connected, and receipts are heard
        self.refused = ""  # what the broker said when it would not have us
        self._topic = f"canhbao/v1/{gateway}/"
        self._broker, self._news = broker, news
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=gateway, protocol=mqtt.MQTTv311)
        if broker.username or broker.password is not None:
            self._client.username_pw_set(broker.username or gateway, broker.password_of(gateway))
        self._tls = tls_context(broker.ca_file, broker.identity_of(gateway)) if broker.tls else None
        if self._tls is not None:
            self._client.tls_set_context(self._tls)
        self._client.will_set(f"{self._topic}status", "offline", qos=1, retain=True)
        self._client.max_inflight_messages_set(ON_WIRE_MAX)
        # paho keeps what the broker has not acknowledged; beyond this it takes no more, and the window sends again.
        self._client.max_queued_messages_set(4 * ON_WIRE_MAX)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connects in the background, and again after every loss."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def send(self, payload: bytes) -> bool:
        """Whether paho took the readings; it forgets nothing while the connection lasts."""
        if not self.ready:
            return False
        return self._client.publish(f"{self._topic}readings", payload, qos=1).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def leave(self) -> None:
        """Says offline, as a clean goodbye tells nobody, and disconnects; `join` waits until it is done."""
        if self.ready:
            farewell = self._client.publish(f"{self._topic}status", "offline", qos=1, retain=True)
            try:
                farewell.wait_for_publish(1.0)
            except (RuntimeError, ValueError):
                _log.debug("the connection went before the goodbye")
        self._client.disconnect()

    def join(self) -> None:
        self._client.loop_stop()

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: mqtt.ConnectFlags, code: ReasonCode, _props: Properties | None
    ) -> None:
        if code.is_failure:
            self.refused = str(code) if str(code) in _REFUSED else ""  # a server that is not up yet may come
            self._news.set()
            return
        self.refused = ""
        client.subscribe(f"{self._topic}receipt", qos=1)

    def _on_subscribe(
        self, client: mqtt.Client, _data: object, _mid: int, codes: list[ReasonCode], _props: Properties | None
    ) -> None:
        if any(code.is_failure for code in codes):
            self.refused = "Not authorized to subscribe to receipts"
        else:
            # Only now: a receipt that comes before anybody listens costs a minute of waiting for the next.
            client.publish(f"{self._topic}status", "online", qos=1, retain=True)
            self.epoch += 1
            self.ready = True
        self._news.set()

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.DisconnectFlags,
        _code: ReasonCode,
        _props: Properties | None,
    ) -> None:
        self.ready = False
        if self._tls is not None and any(word in self._tls.alert for word in ("certificate", "unknown ca")):
            self.refused = f"the broker ends TLS: {self._tls.alert}"
        self._news.set()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            self.receipts.put_nowait(bytes(message.payload))
        except queue.Full:
            _log.warning("receipts come faster than they are read; one is dropped")
        self._news.set()


class ReferenceGateway:
    """One gateway. `step(now)` moves it: whatever has come in, whatever is due out."""

    def __init__(self, id_: str, spool: Spool, window: Window, link: Link) -> None:
        self.id, self.window, self.link = id_, window, link
        self._spool = spool
        self._epoch = 0

    def step(self, now_ms: int) -> None:
        """`now_ms`: any clock that does not go back."""
        if self.link.epoch != self._epoch:
            self._epoch = self.link.epoch
            self.window.reconnected(now_ms)
        for _ in range(self.link.receipts.qsize()):
            told = _document(self.link.receipts.get_nowait())
            self._spool.settle(self.id, self.window.receipt(told, now_ms))
        if self.link.ready:
            self._send(now_ms)

    def _send(self, now_ms: int) -> None:
        due = self.window.due(now_ms)
        for seq in due.park:
            _log.warning("%s: no receipt for message %d after all its sends; it is parked", self.id, seq)
            self._spool.park(self.id, seq, EMPTY)
        for send in due.sends:
            readings = EMPTY if send.gone else self._spool.readings(self.id, send.seq)
            # What paho does not take was cut off with its connection: the next one sends it again.
            self.link.send(numbered(readings, boot=self.window.boot, seq=send.seq, first=send.first))


def _document(payload: bytes) -> dict[str, object]:
    """The receipt, {} for what is none: that changes nothing, and is counted by the window."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Gateways:
    """All gateways of one place on one spool."""

    def __init__(self, ids: Iterable[str], spool: Spool, broker: Broker) -> None:
        self.news = threading.Event()
        self._spool = spool
        self.by_id = {
            id_: ReferenceGateway(id_, spool, Window(held.boot, held.head, held.seqs), Link(id_, broker, self.news))
            for id_, held in spool.open(list(ids)).items()
        }

    def start(self) -> None:
        for gateway in self.by_id.values():
            gateway.link.start()

    def offer(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """(gateway, readings) in their order: on disk when it returns, on the wire as `step` finds room."""
        for kept in self._spool.append(messages):
            window = self.by_id[kept.gateway].window
            window.offered(kept.seq)
            if kept.dropped_through:
                window.dropped(kept.dropped_through)

    def step(self, now_ms: int) -> None:
        for gateway in self.by_id.values():
            gateway.step(now_ms)

    def unreceipted(self) -> int:
        return sum(len(gateway.window) for gateway in self.by_id.values())

    def unreceipted_most(self) -> int:
        """Of the gateway that is furthest behind."""
        return max(len(gateway.window) for gateway in self.by_id.values())

    def ready(self) -> bool:
        return all(gateway.link.ready for gateway in self.by_id.values())

    def refused(self) -> str:
        """What the broker said to a gateway that it would not have, "" while it takes them all."""
        return next((f"{g.id}: {g.link.refused}" for g in self.by_id.values() if g.link.refused), "")

    def stop(self) -> None:
        for gateway in self.by_id.values():
            gateway.link.leave()
        for gateway in self.by_id.values():
            gateway.link.join()
