"""Sending what is due to one provider, and writing down the answer after it came: a crash between costs a repeat."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol, TypeAlias

from alerts.delivery.channels.channel import Channel, ChannelError
from alerts.delivery.pace import Breaker, Bucket, Free, retry_delay_ms
from alerts.delivery.parcel import Answer, Parcel, Status
from alerts.watch.histogram import WAY_OUT, Histogram
from alerts.watch.metrics import labelled

log = logging.getLogger(__name__)

POLL_S: Final = 1.0  # how soon a retry that has become due is seen, and how soon a loop that failed tries again
GATHER_S: Final = 0.004  # while answers are awaited: they are written down together, each commit costs as much as ten
LEASE_MS: Final = 30_000  # beyond the channel's own timeout: then the message is anybody's to send again
RESERVE: Final = 0.1  # of the sends under way, kept for what is urgent, where there is more than one
END_S: Final = 5.0  # at the end: what is not answered then is sent again after the next start

Version: TypeAlias = tuple[int | None, str, int]  # entry, incident, version


@dataclass(frozen=True, slots=True)
class Claimed:
    """What is ours to send now; what came to its end without being sent, by status and version; and how many were due
    and are put off, by a night or by what is under way.
    """

    parcels: Sequence[Parcel]
    closed: Counter[tuple[Status, Version]] = field(default_factory=Counter)
    put_off: int = 0


class Queue(Protocol):
    """What is due on the way to one provider. Its methods block, and raise LedgerError."""

    def claim(self, now: int, free: Free, lease_ms: int) -> Claimed:
        """At most `free.others` parcels, of urgent ones at most `free.urgent` in all; nobody else gets these for now.

        The urgent first, then what has waited longest.
        """

    def settle(self, answers: Sequence[Answer]) -> None:
        """Writes down what became of them."""


class Sender:
    """One provider. `step` begins what is due and writes down what was answered; nothing waits for a slow answer.

    After a crash what was under way goes out again, with the same keys. `name`: of the provider, as metrics call it.
    """

    def __init__(
        self, queue: Queue, channel: Channel, random: Random, now_ms: Callable[[], int], *, name: str = ""
    ) -> None:  # fmt: skip
        self._queue, self.channel, self._random, self._now_ms = queue, channel, random, now_ms
        self.name = name or channel.name
        self._bucket, self._breaker = Bucket(channel.quota), Breaker(random)
        self._kept = max(1, int(channel.at_once * RESERVE)) if channel.at_once > 1 else 0
        self._times = Histogram("canhbao_delivery_seconds", WAY_OUT, channel=self.name)
        self._became = Counter[Status]()
        self._under_way = set[asyncio.Task[None]]()
        self._answers: list[Answer] = []  # not written down yet; at most `at_once`
        self._wake = asyncio.Event()
        self.failures = 0  # turns that raised (a full disk); each is logged and tried again

    @property
    def counters(self) -> dict[str, float]:
        """Metric name -> since the start."""
        name, became = self.name, self._became
        return {
            labelled("canhbao_messages_sent_total", channel=name): became[Status.SENT],
            labelled("canhbao_messages_failed_total", channel=name): became[Status.FAILED] + became[Status.DEAD],
            labelled("canhbao_messages_superseded_total", channel=name): became[Status.SUPERSEDED],
            labelled("canhbao_breaker_open", channel=name): float(self._breaker.open),
            **self._times.samples(),
        }

    def wake(self) -> None:
        """There is something new. On the loop."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and `wake` called; what is being sent then is finished and written down first."""
        while not stop.is_set():
            self._wake.clear()
            try:
                if await self.step():
                    if self._under_way:
                        await asyncio.sleep(GATHER_S)
                    continue
            except Exception:  # the loop that owns the work: it says so, counts it, and goes on after a while
                self.failures += 1
                log.exception("delivery by %s", self.name)
                await asyncio.sleep(POLL_S)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._pause_s())
        await self._finish()

    async def turn(self) -> int:
        """Sends what is due now, as much as fits, and waits for the answers; how much was done. Raises LedgerError."""
        done = await self.step()
        while self._under_way:
            await asyncio.wait(self._under_way)
        return done + await self._settle()

    async def step(self) -> int:
        """How much was done: begun, settled, closed or put off. Raises LedgerError.

        What was answered and could not be written down is written first the next time and not sent again: a full disk
        must not repeat a warning every second.
        """
        settled = await self._settle()
        now = self._now_ms()
        free = self._free(now)
        if not free.urgent:
            return settled
        lease_ms = int(self.channel.timeout_s * 1000) + LEASE_MS
        claimed = await asyncio.to_thread(self._queue.claim, now, free, lease_ms)
        self._tell(claimed.closed)
        self._bucket.take(len(claimed.parcels))
        for parcel in claimed.parcels:
            self._breaker.begun(now)
            task = asyncio.create_task(self._send(parcel))
            self._under_way.add(task)
            task.add_done_callback(self._sent)
        return settled + len(claimed.parcels) + claimed.closed.total() + claimed.put_off

    def _free(self, now: int) -> Free:
        slots, tokens, tries = (
            self.channel.at_once - len(self._under_way),
            self._bucket.free(now),
            self._breaker.free(now),
        )
        urgent = min(slots, tokens.urgent)
        others = min(slots - self._kept, tokens.others or (tokens.urgent if self._alone else 0))
        if tries is not None:
            return Free(min(urgent, tries), min(urgent, tries))
        return Free(max(0, urgent), max(0, others))

    @property
    def _alone(self) -> bool:
        """A quota of one message at a time has nothing to keep back."""
        return self.channel.quota.burst < 2

    def _pause_s(self) -> float:
        return min(POLL_S, self._bucket.next_ms() / 1000) or POLL_S

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()

    async def _finish(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=END_S)
        for task in self._under_way:
            task.cancel()
        try:
            await self._settle()
        except Exception:  # the same loop, at its end: what is not written down goes out again after the next start
            self.failures += 1
            log.exception("delivery by %s", self.name)

    async def _settle(self) -> int:
        answers = self._answers
        if not answers:
            return 0
        self._answers = []
        try:
            await asyncio.to_thread(self._queue.settle, answers)
        except BaseException:
            self._answers = answers + self._answers
            raise
        for one in answers:
            if one.status is Status.SENT and not one.parcel.renewed:
                self._times.observe((one.at - one.parcel.created_at) / 1000)
        self._tell(Counter((a.status, (a.parcel.entry, a.parcel.incident, a.parcel.version)) for a in answers))
        return len(answers)

    def _tell(self, became: Counter[tuple[Status, Version]]) -> None:
        """One line a version and what became of it; to whom is in the ledger, and in no log."""
        for (status, (entry, incident, version)), count in became.items():
            self._became[status] += count
            log.info(
                status.value,
                extra={"entry": entry, "incident": incident, "version": version, "channel": self.name, "count": count},
            )

    async def _send(self, parcel: Parcel) -> None:
        """Its answer is among the answers when it returns."""
        try:
            # Nothing is taken after it has expired: what is cut off then may have arrived all the same.
            left_s = (parcel.expires_at - self._now_ms()) / 1000
            async with asyncio.timeout(min(self.channel.timeout_s, left_s)):
                provider_id = await self.channel.send(parcel)
        except ChannelError as error:
            answer = self._refused(parcel, error)
        except TimeoutError:
            why = f"no answer for {self.channel.timeout_s:g} s"
            answer = self._refused(parcel, ChannelError(why, maybe=True))
        except Exception as error:  # noqa: BLE001  # a bug in one channel or message must not stop the others
            # Not the error's own text, which may hold the address that was written to.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s: message %d: %s at\n%s", self.name, parcel.id, type(error).__name__, where)  # noqa: TRY400
            answer = self._refused(parcel, ChannelError(type(error).__name__))
        else:
            self._breaker.answered()
            answer = Answer(parcel, Status.SENT, self._now_ms(), provider_id=provider_id)
        self._answers.append(answer)

    def _refused(self, parcel: Parcel, error: ChannelError) -> Answer:
        now, said = self._now_ms(), str(error)
        if error.permanent:
            self._breaker.answered()
        else:
            self._breaker.failed(now, everybody=error.everybody, retry_after_s=error.retry_after_s)
        again = now + retry_delay_ms(parcel.attempt - 1, self._random, error.retry_after_s)
        if error.permanent or again >= parcel.expires_at:
            log.error("%s: message %d of %s given up; the ledger says why", self.name, parcel.id, parcel.incident)
            why = said if error.permanent else f"{said}; not sent before it expired, after {parcel.attempt} tries"
            return Answer(parcel, Status.DEAD, now, error=why, maybe=error.maybe, gone=error.gone)
        return Answer(parcel, Status.FAILED, now, retry_at=again, error=said, maybe=error.maybe)
