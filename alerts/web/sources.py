"""What the faces of the service are fed from: all handed in, so that they have no globals and read no clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alerts.acting import Acted
from alerts.delivery.channels.channel import Reached
from alerts.delivery.hooks import Hook, Receipt
from alerts.importing import Imports
from alerts.incidents.incident import Incident, Notice
from alerts.incidents.verbs import Act, OfficialLevel, Silence
from alerts.ledger.audit import Audit
from alerts.ledger.cap import CapStore
from alerts.ledger.codes import Coded
from alerts.ledger.deliveries import Deliveries, SideName
from alerts.ledger.why import Record
from alerts.letters import Letters
from alerts.residents.book import Book
from alerts.residents.group_desk import GroupDesk
from alerts.residents.replies import Taken
from alerts.residents.staff_contacts import StaffContacts
from alerts.staff import Staff
from alerts.view import View
from alerts.words.cap import Voice
from ingest.history.store import Reader
from processing.transitions import LateBreach


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of the service does. `lag_ms`: how far behind, None where that says nothing.

    `needed`: without it the service does not count as ready.
    """

    ready: bool
    lag_ms: int | None = None
    detail: str = ""
    needed: bool = True


class Wake(Protocol):
    """An asyncio.Event that the spine sets (from its thread: loop.call_soon_threadsafe) once a turn is in the ledger.

    Only the fan-out of events waits for it and clears it.
    """

    async def wait(self) -> Literal[True]: ...
    def clear(self) -> None: ...


class LedgerReader(Protocol):
    """The reading side of alerts/ledger. Called from worker threads, several at once."""

    def open_incidents(self, *, drill: bool = False, unpublished: bool = False) -> Sequence[Incident]:
        """In earnest, or the drills; `unpublished`: also those of which nothing is public."""
        ...

    def incidents(
        self, *, active: bool | None, areas: Collection[str] | None, hazards: Collection[str] | None,
        since: int | None, cursor: str | None, limit: int, drill: bool = False, unpublished: bool = False,
    ) -> tuple[Sequence[Incident], str | None]:  # fmt: skip
        """The newest first, and the cursor of the next page.

        `since`: updated at or after, ms UTC. Raises ValueError for a cursor that was never given out.
        """
        ...

    def incident(self, id_: str) -> Incident | None: ...

    def notices(self, after_seq: int, limit: int) -> Sequence[tuple[int, Notice]]:
        """The oldest `limit` with a greater seq, each with its seq."""
        ...

    def notices_of(self, incident: str) -> Sequence[tuple[int, Notice]]:
        """Every version of one incident, in order, each with its seq."""
        ...

    def why(self, incident: str) -> Record:
        """Every decision about it that is kept, calls, and what became of its messages."""
        ...

    def last_seq(self) -> int:
        """Of the newest notice; 0 before the first."""
        ...

    def late_breaches(self, limit: int) -> Sequence[LateBreach]:
        """The newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What persons have said that holds beside the incidents: silences that are not over, and the official level."""

    silences: tuple[Silence, ...] = ()
    official: OfficialLevel | None = None


@dataclass(frozen=True, slots=True)
class PeopleDesk:
    """Users, what they do, and the audit of it. Called from worker threads.

    `act` does what a person does, to the end: on disk when it returns. Raises RefusedError, BusyError, UnsureError and
    LedgerError.
    """

    staff: Staff
    audit: Audit
    act: Callable[[Act], Acted]
    contacts: StaffContacts | None = None  # None: no key seals addresses here


@dataclass(frozen=True, slots=True)
class Desks:
    """What operators reach. `token`: this machine's own. `people` None: nothing of users, verbs and audit is served.

    `groups` None: no key seals the addresses of their leaders; its routes say so.
    `deliveries`: of each side that sends.
    """

    token: str = field(repr=False)
    letters: Letters
    imports: Imports | None = None
    people: PeopleDesk | None = None
    groups: GroupDesk | None = None
    deliveries: Mapping[SideName, Deliveries] = field(default_factory=dict)


class CodeReader(Protocol):
    """The reading side of alerts/ledger/codes.py. Called from worker threads, several at once."""

    def find(self, code: str) -> Coded | None: ...

    def said(self, incident: str) -> Mapping[int, Mapping[str, Any]]:
        """Version -> its message, of those that are worded."""
        ...


@dataclass(frozen=True, slots=True)
class Proof:
    """By what warnings prove themselves. `keys`: the public ones, by id. `url`: where people reach us, "" unknown."""

    codes: CodeReader
    keys: Mapping[str, Ed25519PublicKey]
    url: str = ""


@dataclass(frozen=True, slots=True)
class Cap:
    """The CAP documents, and in whose name they are sent (its `web`: what addresses in feeds begin with)."""

    store: CapStore
    voice: Callable[[], Voice]


@dataclass(frozen=True, slots=True)
class ResidentsDesk:
    """Where residents subscribe. `reach`: channel -> how an address of it is read, of those that are set up."""

    book: Book
    reach: Mapping[str, Callable[[str], Reached]]


@dataclass(frozen=True, slots=True)
class Providers:
    """What those who carry our messages bring back. `hooks`: by channel. `receipt`: whether there is such a message.

    `reply(channel, address, text, the provider's number)`: what a person wrote.
    """

    hooks: Mapping[str, Hook]
    receipt: Callable[[str, Receipt], bool]
    reply: Callable[[str, str, str, str], Taken]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the web reads. `operators`, `history`, `proof`, `cap` None, `push_key` "": nothing of theirs is
    served. `residents`, `providers` None: whoever wants to subscribe or to reply is told that it is not set up.

    The spine writes in this order, which caches rely on: ledger, then the view (swapped whole), then `changed`.
    `now_ms`: the service's clock, ms UTC (that of the data where the view says so). `health`: part -> how it does.
    """

    view: Callable[[], View]
    ledger: LedgerReader
    changed: Wake
    health: Callable[[], Mapping[str, Part]]
    now_ms: Callable[[], int]
    counters: Callable[[], Mapping[str, float]]  # metric name (with labels) -> since the start
    operators: Desks | None = None
    history: Reader | None = None
    standing: Callable[[], Standing] = Standing
    proof: Proof | None = None
    cap: Cap | None = None
    residents: ResidentsDesk | None = None
    providers: Providers | None = None
    push_key: str = ""  # that browsers subscribe with
