"""The entries of the journal: nothing else feeds the engine, so nothing else can change what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NewType, TypeAlias

from ingest.readings import NO_SIGNS, Readings, Signs

SCHEMA_VERSION: Final = 1
TICK_MS: Final = 10_000

# Where an entry stands. Opaque: compared and handed back, never computed with (it may become a stream sequence).
Position = NewType("Position", int)
ORIGIN: Final = Position(0)  # before the first entry

ClockMode: TypeAlias = Literal["wall", "data"]


@dataclass(frozen=True, slots=True)
class Configuration:
    """The rules and the registry in force from here on, with their full text.

    It opens every day file and stands wherever the rules or the registry change; one that changes nothing is nothing.
    `sensor_ids[n]` is the id of sensor number n: append-only, so an edited registry renumbers nothing.
    """

    arrival: int  # ms UTC
    city_toml: str
    rules_toml: str
    sensor_ids: tuple[str, ...]
    clock: ClockMode = "wall"
    schema: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class Start:
    """The collector starts here: what lies between it and the entry before is no silence of a sensor."""

    arrival: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed while nothing arrived: a whole 10 s, or up to a person's act. Arrivals imply the ticks before."""

    arrival: int


@dataclass(frozen=True, slots=True)
class Header:
    """One numbered message of a gateway (CONTRACTS section 3); `first` None: the gateway keeps no spool.

    `backfill`: it came on the lane of old spools, which numbers by itself.
    """

    gateway: str
    boot: str
    seq: int
    first: int | None
    arrival: int
    backfill: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What was refused, why, and all that is needed to drive it again."""

    arrival: int
    topic: str
    payload: bytes  # the whole message
    reason: str  # one of the reasons of CONTRACTS section 3
    detail: str = ""  # which reading of the message, what was found
    gateway: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one turn of the loop accepted and refused. How readings are grouped into batches changes nothing."""

    readings: Readings
    headers: tuple[Header, ...] = ()
    refused: tuple[DeadLetter, ...] = ()
    arrival: int = 0  # of the last thing in it
    signs: Signs = NO_SIGNS  # of sensors of which nothing else came, at most one each in a tick's time

    def __post_init__(self) -> None:
        last = max((int(part.arrival[-1]) for part in (self.readings, self.signs) if len(part)), default=0)
        last = max([last, *(h.arrival for h in self.headers), *(d.arrival for d in self.refused)])
        object.__setattr__(self, "arrival", max(self.arrival, last))


Entry: TypeAlias = Configuration | Start | Tick | Batch
