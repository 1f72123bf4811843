"""Logs: whoever speaks through the standard library's `logging` is one line, on a terminal for eyes, else for machines.

What is bound around a piece of work (`structlog.contextvars`) stands in each of its lines. `entry` is the one id: the
journal's position of what a message became, which transitions, versions, notices and deliveries bear as well.

Lines are written by a thread of their own. A pipe that nobody reads holds up that thread and no warning; meanwhile
WAITING_MOST lines wait, what is beyond is left out, counted, and told as soon as there is room.
"""

from __future__ import annotations

import copy
import logging
import sys
import threading
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from queue import SimpleQueue
from traceback import format_exception
from typing import Final, Literal, TextIO, TypeAlias

from structlog.contextvars import get_contextvars
from structlog.dev import ConsoleRenderer
from structlog.processors import JSONRenderer
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat: TypeAlias = Literal["auto", "console", "json"]
WAITING_MOST: Final = 10_000  # lines; at some 300 bytes each, 3 MB
END_S: Final = 2.0  # for what waits when the process ends; a pipe that is stuck then must not hold it
# At debug the compiler of the windows dumps its byte code: 100 MB that hold up the start and tell nothing of ours.
_NOISY: Final = ("numba",)
_FIRST: Final = ("time", "level", "logger", "event")


class Logs:
    """The one handler of the root logger, until `close`."""

    def __init__(self, stream: TextIO, form: LogFormat, level: str) -> None:
        for_eyes = form == "console" or (form == "auto" and stream.isatty())
        self._writer = logging.StreamHandler(stream)
        self._writer.setFormatter(_formatter(for_eyes=for_eyes, colors=stream.isatty()))
        self._waiting: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._speaker = _Speaker(self._waiting)
        self._thread = threading.Thread(target=self._write_for_ever, name="logs", daemon=True)
        self._thread.start()
        root = logging.getLogger()
        root.addHandler(self._speaker)
        root.setLevel(level)
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.WARNING)

    def close(self) -> None:
        """What was said until here is written, if that takes no longer than END_S."""
        logging.getLogger().removeHandler(self._speaker)
        self._waiting.put(None)
        self._thread.join(END_S)

    def _write_for_ever(self) -> None:
        while (record := self._waiting.get()) is not None:
            if left_out := self._speaker.take_left_out():
                text = f"{left_out} lines were left out here: the log was not read"
                self._writer.handle(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None))
            self._writer.handle(record)


def set_up(form: LogFormat = "auto", level: str = "INFO", stream: TextIO | None = None) -> Logs:
    """`stream`: standard error, unless another is given."""
    return Logs(sys.stderr if stream is None else stream, form, level)


class _Speaker(QueueHandler):
    """On the thread that speaks: the text and what is bound there are fixed, the rest can wait."""

    def __init__(self, waiting: SimpleQueue[logging.LogRecord | None]) -> None:
        super().__init__(waiting)
        self._waiting, self._left_out = waiting, 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Arguments may change after this, so the text is made now; and frames that wait would hold all they know."""
        fixed = copy.copy(record)
        fixed.msg, fixed.args = record.getMessage(), None
        if record.exc_info:
            fixed.exc_info = fixed.exc_text = None
            fixed.__dict__["exception"] = "".join(format_exception(*record.exc_info)).rstrip("\n")
        for name, value in get_contextvars().items():
            fixed.__dict__.setdefault(name, value)
        return fixed

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._waiting.qsize() >= WAITING_MOST:
            self._left_out += 1  # under the handler's lock
        else:
            self._waiting.put(record)

    def take_left_out(self) -> int:
        """Lines since it was last asked."""
        self.acquire()
        try:
            left_out, self._left_out = self._left_out, 0
        finally:
            self.release()
        return left_out


def _formatter(*, for_eyes: bool, colors: bool) -> ProcessorFormatter:
    renderer: list[Processor]
    if for_eyes:
        console = ConsoleRenderer(colors=colors, timestamp_key="time", pad_event_to=0, sort_keys=False)
        renderer = [_printable, console]
    else:
        renderer = [_in_order, JSONRenderer(ensure_ascii=False)]
    return ProcessorFormatter(
        foreign_pre_chain=[ExtraAdder(), _stamp], processors=[ProcessorFormatter.remove_processors_meta, *renderer]
    )


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """When it was said, not when it is written; UTC with milliseconds."""
    record: logging.LogRecord = event["_record"]
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    for twice in ("color_message", "message", "asctime"):  # uvicorn's, and what another handler left in the record
        event.pop(twice, None)
    event.update({"time": at.removesuffix("+00:00") + "Z", "level": record.levelname.lower(), "logger": record.name})
    return event


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**{name: event.pop(name) for name in _FIRST}, **event}


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a stranger named himself must not move the cursor of who reads it, nor begin a line of its own."""
    return {
        name: _shown(value) if isinstance(value, str) and name != "exception" else value
        for name, value in event.items()
    }


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
