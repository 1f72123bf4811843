"""The data folder: its lock (one process a folder, for journal, ledger and broker state alike), its small secrets, and
where the service that works on it answers.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ingest.disk import LOCAL

_ADDRESS: Final = "address"


class FolderError(Exception):
    """The folder cannot be used; one line that says which folder and why."""


class FolderLockedError(FolderError):
    """Another process has it."""


class FolderLock:
    """Held until `release`, or until this process ends, however it ends."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def lock_folder(folder: Path) -> FolderLock:
    """Make `folder` if need be and lock it for this process.

    Raises FolderLockedError (with the process that has it) or FolderError (it cannot be made, written or locked).
    """
    file = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise FolderError(f"{folder}: cannot be used as data folder: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        pid = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise FolderLockedError(f"{folder}: in use by process {pid}; one process at a time") from None
    except OSError as error:
        os.close(fd)
        raise FolderError(f"{folder}: cannot be locked: {error.strerror}") from error
    return FolderLock(fd)


def announce(folder: Path, url: str) -> FolderLock:
    """Say in `<folder>/address` that the service of this folder answers at `url`, for as long as the lock is held.

    The lock is what counts: what a killed process leaves in the file is believed by nobody. Raises FolderError.
    """
    try:
        fd = os.open(folder / _ADDRESS, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)  # only we ourselves may look, and hold it for a moment
        os.truncate(fd, 0)
        os.pwrite(fd, url.encode(), 0)
    except OSError as error:
        raise FolderError(f"{folder / _ADDRESS}: {error.strerror}") from error
    return FolderLock(fd)


def announced(folder: Path) -> str | None:
    """Where the running service of `folder` answers; None where none runs. Raises FolderError where nobody may look."""
    try:
        fd = os.open(folder / _ADDRESS, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FolderError(f"{folder / _ADDRESS}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 200, 0).decode(errors="replace") or None
    finally:
        os.close(fd)
    return None


def kept_random(file: Path, prefix: str = "") -> str:
    """`prefix` and 128 random bits in hex, drawn once and the same ever after. Raises OSError."""
    if not file.exists():
        write_private(file, prefix + secrets.token_hex(16))
    return file.read_text("ascii").strip()


def write_private(file: Path, text: str) -> None:
    """Whole or not at all, and from its first byte on readable by us alone. Raises OSError."""
    LOCAL.write(file, text.encode(), mode=0o600)
