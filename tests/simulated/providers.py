"""The far ends of the channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from alerts.delivery.channels.channel import ChannelError, Quota
from alerts.delivery.parcel import Parcel
from alerts.incidents.incident import Notice


class Receiver:
    """A channel whose provider counts what reaches it, and sometimes fails."""

    name = "receiver"
    carries_state = False
    at_once = 4
    timeout_s = 30.0
    quota = Quota()

    def __init__(self, moment: Callable[[str], None], r: Random, trouble: Callable[[], float]) -> None:
        """`moment` is told of every step outwards; `trouble`: how often nothing comes back, from 0 to 1."""
        self._moment, self._random, self._trouble = moment, r, trouble
        self.unanswered = False  # the last of all
        self.came: list[tuple[tuple[str, int, str], dict[str, Any]]] = []  # key and body, in order

    def recipients(self, notice: Notice) -> Sequence[str]:  # noqa: ARG002  # everybody hears of everything
        return ("a", "b")

    async def send(self, message: Parcel) -> str:
        """Raises ChannelError and TimeoutError, as real ones do."""
        self._moment("before send")
        self.unanswered = self._random.random() < self._trouble()
        if self.unanswered and self._random.random() < 0.5:
            raise ChannelError("503")
        self.came.append(((message.incident, message.version, message.recipient), message.body))
        if self.unanswered:
            raise TimeoutError
        self._moment("after send")
        return ""

    async def close(self) -> None:
        pass


class Lines:
    """In place of the console: nothing fails there."""

    name = "console"
    carries_state = False
    at_once = 16
    timeout_s = 30.0
    quota = Quota()

    def recipients(self, notice: Notice) -> Sequence[str]:
        return ("operators",) if notice.told else ()

    async def send(self, _message: Parcel) -> str:
        return ""

    async def close(self) -> None:
        pass
