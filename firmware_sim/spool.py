"""The gateways' disk spool: what has no receipt yet, with boot and seq, through any crash.

One file serves all gateways of a simulated city, so that a minute of the city costs one wait for the disk.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MESSAGES_MAX: Final = 20_000  # of one gateway; beyond it the oldest are dropped and counted
PARKED_MAX: Final = 1_000  # of all gateways; beyond it the oldest are dropped
_SETTLED_MAX: Final = 500  # receipts kept in memory before they are written; a crash only sends those again

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS gateway (id TEXT PRIMARY KEY, boot TEXT NOT NULL, head INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (
    gateway TEXT NOT NULL, seq INTEGER NOT NULL, readings BLOB NOT NULL, PRIMARY KEY (gateway, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (
    id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, seq INTEGER NOT NULL, readings BLOB NOT NULL
);
"""


class SpoolError(Exception):
    """The spool cannot be used: another process has it, or it is no spool."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the spool holds of one gateway: its boot, the seq of its next message, the seqs without a receipt."""

    boot: str
    head: int
    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that is on disk under `seq`; `dropped_through` the last seq that had to go for it, 0 for none."""

    gateway: str
    seq: int
    dropped_through: int = 0


class Spool:
    """Used by one thread. Every write is on disk when its call returns, but `settle`, which may be late."""

    def __init__(self, path: Path, messages_max: int = MESSAGES_MAX) -> None:
        """Opens or makes the file. Raises SpoolError."""
        self.dropped = 0  # messages that never got a receipt
        self._messages_max = messages_max
        self._settled: list[tuple[str, int]] = []
        self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second process would number messages twice
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise SpoolError(f"{path}: {error}") from None
        self._heads: dict[str, int] = dict(self._db.execute("SELECT id, head FROM gateway"))
        self._counts: dict[str, int] = dict(self._db.execute("SELECT gateway, count(*) FROM message GROUP BY gateway"))

    def open(self, gateways: Iterable[str]) -> dict[str, Held]:
        """What is held of each gateway; the new ones draw their boot here, 64 random bits."""
        fresh = [(id_, secrets.token_hex(8)) for id_ in gateways if id_ not in self._heads]
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO gateway VALUES (?, ?, 1)", fresh)
        self._heads.update((id_, 1) for id_, _ in fresh)
        held: dict[str, Held] = {}
        for id_ in gateways:
            (boot,) = self._db.execute("SELECT boot FROM gateway WHERE id = ?", (id_,)).fetchone()
            rows = self._db.execute("SELECT seq FROM message WHERE gateway = ? ORDER BY seq", (id_,))
            held[id_] = Held(boot, self._heads[id_], tuple(seq for (seq,) in rows))
        return held

    def append(self, messages: Sequence[tuple[str, bytes]]) -> list[Kept]:
        """Numbers (gateway, readings) in their order; all on disk when it returns."""
        kept: list[Kept] = []
        with self._db:
            self._db.execute("BEGIN")
            self._write_settled()
            for gateway, readings in messages:
                seq = self._heads[gateway]
                self._db.execute("INSERT INTO message VALUES (?, ?, ?)", (gateway, seq, readings))
                self._heads[gateway] = seq + 1
                self._counts[gateway] = self._counts.get(gateway, 0) + 1
                kept.append(Kept(gateway, seq, self._make_room(gateway)))
            heads = [(self._heads[gateway], gateway) for gateway in {gateway for gateway, _ in messages}]
            self._db.executemany("UPDATE gateway SET head = ? WHERE id = ?", heads)
        return kept

    def readings(self, gateway: str, seq: int) -> bytes:
        """The readings of a message that is held. Raises KeyError for one that is not."""
        row = self._db.execute("SELECT readings FROM message WHERE gateway = ? AND seq = ?", (gateway, seq)).fetchone()
        if row is None:
            raise KeyError(gateway, seq)
        return bytes(row[0])

    def settle(self, gateway: str, seqs: Iterable[int]) -> None:
        """These have their receipt and need no place any more."""
        self._settled += [(gateway, seq) for seq in seqs]
        if len(self._settled) >= _SETTLED_MAX:
            with self._db:
                self._db.execute("BEGIN")
                self._write_settled()

    def park(self, gateway: str, seq: int, empty: bytes) -> None:
        """Puts the readings of a message aside, for a person to look at; the message itself becomes `empty`."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute(
                "INSERT INTO parked (gateway, seq, readings) SELECT * FROM message WHERE gateway = ? AND seq = ?",
                (gateway, seq),
            )
            self._db.execute("UPDATE message SET readings = ? WHERE gateway = ? AND seq = ?", (empty, gateway, seq))
            self._db.execute("DELETE FROM parked WHERE id <= (SELECT max(id) FROM parked) - ?", (PARKED_MAX,))

    def parked(self) -> list[tuple[str, int, bytes]]:
        """(gateway, seq, readings) of what was put aside, oldest first."""
        return list(self._db.execute("SELECT gateway, seq, readings FROM parked ORDER BY id"))

    def close(self) -> None:
        with self._db:
            self._db.execute("BEGIN")
            self._write_settled()
        self._db.close()

    def _write_settled(self) -> None:
        for gateway, seq in self._settled:
            gone = self._db.execute("DELETE FROM message WHERE gateway = ? AND seq = ?", (gateway, seq)).rowcount
            self._counts[gateway] -= gone
        self._settled.clear()

    def _make_room(self, gateway: str) -> int:
        """The last seq dropped to keep the gateway within its limit, 0 for none."""
        if self._counts[gateway] <= self._messages_max:
            return 0
        (oldest,) = self._db.execute("SELECT min(seq) FROM message WHERE gateway = ?", (gateway,)).fetchone()
        self._db.execute("DELETE FROM message WHERE gateway = ? AND seq = ?", (gateway, oldest))
        self._counts[gateway] -= 1
        self.dropped += 1
        return int(oldest)
