"""What a resident holds to show that it is he: a token, or for half an hour a code of six digits.

A token is `cbr_<id>_<secret>`: 48 public bits to find it by, 128 random bits of which only the SHA-256 is kept. A code
is tried CODE_TRIES times; what is kept of it is keyed, since a million codes are tried in no time.
"""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Row, delete, insert, select, update

from alerts.residents.schema import key
from alerts.residents.seal import Seal

Use: TypeAlias = Literal["manage", "confirm", "code", "answer"]
CODE_TRIES: Final = 5
_TOKEN: Final = re.compile(r"cbr_([0-9a-f]{12})_([A-Za-z0-9_-]{22})", re.ASCII)
_NO_HASH: Final = "0" * 64  # the SHA-256 of nothing that anybody knows


def new_token(
    db: Connection, use: Use, resident: int, contact: int | None, now_ms: int, expires_at: int | None = None
) -> str:
    """Kept nowhere: this is the only time that it can be seen."""
    id_, secret = secrets.token_hex(6), secrets.token_urlsafe(16)
    _write(db, id_, _hash(secret), use, resident, contact, now_ms, expires_at)
    return f"cbr_{id_}_{secret}"


def holder(db: Connection, token: str, use: Use, now_ms: int) -> Row[Any] | None:
    """The row of a token that is in force. It takes the same steps whatever is wrong with it."""
    match = _TOKEN.fullmatch(token)
    id_, secret = match.groups() if match is not None else ("", "")
    row = _in_force(db, id_, use, now_ms)
    same = hmac.compare_digest(_hash(secret), _NO_HASH if row is None else row.hash)
    return row if same else None


def new_code(
    db: Connection, seal: Seal, resident: int, contact: int, now_ms: int, expires_at: int, *, of_nobody: bool
) -> tuple[str, str]:
    """Its public id and the code. `of_nobody`: a row that looks the same and that no code opens."""
    id_, code = secrets.token_hex(12), f"{secrets.randbelow(1_000_000):06}"
    kept = "" if of_nobody else _keyed(seal, id_, code)
    _write(db, id_, kept, "code", resident, contact, now_ms, expires_at)
    return id_, code


def try_code(db: Connection, seal: Seal, id_: str, code: str, now_ms: int) -> Row[Any] | None:
    """The row of a code that is right; each try counts, and the last wrong one ends it."""
    row = _in_force(db, id_, "code", now_ms)
    right = hmac.compare_digest(_keyed(seal, id_, code), row.hash if row is not None else "")
    if row is None or right:
        return row
    db.execute(update(key).where(key.c.id == id_).values(tries=key.c.tries + 1))
    db.execute(delete(key).where(key.c.id == id_, key.c.tries >= CODE_TRIES))
    return None


def drop(db: Connection, *, contact: int) -> None:
    """Codes and links by which a contact could be confirmed."""
    db.execute(delete(key).where(key.c.contact == contact, key.c.use.in_(("code", "confirm"))))


def _write(
    db: Connection, id_: str, kept: str, use: Use, resident: int, contact: int | None, at: int, expires_at: int | None
) -> None:  # fmt: skip
    row = {"id": id_, "hash": kept, "use": use, "resident": resident, "contact": contact, "created_at": at,
           "expires_at": expires_at, "tries": 0}  # fmt: skip
    db.execute(insert(key), row)


def _in_force(db: Connection, id_: str, use: Use, now_ms: int) -> Row[Any] | None:
    row = db.execute(select(key).where(key.c.id == id_, key.c.use == use)).one_or_none()
    return row if row is not None and (row.expires_at is None or row.expires_at > now_ms) else None


def _keyed(seal: Seal, id_: str, code: str) -> str:
    return seal.digest("code of a contact", f"{id_}\n{code}").hex()


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
