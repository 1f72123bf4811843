"""The marks on dead letters: when each was driven again, by whom, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Row, insert, select

from alerts.driving import Drive, Driven
from alerts.ledger import schema
from alerts.ledger.store import Store
from ingest.day_file import KeptLetter
from ingest.entries import Position


class Marks:
    """Written by the spine after the commit of what was driven; read from any thread. Methods raise LedgerError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def mark(self, drive: Drive, driven: Driven) -> None:
        """On disk when it returns. Marks stay: a letter may have several, the newest says how it stands."""
        row = {
            "letter": drive.letter, "letter_position": drive.letter_position, "at": driven.at, "by": driven.by,
            "corrected": driven.corrected, "position": driven.position, "accepted": driven.accepted,
            "duplicates": driven.duplicates, "conflicts": driven.conflicts,
            "refused": msgspec.json.encode(dict(driven.refused)).decode(),
        }  # fmt: skip
        with self._store.writing() as db:
            db.execute(insert(schema.driven), row)

    def of(self, letters: Collection[KeptLetter]) -> dict[int, list[Driven]]:
        """Id -> its drivings, the oldest first; those of `letters` (some hundreds at most) that have any."""
        table, positions = schema.driven, {kept.id: kept.position for kept in letters}
        query = select(table).where(table.c.letter.in_(positions)).order_by(table.c.id)
        found: dict[int, list[Driven]] = {}
        with self._store.reading() as db:
            for row in db.execute(query):
                if row.letter_position == positions[row.letter]:
                    found.setdefault(row.letter, []).append(_driven(row))
        return found


def _driven(row: Row[Any]) -> Driven:
    position = None if row.position is None else Position(row.position)
    refused = msgspec.json.decode(row.refused, type=dict[str, int])
    return Driven(row.at, row.by, row.corrected, position, row.accepted, row.duplicates, row.conflicts, refused)
