"""Delivery as a whole: fan-out and one sender a channel, side by side, so that no channel waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

from alerts.delivery.channels.channel import Channel
from alerts.delivery.fan_out import Compose, FanOut
from alerts.delivery.hold import Gate
from alerts.delivery.send import Sender
from alerts.ledger.outbox import Outbox

log = logging.getLogger(__name__)

POLL_S: Final = 1.0  # how soon a retry that has become due is seen, and how soon a loop that failed tries again


class Delivery:
    """`now_ms` is the wall's time, also where the service runs on the data's clock: retries wait for real providers.

    `failures`: turns that raised (a full disk); each is logged and tried again. `gate`: while it is shut, messages are
    made and wait.
    """

    def __init__(
        self, outbox: Outbox, channels: Sequence[Channel], compose: Compose, *, now_ms: Callable[[], int],
        random: Random, gate: Gate | None = None,
    ) -> None:  # fmt: skip
        self._fan_out = FanOut(outbox, channels, compose)
        self._senders = [Sender(outbox, channel, random) for channel in channels]
        self._gate, self._personal = gate, [channel.name for channel in channels if not channel.carries_state]
        self._now_ms = now_ms
        self._wakes = [asyncio.Event() for _ in self._senders]
        self._fan_out_wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sessions, self._renewed = 1, 0  # sessions begun; the last one that the states were sent again for
        self.failures = 0

    @property
    def names(self) -> list[str]:
        """Of the channels."""
        return [sender.channel.name for sender in self._senders]

    @property
    def counters(self) -> dict[str, float]:
        """Metric name -> since the start."""
        return {name: value for sender in self._senders for name, value in sender.counters.items()}

    def close(self) -> None:
        """After the last turn."""
        for sender in self._senders:
            sender.channel.close()

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
            done += await self._send(sender)
        return done

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is being sent then is finished and marked first."""
        self._loop = asyncio.get_running_loop()
        senders = zip(self._senders, self._wakes, strict=True)
        try:
            await asyncio.gather(
                self._repeat(self._expand, self._fan_out_wake, stop),
                *(self._repeat(partial(self._send, sender), wake, stop) for sender, wake in senders),
                self._end(stop),
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

    async def _send(self, sender: Sender) -> int:
        if self._gate is not None and self._gate.shut and not await asyncio.to_thread(self._gate.look, self._personal):
            return 0
        return await sender.turn(self._now_ms())

    async def _repeat(self, step: Callable[[], Awaitable[int]], wake: asyncio.Event, stop: asyncio.Event) -> None:
        while not stop.is_set():
            wake.clear()
            try:
                if await step():
                    continue
            except Exception:  # the loop that owns the work: it says so, counts it, and goes on after a while
                self.failures += 1
                log.exception("delivery")
                await asyncio.sleep(POLL_S)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), POLL_S)

    async def _end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._fan_out_wake.set()
        self._wake_senders()

    def _wake_senders(self) -> None:
        for wake in self._wakes:
            wake.set()
