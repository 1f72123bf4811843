"""Questions of a page come all at once; few are worked at together, so that warnings have the processor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

TOGETHER: Final = 2
WAITING_MAX: Final = 64
WAIT_S: Final = 20.0

T = TypeVar("T")


class BusyError(Exception):
    """Too many questions before this one, or for too long; the same may be asked again."""


class Gate:
    """`TOGETHER` at a time, in threads; the others wait their turn, at most WAITING_MAX and for WAIT_S each."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._room = asyncio.Semaphore(TOGETHER)
        self._wait_s = wait_s
        self._waiting = 0

    async def through(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Raises BusyError before it was begun."""
        if self._waiting >= WAITING_MAX:
            raise BusyError(f"{WAITING_MAX} questions are waiting already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._room.acquire()
        except TimeoutError:
            raise BusyError(f"no turn for this question within {self._wait_s:g} s") from None
        finally:
            self._waiting -= 1
        # A caller who goes away takes the place with him only when the work, which cannot be stopped, is over.
        working = asyncio.ensure_future(asyncio.to_thread(work))
        working.add_done_callback(lambda _: self._room.release())
        return await asyncio.shield(working)
