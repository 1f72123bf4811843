"""What is to be said to one contact without any notice, sealed until the post makes a message of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, update

from alerts.residents.schema import errand
from alerts.residents.seal import Seal


def write_errand(
    db: Connection, seal: Seal, contact: int, body: Mapping[str, Any], *, lane: int, now_ms: int, expires_at: int
) -> int:
    """Its number. `body`: kind, subject and texts by language, and what its kind needs; plain data."""
    row = {"contact": contact, "kind": body["kind"], "lane": lane, "body": b"", "created_at": now_ms,
           "expires_at": expires_at}  # fmt: skip
    id_ = db.execute(insert(errand).returning(errand.c.id), row).scalar_one()
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
