"""Questions to the history, on threads of their own: however slow it is, the other pages keep theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from ingest.history.store import Reader, StoreError

THREADS: Final = 4  # as many as the history answers at a time
WAITING_MOST: Final = 64  # questions under way or waiting; the next is refused at once

T = TypeVar("T")


class Asking:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._pool = ThreadPoolExecutor(THREADS, "history")
        self._waiting = 0

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """What `question` makes of the history, on one of our threads. Raises StoreError, and what it raises.

        To be called on the loop, like everything that is async.
        """
        if self._waiting >= WAITING_MOST:
            raise StoreError(f"{WAITING_MOST} questions are waiting for the history")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, question, self._reader)
        finally:
            self._waiting -= 1
