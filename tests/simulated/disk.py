"""A disk in memory: what a process sees of it, and what a power cut leaves of that.

Modelled after what POSIX promises and file systems with a journal do: written bytes are sure only after a sync of their
file; what was not synced survives in any part and order, torn at sectors; changes of names survive as far as some
moment, all up to there; a sync that fails may have dropped what it was to write, and the next one does not say so.
A process that is killed loses nothing that it had handed over.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, TypeAlias

SECTOR: Final = 512

Act: TypeAlias = Callable[[str], None]  # called before every access, with its name; may raise a Fault or Dead


class Fault(Exception):  # noqa: N818  # an event of the world, no error of ours
    """This access fails, with a number of errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Dead(Exception):  # noqa: N818  # ditto
    """The process that asked is no more; nothing of the access happens."""


@dataclass(eq=False)
class File:
    """`data` is what processes see. `sure` is on the platter; `loose` was written since, in order: (offset, bytes),
    or (size, None) for a cut.
    """

    data: bytearray = field(default_factory=bytearray)
    sure: bytearray = field(default_factory=bytearray)
    loose: list[tuple[int, bytes | None]] = field(default_factory=list)
    readers: set[int] = field(default_factory=set)  # SQLite's locks, by open file
    reserved: int = 0
    pending: int = 0
    exclusive: int = 0
    shared_memory: list[object] = field(default_factory=list)
    memory_locks: dict[int, dict[int, bool]] = field(default_factory=dict)  # slot -> open file -> exclusive

    def write(self, offset: int, content: bytes) -> None:
        _put(self.data, offset, content)
        self.loose.append((offset, content))

    def cut(self, size: int) -> None:
        del self.data[size:]
        self.loose.append((size, None))

    def synced(self) -> None:
        for offset, content in self.loose:
            _replay(self.sure, offset, content)
        self.loose.clear()

    def half_synced(self, r: Random) -> None:
        """A sync that failed: some of it is on the platter, and of the rest the system thinks so too."""
        for offset, content in self.loose:
            if r.random() < 0.5:
                _replay(self.sure, offset, content)
        self.loose.clear()

    def lose_power(self, r: Random) -> None:
        keep = r.random()
        for offset, content in self.loose:
            if r.random() > keep:
                continue
            if content is not None and r.random() < 0.3:  # torn
                sectors = range(0, len(content), SECTOR)
                for at in sectors:
                    if r.random() < 0.5:
                        _put(self.sure, offset + at, content[at : at + SECTOR])
            else:
                _replay(self.sure, offset, content)
        self.loose.clear()
        self.data = bytearray(self.sure)


class SimulatedDisk:
    """`act` is asked before every access. `room` bytes in all; more is refused as on a full disk."""

    def __init__(self, act: Act, r: Random, connect: Callable[[SimulatedDisk, Path, str], sqlite3.Connection]) -> None:
        self.act, self.random, self._connect = act, r, connect
        self.room = 1 << 40
        self.files: dict[str, File] = {}
        self.folders: set[str] = {"/"}
        self._names: dict[str, File] = {}  # that a power cut leaves for sure
        self._moves: list[tuple[str, File | None]] = []  # since then, in order: a name and what it means now
        self.writes = self.refusals = 0  # refusals: for want of room

    # -- ingest.disk.Disk ------------------------------------------------------------------------------------------

    def make_folder(self, folder: Path) -> None:
        self.folders.add(str(folder))

    def names(self, folder: Path) -> list[str]:
        return sorted(Path(name).name for name in self.files if str(Path(name).parent) == str(folder))

    def read(self, file: Path) -> bytes:
        with _as_os_error(file):
            self.act("read")
            found = self.files.get(str(file))
            if found is None:
                raise Fault(errno.ENOENT)
            return bytes(found.data)

    def write(self, file: Path, content: bytes) -> None:
        new = file.with_name(f".{file.name}.new")
        with _as_os_error(file):
            self.act("create")
            made = self.named(str(new), File())
            try:
                self.put(made, 0, content)
                self.sync(made)
            except Fault:
                self.remove(str(new))
                raise
            self.act("rename")
            self._move(str(new), str(file))
            self.sync_names()

    def rename(self, file: Path, new: Path) -> None:
        with _as_os_error(file):
            self.act("rename")
            self._move(str(file), str(new))
            self.sync_names()

    def unlink(self, file: Path) -> None:
        with _as_os_error(file):
            self.act("unlink")
            self.remove(str(file))

    def connect(self, file: Path, mode: str, *, busy_s: float) -> sqlite3.Connection:  # noqa: ARG002  # nobody else is here
        return self._connect(self, file, mode)

    # -- what it is made of, for SQLite as well --------------------------------------------------------------------

    def named(self, name: str, file: File) -> File:
        self.files[name] = file
        self._moves.append((name, file))
        return file

    def remove(self, name: str) -> None:
        if self.files.pop(name, None) is not None:
            self._moves.append((name, None))

    def put(self, file: File, offset: int, content: bytes) -> None:
        """Raises Fault where there is no room; then a part of it may have been written."""
        self.writes += 1
        self.act("write")
        over = self.used + offset + len(content) - len(file.data) - self.room
        if over > 0 and offset + len(content) > len(file.data):
            self.refusals += 1
            file.write(offset, content[: max(0, len(content) - over)])
            raise Fault(errno.ENOSPC)
        file.write(offset, content)

    @property
    def used(self) -> int:
        return sum(len(file.data) for file in self.files.values())

    def sync(self, file: File) -> None:
        try:
            self.act("sync")
        except Fault:
            file.half_synced(self.random)
            raise
        file.synced()

    def sync_names(self) -> None:
        self.act("sync names")
        for name, file in self._moves:
            self._now_means(name, file)
        self._moves.clear()

    def lose_power(self) -> None:
        for name, file in self._moves[: self.random.randint(0, len(self._moves))]:
            self._now_means(name, file)
        self._moves.clear()
        self.files = dict(self._names)
        for file in self.files.values():
            file.lose_power(self.random)
        self.let_go()

    def let_go(self) -> None:
        """No process has anything open any more."""
        for file in self.files.values():
            file.readers.clear()
            file.reserved = file.pending = file.exclusive = 0
            file.shared_memory.clear()
            file.memory_locks.clear()

    def _move(self, name: str, new: str) -> None:
        file = self.files.pop(name, None)
        if file is None:
            raise Fault(errno.ENOENT)
        self.files[new] = file
        self._moves += [(name, None), (new, file)]

    def _now_means(self, name: str, file: File | None) -> None:
        if file is None:
            self._names.pop(name, None)
        else:
            self._names[name] = file


class _as_os_error:  # noqa: N801  # a context manager, cheaper than a generator
    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        if isinstance(error, Fault):
            raise OSError(error.number, os.strerror(error.number), str(self._file)) from None
        if isinstance(error, Dead):
            raise OSError(errno.EIO, "the process is no more", str(self._file)) from None


def _put(data: bytearray, offset: int, content: bytes) -> None:
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(content)] = content


def _replay(data: bytearray, offset: int, content: bytes | None) -> None:
    if content is None:
        del data[offset:]
    else:
        _put(data, offset, content)
