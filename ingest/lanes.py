"""Two lanes into the service: what is measured now, and what gateways have kept; the old never holds up the new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ingest.formats import is_backfill
from ingest.inbox import Message
from ingest.mqtt.source import MqttSource

# Of old messages at once: some hundred readings, so that a turn grows by some ten milliseconds at most.
SLICE_BYTES: Final = 16_000
# How often. What we take is receipted, and each receipt brings another old message to the broker, which has it on its
# disk before it goes on to a new one: the pace here is the pace there. Six hours of a city take some ten minutes.
SLICE_EVERY_S: Final = 0.1
# And how often while a turn brings so many new messages.
BUSY_MESSAGES: Final = 100
BUSY_SLICE_EVERY_S: Final = 1.0
# Where many gateways empty their spools at once, slices grow so that nothing waits for longer than this: after a minute
# without a receipt it would come again, and stand twice in the line.
WAIT_MOST_S: Final = 40.0


class Lanes:
    """Both lanes behind the face of one: `drain` for the spine, and the link that it answers on.

    `seconds`: a clock that does not go back.
    """

    def __init__(self, live: MqttSource, backfill: MqttSource, seconds: Callable[[], float]) -> None:
        self._live, self._backfill, self._seconds = live, backfill, seconds
        self._sliced_s = -BUSY_SLICE_EVERY_S  # when the last slice was taken

    @property
    def connected(self) -> bool:
        return self._live.connected

    def drain(self, wait_s: float) -> list[Message]:
        """What has come on the live lane, which alone is waited for, then a slice of what waits on the other one."""
        old = self._backfill.inbox
        if len(old):
            wait_s = min(wait_s, max(0.0, self._sliced_s + SLICE_EVERY_S - self._seconds()))
        messages = self._live.inbox.drain(wait_s)
        every_s = BUSY_SLICE_EVERY_S if len(messages) >= BUSY_MESSAGES else SLICE_EVERY_S
        now_s = self._seconds()
        if not len(old) or now_s - self._sliced_s < every_s:
            return messages
        self._sliced_s = now_s
        share = int(len(old) * SLICE_BYTES * every_s / WAIT_MOST_S)
        return messages + old.drain(0.0, gather_s=0.0, most_bytes=max(SLICE_BYTES, share))

    def acknowledge(self, messages: Sequence[Message]) -> None:
        old = [message for message in messages if is_backfill(message.topic)]
        self._live.acknowledge(message for message in messages if not is_backfill(message.topic))
        self._backfill.acknowledge(old)

    def publish(self, topic: str, payload: bytes) -> bool:
        return self._live.publish(topic, payload)
