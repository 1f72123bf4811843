"""Dead letters as an operator meets them: the letter in the journal, the marks in the ledger, and driving it again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from alerts.driving import WAITING_MOST, Asked, BusyError, Desk, Drive, Driven, UnsureError
from alerts.ledger.marks import Marks
from ingest.day_file import KeptLetter, Wanted
from ingest.formats import largest
from ingest.journal import Journal

CALLERS_MOST: Final = 4  # at a time; residents' pages are answered by the same threads
SOME_MOST: Final = WAITING_MOST // CALLERS_MOST  # letters in one call
WAIT_S: Final = 20.0  # for the answer to a call; while the disk refuses there is none


class CutLetterError(Exception):
    """The letter was too large to be kept whole, so that it cannot be driven as it is."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter and its drivings, the oldest first."""

    kept: KeptLetter
    drivings: Sequence[Driven] = ()

    @property
    def settled(self) -> bool:
        """Driven, and nothing of it refused the last time."""
        return bool(self.drivings) and self.drivings[-1].settled

    @property
    def cut(self) -> bool:
        """Whether it is larger than its sender's messages may be, so that only the beginning was kept.

        Whatever it was refused for: the byte that is kept beyond that size tells (ingest.letter_quota). Letters of
        before there was that byte say it by their reason alone.
        """
        letter = self.kept.letter
        return letter.reason == "too_large" or len(letter.payload) > largest(letter.gateway)


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: the last id, to go on from; None at the end."""

    letters: Sequence[Letter]
    after: int | None


@dataclass(frozen=True, slots=True)
class Tour:
    """What became of some letters. `skipped`: settled before; `refused`: readings by reason; `after` as of Page."""

    driven: int
    skipped: int
    cut: int
    accepted: int
    duplicates: int
    conflicts: int
    refused: Mapping[str, int]
    after: int | None


class Letters:
    """Reads from any thread; drives where there is a desk. Raises JournalError and LedgerError."""

    def __init__(self, journal: Journal, marks: Marks, desk: Desk[Drive, Driven] | None = None) -> None:
        self._journal, self._marks, self._desk = journal, marks, desk
        self._callers = threading.BoundedSemaphore(CALLERS_MOST)

    def page(self, wanted: Wanted, *, before_id: int | None, limit: int) -> Page:
        """The newest first."""
        return self._page(self._journal.dead_letters(limit=limit + 1, before_id=before_id, wanted=wanted), limit)

    def one(self, id_: int) -> Letter | None:
        found = self.page(Wanted(), before_id=id_ + 1, limit=1).letters
        return found[0] if found and found[0].kept.id == id_ else None

    def drive(self, letter: Letter, by: str, *, topic: str | None = None, payload: bytes | None = None) -> Driven:
        """As it is, or with another topic or payload. Its readings are on disk when this returns.

        Raises CutLetterError, BusyError (nothing was driven) and UnsureError.
        """
        if letter.cut and payload is None:
            size = len(letter.kept.letter.payload)
            raise CutLetterError(f"only its first {size} bytes were kept: give the whole payload")
        with self._calling() as desk:
            return _answers(desk.ask([_drive(letter, by, topic, payload)]))[0]

    def drive_some(self, wanted: Wanted, by: str, *, after_id: int, limit: int) -> Tour:
        """Of the oldest `limit` after `after_id` those that are not settled, as they are, in the order they came: a
        counter's totals add up in no other. Asked again it does what was left undone. `limit`: at most SOME_MOST.

        Raises BusyError and UnsureError.
        """
        page = self._page(self._journal.dead_letters(limit=limit + 1, after_id=after_id, wanted=wanted), limit)
        left = [letter for letter in page.letters if not letter.settled]
        whole = [letter for letter in left if not letter.cut]
        with self._calling() as desk:
            done = _answers(desk.ask([_drive(letter, by) for letter in whole]))
        refused = sum((Counter(one.refused) for one in done), Counter[str]())
        return Tour(
            len(done), len(page.letters) - len(left), len(left) - len(whole), sum(one.accepted for one in done),
            sum(one.duplicates for one in done), sum(one.conflicts for one in done), refused, page.after,
        )  # fmt: skip

    def _page(self, found: Sequence[KeptLetter], limit: int) -> Page:
        kept = found[:limit]
        marks = self._marks.of(kept)
        letters = [Letter(one, marks.get(one.id, ())) for one in kept]
        return Page(letters, kept[-1].id if len(found) > limit else None)

    @contextmanager
    def _calling(self) -> Iterator[Desk[Drive, Driven]]:
        if self._desk is None or not self._callers.acquire(blocking=False):
            raise BusyError("others are driving letters")
        try:
            yield self._desk
        finally:
            self._callers.release()


def _drive(letter: Letter, by: str, topic: str | None = None, payload: bytes | None = None) -> Drive:
    kept = letter.kept
    sent = (kept.letter.topic if topic is None else topic, kept.letter.payload if payload is None else payload)
    return Drive(
        kept.id,
        kept.position,
        kept.letter.arrival,
        *sent,
        by,
        corrected=sent != (kept.letter.topic, kept.letter.payload),
    )


def _answers(asked: Sequence[Asked[Drive, Driven]]) -> list[Driven]:
    deadline = monotonic() + WAIT_S
    try:
        return [one.answer.result(max(0.0, deadline - monotonic())) for one in asked]
    except CancelledError:
        raise BusyError("the service ends") from None
    except TimeoutError:
        if all([one.answer.cancel() for one in asked]):  # noqa: C419  # all of them, not up to the first
            raise BusyError("the service cannot write now; /readyz says why") from None
        raise UnsureError("some may have been driven; their marks will tell") from None
