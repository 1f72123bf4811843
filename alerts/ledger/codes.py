"""The codes under which the texts of versions are kept, and what is to be said of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Row, Select, bindparam, select

from alerts.incidents.incident import Notice
from alerts.ledger import schema
from alerts.ledger.rows import notice_of
from alerts.ledger.store import Store

_CONTENT, _NOTICE, _INCIDENT = schema.content, schema.notice, schema.incident
_TAKEN: Final = select(_CONTENT.c.seq).where(_CONTENT.c.code == bindparam("code"))
_WORDED: Final[Select[Any]] = select(_NOTICE, _CONTENT.c.body).join(
    _CONTENT, _CONTENT.c.seq == _NOTICE.c.seq, isouter=True
)
_CODED: Final = _WORDED.where(_CONTENT.c.code == bindparam("code"))
_NEWEST: Final = _WORDED.where(_NOTICE.c.incident == bindparam("incident")).order_by(_NOTICE.c.version.desc()).limit(1)
_SAID: Final = (
    select(_NOTICE.c.version, _CONTENT.c.body)
    .join(_CONTENT, _CONTENT.c.seq == _NOTICE.c.seq)
    .where(_NOTICE.c.incident == bindparam("incident"))
)
_CLOSED: Final = select(_INCIDENT.c.closed_at).where(_INCIDENT.c.id == bindparam("incident"))


@dataclass(frozen=True, slots=True)
class Worded:
    """A version and what it says; `body` None: not worded yet."""

    notice: Notice
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Coded:
    """What a code stands for, and how its incident stands now. `closed`: whether the incident has ended."""

    said: Worded
    newest: Worded
    closed: bool


class Codes:
    """Read from any thread. Every method raises LedgerError when the store fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def taken(self, code: str) -> bool:
        with self._store.reading() as db:
            return db.execute(_TAKEN, {"code": code}).first() is not None

    def find(self, code: str) -> Coded | None:
        """None: nothing was ever said under that code. Three look-ups by index, of one moment."""
        with self._store.reading() as db:
            row = db.execute(_CODED, {"code": code}).one_or_none()
            if row is None:
                return None
            newest = db.execute(_NEWEST, {"incident": row.incident}).one()
            closed = db.execute(_CLOSED, {"incident": row.incident}).scalar() is not None
            return Coded(_worded(row), _worded(newest), closed)

    def said(self, incident: str) -> dict[int, dict[str, Any]]:
        """Version -> what it says, of every version of the incident that is worded."""
        with self._store.reading() as db:
            rows = db.execute(_SAID, {"incident": incident})
            return {row.version: msgspec.json.decode(row.body) for row in rows}


def _worded(row: Row[Any]) -> Worded:
    _, notice = notice_of(row)
    return Worded(notice, None if row.body is None else msgspec.json.decode(row.body))
