"""From notices to messages: who is sent what, made in chunks that a crash interrupts and a restart resumes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from alerts.delivery.channels.channel import DeskChannel
from alerts.incidents.incident import Notice
from alerts.ledger.outbox import Address, Outbox, Pending

log = logging.getLogger(__name__)

CHUNK: Final = 1000  # messages a transaction: the spine, which writes to the same file, waits for no more than that

Compose: TypeAlias = Callable[[Notice], dict[str, Any]]  # the message of a notice (alerts.delivery.notary)


class FanOut:
    """`turn` makes one chunk. The cursor stands in the ledger, and a key that exists already changes nothing."""

    def __init__(
        self, outbox: Outbox, channels: Sequence[DeskChannel], compose: Compose, *, chunk: int = CHUNK
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._compose = compose
        self._chunk = chunk

    def turn(self, now: int) -> bool:
        """Messages for the next chunk of the oldest notice that lacks some; False: there is none. `now` ms UTC."""
        pending = self._outbox.pending()
        if pending is None:
            return False
        left = [a for a in self._addresses(pending.notice) if pending.after is None or a > pending.after]
        body = self._body(pending)
        chunk = left[: self._chunk]
        self._outbox.queue(pending, chunk, body, now, complete=len(left) <= self._chunk)
        log.info("messages made", extra={"entry": pending.entry, "incident": pending.notice.incident,
                                         "version": pending.notice.version, "count": len(chunk)})  # fmt: skip
        return True

    def renew(self, now: int) -> None:
        """Where a channel carries a state, the newest one of every place is due again.

        What its other side still has is not known after a start or a lost session. So open warnings are published and
        ended ones cleared.
        """
        again = []
        for channel in self._channels:
            if channel.carries_state:
                for pending in self._outbox.newest_notices():
                    body = self._body(pending)
                    again += [(pending, Address(channel.name, r), body) for r in channel.recipients(pending.notice)]
        self._outbox.queue_again(again, now)

    def _addresses(self, notice: Notice) -> list[Address]:
        return sorted(Address(channel.name, r) for channel in self._channels for r in channel.recipients(notice))

    def _body(self, pending: Pending) -> dict[str, Any]:
        """As it was made, code and signature with it; made now where it never was."""
        return self._outbox.content(pending.seq) or self._compose(pending.notice)
