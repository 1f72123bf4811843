"""What the city hears on MQTT: messages into a bounded inbox, acknowledged by hand once they are on disk."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from time import monotonic, time
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from ingest.formats import may_be_presence, said_by
from ingest.inbox import Inbox, Message
from ingest.mqtt.connection import KEEPALIVE_S, Connection
from ingest.rate_limit import Moment, RateLimit
from ingest.tls import Identity

log = logging.getLogger(__name__)

BACKFILL_TOPICS: Final = ("canhbao/v1/+/backfill", "canhbao/v1/+/backfill/+")
COLLECTOR_TOPICS: Final = ("canhbao/v1/+/readings", "canhbao/v1/+/readings/+", "canhbao/v1/+/status")

_OK: Final = MQTTErrorCode.MQTT_ERR_SUCCESS
_LOSSES: Final = (5, 60.0)  # so many connections lost within so many seconds are told: no network does that by itself
# With messages unanswered for so long the broker may hold back what follows them; a turn takes some ten milliseconds.
_STALL_S: Final = 1.0
_NOTICED_S: Final = 1.5 * KEEPALIVE_S  # how long a connection may be dead before either side sees it
_RETAINED_MOST: Final = 1_000  # topics with a retained message that are remembered; beyond, the oldest counts as new


class MqttSource(Connection):
    """The collector's ear: a persistent session at QoS 1 whose messages are acknowledged only by `acknowledge`.

    `refused_topics`: those that the broker does not let us subscribe. Of each retained message the first copy is
    handed on, not one a connection.
    """

    def __init__(
        self, url: str, username: str, password: str, client_id: str, topics: Sequence[str], inbox: Inbox, *,
        away_s: float = inf, ca_file: Path | None = None, identity: Identity | None = None,
    ) -> None:  # fmt: skip
        """Raises MqttError for a wrong `url`. `topics` are filters; `client_id` must be the same at every start.

        `away_s`: how long nobody has listened up to now, inf where that is not known.

        `ca_file`: whom to believe the broker's certificate, in the place of those that this machine believes;
        `identity`: what we show for ourselves where it wants a certificate of us.
        """
        super().__init__(url, username, password, client_id, clean_session=False, ca_file=ca_file, identity=identity)
        self.refused_topics: tuple[str, ...] = ()
        self.inbox = inbox
        self._topics = tuple(topics)
        self._epoch = 0
        self._subscribed = self._shedding = False
        self._under_way: dict[int, str] = {}  # mid -> sender of what this connection brought and is not acknowledged
        self._waiting_s: float | None = None  # since when something is, without an acknowledgement in between
        self._limit = RateLimit()
        self._limiting = threading.Lock()  # messages come in paho's thread, acknowledgements from the one that stores
        self._away_s, self._heard = away_s, _now()  # before this life of ours; and when something last came
        self._retained: dict[str, bytes] = {}  # topic -> digest of the retained message that was taken
        self._losses: deque[float] = deque(maxlen=_LOSSES[0])  # when connections were lost, on the clock of `monotonic`
        self._received = self._acked = self._stale_acks = self._shed = self._dropped = self._failed = 0
        self._repeated = self._retained_again = self._sessions_lost = 0
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        inbox.on_room = self._bring_again

    @property
    def counters(self) -> dict[str, int]:
        """Since the start. `shed` come again; `lost` (QoS 0 into a full inbox) and `failed` do not.

        `repeated`: sent again while the first copy was under way. `sessions_lost`: times that the broker had forgotten
        us, and with us what it had acknowledged to devices without a spool.
        """
        return {
            "received": self._received, "acked": self._acked, "stale_acks": self._stale_acks, "shed": self._shed,
            "lost": self._dropped, "failed": self._failed, "reconnects": max(0, self._connects - 1),
            "repeated": self._repeated, "retained_again": self._retained_again, "sessions_lost": self._sessions_lost,
        }  # fmt: skip

    @property
    def limited(self) -> dict[str, int]:
        """Messages beyond the rate of their sender (see `said_by`), which were not taken."""
        with self._limiting:
            return self._limit.limited

    @property
    def unsteady(self) -> bool:
        """Whether the connection is cut all the time, as where another client uses our client id."""
        most, within_s = _LOSSES
        return len(self._losses) == most and monotonic() - self._losses[0] < within_s

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """The broker may forget these. Only what came over the present connection is acknowledged.

        A number means another message on another connection: acknowledged late it would delete one that nobody
        stored. The broker sends what it misses again. One lock covers the check and the acknowledgement.
        """
        with self._state:
            self._credit_stall()  # first: a fast broker sends on as soon as it has an answer
            for message in messages:
                if message.qos == 0:
                    continue
                if message.epoch == self._epoch and self._client.ack(message.mid, message.qos) == _OK:
                    self._acked += 1
                    self._under_way.pop(message.mid, None)
                else:
                    self._stale_acks += 1
            self._waiting_s = monotonic() if self._under_way else None

    def publish(self, topic: str, payload: bytes, qos: int = 1, *, retain: bool = False) -> bool:
        """Without waiting, for receipts. False if there is no connection or no room: who misses it asks again."""
        return self._connected and self._client.publish(topic, payload, qos, retain).rc == _OK

    def _ready(self) -> bool:
        return self._subscribed

    def _opened(self) -> None:
        if self._connects > 1 and not self._session_present:
            self._sessions_lost += 1
            log.error("mqtt: %s has lost our session; what devices without a spool sent since is gone", self._where)
        now = _now()
        if self._session_present:  # else it has kept nothing for us
            with self._limiting:
                self._limit.allow(self._away_s + self._heard.until(now), now.steady_s)
        self._away_s, self._heard = 0.0, now
        # Also where the broker kept the session: the topics may have changed since.
        self._client.subscribe([(topic, 1) for topic in self._topics])

    def _lost(self) -> None:
        if self._shedding:
            return  # it was us, see _bring_again
        self._away_s = _NOTICED_S
        steady = not self.unsteady
        self._losses.append(monotonic())
        if steady and self.unsteady:
            log.error("mqtt: %d connections lost within %g s; does another client use our client id?", *_LOSSES)

    def _ended(self) -> None:
        self._epoch += 1
        self._subscribed = self._shedding = False
        with self._limiting:
            for sender in self._under_way.values():
                self._limit.give_back(sender)
        self._under_way.clear()
        self._credit_stall()
        self._waiting_s = None

    def _on_subscribe(self, _c: paho.Client, _u: Any, _mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        with self._state:
            granted = zip(self._topics, reasons, strict=False)
            self.refused_topics = tuple(topic for topic, reason in granted if reason.is_failure)
            self._subscribed = True
            self._state.notify_all()
        if self.refused_topics:
            log.error("mqtt: %s refuses to %s: %s", self._where, self._username, " ".join(self.refused_topics))

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            self._take(message)
        except Exception:
            self._failed += 1
            log.exception("mqtt: a message could not be taken")

    def _take(self, message: paho.MQTTMessage) -> None:
        """Into the inbox, nothing more.

        A full inbox does not stop the reading: paho reads and answers pings on one thread, so the broker would take us
        for dead. What finds no room is neither kept nor acknowledged, nor is what follows it on this connection; once
        there is room we connect anew, and the broker sends all of it again.
        """
        self._received += 1
        self._heard = _now()
        came = Message(message.topic, bytes(message.payload), message.retain, message.qos, message.mid, self._epoch,
                       monotonic())  # fmt: skip
        if message.dup and came.mid in self._under_way:
            # nats-server does not wait for a slow collector: each copy would make it slower still. The acknowledgement
            # of the first one is for all of them.
            self._repeated += 1
            return
        known = came.retained and self._retained.get(came.topic) == _digest(came.payload)
        if known and not may_be_presence(came.topic):
            self._retained_again += 1  # no news, and it stays with the broker whatever we answer
            self._client.ack(came.mid, came.qos)
            return
        if not (self._shedding and came.qos):  # what is shed comes again, and is counted then
            sender = said_by(came.topic)
            if not self._within_rate(came, sender) or self._put(came, sender):
                return
            with self._limiting:
                self._limit.give_back(sender)
        if came.qos == 0:
            self._dropped += 1
            return
        self._shed += 1
        if not self._shedding:
            log.warning("mqtt: the inbox is full (%d messages), the broker has to send again", len(self.inbox))
            self._shedding = True

    def _within_rate(self, came: Message, sender: str) -> bool:
        """What is beyond is answered at once: kept waiting, it would stand in the broker's way to us before others."""
        with self._limiting:
            if self._limit.admits(sender, self._heard.steady_s):
                return True
            count = self._limit.to_tell(sender, self._heard.steady_s)
        if count:
            log.warning("%s sends more than it may; %d messages left out so far", sender or "somebody unknown", count)
        self._client.ack(came.mid, came.qos)
        return False

    def _credit_stall(self) -> None:
        """While nothing was acknowledged, the broker may have held back what comes next (`_state` held)."""
        now_s = monotonic()
        if self._waiting_s is not None and (stalled_s := now_s - self._waiting_s) >= _STALL_S:
            with self._limiting:
                self._limit.allow(stalled_s, now_s)

    def _put(self, came: Message, sender: str) -> bool:
        if came.qos:
            if self._waiting_s is None:
                self._waiting_s = self._heard.steady_s
            self._under_way[came.mid] = sender  # before: once it is in the inbox it may be acknowledged any time
        if not self.inbox.put(came):
            self._under_way.pop(came.mid, None)
            return False
        if came.retained:
            self._retained[came.topic] = _digest(came.payload)
            if len(self._retained) > _RETAINED_MOST:
                del self._retained[next(iter(self._retained))]
        return True

    def _bring_again(self) -> None:
        """There is room: if messages were shed, reconnect, yet not before the acknowledgements are on their way."""
        with self._state:
            if self._shedding and not self._client.want_write():
                self._client.cut()


def _now() -> Moment:
    return Moment(monotonic(), time())


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()
