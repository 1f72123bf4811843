"""What each gateway is owed for its numbered messages (CONTRACTS section 3): a fold over the journal's headers.

A receipt is the gateway's leave to delete, so it never covers a seq that is not on disk, but for those that the gateway
itself no longer has. What is remembered of a boot is the seqs that are missing, as ranges: nearly always none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ingest.entries import Header
from ingest.seqs import Seqs

ONLY_MAX: Final = 500  # seqs in one receipt of a gateway without spool; more become several receipts
BOOTS_MAX: Final = 8  # of one gateway; the one unheard for longest is forgotten, and would start anew at its `first`
GATEWAYS_MAX: Final = 10_000  # the one unheard for longest is forgotten likewise
ALTERNATING_WITHIN_MS: Final = 3_600_000  # two returns to a boot that had been left are told, once in so long


@dataclass(frozen=True, slots=True)
class Receipt:
    """For `canhbao/v1/{gateway}/receipt`; `payload` is to be sent as JSON."""

    gateway: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """The seqs from `low` through `high` never came, and the gateway no longer has them."""

    gateway: str
    boot: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Owed:
    """What one step calls for. `alternating`: gateways whose id two devices seem to share, for operators."""

    receipts: tuple[Receipt, ...] = ()
    lost: tuple[Lost, ...] = ()
    alternating: tuple[str, ...] = ()


class Receipts:
    """All gateways. `step` whatever the journal has taken, also nothing (`tick`).

    `now` is the wall's time in ms also where arrivals follow the data's clock: gateways resend and answer by their own
    clocks, and with a storm played faster than time a hole would be given up before anybody could fill it.
    """

    def __init__(self) -> None:
        self._gateways: dict[str, _Gateway] = {}  # both in the order in which they were last heard
        self._open: dict[_Key, None] = {}  # the boots that miss something

    def step(self, headers: Sequence[Header], now: int, *, heard: bool = True) -> Owed:
        """What is owed after `headers`, which are on disk.

        `heard` False: no gateway can hear us now, so nothing is asked for, and nothing given up for want of an answer.
        """
        lost, moved = self._give_up(now) if heard else ([], {})
        only: dict[_Key, dict[int, None]] = {}
        alternating: dict[str, None] = {}
        for header in headers:
            key = _Key(header.gateway, header.boot)
            seqs = self._hear(header, now, alternating)
            lost += [Lost(*key, low, high) for low, high in seqs.take(header.seq, header.first, now)]
            if header.first is None:
                only.setdefault(key, {})[header.seq] = None
            else:
                moved[key] = None
            self._mark(key, seqs)
        receipts = [Receipt(key.gateway, {"boot": key.boot, "seq": found.through})
                    for key in moved if (found := self._find(key)) is not None]  # fmt: skip
        for key, numbers in only.items():
            some = _cut(list(numbers), ONLY_MAX)
            receipts += [Receipt(key.gateway, {"boot": key.boot, "only": part}) for part in some]
        return Owed((*receipts, *(self._ask(now) if heard else ())), tuple(lost), tuple(alternating))

    def tick(self, now: int) -> Owed:
        """What is owed because time has passed: requests for what is missing, and what is given up."""
        return self.step((), now)

    def to_state(self) -> dict[str, Any]:
        """Everything remembered, as lists, numbers and text; `from_state` undoes it."""
        return {
            id_: [gateway.live, gateway.returned_at, gateway.told_at,
                  {boot: seqs.to_state() for boot, seqs in gateway.boots.items()}]
            for id_, gateway in self._gateways.items()
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Receipts:
        receipts = cls()
        for id_, (live, returned_at, told_at, boots) in state.items():
            found = {boot: Seqs.from_state(row) for boot, row in boots.items()}
            receipts._gateways[id_] = _Gateway(live, returned_at, told_at, found)
            for boot, seqs in found.items():
                receipts._mark(_Key(id_, boot), seqs)
        return receipts

    def _hear(self, header: Header, now: int, alternating: dict[str, None]) -> Seqs:
        gateway = self._gateways.pop(header.gateway, None) or _Gateway()
        self._gateways[header.gateway] = gateway
        if not header.backfill and gateway.alternates(header.boot, header.seq, now):
            alternating[header.gateway] = None
        seqs = gateway.boots.pop(header.boot, None) or Seqs()
        gateway.boots[header.boot] = seqs
        if len(gateway.boots) > BOOTS_MAX:
            oldest = next(iter(gateway.boots))
            del gateway.boots[oldest]
            self._open.pop(_Key(header.gateway, oldest), None)
        if len(self._gateways) > GATEWAYS_MAX:
            id_ = next(iter(self._gateways))
            for boot in self._gateways.pop(id_).boots:
                self._open.pop(_Key(id_, boot), None)
        return seqs

    def _find(self, key: _Key) -> Seqs | None:
        gateway = self._gateways.get(key.gateway)
        return gateway.boots.get(key.boot) if gateway else None

    def _mark(self, key: _Key, seqs: Seqs) -> None:
        if seqs.holes:
            self._open[key] = None
        else:
            self._open.pop(key, None)

    def _give_up(self, now: int) -> tuple[list[Lost], dict[_Key, None]]:
        """The holes that are lost by now, and the boots whose receipts have thereby moved on."""
        lost: list[Lost] = []
        moved: dict[_Key, None] = {}
        for key in sorted(self._open):
            seqs = self._gateways[key.gateway].boots[key.boot]
            before = seqs.through
            lost += [Lost(*key, low, high) for low, high in seqs.give_up(now)]
            if seqs.through > before:
                moved[key] = None
            self._mark(key, seqs)
        return lost, moved

    def _ask(self, now: int) -> Iterable[Receipt]:
        for key in sorted(self._open):
            missing = self._gateways[key.gateway].boots[key.boot].ask(now)
            if missing:
                yield Receipt(key.gateway, {"boot": key.boot, "missing": missing})


class _Key(NamedTuple):
    gateway: str
    boot: str


@dataclass(slots=True)
class _Gateway:
    live: str = ""  # the boot that last said something new
    returned_at: int | None = None  # when it last went back to a boot that it had left
    told_at: int | None = None
    boots: dict[str, Seqs] = field(default_factory=dict)

    def alternates(self, boot: str, seq: int, now: int) -> bool:
        """Whether this message says that two devices share the id. What a broker delivers again late says nothing."""
        known = self.boots.get(boot)
        if boot == self.live or (known is not None and seq <= known.newest):
            return False
        self.live = boot
        if known is None:
            return False
        before, self.returned_at = self.returned_at, now
        if not _within(before, now) or _within(self.told_at, now):
            return False
        self.told_at = now
        return True


def _within(at: int | None, now: int) -> bool:
    return at is not None and now - at < ALTERNATING_WITHIN_MS


def _cut(numbers: list[int], most: int) -> Iterable[list[int]]:
    return (numbers[at : at + most] for at in range(0, len(numbers), most))
