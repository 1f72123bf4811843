"""The desk's delivery as a whole: fan-out and one sender a channel, side by side, so that none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from alerts.delivery.channels.channel import DeskChannel
from alerts.delivery.desk import DeskQueue
from alerts.delivery.fan_out import Compose, FanOut
from alerts.delivery.hold import Gate
from alerts.delivery.pace import Free
from alerts.delivery.parcel import Answer
from alerts.delivery.send import Claimed, Queue, Sender
from alerts.ledger.outbox import Outbox

log = logging.getLogger(__name__)

POLL_S: Final = 1.0  # how soon a loop that failed tries again


class Delivery:
    """`now_ms` is the wall's time, also where the service runs on the data's clock: retries wait for real providers.

    `gate`: while it is shut, messages are made and wait.
    """

    def __init__(
        self, outbox: Outbox, channels: Sequence[DeskChannel], compose: Compose, *, now_ms: Callable[[], int],
        random: Random, gate: Gate | None = None,
    ) -> None:  # fmt: skip
        self._fan_out = FanOut(outbox, channels, compose)
        personal = [channel.name for channel in channels if not channel.carries_state]
        self._senders = [
            Sender(_Gated(DeskQueue(outbox, channel), gate, personal), channel, random, now_ms) for channel in channels
        ]
        self._now_ms = now_ms
        self._fan_out_wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sessions, self._renewed = 1, 0  # sessions begun; the last one that the states were sent again for
        self._failures = 0  # of the fan-out

    @property
    def names(self) -> list[str]:
        """Of the channels."""
        return [sender.channel.name for sender in self._senders]

    @property
    def counters(self) -> dict[str, float]:
        """Metric name -> since the start."""
        return {name: value for sender in self._senders for name, value in sender.counters.items()}

    @property
    def failures(self) -> int:
        """Turns that raised (a full disk); each is logged and tried again."""
        return self._failures + sum(sender.failures for sender in self._senders)

    async def close(self) -> None:
        """After the last turn."""
        for sender in self._senders:
            await sender.channel.close()

    def wake(self) -> None:
        """There is something new in the ledger. From any thread; nothing happens while `run` does not run."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has closed just now
                loop.call_soon_threadsafe(self._fan_out_wake.set)

    def session_lost(self) -> None:
        """What a state channel's other side still has is unknown: all of it is sent again. From any thread."""
        self._sessions += 1
        self.wake()

    async def turn(self) -> int:
        """One turn of everything; how much was done. 0: nothing is due now. Raises LedgerError."""
        done = await self._expand()
        for sender in self._senders:
            done += await sender.turn()
        return done

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is being sent then is finished and marked first."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(
                self._expand_for_ever(stop), *(sender.run(stop) for sender in self._senders), self._end(stop)
            )
        finally:
            self._loop = None

    async def _expand(self) -> int:
        sessions = self._sessions
        if self._renewed != sessions:
            await asyncio.to_thread(self._fan_out.renew, self._now_ms())
            self._renewed = sessions
            self._wake_senders()
        done = await asyncio.to_thread(self._fan_out.turn, self._now_ms())
        if done:
            self._wake_senders()
        return int(done)

    async def _expand_for_ever(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._fan_out_wake.clear()
            try:
                if await self._expand():
                    continue
            except Exception:  # the loop that owns the work: it says so, counts it, and goes on after a while
                self._failures += 1
                log.exception("delivery")
                await asyncio.sleep(POLL_S)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._fan_out_wake.wait(), POLL_S)

    async def _end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._fan_out_wake.set()
        self._wake_senders()

    def _wake_senders(self) -> None:
        for sender in self._senders:
            sender.wake()


class _Gated:
    """A queue behind the gate. `personal`: the names of all channels that carry no state."""

    def __init__(self, queue: Queue, gate: Gate | None, personal: Sequence[str]) -> None:
        self._queue, self._gate, self._personal = queue, gate, personal

    def claim(self, now: int, free: Free, lease_ms: int) -> Claimed:
        if self._gate is not None and self._gate.shut and not self._gate.look(self._personal):
            return Claimed(())
        return self._queue.claim(now, free, lease_ms)

    def settle(self, answers: Sequence[Answer]) -> None:
        self._queue.settle(answers)
