"""Sending what is due on one channel, and writing down the answer after it came: a crash between costs a repeat."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

from alerts.delivery.channels.channel import Channel, ChannelError
from alerts.ledger.outbox import Message, Outbox, Status
from alerts.watch.histogram import WAY_OUT, Histogram
from alerts.watch.metrics import labelled

log = logging.getLogger(__name__)

SEND_S: Final = 30.0  # no answer for this long is a failure, tried again later
FIRST_RETRY_MS: Final = 1000  # the most that the first retry waits; each further one twice that,
LAST_RETRY_MS: Final = 60_000  # up to this
LIFE_MS: Final = 6 * 3_600_000  # a message that could not be sent for so long is dead: it would mislead by now


def retry_delay_ms(attempts: int, random: Random) -> int:
    """Full jitter: any time up to the bound, so that a thousand failed messages do not come back at once."""
    return int(random.uniform(0, min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** min(attempts, 16))))


class Sender:
    """One channel. One process holds the data folder and runs one turn at a time: to be chosen by a turn is the claim.

    After a crash at most `channel.at_once` messages go out again, with the same keys.
    """

    def __init__(self, outbox: Outbox, channel: Channel, random: Random, *, send_s: float = SEND_S) -> None:
        self._outbox = outbox
        self.channel = channel
        self._random = random
        self._send_s = send_s
        self._times = Histogram("canhbao_delivery_seconds", WAY_OUT, channel=channel.name)
        self._became = Counter[Status]()
        self._unmarked: list[Message] = []  # answered, not written down yet; at most `at_once`

    @property
    def counters(self) -> dict[str, float]:
        """Metric name -> since the start."""
        channel, became = self.channel.name, self._became
        return {
            labelled("canhbao_messages_sent_total", channel=channel): became[Status.SENT],
            labelled("canhbao_messages_failed_total", channel=channel): became[Status.FAILED] + became[Status.DEAD],
            **self._times.samples(),
        }

    async def turn(self, now: int) -> int:
        """Sends at most `at_once` due messages and marks them; how many those were. `now` ms UTC.

        Raises LedgerError. What was answered and could not be marked is marked first the next time and not sent again:
        a full disk must not repeat a warning every second.
        """
        await self._mark()
        due = await asyncio.to_thread(self._outbox.due, self.channel.name, now, self.channel.at_once)
        began = time.monotonic()
        if self.channel.carries_state:
            newest = await asyncio.to_thread(self._outbox.newest, self.channel.name, {m.recipient for m in due})
            self._unmarked += [m.superseded(newest[m.recipient]) for m in due if m.seq < newest[m.recipient]]
            to_send = [m for m in due if m.seq == newest[m.recipient]]
        else:
            to_send = due
        answered = await asyncio.gather(*(self._send(message, now) for message in to_send))
        self._time(answered, time.monotonic() - began)
        self._unmarked += answered
        await self._mark()
        return len(due)

    def _time(self, answered: Sequence[Message], took_s: float) -> None:
        for message in answered:
            if message.status is Status.SENT and message.sent_at is not None and not message.renewed:
                self._times.observe((message.sent_at - message.created_at) / 1000 + took_s)

    async def _mark(self) -> None:
        if self._unmarked:
            await asyncio.to_thread(self._outbox.mark, self._unmarked)
            self._tell(self._unmarked)
            self._unmarked = []

    def _tell(self, marked: Sequence[Message]) -> None:
        """One line a version and what became of it; to whom is in the ledger, and in no log."""
        counts = Counter((m.status, m.entry, m.incident, m.version) for m in marked)
        for (status, entry, incident, version), count in counts.items():
            self._became[status] += count
            log.info(
                status.value,
                extra={"entry": entry, "incident": incident, "version": version, "channel": self.channel.name,
                       "count": count},
            )  # fmt: skip

    async def _send(self, message: Message, now: int) -> Message:
        try:
            await asyncio.wait_for(self.channel.send(message), self._send_s)
        except ChannelError as error:
            return self._not_sent(message, str(error), now, permanent=error.permanent)
        except TimeoutError:
            return self._not_sent(message, f"no answer for {self._send_s:g} s", now)
        except Exception as error:  # noqa: BLE001  # a bug in one channel or message must not stop the others
            # Not the error's own text, which may hold the address that was written to.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s: message %d: %s at\n%s", self.channel.name, message.id, type(error).__name__, where)  # noqa: TRY400
            return self._not_sent(message, f"{type(error).__name__}: {error}", now)
        return message.sent(now)

    def _not_sent(self, message: Message, error: str, now: int, *, permanent: bool = False) -> Message:
        too_old = now - message.created_at >= LIFE_MS and not self.channel.carries_state
        if permanent or too_old:
            log.error(
                "%s: message %d of %s given up; the ledger says why", self.channel.name, message.id, message.incident
            )
            return message.dead(error)
        return message.failed(error, now + retry_delay_ms(message.attempts, self._random))
