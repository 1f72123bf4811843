"""The file system as the stores need it. What a power cut leaves is part of each promise, so tests put a simulated one
in its place.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

Mode: TypeAlias = Literal["ro", "rw", "rwc"]  # SQLite's: read, write, and make the file where there is none


class Disk(Protocol):
    """Every method raises OSError, `connect` sqlite3.Error, where the disk or its rights refuse."""

    def make_folder(self, folder: Path) -> None:
        """With its parents, where they are not there yet. Their names survive a power cut from here on."""

    def names(self, folder: Path) -> list[str]:
        """What is in `folder`, in order; nothing where it is not there."""

    def read(self, file: Path) -> bytes: ...

    def write(self, file: Path, content: bytes) -> None:
        """Whole or not at all, for readers as for a power cut; there to stay when it returns."""

    def rename(self, file: Path, new: Path) -> None:
        """Within one folder, over what may have the new name. There to stay when it returns."""

    def unlink(self, file: Path) -> None:
        """Gone for every reader, also where it was not there; a power cut may bring it back."""

    def connect(self, file: Path, mode: Mode, *, busy_s: float) -> sqlite3.Connection:
        """Autocommit, usable by any one thread at a time; waits up to `busy_s` for another process's lock."""


class LocalDisk:
    """This machine's."""

    def make_folder(self, folder: Path) -> None:
        if folder.exists():
            return
        self.make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def read(self, file: Path) -> bytes:
        return file.read_bytes()

    def write(self, file: Path, content: bytes, *, mode: int = 0o644) -> None:
        """`mode`: who may read it, from its first byte on."""
        new = file.with_name(f".{file.name}.new")
        new.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
        except OSError:
            new.unlink(missing_ok=True)  # on a full disk its half may be what others lack
            raise
        self.rename(new, file)

    def rename(self, file: Path, new: Path) -> None:
        file.replace(new)
        _sync(new.parent)

    def unlink(self, file: Path) -> None:
        file.unlink(missing_ok=True)

    def connect(self, file: Path, mode: Mode, *, busy_s: float) -> sqlite3.Connection:
        if mode == "rwc":
            _private(file)
        uri = f"{file.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False)


def _private(file: Path) -> None:
    """A new file is for its owner alone; SQLite gives what it puts beside it the same mode.

    One that is there is not opened: to close it would drop the locks that SQLite holds on it in this process.
    """
    with suppress(OSError):  # there already; or not to be made, which SQLite says in its own way
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sync(folder: Path) -> None:
    """The names in `folder` survive a power cut from here on."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_ahead(db: sqlite3.Connection) -> None:
    """Its write-ahead log from here on. Raises sqlite3.OperationalError where it is not to be had.

    The pragma does not raise: where the disk failed it answers with the mode that stays, and in any other mode a crash
    leaves a file that readers cannot open.
    """
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise sqlite3.OperationalError(f"no write-ahead log, the journal mode stays {mode}")


LOCAL: Final = LocalDisk()
