"""Two lanes into the service: what is measured now, and what gateways have kept; the old never holds up the new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ingest.formats import is_backfill
from ingest.inbox import Message
from ingest.mqtt import MqttSource

# Of old messages in one turn: some hundred readings, so that a turn grows by some ten milliseconds at most. At this
# rate six hours of a whole city take some minutes.
SLICE_BYTES: Final = 16_000
# While a turn brings so many new messages, the old ones wait for every BUSY_TURNS-th.
BUSY_MESSAGES: Final = 100
BUSY_TURNS: Final = 10


class Lanes:
    """Both lanes behind the face of one: `drain` for the spine, and the link that it answers on."""

    def __init__(self, live: MqttSource, backfill: MqttSource) -> None:
        self._live, self._backfill = live, backfill
        self._waited = 0  # busy turns in which the old ones waited

    @property
    def connected(self) -> bool:
        return self._live.connected

    def drain(self, wait_s: float) -> list[Message]:
        """What has come on the live lane, which alone is waited for, then a slice of what waits on the other one."""
        old = self._backfill.inbox
        messages = self._live.inbox.drain(0.0 if len(old) else wait_s)
        if len(messages) >= BUSY_MESSAGES and self._waited < BUSY_TURNS:
            self._waited += 1
            return messages
        self._waited = 0
        return messages + old.drain(0.0, gather_s=0.0, most_bytes=SLICE_BYTES)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        old = [message for message in messages if is_backfill(message.topic)]
        self._live.acknowledge(message for message in messages if not is_backfill(message.topic))
        self._backfill.acknowledge(old)

    def publish(self, topic: str, payload: bytes) -> bool:
        return self._live.publish(topic, payload)
