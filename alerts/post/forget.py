"""What the post need not know any more goes, a little at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, delete, func, select

from alerts.ledger.store import Store
from alerts.post import schema

KEEP_MS: Final = 400 * 86_400_000  # a year back there was a storm to compare with; as long as the journal
KEEP_COUNTS_MS: Final = 7 * 86_400_000  # of today alone is of use; a week is for whoever asks
KEEP_ERRAND_MS: Final = 7 * 86_400_000  # a code is good for half an hour; why it did not come is asked within days
CHUNK: Final = 1000  # messages a transaction

_T, _M = schema.telling, schema.message
_OLD: Final = (
    select(_T.c.seq)
    .where(_T.c.after.is_(None), _T.c.arrival < bindparam("before"), _T.c.seq >= bindparam("first"))
    .order_by(_T.c.seq)
    .limit(1)
)
_OF: Final = select(_M.c.id).where(_M.c.seq == bindparam("of")).limit(CHUNK)
_ERRANDS: Final = delete(_M).where(_M.c.seq.in_(
    select(_T.c.seq).where(_T.c.seq < 0, _T.c.arrival < bindparam("before")).limit(CHUNK)
))  # fmt: skip
_NO_MESSAGE: Final = delete(_T).where(
    _T.c.seq < 0, _T.c.arrival < bindparam("before"), ~select(_M.c.id).where(_M.c.seq == _T.c.seq).exists()
)
_CONTENT: Final = delete(schema.content).where(schema.content.c.at < bindparam("before"))
_COUNTS: Final = [delete(table).where(table.c.day < bindparam("before")) for table in (schema.told, schema.spent)]


def forget(store: Store, now: int) -> int:
    """One step: how many messages went. Raises LedgerError."""
    with store.reading() as db:
        old = db.execute(_OLD, {"before": now - KEEP_MS, "first": 1}).scalar()
        errands = db.execute(select(func.min(_T.c.arrival)).where(_T.c.seq < 0)).scalar()
    gone = 0
    if old is not None:
        with store.writing() as db:
            gone = db.execute(delete(_M).where(_M.c.id.in_(_OF)), {"of": old}).rowcount
            if not gone:
                db.execute(delete(_T).where(_T.c.seq == old))
    if errands is not None and errands < now - KEEP_ERRAND_MS:
        with store.writing() as db:
            gone += db.execute(_ERRANDS, {"before": now - KEEP_ERRAND_MS}).rowcount
            db.execute(_NO_MESSAGE, {"before": now - KEEP_ERRAND_MS})
    return gone


def forget_counts(store: Store, now: int) -> None:
    """What was counted by day, and words that no message is left of. Raises LedgerError."""
    day = datetime.fromtimestamp((now - KEEP_COUNTS_MS) / 1000, UTC).date().isoformat()
    with store.writing() as db:
        db.execute(_CONTENT, {"before": now - KEEP_MS})
        for statement in _COUNTS:
            db.execute(statement, {"before": day})
