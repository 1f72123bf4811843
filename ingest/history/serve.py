"""Inside the process of the history: one thread follows the journal, others answer, one hears when to end."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Final

from ingest.entries import ORIGIN, Position
from ingest.history import wire
from ingest.history.follow import Follower
from ingest.history.store import Reader, StoreError

log = logging.getLogger(__name__)

GONE: Final = 3  # exit code where the service went away without a word


class Control:
    """The line to the service: what it says is heard by a thread of its own."""

    def __init__(self, line: Connection) -> None:
        self.until = ORIGIN
        self._line = line
        self._stopping = threading.Event()
        threading.Thread(target=self._hear, name="control", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        return self._stopping.wait(seconds)

    def tell(self, follower: Follower) -> None:
        try:
            wire.send(self._line, wire.Progress(**asdict(follower.counts)))
        except OSError:
            os._exit(GONE)

    def _hear(self) -> None:
        try:
            while isinstance(said := wire.receive(self._line, wire.Follow | wire.Stop), wire.Follow):
                self.until = Position(said.until)
        except (EOFError, OSError, ValueError):
            # The service is gone, perhaps killed. What is under way is not worth a moment: it is done again.
            os._exit(GONE)
        self._stopping.set()


def answer_for_ever(line: Connection, reader: Reader) -> None:
    """One question after the other, until nobody asks any more."""
    with line, suppress(EOFError, OSError):
        while True:
            question: wire.Question = wire.receive(line, wire.Question)
            if isinstance(question, wire.AskScan):
                _answer_scan(line, reader, question)
            else:
                wire.send(line, _answer(reader, question))


def start_answering(lines: Sequence[Connection], reader: Reader) -> None:
    for line in lines:
        threading.Thread(target=answer_for_ever, args=(line, reader), name="answers", daemon=True).start()


def _answer(reader: Reader, question: wire.AskReadings | wire.AskBuckets | wire.AskSpan) -> wire.Answer:
    try:
        match question:
            case wire.AskReadings(sensor, start, end, limit, quantity):
                return wire.packed(reader.readings(sensor, start, end, limit, quantity))
            case wire.AskBuckets(sensors, start, end, every_ms, quantity):
                return wire.packed(reader.buckets(sensors, start, end, every_ms, quantity))
            case wire.AskSpan():
                return wire.Found(span=reader.span())
    except Exception as error:  # noqa: BLE001  # what is not foreseen is logged there
        return _failed(error)


def _answer_scan(line: Connection, reader: Reader, question: wire.AskScan) -> None:
    with closing(_chunks(reader, question)) as chunks:
        for chunk in chunks:
            wire.send(line, chunk)
            if isinstance(chunk, wire.Failed) or isinstance(wire.receive(line, wire.More | wire.Stop), wire.Stop):
                return
    wire.send(line, wire.Found())


def _chunks(reader: Reader, question: wire.AskScan) -> Generator[wire.Answer, None, None]:
    try:
        for rows in reader.scan(question.start, question.end, question.sensors):
            yield wire.packed(rows)
    except Exception as error:  # noqa: BLE001  # what is not foreseen is logged there
        yield _failed(error)


def _failed(error: Exception) -> wire.Failed:
    """Whatever it was: its line answers the next question. Lines are few, and only a new process has new ones."""
    if isinstance(error, StoreError | ValueError):
        return wire.Failed(str(error), wrong=isinstance(error, ValueError))
    log.error("a question failed", exc_info=error)
    return wire.Failed(f"the question failed: {type(error).__name__}")
