"""The CAP documents in the ledger: made once, kept before they go out; and those that came from elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert  # PostgreSQL's has the same name and the same form

from alerts.incidents.verbs import OfficialLevel
from alerts.ledger import schema
from alerts.ledger.store import Store
from alerts.ledger.verbs import official_level

STANDING_MOST: Final = 500  # documents in a feed, the newest: three hazards in each of 94 wards are 282
RECEIVED_MOST: Final = 1000  # documents from elsewhere; a newer one takes the place of the oldest
KEPT_MS: Final = 31 * 86_400_000  # renewals are forgotten so long after they expired; a version's own document stays
_CAP: Final = schema.cap


@dataclass(frozen=True, slots=True)
class Document:
    """Times ms UTC; `sent_text` as it stands in the XML. `renew_at` None: it is not renewed any more."""

    identifier: str
    incident: str
    version: int
    renewal: int
    area: str
    drill: bool
    ends: bool
    sender: str
    sent: int
    sent_text: str
    expires: int
    renew_at: int | None
    xml: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that came from elsewhere. `at` ms UTC."""

    at: int
    by: str
    xml: str


class CapStore:
    """Written by the desk (documents) and by operators' calls (received); read from any thread. Raises LedgerError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cursor(self) -> int:
        """The number of the last notice that was looked at."""
        with self._store.reading() as db:
            return db.execute(select(schema.cap_progress.c.seq)).scalar() or 0

    def keep(self, document: Document | None, *, cursor: int | None = None) -> None:
        """The document takes the place of its incident's earlier ones, and the cursor moves: both or neither.

        A version that has its document already (of this renewal) keeps it.
        """
        with self._store.writing() as db:
            if document is not None:
                earlier = (_CAP.c.incident == document.incident) & _CAP.c.superseded.is_(False)
                row = {**asdict(document), "superseded": False, "published": False}
                new = upsert(_CAP).on_conflict_do_nothing().returning(_CAP.c.seq)
                seq = db.execute(new, row).scalar()
                if seq is not None:
                    db.execute(update(_CAP).where(earlier, _CAP.c.seq != seq).values(superseded=True, renew_at=None))
            if cursor is not None:
                moved = upsert(schema.cap_progress).values(id=1, seq=cursor)
                db.execute(moved.on_conflict_do_update(index_elements=["id"], set_={"seq": cursor}))

    def newest(self, incident: str) -> Document | None:
        query = select(_CAP).where(_CAP.c.incident == incident).order_by(_CAP.c.seq.desc()).limit(1)
        with self._store.reading() as db:
            row = db.execute(query).one_or_none()
            return None if row is None else _document(row)

    def unexpired(self, incident: str, now: int) -> list[Document]:
        """Of one incident, also superseded ones, the oldest first."""
        query = select(_CAP).where(_CAP.c.incident == incident, _CAP.c.expires > now).order_by(_CAP.c.seq)
        with self._store.reading() as db:
            return [_document(row) for row in db.execute(query)]

    def standing(self, now: int) -> list[Document]:
        """The newest of each incident, while it has not expired; the newest first, at most STANDING_MOST."""
        query = select(_CAP).where(_CAP.c.superseded.is_(False), _CAP.c.expires > now)
        with self._store.reading() as db:
            return [_document(row) for row in db.execute(query.order_by(_CAP.c.seq.desc()).limit(STANDING_MOST))]

    def to_renew(self, now: int, limit: int = 100) -> list[Document]:
        query = select(_CAP).where(_CAP.c.renew_at <= now).order_by(_CAP.c.renew_at, _CAP.c.seq).limit(limit)
        with self._store.reading() as db:
            return [_document(row) for row in db.execute(query)]

    def let_expire(self, identifier: str) -> None:
        """It is renewed no more."""
        with self._store.writing() as db:
            db.execute(update(_CAP).where(_CAP.c.identifier == identifier).values(renew_at=None))

    def unpublished(self, limit: int = 100) -> list[Document]:
        """In the order in which they were made."""
        query = select(_CAP).where(_CAP.c.published.is_(False)).order_by(_CAP.c.seq).limit(limit)
        with self._store.reading() as db:
            return [_document(row) for row in db.execute(query)]

    def mark_published(self, identifiers: Collection[str]) -> None:
        with self._store.writing() as db:
            db.execute(update(_CAP).where(_CAP.c.identifier.in_(identifiers)).values(published=True))

    def places(self) -> set[tuple[str, bool]]:
        """(area, drill) of every document that there is."""
        with self._store.reading() as db:
            return {(area, drill) for area, drill in db.execute(select(_CAP.c.area, _CAP.c.drill).distinct())}

    def document(self, identifier: str) -> Document | None:
        with self._store.reading() as db:
            row = db.execute(select(_CAP).where(_CAP.c.identifier == identifier)).one_or_none()
            return None if row is None else _document(row)

    def last_sent(self, *, drill: bool) -> int:
        """When the newest document was sent; 0 where there is none."""
        with self._store.reading() as db:
            return db.execute(select(func.max(_CAP.c.sent)).where(_CAP.c.drill.is_(drill))).scalar() or 0

    def forget(self, now: int) -> int:
        """Renewals that expired long ago; how many."""
        old = (_CAP.c.renewal > 0) & _CAP.c.superseded.is_(True) & (_CAP.c.expires <= now - KEPT_MS)
        with self._store.writing() as db:
            return db.execute(delete(_CAP).where(old)).rowcount

    def official(self, now: int) -> OfficialLevel | None:
        """The hydromet office's disaster-risk level in force at `now`, ms UTC, as a person entered it."""
        with self._store.reading() as db:
            return official_level(db, now)

    def receive(self, key: tuple[str, str, str], kept: Kept) -> bool:
        """False: it is here already. `key`: sender, identifier, sent; together they are one document (section 3.2)."""
        table = schema.cap_received
        row = {"sender": key[0], "identifier": key[1], "sent": key[2], **asdict(kept)}
        with self._store.writing() as db:
            known = (table.c.sender == key[0]) & (table.c.identifier == key[1]) & (table.c.sent == key[2])
            if db.execute(select(table.c.id).where(known)).first() is not None:
                return False
            db.execute(insert(table), row)
            newest = select(table.c.id).order_by(table.c.id.desc()).limit(RECEIVED_MOST)
            db.execute(delete(table).where(table.c.id.not_in(newest)))
        return True

    def received(self, limit: int = 100) -> list[Kept]:
        """The newest first."""
        table = schema.cap_received
        with self._store.reading() as db:
            rows = db.execute(select(table.c.at, table.c.by, table.c.xml).order_by(table.c.id.desc()).limit(limit))
            return [Kept(*row) for row in rows]


def _document(row: Row[Any]) -> Document:
    return Document(**{name: getattr(row, name) for name in Document.__dataclass_fields__})
