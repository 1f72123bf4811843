"""What a gateway sends next: a function of what was offered, the receipts that came, and the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

ON_WIRE_MAX: Final = 32  # messages without a receipt; the others wait in the spool
SENDS_MAX: Final = 5  # then the message is parked
RESEND_MS: Final = 60_000  # doubling with each send
RESEND_MS_MAX: Final = 3_600_000
MISSING_MAX: Final = 100  # seqs answered for one request; the collector asks for no more


@dataclass(frozen=True, slots=True)
class Send:
    """One message to send now. `gone`: its readings are no longer here, so its seq goes empty."""

    seq: int
    first: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """`park` these first (keep their readings aside, empty their message), then send."""

    park: tuple[int, ...]
    sends: tuple[Send, ...]


@dataclass(slots=True)
class _Flight:
    sends: int
    due_ms: int
    parked: bool = False


class Window:
    """The messages of one boot that have no receipt yet. Times are any clock that does not go back, in ms."""

    def __init__(self, boot: str, head: int = 1, waiting: Iterable[int] = ()) -> None:
        """`head`: the seq of the next message; `waiting`: what a spool still holds from before, rising."""
        self.boot, self.head = boot, head
        self.unusable = 0  # receipts that say nothing about us
        self._waiting = deque(waiting)
        self._wire: dict[int, _Flight] = {}  # rising, as messages enter it in order
        self._answers: list[int] = []  # gone seqs that the collector asked for, at most MISSING_MAX

    def __len__(self) -> int:
        """Messages without a receipt."""
        return len(self._waiting) + len(self._wire)

    @property
    def first(self) -> int:
        """The lowest seq still in the spool; the next one's while it is empty."""
        return next(iter(self._wire), self._waiting[0] if self._waiting else self.head)

    def offered(self, seq: int) -> None:
        """`seq` is in the spool from now on."""
        assert seq == self.head, (seq, self.head)
        self._waiting.append(seq)
        self.head += 1

    def dropped(self, through: int) -> None:
        """The spool was full: everything up to `through` is no longer in it."""
        self._through(through)

    def due(self, now_ms: int) -> Due:
        """What goes out now, taken as sent."""
        sends = [Send(seq, min(self.first, seq), gone=True) for seq in self._answers]
        self._answers = []
        parked = []
        for seq, flight in self._wire.items():
            if flight.due_ms > now_ms:
                continue
            if flight.sends >= SENDS_MAX and not flight.parked:
                flight.parked, flight.sends = True, 0
                parked.append(seq)
            sends.append(self._sent(seq, flight, now_ms))
        while self._waiting and len(self._wire) < ON_WIRE_MAX:
            seq = self._waiting.popleft()
            flight = self._wire[seq] = _Flight(0, now_ms)
            sends.append(self._sent(seq, flight, now_ms))
        return Due(tuple(parked), tuple(sends))

    def reconnected(self, now_ms: int) -> None:
        """The connection is new: what was on the wire may be lost, so it is due again.

        A send that its connection cut short says nothing against the message: it does not count towards parking.
        """
        for flight in self._wire.values():
            flight.sends = max(0, flight.sends - 1)
            flight.due_ms = now_ms

    def receipt(self, told: Mapping[str, Any], now_ms: int) -> list[int]:
        """The seqs that need no more care: they are on disk over there. Receipts of other boots change nothing."""
        if told.get("boot") != self.boot:
            self.unusable += 1
            return []
        through, only, missing = told.get("seq"), told.get("only"), told.get("missing")
        if _is_seq(through) and through < self.head:
            return self._through(through)
        if _are_seqs(only):
            return self._only(frozenset(only))
        if _are_seqs(missing):
            self._asked(missing[:MISSING_MAX], now_ms)
            return []
        self.unusable += 1
        return []

    def _asked(self, missing: list[int], now_ms: int) -> None:
        """What is on the wire goes again now; what waits will come anyhow; what is gone goes as an empty message.

        Empty answers are outside the limit of the wire and sent once for each request: behind a hole nothing
        gets its receipt, so an answer that waited for room on a full wire would wait for ever.
        """
        for seq in missing:
            if seq in self._wire:
                self._wire[seq].due_ms = now_ms
            elif seq < self.head and seq not in self._answers and not self._waits(seq):
                self._answers.append(seq)
        del self._answers[MISSING_MAX:]  # the collector asks again for the rest

    def _waits(self, seq: int) -> bool:
        return bool(self._waiting) and seq >= self._waiting[0] and seq in self._waiting

    def _sent(self, seq: int, flight: _Flight, now_ms: int) -> Send:
        flight.due_ms = now_ms + min(RESEND_MS << flight.sends, RESEND_MS_MAX)
        flight.sends += 1
        return Send(seq, self.first)

    def _through(self, last: int) -> list[int]:
        done = [seq for seq in self._wire if seq <= last]
        for seq in done:
            del self._wire[seq]
        while self._waiting and self._waiting[0] <= last:
            done.append(self._waiting.popleft())
        return done

    def _only(self, listed: frozenset[int]) -> list[int]:
        done = [seq for seq in self._wire if seq in listed]
        for seq in done:
            del self._wire[seq]
        early = [seq for seq in listed if self._waits(seq)]  # sent before a restart, waiting again since
        if early:
            self._waiting = deque(seq for seq in self._waiting if seq not in listed)
        return done + sorted(early)


def _is_seq(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 1


def _are_seqs(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(_is_seq(seq) for seq in value)
