"""The seqs of one boot of a gateway: which are on disk, which are missing, asked for, given up.

What is missing is remembered, as ranges, and nearly always it is nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import astuple, dataclass, field
from typing import Any, Final

FIRST_ASKED_AFTER_MS: Final = 10_000  # brokers redeliver out of order: most holes close by themselves
ASKED_EVERY_MS: Final = 60_000
REQUESTS_MAX: Final = 3  # a hole still open one period after the last of them is lost
MISSING_MAX: Final = 100  # seqs under request at a time, oldest first; the others wait their turn
HOLES_MAX: Final = 1_000  # a message that would open another is not counted as there: it is sent again


@dataclass(slots=True)
class _Hole:
    """The seqs from `low` through `high` are missing since `seen`; asked for so many times, last at `asked_at`."""

    low: int
    high: int
    seen: int
    asked: int = 0
    asked_at: int = 0

    def __len__(self) -> int:
        return self.high - self.low + 1

    def unanswered(self, now: int) -> bool:
        """Whether the last request has had its time."""
        return self.asked == REQUESTS_MAX and now - self.asked_at >= ASKED_EVERY_MS


@dataclass(slots=True)
class Seqs:
    """Every seq from `first` through `top` is on disk or given up, but for the `holes`, which are in order."""

    first: int | None = None  # the highest that the gateway has said; None: it keeps no spool, nothing is counted
    top: int = 0
    newest: int = 0  # the highest seq heard of
    heard: int = 0  # when the gateway was last heard
    holes: list[_Hole] = field(default_factory=list)

    @property
    def through(self) -> int:
        """The receipt: everything from `first` through this seq is on disk or given up."""
        return self.holes[0].low - 1 if self.holes else self.top

    def to_state(self) -> list[Any]:
        """Lists and numbers; `from_state` undoes it."""
        return [self.first, self.top, self.newest, self.heard, [list(astuple(hole)) for hole in self.holes]]

    @classmethod
    def from_state(cls, state: list[Any]) -> Seqs:
        first, top, newest, heard, holes = state
        return cls(first, top, newest, heard, [_Hole(*hole) for hole in holes])

    def take(self, seq: int, first: int | None, now: int) -> list[tuple[int, int]]:
        """Count a message as being on disk. Back come the ranges that the gateway no longer has: they are lost."""
        for hole in self.holes:
            # Nobody was there to hear the last request: it is made once more instead of giving up what may be had.
            if hole.unanswered(now) and self.heard < hole.asked_at:
                hole.asked -= 1
        self.heard, self.newest = now, max(self.newest, seq)
        lost: list[tuple[int, int]] = []
        if first is not None:
            lost = self._start_at(first)
        if self.first is not None and seq >= self.first:
            self._fill(seq, now)
        return lost

    def ask(self, now: int) -> list[int]:
        """The seqs to ask for at `now`, oldest first."""
        room = MISSING_MAX - sum(len(hole) for hole in self.holes if hole.asked)
        missing: list[int] = []
        for i, hole in enumerate(self.holes):
            if hole.asked == 0:
                if room == 0 or now - hole.seen < FIRST_ASKED_AFTER_MS:
                    continue
                if len(hole) > room:
                    self.holes.insert(i + 1, _Hole(hole.low + room, hole.high, hole.seen))
                    hole.high = hole.low + room - 1
                room -= len(hole)
            elif hole.asked == REQUESTS_MAX or now - hole.asked_at < ASKED_EVERY_MS:
                continue
            hole.asked, hole.asked_at = hole.asked + 1, now
            missing += range(hole.low, hole.high + 1)
        return missing

    def give_up(self, now: int) -> list[tuple[int, int]]:
        """Close what has been asked for often enough by a gateway that lives; back come the ranges."""
        lost = [hole for hole in self.holes if hole.unanswered(now) and self.heard >= hole.asked_at]
        if lost:
            self.holes = [hole for hole in self.holes if hole not in lost]
        return [(hole.low, hole.high) for hole in lost]

    def _start_at(self, first: int) -> list[tuple[int, int]]:
        if self.first is None:
            self.first, self.top = first, first - 1
            return []
        if first <= self.first:
            return []
        lost = [(hole.low, min(hole.high, first - 1)) for hole in self.holes if hole.low < first]
        self.holes = [hole for hole in self.holes if hole.high >= first]
        if self.holes:
            self.holes[0].low = max(self.holes[0].low, first)
        if self.top < first - 1:
            lost.append((self.top + 1, first - 1))
            self.top = first - 1
        self.first = first
        return lost

    def _fill(self, seq: int, now: int) -> None:
        if seq > self.top:
            if seq > self.top + 1:
                if len(self.holes) >= HOLES_MAX:
                    return
                self.holes.append(_Hole(self.top + 1, seq - 1, now))
            self.top = seq
            return
        at = bisect_right(self.holes, seq, key=lambda hole: hole.low) - 1
        if at < 0 or self.holes[at].high < seq:
            return
        hole = self.holes[at]
        below = _Hole(hole.low, seq - 1, hole.seen, hole.asked, hole.asked_at)
        above = _Hole(seq + 1, hole.high, hole.seen, hole.asked, hole.asked_at)
        left = [part for part in (below, above) if len(part)]
        if len(left) < 2 or len(self.holes) < HOLES_MAX:
            self.holes[at : at + 1] = left
