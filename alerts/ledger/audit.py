"""The audit: what people did, in one chain of rows to which is only added.

Each row carries the SHA-256 of itself and of the row before it, over one canonical text (`digest`; written down in
docs/reference/audit.md, so that anybody can check it). Edited, removed or reordered rows break the chain. Rows cut off
its end leave a chain that is whole: against that stands the head (`17:9f3c…`), which is logged with every act and shown
by the API; whoever keeps one from elsewhere can hand it to `verify`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, insert, select

from alerts.ledger import schema
from alerts.ledger.store import Store

log = logging.getLogger(__name__)

GENESIS: Final = "0" * 64  # what the first row has before it
_TABLE: Final = schema.audit
_STEP: Final = 1_000  # rows read at a time while the chain is walked
_HEAD: Final = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})\Z")
_LAST: Final = select(_TABLE.c.seq, _TABLE.c.hash).order_by(_TABLE.c.seq.desc()).limit(1)
_KNOWN: Final = select(_TABLE).where(_TABLE.c.by == bindparam("who"), _TABLE.c.key == bindparam("its_key"))
_ADDED: Final = insert(_TABLE)
_AFTER: Final = select(_TABLE).where(_TABLE.c.seq > bindparam("after")).order_by(_TABLE.c.seq).limit(_STEP)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written down. `at` ms UTC; `object` as in "incident/flood.20242.…"; `detail`, `answer` plain JSON.

    `key`: with `by` it names the act; never empty.
    """

    at: int
    by: str
    verb: str
    object: str
    key: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row. `seq` 0 and GENESIS: there is none."""

    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def of(cls, text: str) -> Head:
        """Raises ValueError."""
        match = _HEAD.match(text)
        if match is None:
            raise ValueError(f"{text[:80]!r} is no head: a number, a colon and 64 hex digits")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Written:
    """A row. `entry` as it was given."""

    seq: int
    entry: Entry
    previous: str
    hash: str

    @property
    def head(self) -> Head:
        return Head(self.seq, self.hash)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first row where the chain does not hold, and how."""

    seq: int
    why: str


def append(db: Connection, entry: Entry) -> tuple[Written, bool]:
    """The row of `entry`, written in this transaction; False: its (by, key) has one already, which is returned.

    `db`: a writing transaction of Store, of which there is one at a time. Raises ValueError for an empty key.
    """
    if not entry.key:
        raise ValueError("an act without a key")
    if (known := find(db, entry.by, entry.key)) is not None:
        return known, False
    before = head(db)
    row: dict[str, Any] = {
        "seq": before.seq + 1, "at": entry.at, "by": entry.by, "verb": entry.verb, "object": entry.object,
        "detail": _text(entry.detail), "answer": _text(entry.answer), "key": entry.key, "previous": before.hash,
    }  # fmt: skip
    hash_ = digest(row)
    db.execute(_ADDED, row | {"hash": hash_})
    return Written(before.seq + 1, entry, before.hash, hash_), True


def find(db: Connection, by: str, key: str) -> Written | None:
    """The row of an act that was done before."""
    row = db.execute(_KNOWN, {"who": by, "its_key": key}).one_or_none()
    return None if row is None else _written(row)


def tell(written: Written) -> None:
    """The head, once its transaction is over: logs leave the machine, and are what an end cut off later is held to."""
    log.info("audit %s: %s by %s", written.head, written.entry.verb, written.entry.by)


def head(db: Connection) -> Head:
    row = db.execute(_LAST).one_or_none()
    return Head() if row is None else Head(row.seq, row.hash)


def digest(row: Mapping[str, Any]) -> str:
    """SHA-256 over the JSON array [seq, at, by, verb, object, detail, answer, key, previous], UTF-8, no blanks.

    `detail` and `answer` are the texts of the columns, JSON within JSON: nothing has to be read to be checked.
    """
    names = ("seq", "at", "by", "verb", "object", "detail", "answer", "key", "previous")
    return sha256(msgspec.json.encode([row[name] for name in names])).hexdigest()


class Audit:
    """The reading side, from any thread. Methods raise LedgerError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def head(self) -> Head:
        with self._store.reading() as db:
            return head(db)

    def find(self, by: str, key: str) -> Written | None:
        with self._store.reading() as db:
            return find(db, by, key)

    def page(
        self, *, before: int | None = None, by: str | None = None, object_: str | None = None, limit: int = 100
    ) -> tuple[list[Written], int | None]:
        """The newest first, those below number `before`; and the `before` of the next page (None: no more)."""
        query = select(_TABLE).order_by(_TABLE.c.seq.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(_TABLE.c.seq < before)
        if by is not None:
            query = query.where(_TABLE.c.by == by)
        if object_ is not None:
            query = query.where(_TABLE.c.object == object_)
        with self._store.reading() as db:
            found = [_written(row) for row in db.execute(query)]
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    def verify(self, kept: Head | None = None) -> tuple[Head, Fault | None]:
        """Walks the chain from its first row: the head it comes to, and the first row that does not hold.

        `kept`: a head from elsewhere, which has to be in the chain.
        """
        last = Head()
        for row in self._rows():
            fault = _fault(row, last)
            if fault is None and kept is not None and row["seq"] == kept.seq and row["hash"] != kept.hash:
                fault = Fault(row["seq"], "this row is not the one that had this number when the head was kept")
            if fault is not None:
                return last, fault
            last = Head(row["seq"], row["hash"])
        if kept is not None and kept.seq > last.seq:
            return last, Fault(last.seq + 1, f"the end is missing: there were {kept.seq} rows")
        return last, None

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        after = -(2**63)  # a row that somebody has put before the first is looked at as well
        while True:
            with self._store.reading() as db:
                rows = db.execute(_AFTER, {"after": after}).all()
            yield from (row._asdict() for row in rows)
            if len(rows) < _STEP:
                return
            after = rows[-1].seq


def _fault(row: Mapping[str, Any], before: Head) -> Fault | None:
    if row["seq"] != before.seq + 1:
        return Fault(before.seq + 1, f"this row is missing: the next one is {row['seq']}")
    if row["previous"] != before.hash:
        return Fault(row["seq"], "it does not follow from the row before it")
    if row["hash"] != digest(row):
        return Fault(row["seq"], "it is not what was written")
    return None


def _text(plain: Mapping[str, Any]) -> str:
    return msgspec.json.encode(plain, order="sorted").decode()


def _written(row: Row[Any]) -> Written:
    detail, answer = msgspec.json.decode(row.detail), msgspec.json.decode(row.answer)
    return Written(
        row.seq, Entry(row.at, row.by, row.verb, row.object, row.key, detail, answer), row.previous, row.hash
    )
