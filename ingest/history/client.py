"""The service's side of the history: questions to its process, each with a limit on the time that it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from typing import Final

from ingest.history import wire
from ingest.history.store import READINGS_MAX, Buckets, Points, Rows, StoreError

LINES: Final = 4  # questions at a time; the next waits for a line
SCANS: Final = 2  # of them at most so many long ones, so that there is always a line for a short one
LINE_S: Final = 2.0  # for a line to become free
ANSWER_S: Final = 15.0  # the process itself gives up far earlier: after so long it hangs


class Client:
    """A Reader. `hangs` is called where the process does not answer at all."""

    def __init__(self, hangs: Callable[[], object]) -> None:
        self._hangs = hangs
        self._free: LifoQueue[Connection] | None = None
        self._scans = threading.BoundedSemaphore(SCANS)

    def connect(self, lines: Sequence[Connection]) -> None:
        """To a process that has just been started."""
        free: LifoQueue[Connection] = LifoQueue()
        for line in lines:
            free.put(line)
        self._free = free

    def disconnect(self) -> None:
        """The process has ended; whoever waits for its answer sees that for himself."""
        free, self._free = self._free, None
        while free is not None and not free.empty():
            free.get().close()

    def readings(
        self, sensor: str, start: int, end: int, limit: int = READINGS_MAX, quantity: str | None = None
    ) -> Points:
        found = self._ask(wire.AskReadings(sensor, start, end, limit, quantity))
        return wire.unpacked(Points, found.columns or {})

    def buckets(
        self, sensors: Sequence[str], start: int, end: int, every_ms: int, quantity: str | None = None
    ) -> Buckets:
        found = self._ask(wire.AskBuckets(list(sensors), start, end, every_ms, quantity))
        return wire.unpacked(Buckets, found.columns or {})

    def span(self) -> tuple[int, int] | None:
        return self._ask(wire.AskSpan()).span

    def scan(self, start: int, end: int, sensors: Collection[str] | None = None) -> Generator[Rows, None, None]:
        if not self._scans.acquire(timeout=LINE_S):
            raise StoreError(f"the history is busy: {SCANS} long answers are under way")
        try:
            with self._line() as line:
                question = wire.AskScan(start, end, None if sensors is None else list(sensors))
                found = self._answer(line, question)
                ended = False
                try:
                    while found.columns is not None:
                        yield wire.unpacked_rows(found, found.columns)
                        found = self._answer(line, wire.More())
                    ended = True
                except (StoreError, ValueError):
                    ended = True
                    raise
                finally:
                    if not ended:
                        with suppress(OSError):
                            wire.send(line, wire.Stop())
        finally:
            self._scans.release()

    def _ask(self, question: wire.Question) -> wire.Found:
        with self._line() as line:
            return self._answer(line, question)

    def _answer(self, line: Connection, question: wire.Asked) -> wire.Found:
        wire.send(line, question)
        if not line.poll(ANSWER_S):
            self._hangs()
            raise TimeoutError
        answer: wire.Answer = wire.receive(line, wire.Answer)
        if isinstance(answer, wire.Failed):
            raise ValueError(answer.message) if answer.wrong else StoreError(answer.message)
        return answer

    @contextmanager
    def _line(self) -> Iterator[Connection]:
        """One that nobody else uses; it goes back where it still works."""
        free = self._free
        if free is None:
            raise StoreError("the history is away; it is being started")
        try:
            line = free.get(timeout=LINE_S)
        except Empty:
            raise StoreError("the history is busy") from None
        try:
            yield line
        except TimeoutError:
            line.close()
            raise StoreError(f"the history has not answered for {ANSWER_S:g} s; it is started anew") from None
        except (EOFError, OSError):
            line.close()
            raise StoreError("the history has ended while it was asked; it is being started") from None
        except BaseException:
            free.put(line)
            raise
        free.put(line)
