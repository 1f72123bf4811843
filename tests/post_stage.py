"""A post on a stage: a ledger, residents, providers that remember; time is what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from alerts.delivery.channels.channel import Quota
from alerts.delivery.parcel import Parcel
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.compose import Composer
from alerts.post.expand import Expander
from alerts.post.follow import Follower
from alerts.post.post import Post, PostParts
from alerts.post.store import contact, errand, open_post, resident, target
from alerts.residents.schema import subscription
from alerts.residents.seal import Seal
from alerts.words.message import bare_message
from ingest.city import City, parse_city
from ingest.entries import Position

NOON = 1_665_723_600_000  # 2022-10-14 12:00 in Da Nang
HOUR = 3_600_000
CITY = """
[city]
name = "Thành phố"
timezone = "Asia/Ho_Chi_Minh"
[[area]]
code = "48"
name = "Thành phố"
""" + "".join(f'[[area]]\ncode = "{code}"\nname = "Phường {code}"\nparent = "48"\n' for code in ("A", "B", "C"))


def first(area: str = "A", level: int = 2, at: int = NOON, **other: Any) -> Notice:
    return Notice(f"flood.{area}", 1, Reason.FIRST, "flood", area, level, 0, at, at, None, **other)


def later(notice: Notice, reason: Reason, level: int, at: int, **other: Any) -> Notice:
    """The next version of it."""
    return replace(notice, version=notice.version + 1, reason=reason, level=level, previous_level=notice.level,
                   at=at, arrival=at, peak=max(notice.level, notice.peak), **other)  # fmt: skip


async def taken(_: Parcel) -> str:
    await asyncio.sleep(0)
    return ""


class Provider:
    """A channel that remembers what it took."""

    def __init__(self, name: str = "sms", *, at_once: int = 50, quota: Quota | None = None) -> None:
        self.name, self.at_once, self.timeout_s = name, at_once, 30.0
        self.quota = quota or Quota()
        self.got: list[Parcel] = []
        self.answer: Callable[[Parcel], Awaitable[str]] = taken

    async def send(self, parcel: Parcel) -> str:
        provider_id = await self.answer(parcel)
        self.got.append(parcel)
        return provider_id

    async def close(self) -> None:
        pass


class Stage:
    def __init__(self, data: Path, *channels: Provider) -> None:
        self.data, self.now = data, NOON
        self.ledger = Ledger.open(data / "ledger.sqlite")
        self.outbox = Outbox(self.ledger.store)
        self.store: Store = open_post(data)
        self.seal = Seal(b"k" * 32)
        self.city: City = parse_city(CITY)
        self.channels = channels or (Provider(),)
        self.post = self.new_post()

    def new_post(self) -> Post:
        """As a restart makes it."""
        contents = _Contents(self.ledger, self.outbox)
        self.composer = composer = Composer(contents, self.seal, lambda: self.city, public_url="https://cb.vn/")
        made = {channel.name: channel for channel in self.channels}
        parts = PostParts(self.store, self.ledger, composer, self.city, made, lambda: self.now, Random(1))
        return Post(parts)

    def resident(
        self,
        *contacts: str,
        area: str = "A",
        hazard: str = "flood",
        floor: int = 2,
        quiet: str = "",
        cap: int = 10,
        fallback: str = "",
        leads: int | None = None,
    ) -> list[int]:
        """Contacts like "sms +84905000001"; `fallback` one more. Their numbers."""
        with self.store.writing() as db:
            row = {"state": "active", "lang": "vi", "quiet": quiet, "daily_cap": cap, "created_at": 0, "leads": leads}
            who = db.execute(insert(resident).values(row)).inserted_primary_key[0]
            chosen = {"resident": who, "area": area, "hazard": hazard, "floor": floor}
            db.execute(insert(subscription).values(chosen))
            numbers = []
            for text in filter(None, (*contacts, fallback)):
                via, _, address = text.partition(" ")
                row = {"resident": who, "channel": via.partition(":")[0], "via": via, "address": b"", "digest": b"",
                       "fallback": text == fallback, "state": "active", "created_at": 0}  # fmt: skip
                number = db.execute(insert(contact).values(row)).inserted_primary_key[0]
                sealed = self.seal.close(address, f"contact {number}")
                db.execute(update(contact).where(contact.c.id == number).values(address=sealed))
                if text != fallback:
                    db.execute(insert(target).values(area=area, hazard=hazard, contact=number, floor=floor, via=via))
                numbers.append(number)
        return numbers

    def also(self, number: int, area: str, hazard: str = "flood", floor: int = 2) -> None:
        """One more place for that contact."""
        with self.store.writing() as db:
            one = db.execute(select(contact).where(contact.c.id == number)).one()
            db.execute(insert(subscription).values(resident=one.resident, area=area, hazard=hazard, floor=floor))
            db.execute(insert(target).values(area=area, hazard=hazard, contact=number, floor=floor, via=one.via))

    def errand(self, number: int, kind: str = "confirm", life: int = HOUR) -> None:
        with self.store.writing() as db:
            row = {"contact": number, "kind": kind, "lane": 1, "body": b"", "created_at": self.now,
                   "expires_at": self.now + life}  # fmt: skip
            id_ = db.execute(insert(errand).values(row)).inserted_primary_key[0]
            body = msgspec.json.encode({"kind": kind, "texts": {"vi": "Mã 123456", "en": "Code 123456"}}).decode()
            db.execute(update(errand).where(errand.c.id == id_).values(body=self.seal.close(body, f"errand {id_}")))

    def decide(self, *notices: Notice) -> None:
        """Into the ledger, with their words, as the desk makes them."""
        self.ledger.record(Position(self.ledger.position() + 1), self.now, outcome=Outcome(list(notices)))
        while (pending := self.outbox.pending()) is not None:
            self.outbox.queue(pending, [], bare_message(pending.notice), self.now, complete=True)

    def make(self) -> None:
        """Messages of what was decided, without sending any."""
        Follower(self.store, self.ledger).turn(self.now)
        expander = Expander(self.store, self.city)
        while expander.turn(self.now):
            pass

    def play(self, until: int | None = None, step: int = 60_000) -> None:
        """Until nothing more is due; with `until`, time passes."""
        asyncio.run(self._play(until, step))

    async def _play(self, until: int | None, step: int) -> None:
        while True:
            for _ in range(1000):
                if not await self.post.turn():
                    break
            else:
                raise AssertionError("there is no end of it")
            if until is None or self.now >= until:
                return
            self.now = min(until, self.now + step)

    def rows(self) -> list[tuple[str, int, int, str]]:
        """Incident, version, contact and status of each message, in the order of these."""
        with self.store.reading() as db:
            joined = schema.message.join(schema.telling, schema.telling.c.seq == schema.message.c.seq)
            columns = (schema.telling.c.incident, schema.telling.c.version, schema.message.c.contact,
                       schema.message.c.status)  # fmt: skip
            return [tuple(row) for row in db.execute(select(*columns).select_from(joined).order_by(*columns))]

    def close(self) -> None:
        self.store.close()
        self.ledger.close()


class _Contents:
    def __init__(self, ledger: Ledger, outbox: Outbox) -> None:
        self.notice, self.content = ledger.notice, outbox.content


@contextmanager
def stage(data: Path, *channels: Provider) -> Iterator[Stage]:
    made = Stage(data, *channels)
    try:
        yield made
    finally:
        made.close()


def told(provider: Provider) -> Sequence[tuple[str, int, str]]:
    """Incident, version and address of what came, in order."""
    return [(one.incident, one.version, one.address) for one in provider.got]
