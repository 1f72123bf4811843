"""What every payload format gives: readings in columns, and what it refuses with one of the known reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from ingest.networks import Networks

# Short and stable: they label counters and dead letters (CONTRACTS section 3).
REASONS: Final = (
    "not_utf8", "not_json", "not_cbor", "too_large", "too_deep", "wrong_shape", "unknown_sensor", "wrong_gateway",
    "not_a_number", "out_of_bounds", "wrong_unit", "no_time", "from_the_future", "too_old", "retained", "simulated",
)  # fmt: skip
PAYLOAD_BYTES_MAX: Final = 16_000  # more is refused as too_large, unread
# In one message; more is refused as wrong_shape. None of ours comes so far: the densest, CBOR columns, take 3 bytes a
# reading, and 16,000 bytes hold 5,333 of them. It bounds what is no reading, such as `[0,0,…`.
READINGS_MAX: Final = 5_400
SHOWN_CHARACTERS_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Numbering:
    """The number that a gateway with a spool gives a message; `first`: lowest seq still in its spool."""

    boot: str
    seq: int
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reading is refused, or (`index` None) a whole message. `detail` is safe to print.

    `sensor`: whose reading it is, as sent and not yet looked up; "" where it names none.
    """

    reason: str  # one of REASONS
    detail: str
    index: int | None = None  # of the reading within its message
    sensor: str = ""

    def __post_init__(self) -> None:
        assert self.reason in REASONS, self.reason


class RefusedError(Exception):
    """The whole message is refused; `numbering` where it could still be read: then its seq is owed a receipt.

    Within a decoder it also ends the reading of a single row, which becomes a Refusal.
    """

    def __init__(self, reason: str, detail: str, numbering: Numbering | None = None) -> None:
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.numbering = reason, detail, numbering


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a message before it is opened. `arrival` ms UTC.

    `sender`: the gateway, or the network as ingest.networks.owner calls it. `network` and `device` are "" for our own.
    """

    sender: str
    arrival: int
    networks: Networks
    network: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One message as it was sent: columns of one length, `refused` beside them.

    `t` ms UTC, any integer; `values` as sent, finite or NaN for missing; `units` None where none was given.
    `boot` and `seq` are both there or both None. `flags`: QARTOD's, as far as the device says what it thinks of its own
    values; empty where no reading of the message has one.

    Of other networks: `device` that spoke, as the city's fields have it. Where a message says only what has changed,
    `update_t` is when, and `left_out` the aliases of which it says nothing: what the device said of them before stands.
    """

    gateway: str
    boot: str | None = None
    seq: int | None = None
    first: int | None = None
    sensors: list[str] = field(default_factory=list)
    t: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    units: list[str | None] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    device: str = ""
    update_t: int | None = None  # ms UTC, any integer
    left_out: tuple[str, ...] = ()

    @classmethod
    def numbered(cls, gateway: str, numbering: Numbering | None) -> Self:
        """An empty one, with the number of its message, if that has one, as it was read: not as it was sent."""
        if numbering is None:
            return cls(gateway)
        return cls(gateway, numbering.boot, numbering.seq, numbering.first)

    @property
    def numbering(self) -> Numbering | None:
        if self.boot is None or self.seq is None:
            return None
        return Numbering(self.boot, self.seq, self.first)

    def indices(self) -> Iterator[int]:
        """For each row of the columns the index that its reading had in the message."""
        gone = {refusal.index for refusal in self.refused}
        return (i for i in range(len(self.sensors) + len(gone)) if i not in gone)


def shown(value: object) -> str:
    """`value` for a detail: printable ASCII, cut short. What a device sent is never echoed raw into logs and pages."""
    text = ascii(value[: SHOWN_CHARACTERS_MAX + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else text[: SHOWN_CHARACTERS_MAX - 1] + "~"
