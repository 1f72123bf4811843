"""The simulated disk keeps what a real one keeps, and may lose what a real one may; SQLite on it is the real SQLite."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from conftest import CI
from simulated import sqlite_vfs
from simulated.disk import Fault, File, SimulatedDisk

FILE = Path("/data/a.sqlite")

pytestmark = pytest.mark.skipif(
    not (CI or sqlite_vfs.available()), reason="this Python's sqlite3 has SQLite built in: there is no way to its disk"
)


def disk_of(seed: int) -> SimulatedDisk:
    return SimulatedDisk(lambda _: None, Random(seed), sqlite_vfs.connect)


def after_a_power_cut(seed: int, *, synced: bool) -> bytes:
    disk = disk_of(seed)
    disk.write(FILE, b"old" * 1000)
    file = disk.files[str(FILE)]
    disk.put(file, 0, b"new" * 1000)
    if synced:
        disk.sync(file)
    disk.lose_power()
    return disk.read(FILE)


def test_synced_bytes_survive_a_power_cut_and_others_may_be_lost_or_torn() -> None:
    old, new = b"old" * 1000, b"new" * 1000
    left = {after_a_power_cut(seed, synced=False) for seed in range(100)}

    assert {after_a_power_cut(seed, synced=True) for seed in range(100)} == {new}
    assert {old, new} < left  # and something between


def test_names_that_were_not_synced_may_be_lost_in_the_order_they_were_made() -> None:
    left = set()
    for seed in range(50):
        disk = disk_of(seed)
        for name in ("/a", "/b"):
            disk.sync(disk.named(name, File()))
        disk.lose_power()
        left.add(tuple(sorted(disk.files)))
    assert left == {(), ("/a",), ("/a", "/b")}


def test_a_failed_sync_may_have_dropped_what_the_next_one_does_not_mention() -> None:
    lost = 0
    for seed in range(50):
        disk = disk_of(seed)
        file = disk.named("/a", File())
        disk.sync_names()
        disk.put(file, 0, b"x")

        def failing(what: str) -> None:
            if what == "sync":
                raise Fault(errno.EIO)

        disk.act = failing
        with pytest.raises(Fault):
            disk.sync(file)
        disk.act = lambda _: None
        disk.sync(file)
        disk.lose_power()
        lost += not disk.files["/a"].data
    assert 0 < lost < 50


def committed_and_kept(seed: int, synchronous: str) -> tuple[int, int]:
    disk = disk_of(seed)
    with closing(disk.connect(FILE, "rwc", busy_s=0)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.execute("CREATE TABLE t (x)")
        committed = Random(seed).randint(1, 60)
        for n in range(committed):
            db.execute("INSERT INTO t VALUES (?)", (n,))
        disk.act = _dead
    disk.lose_power()
    disk.act = lambda _: None
    with closing(disk.connect(FILE, "rwc", busy_s=0)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with suppress(sqlite3.OperationalError):  # not even the table
            return committed, db.execute("SELECT count(*) FROM t").fetchone()[0]
    return committed, 0


def _dead(_what: str) -> None:
    raise Fault(errno.EIO)


def test_sqlite_keeps_what_it_committed_with_full_syncs_and_loses_without() -> None:
    full = [committed_and_kept(seed, "FULL") for seed in range(40)]
    off = [committed_and_kept(seed, "NORMAL") for seed in range(40)]

    assert all(committed == kept for committed, kept in full)
    assert any(committed > kept for committed, kept in off)


def test_a_full_disk_refuses_what_would_grow_and_says_so() -> None:
    disk = disk_of(1)
    with closing(disk.connect(FILE, "rwc", busy_s=0)) as db:
        db.execute("CREATE TABLE t (x)")
        disk.room = disk.used
        with pytest.raises(sqlite3.OperationalError, match="full"):
            db.execute("INSERT INTO t VALUES (zeroblob(100000))")
        disk.room *= 100
        db.execute("INSERT INTO t VALUES (zeroblob(100000))")
        disk.room = disk.used
        with pytest.raises(OSError, match="No space left"):
            disk.write(Path("/data/b"), b"12")
    assert disk.names(Path("/data")) == ["a.sqlite"]


def test_two_connections_keep_to_each_others_locks() -> None:
    disk = disk_of(1)
    with closing(disk.connect(FILE, "rwc", busy_s=0)) as one, closing(disk.connect(FILE, "rw", busy_s=0)) as two:
        one.execute("PRAGMA journal_mode=WAL")
        one.execute("CREATE TABLE t (x)")
        one.execute("BEGIN IMMEDIATE")
        one.execute("INSERT INTO t VALUES (1)")
        assert two.execute("SELECT count(*) FROM t").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            two.execute("BEGIN IMMEDIATE")
        one.execute("COMMIT")
        assert two.execute("SELECT count(*) FROM t").fetchone() == (1,)
