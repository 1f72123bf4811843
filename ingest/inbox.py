"""The bounded inbox between the thread that hears the broker and the one that stores."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MESSAGE_OVERHEAD: Final = 300  # bytes of memory that a message takes besides topic and payload


@dataclass(frozen=True, slots=True)
class Message:
    """As it came. `mid` and `epoch` (of the connection) are for acknowledging, nothing else.

    `came_s`: when, on the clock of `time.monotonic`; None where nobody looked.
    """

    topic: str
    payload: bytes
    retained: bool
    qos: int
    mid: int
    epoch: int
    came_s: float | None = None


class Inbox:
    """Messages between paho's thread and the one that stores them.

    Bounded: a broker sends at most some thousands of unacknowledged messages (Mosquitto 2,000, nats-server 4,000 a
    subscription), so 8,000 hold what the collector's busiest subscription can have under way, and 64 MiB hold 4,000 of
    the longest. Full: `put` refuses, and the source sees to it that the message comes again.
    """

    def __init__(self, most: int = 8_000, most_bytes: int = 64 * 1024 * 1024) -> None:
        self.most, self.most_bytes = most, most_bytes
        self.on_room: Callable[[], None] | None = None  # called at a drain that finds it at most half full
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._awaited = 1  # how many messages it takes to wake the drain
        self._woken = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message) -> bool:
        """False: no room, nothing was kept. A message larger than the whole inbox goes in alone."""
        size = _size(message)
        with self._changed:
            full = len(self._messages) >= self.most or self._bytes + size > self.most_bytes
            if full and self._messages:
                return False
            self._messages.append(message)
            self._bytes += size
            if len(self._messages) >= self._awaited:
                self._changed.notify_all()
            return True

    def drain(
        self, wait_s: float, gather_s: float = 0.02, most: int = 2_000, most_bytes: int | None = None
    ) -> list[Message]:
        """At most `most` messages, in order: waits up to `wait_s` for the first, then up to `gather_s` for company.

        The company shares one fsync. `most_bytes`: no further message once so many are reached. Called by one thread,
        when it is done with what it drained before.
        """
        if self.on_room is not None and self._half_empty():
            self.on_room()
        with self._changed:
            if self._wait(1, wait_s):
                self._wait(most, gather_s)
            self._woken = False
            taken: list[Message] = []
            size = 0
            while self._messages and len(taken) < most and (most_bytes is None or size < most_bytes):
                taken.append(self._messages.popleft())
                size += _size(taken[-1])
            self._bytes -= size
            return taken

    def wake(self) -> None:
        """The drain that waits, or else the next one, returns with what there is."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def _wait(self, count: int, timeout_s: float) -> bool:
        self._awaited = count
        self._changed.wait_for(lambda: self._woken or len(self._messages) >= count, timeout_s)
        self._awaited = 1
        return len(self._messages) >= count and not self._woken

    def _half_empty(self) -> bool:
        with self._changed:
            return len(self._messages) * 2 <= self.most and self._bytes * 2 <= self.most_bytes


def _size(message: Message) -> int:
    return len(message.payload) + len(message.topic) + _MESSAGE_OVERHEAD
