"""A resident: what he chose, where he is reached, within which bounds. Pure; addresses are in the clear only here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from alerts.incidents.incident import EMERGENCY
from alerts.people import quiet as quiet_hours
from alerts.words.names import LANGS, Lang

# Hazard -> the level from which somebody hears of it who has said nothing else.
FLOORS: Final[Mapping[str, int]] = MappingProxyType({"flood": 2, "rain": 3, "power": 2})
QUIET: Final = "22:00-07:00"
# Messages a contact a local day that are neither danger, nor worse, nor an end: a flood and a rain in two wards, each
# told, changed and eased once, are eight, and after as many nobody reads on. Danger, worsening and ends never count.
DAILY_CAP: Final = 8
DAILY_CAP_MOST: Final = 50
AREAS_MOST: Final = 10  # home, work, school, parents: whoever wants more wants the public feed
HAZARDS_MOST: Final = 20  # of one area
CONTACTS_MOST: Final = 5  # pending ones as well
PROXY_MOST: Final = 200  # characters
# What phones make a link of. It would stand in messages of the city, to contacts that others may have confirmed.
_LINK: Final = re.compile(r"://|[\w-]{2,}\.\w{2,}")
ADDRESS_MOST: Final = 2_000  # characters; the longest are web push subscriptions, of some 500


class State(StrEnum):
    """Of a resident (never GONE) and of a contact."""

    PENDING = "pending"  # nobody has confirmed it; it is told nothing but how to
    ACTIVE = "active"
    GONE = "gone"  # the provider says that the address is nobody's any more
    ENDED = "ended"  # its owner wants no more; no address is kept


@dataclass(frozen=True, slots=True, order=True)
class Subscription:
    """`area` wants to hear of `hazard` from level `floor` (1-4)."""

    area: str
    hazard: str
    floor: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What a resident may say about himself. `quiet` "": no quiet hours. `proxy_for` "": he listens for himself."""

    subscriptions: tuple[Subscription, ...]
    lang: Lang = "vi"
    quiet: str = QUIET
    daily_cap: int = DAILY_CAP
    proxy_for: str = field(default="", repr=False)

    @property
    def areas(self) -> tuple[str, ...]:
        """Each once, in the order chosen."""
        return tuple(dict.fromkeys(one.area for one in self.subscriptions))


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address that somebody asks to be told at, as its channel keeps it. `via`: the channel and who carries it."""

    channel: str
    via: str
    address: str = field(repr=False)
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """One address of a resident; "" where it has ended. Times ms UTC."""

    id: int
    channel: str
    via: str
    address: str = field(repr=False)
    fallback: bool
    state: State
    created_at: int
    confirmed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Resident:
    """`leads`: the ward group whose leader this is, None for everybody else. Times ms UTC."""

    id: int
    state: State
    choice: Choice
    contacts: tuple[Contact, ...]
    created_at: int
    confirmed_at: int | None = None
    leads: int | None = None


def wanted_hazards(hazards: Mapping[str, int] | None) -> Mapping[str, int]:
    """Hazard -> level, FLOORS where nobody chose."""
    return FLOORS if hazards is None else hazards


def checked_choice(choice: Choice, areas: Collection[str], hazards: Collection[str]) -> Choice:
    """`choice`, its text for others on one line. `areas`, `hazards`: those that the city knows.

    Raises ValueError, saying what is expected and repeating nothing that names a person.
    """
    rows = choice.subscriptions
    if not rows:
        raise ValueError("areas: at least one, with at least one hazard")
    if len(choice.areas) > AREAS_MOST:
        raise ValueError(f"areas: at most {AREAS_MOST}")
    if len({(one.area, one.hazard) for one in rows}) < len(rows):
        raise ValueError("areas: each of them once")
    for one in rows:
        _check(one, areas, hazards)
    if any(sum(one.area == area for one in rows) > HAZARDS_MOST for area in choice.areas):
        raise ValueError(f"hazards: at most {HAZARDS_MOST} an area")
    if choice.lang not in LANGS:
        raise ValueError("lang: " + " or ".join(LANGS))
    try:
        quiet_hours.checked(choice.quiet)
    except ValueError as error:
        raise ValueError(f"quiet: {error}") from None
    if not 1 <= choice.daily_cap <= DAILY_CAP_MOST:
        raise ValueError(f"daily_cap: from 1 to {DAILY_CAP_MOST}")
    plain = choice.proxy_for == printable(choice.proxy_for) and not _LINK.search(choice.proxy_for)
    if not plain or len(choice.proxy_for) > PROXY_MOST:
        raise ValueError(f"proxy_for: one line of at most {PROXY_MOST} printable characters, without < > and links")
    return choice


def checked_contacts(wanted: Sequence[Wanted], held: int = 0) -> None:
    """`held`: how many contacts the resident has besides. Raises ValueError."""
    if held + len(wanted) > CONTACTS_MOST:
        raise ValueError(f"contacts: at most {CONTACTS_MOST}")
    if len({(one.channel, one.address) for one in wanted}) < len(wanted):
        raise ValueError("contacts: each address once")
    if not held and all(one.fallback for one in wanted):
        raise ValueError("contacts: at least one that is no fallback")


def printable(text: str) -> str:
    """Composed accents, one line, no control characters and no markup."""
    text = unicodedata.normalize("NFC", text)
    return " ".join("".join(c if c.isprintable() and c not in "<>" else " " for c in text).split())


def _check(one: Subscription, areas: Collection[str], hazards: Collection[str]) -> None:
    if one.area not in areas:
        raise ValueError("areas: codes of /api/v1/areas")
    if one.hazard not in hazards:
        raise ValueError("hazards: of " + ", ".join(sorted(hazards)))
    if not 1 <= one.floor <= EMERGENCY:
        raise ValueError(f"hazards: levels from 1 to {EMERGENCY}")
