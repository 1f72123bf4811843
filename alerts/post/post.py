"""The post as a whole: follows the ledger, makes messages, and has a sender for each provider, side by side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, select

from alerts.delivery.channels.channel import Channel
from alerts.delivery.parcel import Lane
from alerts.delivery.send import Sender
from alerts.delivery.tending import measured, tend
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.adrift import give_up_adrift
from alerts.post.calls import Calls
from alerts.post.compose import Compose
from alerts.post.expand import Expander
from alerts.post.fallback import expire, fall_back_late
from alerts.post.follow import Follower, Notices
from alerts.post.forget import forget, forget_counts
from alerts.post.queue import PostQueue, release
from alerts.post.store import contact
from ingest.city import City

log = logging.getLogger(__name__)

POLL_S: Final = 0.5  # how soon something new is seen where nobody wakes us
DAY_MS: Final = 86_400_000
SWEEP_S: Final = 5.0  # between two looks for what waits too long, for new providers, and for what waits in all
PROVIDERS_MOST: Final = 64  # of all channels; what is for more is given up, the fallback contacts are told

_M = schema.message
_PROVIDERS: Final = select(contact.c.via).where(contact.c.via > bindparam("after")).order_by(contact.c.via).limit(1)
_WAITING: Final = (
    select(_M.c.via, _M.c.lane, func.count()).where(_M.c.next_try_at.is_not(None)).group_by(_M.c.via, _M.c.lane)
)


@dataclass(frozen=True, slots=True)
class PostParts:
    """What the post is made of. `channels`: by name, those that the deployment has set up."""

    store: Store
    notices: Notices
    compose: Compose
    city: City
    channels: Mapping[str, Channel]
    now_ms: Callable[[], int]
    random: Random
    calls: Calls | None = None  # of operators; None: nobody is called by this way


class Post:
    def __init__(self, parts: PostParts) -> None:
        self._parts, self._store = parts, parts.store
        self._follower = Follower(parts.store, parts.notices)
        self._expander = Expander(parts.store, parts.city)
        self._senders: dict[str, Sender] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._waiting: dict[tuple[str, int], int] = {}
        self._fell_back = self._failures = 0
        self._swept_at = self._day = 0

    @property
    def counters(self) -> dict[str, float]:
        """Metric name -> since the start of this process, or now."""
        counters: dict[str, float] = {
            "canhbao_post_messages_made_total": self._expander.made,
            "canhbao_post_fallbacks_total": self._fell_back,
            "canhbao_post_failures_total": self._failures + sum(one.failures for one in self._senders.values()),
        }
        if (calls := self._parts.calls) is not None:
            counters["canhbao_post_calls_total"] = calls.made
            counters["canhbao_post_calls_unreached_total"] = calls.unreached
        for sender in self._senders.values():
            counters |= sender.counters
        for (via, lane), count in self._waiting.items():
            counters[f'canhbao_post_waiting{{channel="{via}",lane="{Lane(lane).name.lower()}"}}'] = count
        return counters | measured(self._parts.channels.values())

    def wake(self) -> None:
        """There is something new. On the loop."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and `wake` called; what is being sent then is finished and written down first."""
        await asyncio.to_thread(release, self._store, self._parts.now_ms())
        tending = asyncio.create_task(tend(self._parts.channels.values(), stop))
        while not stop.is_set():
            self._wake.clear()
            try:
                if await self._turn(stop):
                    continue
            except Exception:  # the loop that owns the work: it says so, counts it, and goes on after a while
                self._failures += 1
                log.exception("post")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
        self._wake_senders()
        await asyncio.gather(*self._running, tending)
        for channel in self._parts.channels.values():
            await channel.close()

    async def turn(self) -> int:
        """Everything that is due now, sent and answered: for whoever plays time. Raises LedgerError."""
        done = await self._follow_and_make()
        await self._sweep()
        for sender in self._senders.values():
            done += await sender.turn()
        return done

    async def _turn(self, stop: asyncio.Event) -> int:
        done = await self._follow_and_make()
        now = self._parts.now_ms()
        if not self._senders or abs(now - self._swept_at) >= SWEEP_S * 1000:
            await self._sweep()
            self._run_new(stop)
        return done

    async def _follow_and_make(self) -> int:
        """What is new is followed to its end before messages are made: the most urgent comes first, and what is told
        as one has to be there as a whole.
        """
        done = 0
        if (calls := self._parts.calls) is not None:
            done += await asyncio.to_thread(calls.turn, self._parts.now_ms())
        while count := await asyncio.to_thread(self._follower.turn, self._parts.now_ms()):
            done += count
        made = await asyncio.to_thread(self._expander.turn, self._parts.now_ms())
        if done or made:
            self._wake_senders()
        return done + made

    async def _sweep(self) -> None:
        self._swept_at = now = self._parts.now_ms()
        for via in await asyncio.to_thread(self._providers):  # also one whose channel is not set up any more
            await asyncio.to_thread(expire, self._store, via, now)
            self._fell_back += await asyncio.to_thread(fall_back_late, self._store, via, now)
            if via not in self._senders and (channel := self._parts.channels.get(via.partition(":")[0])) is not None:
                queue = PostQueue(self._store, via, self._parts.compose, self._zone, channel.quota)
                self._senders[via] = Sender(queue, channel, self._parts.random, self._parts.now_ms, name=via)
        self._waiting = await asyncio.to_thread(self._count)
        for via in {via for via, _ in self._waiting} - self._senders.keys():
            self._fell_back += await asyncio.to_thread(give_up_adrift, self._store, via, now)
        await asyncio.to_thread(forget, self._store, now)
        if now // DAY_MS != self._day:
            await asyncio.to_thread(forget_counts, self._store, now)
            self._day = now // DAY_MS

    def _run_new(self, stop: asyncio.Event) -> None:
        running = {task.get_name() for task in self._running}
        for via, sender in self._senders.items():
            if via not in running:
                self._running.add(asyncio.create_task(sender.run(stop), name=via))

    def _providers(self) -> Sequence[str]:
        """Of all contacts, with a few looks at an index instead of one at each contact."""
        found, last = list[str](), ""
        with self._store.reading() as db:
            while len(found) < PROVIDERS_MOST and (last := db.execute(_PROVIDERS, {"after": last}).scalar() or ""):
                found.append(last)
        return found

    def _count(self) -> dict[tuple[str, int], int]:
        with self._store.reading() as db:
            return {(via, lane): count for via, lane, count in db.execute(_WAITING)}

    def _wake_senders(self) -> None:
        for sender in self._senders.values():
            sender.wake()

    @property
    def _zone(self) -> ZoneInfo:
        return self._parts.city.timezone
