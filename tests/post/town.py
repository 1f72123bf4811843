"""Who lives in a storm's town and wants to hear what: made from a seed, written into residents.sqlite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from post.sink import reach
from sqlalchemy import delete, insert, update

from alerts.ledger.store import Store
from alerts.residents import schema
from alerts.residents.seal import Seal
from alerts.residents.store import open_residents
from ingest.city import DEFAULT_CITY_FILE, parse_city

KEY: Final = "5e" * 32
HAZARDS: Final = ("flood", "rain", "power")
FLOORS: Final = {"flood": 2, "rain": 3, "power": 2}  # what a resident has who chose nothing
ADDRESS_BEGINS: Final = "+8490"
NIGHT: Final = "22:00-07:00"
AREAS: Final = tuple(parse_city(DEFAULT_CITY_FILE.read_text("utf-8")).areas)


@dataclass(frozen=True, slots=True)
class Contact:
    id: int
    channel: str
    address: str
    fallback: bool = False

    @property
    def via(self) -> str:
        provider = reach(self.address).provider
        return f"{self.channel}:{provider}" if provider else self.channel


@dataclass(frozen=True, slots=True)
class Person:
    """`wants`: (area, hazard) -> the level from which he hears of it."""

    id: int
    lang: str
    quiet: str
    daily_cap: int
    wants: Mapping[tuple[str, str], int]
    contacts: tuple[Contact, ...]

    def primary(self) -> tuple[Contact, ...]:
        return tuple(contact for contact in self.contacts if not contact.fallback)


def people(seed: int, number: int, areas: tuple[str, ...]) -> list[Person]:
    """Numbered from 1, as are their contacts; every address is somebody's alone."""
    random, found, contacts = Random(seed), [], 0
    for n in range(1, number + 1):
        home = random.sample(areas, random.choices((1, 2, 3), (70, 20, 10))[0])
        wants = {(area, hazard): _floor(random, hazard) for area in home for hazard in HAZARDS}
        kinds = [("bell", False)] * random.choices((1, 2), (80, 20))[0] + [("horn", True)] * (random.random() < 0.4)
        his = []
        for channel, fallback in kinds:
            contacts += 1
            provider = random.choice(("east:", "west:", "")) if channel == "bell" else ""
            his.append(Contact(contacts, channel, f"{provider}{ADDRESS_BEGINS}{contacts:07}", fallback))
        quiet = random.choice((NIGHT, ""))
        cap = random.choices((20, 2, 1), (80, 10, 10))[0]
        found.append(Person(n, random.choice(("vi", "en")), quiet, cap, wants, tuple(his)))
    return found


def _floor(random: Random, hazard: str) -> int:
    return FLOORS[hazard] if random.random() < 0.7 else random.randint(1, 4)


class Residents:
    """The file of residents, as whoever subscribes and ends leaves it."""

    def __init__(self, data: Path) -> None:
        self.store: Store = open_residents(data)
        self._seal = Seal(bytes.fromhex(KEY))

    def add(self, persons: list[Person], now: int) -> None:
        with self.store.writing() as db:
            db.execute(insert(schema.resident), [_resident(one, now) for one in persons])
            db.execute(insert(schema.contact), [
                self._contact(one.id, contact, now) for one in persons for contact in one.contacts
            ])  # fmt: skip
            db.execute(insert(schema.subscription), [
                {"resident": one.id, "area": area, "hazard": hazard, "floor": floor}
                for one in persons for (area, hazard), floor in one.wants.items()
            ])  # fmt: skip
            db.execute(insert(schema.target), [row for one in persons for row in _targets(one)])

    def end(self, person: Person, contact: Contact) -> list[int]:
        """One contact wants no more; those who stand by for him neither, when no other is left. Who all ended."""
        with self.store.writing() as db:
            ended = [contact.id] + ([c.id for c in person.contacts if c.fallback] if len(person.primary()) == 1 else [])
            db.execute(update(schema.contact).where(schema.contact.c.id.in_(ended)).values(state="ended"))
            db.execute(delete(schema.target).where(schema.target.c.contact.in_(ended)))
        return ended

    def close(self) -> None:
        self.store.close()

    def _contact(self, resident: int, contact: Contact, now: int) -> dict[str, object]:
        return {
            "id": contact.id, "resident": resident, "channel": contact.channel, "via": contact.via,
            "address": self._seal.close(contact.address, f"contact {contact.id}"),
            "digest": self._seal.digest(contact.channel, contact.address), "fallback": contact.fallback,
            "state": "active", "created_at": now, "confirmed_at": now,
        }  # fmt: skip


def _resident(one: Person, now: int) -> dict[str, object]:
    return {
        "id": one.id, "state": "active", "lang": one.lang, "quiet": one.quiet, "daily_cap": one.daily_cap,
        "proxy_for": None, "leads": None, "created_at": now, "confirmed_at": now,
    }  # fmt: skip


def _targets(one: Person) -> Iterator[dict[str, object]]:
    for (area, hazard), floor in one.wants.items():
        for contact in one.primary():
            yield {"area": area, "hazard": hazard, "contact": contact.id, "floor": floor, "via": contact.via}
