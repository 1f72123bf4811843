"""Ward groups: the city's community digital groups, whose leaders tell the households that no phone reaches. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from alerts.words.names import Lang

GROUPS_MOST: Final = 5_000  # twice those of the city
LEADERS_MOST: Final = 5  # of a group
CONTACTS_MOST: Final = 3  # of a leader
NAME_MOST: Final = 80
HOUSEHOLDS_MOST: Final = 5_000
ADDRESS_MOST: Final = 500
# From warning: an advisory asks nothing of households, and whoever is called out for each soon answers none.
LEADERS_FLOOR: Final = 2
# Concerns those who run the building, not households.
INDOORS: Final = frozenset({"school", "toilet"})


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach a leader, as it was typed. `fallback`: only where the others did not get through."""

    channel: str
    address: str = field(repr=False)
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class NewGroup:
    area: str
    name: str
    households: int


@dataclass(frozen=True, slots=True)
class NewLeader:
    lang: Lang
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """`ends`: the last of its address, by which one tells it from others; "" where that would say nothing."""

    id: int
    channel: str
    ends: str
    fallback: bool
    active: bool


@dataclass(frozen=True, slots=True)
class Leader:
    """`since` ms UTC."""

    id: int
    lang: Lang
    since: int
    contacts: tuple[Contact, ...]


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    area: str
    name: str
    households: int
    leaders: tuple[Leader, ...] = ()

    @property
    def contacts(self) -> tuple[Contact, ...]:
        return tuple(contact for leader in self.leaders for contact in leader.contacts)


def checked_name(name: str) -> str:
    """Raises ValueError."""
    clean = " ".join(name.split())
    if not clean or len(clean) > NAME_MOST or not clean.isprintable() or "<" in clean or ">" in clean:
        raise ValueError(f"one line of 1 to {NAME_MOST} visible characters, without < and >")
    if clean[0] in "=+-@":
        raise ValueError("a name does not begin with = + - @: spreadsheets would run it")
    return clean


def checked_households(households: int) -> int:
    """Raises ValueError."""
    if not 0 <= households <= HOUSEHOLDS_MOST:
        raise ValueError(f"a whole number from 0 to {HOUSEHOLDS_MOST}")
    return households


def shown_end(address: str) -> str:
    """The last three digits of a number; "" of what is no number: the end of a mail address is everybody's."""
    return address[-3:] if address.lstrip("+").isdecimal() and len(address) > 6 else ""
