"""City mode (CONTRACTS section 6): many areas at danger are one event, approved in bulk and told in one message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from alerts.incidents.book import Book
from alerts.incidents.decision import Decided
from alerts.incidents.incident import DANGER

AREAS: Final = 20  # at danger or above, published or awaiting, begin a city event
AREAS_LEFT: Final = 10  # below this many it is over: half, so that it does not come and go (our choice)


def join(book: Book, now: int) -> None:
    """Begins, goes on or ends the event, and puts the incidents at danger into it."""
    grave = {key: row for key, row in book.latest.items()
             if row.closed_at is None and not row.drill and max(row.wanted, row.level) >= DANGER}  # fmt: skip
    areas = {area for _, area, _ in grave}
    of = {key: row for key, row in book.latest.items() if row.event}
    event = next((row.event for row in of.values()), "")
    if event and len(areas) < AREAS_LEFT:
        for row in of.values():
            book.keep(replace(row, event=""))
        return
    if not event and len(areas) >= AREAS:
        event = f"city.{datetime.fromtimestamp(now // 1000, UTC):%Y%m%dT%H%MZ}"
    if event:
        for row in grave.values():
            if not row.event:
                after = replace(row, event=event)
                book.keep(after)
                book.decide(after, now, Decided.JOINED, event, areas=len(areas))
