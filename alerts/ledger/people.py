"""Users and their tokens. Every change is one transaction with its row of the audit.

A token is `cb_<id>_<secret>`: 48 public bits to find it by, 256 random bits that are compared in constant time. Of the
secret only the SHA-256 is kept: it is as random as a key can be, so that nothing slower makes it any safer.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from alerts.ledger import audit, schema
from alerts.ledger.audit import Entry
from alerts.ledger.store import Store
from alerts.people.user import Centre, Role, User

USERS_MOST: Final = 2_000  # in memory, and looked through when somebody is to be called; the next one is refused
TOKENS_MOST: Final = 8  # of one user that are not revoked; the next one is refused
_TOKEN: Final = re.compile(r"cb_([0-9a-f]{12})_([0-9a-f]{64})\Z")
_NO_HASH: Final = "0" * 64  # the SHA-256 of nothing that anybody knows


class PeopleError(Exception):
    """It cannot be done as things stand; one line that says why. Nothing has changed."""


@dataclass(frozen=True, slots=True)
class Token:
    """What may be known of a token. Times ms UTC."""

    id: str
    user: str
    created_at: int
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something, when (ms UTC), under which key; "": each call is an act of its own."""

    name: str
    at: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    users: Mapping[str, User] = field(default_factory=dict)
    tokens: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # id -> hash, user; those in force


class People:
    """Reads are from memory (one process has the data folder), from any thread; writes raise LedgerError, PeopleError.

    What has been written is in force when the call returns.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changing = threading.Lock()
        self._known = _read(store)

    @property
    def users(self) -> tuple[User, ...]:
        """In the order of their names, also those that are not active."""
        return tuple(self._known.users.values())

    def user(self, name: str) -> User | None:
        return self._known.users.get(name)

    def holder(self, token: str) -> User | None:
        """The active user whose token this is. It takes the same steps whatever is wrong with it."""
        match, known = _TOKEN.match(token), self._known
        id_, secret = match.groups() if match is not None else ("", "")
        kept, name = known.tokens.get(id_, (_NO_HASH, ""))
        same = hmac.compare_digest(_hash(secret), kept)
        user = known.users.get(name)
        return user if same and user is not None and user.active else None

    def tokens(self, name: str) -> list[Token]:
        """Of a user, the oldest first, also the revoked ones."""
        table = schema.access_token
        query = select(table).where(table.c.account == name).order_by(table.c.created_at, table.c.id)
        with self._store.reading() as db:
            return [Token(row.id, row.account, row.created_at, row.revoked_at) for row in db.execute(query)]

    def add(self, user: User, by: By) -> User:
        """The same user again changes nothing."""
        with self._changing:
            if (known := self.user(user.name)) is not None:
                if known != user:
                    raise PeopleError(f"there is a user {user.name} already; canhbao user scope changes one")
                return known
            if len(self._known.users) >= USERS_MOST:
                raise PeopleError(f"there are {USERS_MOST} users already")
            with self._store.writing() as db:
                db.execute(
                    insert(schema.account), _row(user) | {"created_at": by.at, "created_by": by.name}
                )  # fmt: skip
                written = _audited(db, by, "user_add", f"user/{user.name}", _plain(user))
            self._take_over(written)
            return user

    def change(self, user: User, by: By) -> User:
        """Role, scope and whether active as in `user`. Who is no longer active loses his tokens for good."""
        with self._changing:
            known = self._user(user.name)
            if known == user:
                return known
            with self._store.writing() as db:
                db.execute(update(schema.account).where(schema.account.c.name == user.name).values(_row(user)))
                if not user.active:
                    _revoke(db, by.at, account=user.name)
                detail = {"from": _plain(known), "to": _plain(user)}
                written = _audited(db, by, "user_change", f"user/{user.name}", detail)
            self._take_over(written)
            return user

    def issue(self, name: str, by: By) -> str:
        """A new token, which is kept nowhere: this is the only time that it can be seen."""
        with self._changing:
            if not self._user(name).active:
                raise PeopleError(f"{name} is not active")
            if sum(owner == name for _, owner in self._known.tokens.values()) >= TOKENS_MOST:
                raise PeopleError(f"{name} has {TOKENS_MOST} tokens; revoke one first")
            id_, secret = secrets.token_hex(6), secrets.token_hex(32)
            row = {"id": id_, "account": name, "hash": _hash(secret), "created_at": by.at, "created_by": by.name}
            with self._store.writing() as db:
                written = _audited(db, by, "token_issue", f"user/{name}", {"token": id_})
                db.execute(insert(schema.access_token), row)
            self._take_over(written)
            return f"cb_{id_}_{secret}"

    def revoke(self, name: str, token: str, by: By) -> list[str]:
        """The ids of the tokens that were in force until now. `token`: an id; "": every one of that user."""
        with self._changing:
            self._user(name)
            in_force = [id_ for id_, (_, owner) in self._known.tokens.items() if owner == name and token in ("", id_)]
            if token and not in_force:
                if any(one.id == token for one in self.tokens(name)):
                    return []  # revoked before
                raise PeopleError(f"{name} has no token {token}; canhbao user list shows them")
            if not in_force:
                return []
            with self._store.writing() as db:
                _revoke(db, by.at, account=name, **({"id": token} if token else {}))
                written = _audited(db, by, "token_revoke", f"user/{name}", {"tokens": sorted(in_force)})
            self._take_over(written)
            return sorted(in_force)

    def _user(self, name: str) -> User:
        if (known := self.user(name)) is None:
            raise PeopleError(f"there is no user {name}")
        return known

    def _take_over(self, written: audit.Written) -> None:
        self._known = _read(self._store)
        audit.tell(written)


def _audited(db: Connection, by: By, verb: str, object_: str, detail: Mapping[str, Any]) -> audit.Written:
    key = by.key or secrets.token_hex(16)
    written, new = audit.append(db, Entry(by.at, by.name, verb, object_, key, detail))
    if not new:  # raised within the transaction: nothing of it stays
        raise PeopleError(f"{verb} under this key was done before, at {written.entry.at} ms UTC")
    return written


def _revoke(db: Connection, at: int, **which: str) -> None:
    table = schema.access_token
    mine = [table.c[name] == value for name, value in which.items()]
    db.execute(update(table).where(table.c.revoked_at.is_(None), *mine).values(revoked_at=at))


def _read(store: Store) -> _Known:
    accounts, table = schema.account, schema.access_token
    with store.reading() as db:
        users = [_user_of(row) for row in db.execute(select(accounts).order_by(accounts.c.name))]
        rows = db.execute(select(table).where(table.c.revoked_at.is_(None)))
        return _Known({user.name: user for user in users}, {row.id: (row.hash, row.account) for row in rows})


def _user_of(row: Row[Any]) -> User:
    areas, hazards = (tuple(msgspec.json.decode(text)) for text in (row.areas, row.hazards))
    return User(row.name, Role(row.role), areas, hazards, Centre(row.centre), row.active)


def _row(user: User) -> dict[str, Any]:
    return _plain(user) | {name: msgspec.json.encode(getattr(user, name)).decode() for name in ("areas", "hazards")}


def _plain(user: User) -> dict[str, Any]:
    return {
        "name": user.name, "role": user.role.value, "areas": list(user.areas), "hazards": list(user.hazards),
        "centre": user.centre.value, "active": user.active,
    }  # fmt: skip


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
