"""What operators ask of the spine, such as to drive dead letters again, and what became of it.

The spine belongs to one thread. Whoever asks leaves a request at the desk and waits; the answer is given when the
readings are in the journal and the mark is in the ledger.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from ingest.entries import Position

Question = TypeVar("Question")
Answer = TypeVar("Answer")

WAITING_MOST: Final = 256  # requests at the desk, each with a message of at most 64 KiB; more are refused
TURN_MOST: Final = 16  # of them in one turn, each a commit of its own: readings must not wait long behind them


class BusyError(Exception):
    """The desk takes no more now, or the service ends: nothing was done."""


class UnsureError(Exception):
    """Time was over, or the service ended, in the middle of it: the letter's mark will tell, or asking again."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One letter to be driven: what is sent, which is what was kept unless somebody has corrected it.

    `came_at` ms UTC: when it came first, which is what times within it that are relative stand on.
    """

    letter: int
    letter_position: Position
    came_at: int
    topic: str
    payload: bytes
    by: str
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class Driven:
    """What became of a letter. `at` ms UTC; `position` of the entry with its readings, None where none was new.

    `refused`: readings (or 1 for the whole message) by reason; they are still in the letter.
    """

    at: int
    by: str
    corrected: bool
    position: Position | None
    accepted: int
    duplicates: int
    conflicts: int
    refused: Mapping[str, int]

    @property
    def settled(self) -> bool:
        """Nothing of it was refused again."""
        return not self.refused


@dataclass(frozen=True, slots=True, eq=False)
class Asked(Generic[Question, Answer]):
    """A request at a desk. `answer` is cancelled by whoever no longer waits for it."""

    what: Question
    answer: Future[Answer] = field(default_factory=Future)


class Desk(Generic[Question, Answer]):
    """Between the threads that ask and the one that does it. `wake` makes the one look up."""

    def __init__(self, wake: Callable[[], object], most: int = WAITING_MOST) -> None:
        self._wake, self._most = wake, most
        self._waiting: deque[Asked[Question, Answer]] = deque()
        self._taken: list[Asked[Question, Answer]] = []
        self._lock = threading.Lock()
        self._closed = False

    def ask(self, questions: Sequence[Question]) -> list[Asked[Question, Answer]]:
        """All of them, or none: BusyError."""
        asked: list[Asked[Question, Answer]] = [Asked(question) for question in questions]
        with self._lock:
            for gone in [one for one in self._waiting if one.answer.cancelled()]:
                self._waiting.remove(gone)
            if self._closed or len(self._waiting) + len(asked) > self._most:
                raise BusyError("the service ends" if self._closed else "too many are being driven")
            self._waiting.extend(asked)
        self._wake()
        return asked

    def take(self) -> list[Asked[Question, Answer]]:
        """The next few whose askers still wait; from now on they cannot be called off."""
        with self._lock:
            few = [self._waiting.popleft() for _ in range(min(TURN_MOST, len(self._waiting)))]
            if self._waiting:
                self._wake()
            self._taken = [asked for asked in few if asked.answer.set_running_or_notify_cancel()]
            return self._taken

    def close(self) -> None:
        """Nobody drives any more (called by the thread that did, or after its end): who waits is told so."""
        with self._lock:
            self._closed = True
            left = list(self._waiting)
            self._waiting.clear()
        for asked in left:
            asked.answer.cancel()
        for asked in self._taken:
            if not asked.answer.done():
                asked.answer.set_exception(UnsureError("the service ended in the middle of it"))
