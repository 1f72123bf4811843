"""The post's file as it stands, read from outside while it works."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from post.invariants import Row


def rows(data: Path) -> list[Row]:
    names = ", ".join(field.name for field in fields(Row))
    with closing(sqlite3.connect(f"file:{data / 'post.sqlite'}?mode=ro", uri=True)) as db:
        return [Row(*row) for row in db.execute(f"SELECT {names} FROM message ORDER BY id")]


def left(data: Path, last: int, until: int | None) -> bool:
    """Whether something is to be done: notices up to `last` to be told, or messages due by `until` (None: ever)."""
    with closing(sqlite3.connect(f"file:{data / 'post.sqlite'}?mode=ro", uri=True)) as db:
        followed = db.execute("SELECT max(notice) FROM progress").fetchone()[0]
        if followed is None or followed < last:
            return True
        told = db.execute("SELECT count(*) FROM telling WHERE after IS NOT NULL").fetchone()[0]
        due = "SELECT count(*) FROM message WHERE next_try_at IS NOT NULL"
        waiting = db.execute(due if until is None else f"{due} AND next_try_at <= {until}").fetchone()[0]
        return bool(told or waiting)
