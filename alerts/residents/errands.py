"""What is to be said to one contact without any notice, sealed until the post makes a message of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, update
from sqlalchemy.dialects.sqlite import insert  # PostgreSQL's has the same name and the same form

from alerts.residents.schema import errand
from alerts.residents.seal import Seal


def write_errand(
    db: Connection, seal: Seal, contact: int, body: Mapping[str, Any], *, lane: int, now_ms: int, expires_at: int,
    source: str | None = None,
) -> int | None:  # fmt: skip
    """Its number; None: there is one of that source. `body`: kind, subject and texts by language, and what its kind
    needs; plain data.
    """
    row = {"contact": contact, "kind": body["kind"], "lane": lane, "body": b"", "created_at": now_ms,
           "expires_at": expires_at, "source": source}  # fmt: skip
    new = insert(errand).on_conflict_do_nothing(index_elements=["source"]).returning(errand.c.id)
    id_ = db.execute(new, row).scalar_one_or_none()
    if id_ is None:
        return None
    sealed = seal.close(msgspec.json.encode(body).decode(), _place(id_))
    db.execute(update(errand).where(errand.c.id == id_).values(body=sealed))
    return int(id_)


def opened(seal: Seal, id_: int, sealed: bytes) -> dict[str, Any]:
    """The body of the errand of that number. Raises SealError."""
    return msgspec.json.decode(seal.open(sealed, _place(id_)), type=dict[str, Any])


def drop(db: Connection, *, contact: int) -> None:
    db.execute(delete(errand).where(errand.c.contact == contact))


def _place(id_: int) -> str:
    return f"errand {id_}"
