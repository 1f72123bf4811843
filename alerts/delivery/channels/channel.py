"""What a channel is: one way to reach people or machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TextIO, TypeAlias

from alerts.delivery.channel_error import ChannelError
from alerts.delivery.hooks import Hook
from alerts.delivery.parcel import Parcel
from alerts.given import Section
from alerts.incidents.incident import Notice
from alerts.words.names import Lang
from ingest.city import City

__all__ = [
    "Channel", "ChannelError", "DeskChannel", "Kind", "Make", "Means", "Publisher", "Quota", "Reached", "no_address",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quota:
    """How fast a provider lets us send; `per_day` None: as much as we like. Of `burst`, `reserve` is for the urgent."""

    per_s: float = 1_000.0
    burst: float = 1_000.0
    reserve: float = 0.1
    per_day: int | None = None


class Channel(Protocol):
    """One file a channel, and one line in the table of them. Every method is called on the loop."""

    @property
    def name(self) -> str: ...

    @property
    def at_once(self) -> int:
        """Sends under way at the same time to one provider; the others wait in the queue."""

    @property
    def timeout_s(self) -> float:
        """No answer for so long is a failure, and perhaps a message that arrived."""

    @property
    def quota(self) -> Quota: ...

    async def send(self, parcel: Parcel) -> str:
        """The provider's own number of the message, "" where it gives none; returns when the provider has it.

        Raises ChannelError. The key may come again, after a crash or where no answer came.
        """

    async def close(self) -> None: ...


class DeskChannel(Channel, Protocol):
    """Towards operators and machines, whose recipients are known from the settings or the notice itself."""

    @property
    def carries_state(self) -> bool:
        """True: a recipient holds the newest state only, so a newer message takes the place of an older one."""

    def recipients(self, notice: Notice) -> Sequence[str]:
        """Whom a notice concerns here, sorted; none: nobody is sent anything."""


class Publisher(Protocol):
    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Blocks until the broker has it. Raises when it has not."""


@dataclass(frozen=True, slots=True)
class Means:
    """What channels are made of. `public_url`: of the service, with its last slash; "" where nobody has said it.

    `data`: the data folder, for keys and tokens of our own. The publisher, the stream and `city` (the registry in
    force, from the start on) are the desk's.
    """

    data: Path
    public_url: str
    now_ms: Callable[[], int]
    lang: Lang = "vi"
    stream: TextIO | None = None
    publisher: Publisher | None = None
    city: Callable[[], City] | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """An address as it is kept. `provider`: who carries it, from a small set ("" where there is one alone)."""

    address: str = field(repr=False)
    provider: str = ""


def no_address(_: str) -> Reached:
    raise ValueError("nobody can subscribe by this channel")


def no_hook(_: Section) -> Hook | None:
    return None


Make: TypeAlias = Callable[[Section, Means], "Channel | Sequence[Channel] | None"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A channel before it is made: the section of the settings that is its own, and how its addresses are written.

    `make` gives None where the deployment has not set it up, and raises ConfigError where it is set up wrongly.
    Several: each has queue, breaker and metrics of its own, and is called "name:…".
    `reach` raises ValueError, saying what is expected: the text is shown to whoever typed it, and repeats nothing.
    `hook`: what the provider brings back to an address of ours; None where it is not set up, or has no secret by
    which it is known.
    `rehearses`: also open while readings bring their own time, when nothing of what is told is so.
    """

    name: str
    serves: Literal["desk", "residents"]
    make: Make
    keys: Mapping[str, str] = field(default_factory=dict)  # key of the section [name] -> default
    secrets: Sequence[str] = ()
    reach: Callable[[str], Reached] = no_address
    hook: Callable[[Section], Hook | None] = no_hook
    rehearses: bool = False

    def made(self, section: Section, means: Means) -> Sequence[Channel]:
        """None, one or several. Raises ConfigError as `make`."""
        made = self.make(section, means)
        if made is None:
            return ()
        return made if isinstance(made, Sequence) else (made,)
