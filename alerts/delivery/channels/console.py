"""One line a warning on standard output, for those who run the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TextIO

from alerts.delivery.channels.channel import ChannelError
from alerts.incidents.incident import Notice
from alerts.ledger.outbox import Message
from alerts.words.names import Lang


class Console:
    name: Final = "console"
    carries_state: Final = False
    at_once: Final = 1  # lines in the order of the warnings

    def __init__(self, stream: TextIO, lang: Lang = "vi") -> None:
        self._stream = stream
        self._lang = lang
        # A thread of its own: a pipe that nobody reads holds up these lines and nothing else.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="console")

    def recipients(self, notice: Notice) -> Sequence[str]:
        return ("operators",) if notice.told else ()

    async def send(self, message: Message) -> None:
        line = message.body["texts"][self._lang] + "\n"
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, line)

    def _write(self, line: str) -> None:
        """Raises ChannelError where the stream is closed: nobody reads it any more, and nobody will."""
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise ChannelError(f"standard output: {error}", permanent=True) from None

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
