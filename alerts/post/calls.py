"""From the ledger's calls of operators to errands: whoever is called and has a contact is written to.

The desk's own way to operators (console, MQTT, webhooks) needs nothing of this, and this nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same name and the same form

from alerts.delivery.parcel import Lane
from alerts.incidents.decision import Call
from alerts.incidents.incident import Incident
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.store import contact, resident
from alerts.residents.errands import write_errand
from alerts.residents.seal import Seal
from alerts.words.call import call_body
from ingest.city import City

CHUNK: Final = 100  # calls a turn, each to at most 50 users
_CURSOR: Final = select(schema.progress.c.call)
_NEW: Final = insert(schema.progress)
_MOVED: Final = _NEW.on_conflict_do_update(index_elements=["id"], set_={"call": _NEW.excluded.call})
_CONTACTS: Final = (
    select(contact.c.id, resident.c.staff)
    .join(resident, resident.c.id == contact.c.resident)
    .where(resident.c.staff.in_(bindparam("names", expanding=True)), contact.c.state == "active")
    .order_by(contact.c.id)
)


class CallLedger(Protocol):
    """The reading side of the ledger that calls come from."""

    def calls(self, after_id: int, limit: int) -> Sequence[tuple[int, Call]]: ...
    def incident(self, id_: str) -> Incident | None: ...


class Calls:
    """`city`: the registry in force. `public_url`: of the service, with its last slash; "": nobody has said it."""

    def __init__(self, store: Store, ledger: CallLedger, seal: Seal, city: Callable[[], City], public_url: str) -> None:
        self._store, self._ledger, self._seal, self._city, self._url = store, ledger, seal, city, public_url
        self.made = self.unreached = 0  # errands; users who were called and have no contact; since the start

    def turn(self, now: int) -> int:
        """Errands for new calls, each once; how many calls were looked at. Raises LedgerError.

        The errands are on disk before the cursor moves: the two files of the post are not written at one moment.
        """
        with self._store.reading() as db:
            after = db.execute(_CURSOR).scalar() or 0
        calls = self._ledger.calls(after, CHUNK)
        if not calls:
            return 0
        due = [(id_, call, row, until) for id_, call in calls for row, until in self._due(call, now)]
        with self._store.writing_all() as db:
            for id_, call, row, until in due:
                self._write(db, id_, call, row, until, now)
        with self._store.writing() as db:
            db.execute(_MOVED, {"id": 1, "notice": 0, "errand": 0, "call": calls[-1][0]})
        return len(calls)

    def _due(self, call: Call, now: int) -> list[tuple[Incident, int]]:
        """The incident and when the next step is called; none where somebody has answered, or it is that late."""
        row = self._ledger.incident(call.incident)
        if row is None or row.chain is None or call.at + row.chain.every_ms <= now:
            return []
        return [(row, call.at + row.chain.every_ms)]

    def _write(self, db: Connection, id_: int, call: Call, row: Incident, until: int, now: int) -> None:
        body = call_body(call, row, self._city(), self._url, until)
        reached = db.execute(_CONTACTS, {"names": list(call.to)}).all()
        for to in reached:
            written = write_errand(
                db, self._seal, to.id, body, lane=int(Lane.URGENT), now_ms=now, expires_at=until,
                source=f"call {id_} to {to.id}",
            )  # fmt: skip
            self.made += written is not None
        self.unreached += len(set(call.to) - {to.staff for to in reached})
