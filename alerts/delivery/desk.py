"""The desk's queue: what operators and machines are to get by one channel, out of the ledger's outbox."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from alerts.delivery.channels.channel import DeskChannel
from alerts.delivery.pace import Free
from alerts.delivery.parcel import Answer, Parcel, Status, lane_of
from alerts.delivery.send import Claimed
from alerts.ledger.outbox import Message, Outbox
from alerts.words.names import Lang

LIFE_MS: Final = 6 * 3_600_000  # a message that could not be sent for so long is dead: it would mislead by now
NEVER: Final = sys.maxsize  # a state is true until there is a newer one


class DeskQueue:
    """One channel's. One process holds the data folder, so what is under way is known here and needs no row of its own.

    `lang`: of what people at the desk read. Called by one sender, a call at a time.
    """

    def __init__(self, outbox: Outbox, channel: DeskChannel, lang: Lang = "vi") -> None:
        self._outbox, self._channel, self._lang = outbox, channel, lang
        self._under_way: dict[int, Message] = {}

    def claim(self, now: int, free: Free, lease_ms: int) -> Claimed:  # noqa: ARG002  # see the class
        most = max(free.others, free.urgent)
        state = self._channel.carries_state
        due = self._outbox.due(self._channel.name, now, most, in_order=not state, but=self._under_way)
        closed = self._closed(due, now)
        done = {one.id for one in closed}
        if closed:
            self._outbox.mark(closed)
        ours = [one for one in due if one.id not in done]
        self._under_way |= {one.id: one for one in ours}
        return Claimed([self._parcel(one) for one in ours],
                       Counter((one.status, (one.entry, one.incident, one.version)) for one in closed))  # fmt: skip

    def settle(self, answers: Sequence[Answer]) -> None:
        self._outbox.mark([_settled(self._under_way[one.parcel.id], one) for one in answers])
        for one in answers:
            del self._under_way[one.parcel.id]

    def _closed(self, due: Sequence[Message], now: int) -> list[Message]:
        """What is not worth sending any more."""
        if not self._channel.carries_state:
            tried = [one for one in due if one.attempts]
            overtaken = self._outbox.overtaken(tried)
            late = f"not sent within {LIFE_MS // 3_600_000} h"
            return [one.superseded(overtaken[one.id]) if one.id in overtaken else one.dead(late) for one in tried
                    if one.id in overtaken or now - one.created_at >= LIFE_MS]  # fmt: skip
        newest = self._outbox.newest(self._channel.name, {one.recipient for one in due})
        return [one.superseded(newest[one.recipient]) for one in due if one.seq < newest[one.recipient]]

    def _parcel(self, one: Message) -> Parcel:
        level = int(one.body.get("level", 0))
        expires_at = NEVER if self._channel.carries_state else one.created_at + LIFE_MS
        return Parcel(
            one.id, one.attempts + 1, one.channel, one.recipient, one.incident, one.version, one.seq, level,
            self._lang, one.body, one.created_at, expires_at, lane_of(level, ends=not level), entry=one.entry,
            renewed=one.renewed,
        )  # fmt: skip


def _settled(message: Message, answer: Answer) -> Message:
    match answer.status:
        case Status.SENT:
            return message.sent(answer.at)
        case Status.FAILED:
            assert answer.retry_at is not None
            return message.failed(answer.error, answer.retry_at)
    return message.dead(answer.error)
