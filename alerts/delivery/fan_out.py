"""From notices to messages: who is sent what, made in chunks that a crash interrupts and a restart resumes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from alerts.delivery.channels.channel import DeskChannel
from alerts.incidents.incident import Notice
from alerts.ledger.outbox import Address, Made, Outbox, Pending

log = logging.getLogger(__name__)

NOTICES: Final = 64  # at most in a chunk: the first one's messages wait until the last one's words are made
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
        self._notices = 1  # of the next chunk

    def turn(self, now: int) -> bool:
        """Messages for the oldest notices that lack some, one chunk; False: there is none. `now` ms UTC.

        Of several notices those that fit whole: one alone is not kept waiting, the more of a storm the longer it goes
        on; a large one is cut into chunks.
        """
        pendings = self._outbox.pendings(self._notices)
        self._notices = min(NOTICES, 2 * self._notices) if len(pendings) == self._notices else 1
        if not pendings:
            return False
        made, room = list[Made](), self._chunk
        known = self._outbox.contents([one.seq for one in pendings])
        for pending in pendings:
            left = [a for a in self._addresses(pending.notice) if pending.after is None or a > pending.after]
            if made and len(left) > room:
                break
            body = known.get(pending.seq) or self._compose(pending.notice)
            made.append(Made(pending, left[:room], body, complete=len(left) <= room))
            room -= len(made[-1].addresses)
        self._outbox.queue_all(made, now)
        for one in made:
            notice, entry, count = one.pending.notice, one.pending.entry, len(one.addresses)
            log.info("messages made", extra={"entry": entry, "incident": notice.incident, "version": notice.version,
                                             "count": count})  # fmt: skip
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
