"""One line a warning on standard output, for those who run the service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, TextIO

from alerts.delivery.channels.channel import ChannelError, Kind, Means, Quota
from alerts.delivery.parcel import Parcel
from alerts.given import Section
from alerts.incidents.incident import Notice
from alerts.words.names import Lang


class Console:
    name: Final = "console"
    carries_state: Final = False
    at_once: Final = 1  # lines in the order of the warnings
    timeout_s: Final = 30.0
    quota: Final = Quota()

    def __init__(self, stream: TextIO, lang: Lang = "vi") -> None:
        self._stream = stream
        self._lang = lang
        self._lines: SimpleQueue[tuple[str, asyncio.Future[None]] | None] = SimpleQueue()  # one at a time, see at_once
        # A thread of its own: a pipe that nobody reads holds up these lines and nothing else, not even the end.
        threading.Thread(target=self._write_for_ever, name="console", daemon=True).start()

    def recipients(self, notice: Notice) -> Sequence[str]:
        return ("operators",) if notice.told else ()

    async def send(self, parcel: Parcel) -> str:
        """Raises ChannelError where the stream is closed: nobody reads it any more, and nobody will."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.put((parcel.body["texts"][self._lang] + "\n", written))
        await written
        return ""

    def _write_for_ever(self) -> None:
        while (taken := self._lines.get()) is not None:
            line, written = taken
            error: ChannelError | None = None
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError) as failed:
                error = ChannelError(f"standard output: {failed}", permanent=True)
            with suppress(RuntimeError):  # the loop has ended without waiting for this line
                written.get_loop().call_soon_threadsafe(_settle, written, error)

    async def close(self) -> None:
        self._lines.put(None)


def _settle(written: asyncio.Future[None], error: ChannelError | None) -> None:
    if written.done():
        return  # given up meanwhile
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)


def _make(_: Section, means: Means) -> Console | None:
    return None if means.stream is None else Console(means.stream, means.lang)


KIND: Final = Kind(Console.name, "desk", _make, rehearses=True)
