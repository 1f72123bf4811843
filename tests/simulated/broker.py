"""An MQTT broker and its network in memory, and what stands in for paho in front of it.

Modelled: persistent sessions at QoS 1, packets and acknowledgements under way that a lost connection loses, ids used
again on every connection, redelivery in any order (nats-server) or in order (Mosquitto), and again while a connection
lasts (nats-server's ack_wait); a crash that keeps everything (nats-server with sync always) or brings back the state of
the last save (Mosquitto); a session that is gone. Real above it: ingest.mqtt, the inbox, the gateway's window.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from queue import Queue
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from paho.mqtt.client import topic_matches_sub

_GOOD: Final = SimpleNamespace(is_failure=False)
_LOST: Final = "the connection is lost"
_NO_CONNECTION: Final = 4  # paho's number for it
_matches: Final = lru_cache(1024)(topic_matches_sub)


@dataclass(frozen=True, slots=True)
class Packet:
    """A publish that the broker has; `number` tells it from all others."""

    number: int
    topic: str
    payload: bytes
    retain: bool = False


@dataclass
class Session:
    topics: list[str] = field(default_factory=list)
    queue: list[Packet] = field(default_factory=list)
    sent: dict[int, Packet] = field(default_factory=dict)  # by packet id, not acknowledged
    tried: set[int] = field(default_factory=set)  # numbers of packets that were sent before
    kept: bool = True


class Broker:
    """`durable`: what a crash keeps. `lost`: numbers of packets that the broker itself has lost."""

    def __init__(self, r: Random, *, durable: bool) -> None:
        self.random, self.durable = r, durable
        self.up = True
        self.clients: dict[str, Client | GatewayLink] = {}
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, bytes] = {}
        self.lost: set[int] = set()
        self.accepted: list[Packet] = []
        self._saved: tuple[dict[str, Session], dict[str, bytes]] = ({}, {})

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        packet = Packet(len(self.accepted), topic, payload)
        self.accepted.append(packet)
        if retain:
            self.retained[topic] = payload
        found = [s for s in self.sessions.values() if any(_matches(sub, topic) for sub in s.topics)]
        for session in found:
            session.queue.append(packet)
        for name in [name for name, client in self.clients.items() if isinstance(client, GatewayLink)]:
            if self.random.random() < 0.5:
                self.deliver(name, 1000)
        if not found:
            self.lost.add(packet.number)
        return packet.number

    def attach(self, client: Client | GatewayLink, *, kept: bool) -> bool:
        """A connection, and whether its session was here; another one of the same name ends."""
        other = self.clients.get(client.name)
        if other is not None and other is not client:
            other.drop()
        session = self.sessions.get(client.name)
        present = session is not None and kept and session.kept
        if session is None or not present:
            session = self.sessions[client.name] = Session(kept=kept)
        self._again(session)
        self.clients[client.name] = client
        return present

    def detach(self, client: Client | GatewayLink) -> None:
        if self.clients.get(client.name) is client:
            del self.clients[client.name]
            session = self.sessions[client.name]
            self._again(session)
            if not session.kept:
                del self.sessions[client.name]

    def deliver(self, name: str, most: int) -> None:
        """The next packets to one client, and its acknowledgements back."""
        client, session = self.clients.get(name), self.sessions.get(name)
        if client is None or session is None:
            return
        self.answered(client)
        if self.durable and session.sent and self.random.random() < 0.05:  # its ack_wait is over
            number = self.random.choice(list(session.sent))
            client.hear(session.sent[number], number, again=True)
        for _ in range(min(most, len(session.queue))):
            packet = session.queue.pop(0)
            number = next(n for n in range(1, 70_000) if n not in session.sent)
            session.sent[number] = packet
            again = packet.number in session.tried
            session.tried.add(packet.number)
            client.hear(packet, number, again=again)
            if self.clients.get(name) is not client:
                return

    def answered(self, client: Client | GatewayLink) -> None:
        """Its acknowledgements have come."""
        session = self.sessions[client.name]
        for number in client.acknowledged():
            session.sent.pop(number, None)

    def save(self) -> None:
        kept = {name: session for name, session in self.sessions.items() if session.kept}
        self._saved = copy.deepcopy((kept, self.retained))

    def crash(self) -> None:
        self.up = False
        for client in list(self.clients.values()):
            client.drop()
        if not self.durable:
            before = self._held()
            self.sessions, self.retained = copy.deepcopy(self._saved)
            self.lost |= before - self._held()

    def forget(self) -> None:
        """Back with nothing at all."""
        for client in list(self.clients.values()):
            client.drop()
        self.lost |= self._held()
        self.sessions, self.retained, self._saved = {}, {}, ({}, {})

    def _held(self) -> set[int]:
        return {p.number for s in self.sessions.values() for p in (*s.queue, *s.sent.values())}

    def _again(self, session: Session) -> None:
        """What was not acknowledged is to be sent again, before the rest."""
        again = list(session.sent.values())
        if self.durable:
            self.random.shuffle(again)
        session.queue[:0] = again
        session.sent.clear()


class Client:
    """In place of ingest.mqtt.connection.Client: what the source and the publisher ask of paho. `broker` and `moment`
    are set by the world in a class of its own.
    """

    broker: Broker
    moment: Callable[[str], None]
    alive: list[Client]

    def __init__(self, _version: object, client_id: str, clean_session: bool, **_: object) -> None:
        self.name, self._kept = client_id, not clean_session
        self.attached = self.cut_soon = False
        self._acks: list[int] = []
        self._out: list[tuple[str, bytes, bool]] = []
        self.alive.append(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_: None  # settings that mean nothing here

    def connect(self, *_: object) -> None:
        if not self.broker.up:
            raise ConnectionRefusedError("connection refused")

    def loop_start(self) -> None:
        self.reconnect()

    def reconnect(self) -> None:
        if self.attached or not self.broker.up:
            return
        self.on_pre_connect(self, None)
        present = self.broker.attach(self, kept=self._kept)
        self.attached = True
        self.on_connect(self, None, SimpleNamespace(session_present=present), _GOOD, None)

    def subscribe(self, topics: Sequence[tuple[str, int]]) -> None:
        self.broker.sessions[self.name].topics = [topic for topic, _ in topics]
        self.on_subscribe(self, None, 1, [_GOOD] * len(topics), None)

    def disconnect(self) -> None:
        self.flush()
        self.drop()

    def drop(self) -> None:
        if self.attached:
            self.attached = False
            self._acks.clear()
            self.broker.detach(self)
            self.on_disconnect(self, None, None, _LOST, None)

    def cut(self) -> None:
        self.cut_soon = True

    def ack(self, number: int, _qos: int) -> int:
        self.moment("acknowledge")
        if not self.attached:
            return _NO_CONNECTION
        self._acks.append(number)
        if self.broker.random.random() < 0.5:
            self.broker.answered(self)
        return 0

    def acknowledged(self) -> list[int]:
        acks, self._acks = self._acks, []
        return acks

    def hear(self, packet: Packet, number: int, *, again: bool) -> None:
        message = SimpleNamespace(
            topic=packet.topic, payload=packet.payload, retain=packet.retain, qos=1, mid=number, dup=again
        )  # fmt: skip
        self.on_message(self, None, message)

    def publish(self, topic: str, payload: bytes, _qos: int, retain: bool) -> Any:
        self.moment("publish")
        self._out.append((topic, payload, retain))
        if self.broker.random.random() < 0.5:
            self.flush()
        return SimpleNamespace(rc=0, wait_for_publish=lambda _: self.flush(), is_published=lambda: not self._out)

    def flush(self) -> None:
        """What was published reaches the broker; without a connection it waits, as paho keeps it."""
        while self._out and self.attached:
            topic, payload, retain = self._out.pop(0)
            self.broker.publish(topic, payload, retain=retain)


class GatewayLink:
    """In place of firmware_sim.gateway.Link."""

    def __init__(self, gateway: str, broker: Broker) -> None:
        self.name, self._broker = gateway, broker
        self.receipts: Queue[bytes] = Queue()
        self.epoch = 0
        self.ready = False
        self.refused = ""
        self._out: list[bytes] = []

    def reconnect(self) -> None:
        if self._broker.up and not self.ready:
            self._broker.attach(self, kept=False)
            self._broker.sessions[self.name].topics = [f"canhbao/v1/{self.name}/receipt"]
            self.epoch += 1
            self.ready = True

    def send(self, payload: bytes) -> bool:
        self._out.append(payload)
        return True

    def flush(self, most: int) -> None:
        for _ in range(min(most, len(self._out))):
            self._broker.publish(f"canhbao/v1/{self.name}/readings", self._out.pop(0))

    def drop(self) -> None:
        if self.ready:
            self.ready = False
            self._out.clear()
            self._broker.detach(self)

    def hear(self, packet: Packet, _number: int, *, again: bool) -> None:  # noqa: ARG002  # a receipt twice is one
        self.receipts.put(packet.payload)

    def acknowledged(self) -> list[int]:
        return list(self._broker.sessions[self.name].sent)  # the gateway's paho answers at once
