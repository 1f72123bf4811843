"""City mode (CONTRACTS section 6): many areas at danger are one event, approved in bulk and told in one message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from alerts.incidents.book import Book
from alerts.incidents.decision import Decided

AREAS: Final = 20  # at danger or above, published or awaiting, begin a city event
AREAS_LEFT: Final = 10  # below this many it is over: half, so that it does not come and go (our choice)


def join(book: Book, now: int) -> None:
    """Begins, goes on or ends the event, and puts the incidents at danger into it."""
    if not book.stirred:
        return
    keys, book.stirred = book.stirred, []
    areas = len(book.grave_areas)
    if book.event and areas < AREAS_LEFT:
        book.event = ""
        for row in [row for row in book.latest.values() if row.event]:
            book.keep(replace(row, event=""))
    if not book.event and areas >= AREAS:
        book.event = f"city.{datetime.fromtimestamp(now // 1000, UTC):%Y%m%dT%H%MZ}"
        keys = [*book.grave]
    for key in sorted(set(keys)) if book.event else ():
        row = book.latest[key]
        if key in book.grave and not row.event:
            after = replace(row, event=book.event)
            book.keep(after)
            book.decide(after, now, Decided.JOINED, book.event, areas=areas)
