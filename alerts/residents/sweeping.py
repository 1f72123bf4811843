"""Once a minute, what is kept no longer goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from alerts.ledger.store import LedgerError
from alerts.residents.book import Book

EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


async def sweep_until(quiet: asyncio.Event, book: Book, now_ms: Callable[[], int]) -> None:
    """Returns when `quiet` is set. A file that cannot be written is logged, and tried again."""
    while not quiet.is_set():
        try:
            await asyncio.to_thread(book.sweep, now_ms())
        except LedgerError as error:
            _log.warning("what residents should be forgotten of is still there: %s", error)
        with suppress(TimeoutError):
            await asyncio.wait_for(quiet.wait(), EVERY_S)
