"""SQLite on the simulated disk: a VFS (sqlite.org/vfs.html) in Python, put into the library that sqlite3 has loaded.

All of SQLite above it is real: pager, write-ahead log, recovery, locks as its own contract has them.
"""

from __future__ import annotations

import ctypes as c
import ctypes.util
import errno
import sqlite3
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from simulated.disk import Dead, Fault, File, SimulatedDisk

NAME: Final = "canhbao-simulated"
_PAGE: Final = 1024  # of a path, with its end

_OK, _ERROR, _BUSY, _IOERR, _FULL, _CANTOPEN, _NOTFOUND = 0, 1, 5, 10, 13, 14, 12
_SHORT_READ, _READ, _WRITE, _FSYNC = (_IOERR | n << 8 for n in (2, 1, 3, 4))
_CREATE, _DELETE_ON_CLOSE, _MAIN_DB, _MAIN_JOURNAL, _WAL = 0x4, 0x8, 0x100, 0x800, 0x80000
_POWERSAFE_OVERWRITE: Final = 0x1000  # as on this system's own: a torn write leaves its neighbours alone
_SHARED, _RESERVED, _PENDING, _EXCLUSIVE = 1, 2, 3, 4
_SHM_UNLOCK, _SHM_LOCK, _SHM_SHARED, _SHM_EXCLUSIVE = 1, 2, 4, 8

_int, _i64, _ptr = c.c_int, c.c_int64, c.c_void_p


class _Open(c.Structure):
    """sqlite3_file; its address says which of ours it is."""

    _fields_ = (("methods", _ptr),)


_F = _ptr  # sqlite3_file*
_IO: Final = {  # of struct sqlite3_io_methods, version 2, in its order
    "xClose": (_F,), "xRead": (_F, _ptr, _int, _i64), "xWrite": (_F, _ptr, _int, _i64), "xTruncate": (_F, _i64),
    "xSync": (_F, _int), "xFileSize": (_F, c.POINTER(_i64)), "xLock": (_F, _int), "xUnlock": (_F, _int),
    "xCheckReservedLock": (_F, c.POINTER(_int)), "xFileControl": (_F, _int, _ptr), "xSectorSize": (_F,),
    "xDeviceCharacteristics": (_F,), "xShmMap": (_F, _int, _int, _int, c.POINTER(_ptr)),
    "xShmLock": (_F, _int, _int, _int), "xShmBarrier": (_F,), "xShmUnmap": (_F, _int),
}  # fmt: skip
_VFS: Final = {  # of struct sqlite3_vfs, version 1, from xOpen on
    "xOpen": (_ptr, c.c_char_p, _F, _int, c.POINTER(_int)), "xDelete": (_ptr, c.c_char_p, _int),
    "xAccess": (_ptr, c.c_char_p, _int, c.POINTER(_int)), "xFullPathname": (_ptr, c.c_char_p, _int, _ptr),
    "xDlOpen": (), "xDlError": (), "xDlSym": (), "xDlClose": (), "xRandomness": (_ptr, _int, _ptr),
    "xSleep": (_ptr, _int), "xCurrentTime": (_ptr, c.POINTER(c.c_double)), "xGetLastError": (_ptr, _int, _ptr),
}  # fmt: skip
_MAY_FAIL: Final = ("xOpen", "xRead", "xWrite", "xTruncate", "xSync", "xDelete")  # what asks the disk
_TYPES: Final = {name: c.CFUNCTYPE(_int, *kinds) for name, kinds in (_IO | _VFS).items()}


class _Methods(c.Structure):
    _fields_ = (("version", _int), *((name, _TYPES[name]) for name in _IO))


class _Vfs(c.Structure):
    _fields_ = (
        ("version", _int), ("file_size", _int), ("path_most", _int), ("next", _ptr), ("name", c.c_char_p),
        ("app_data", _ptr), *((name, _TYPES[name]) for name in _VFS),
    )  # fmt: skip


def available() -> bool:
    """Whether Python's sqlite3 uses a shared library that we can speak to."""
    return _library() is not None


def connect(disk: SimulatedDisk, file: Path, mode: str) -> sqlite3.Connection:
    """For SimulatedDisk. One disk at a time is the one that SQLite sees."""
    vfs = _registered()
    vfs.disk = disk
    uri = f"file:{file}?mode={mode}&vfs={NAME}"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)


@cache
def _library() -> c.CDLL | None:
    """The one that is loaded already: a second copy would not know our VFS's callers."""
    maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
    paths = {line.split()[-1] for line in maps if "libsqlite3" in line}
    return c.CDLL(paths.pop()) if len(paths) == 1 else None


@cache
def _registered() -> _Functions:
    functions = _Functions()
    library = _library()
    assert library is not None
    assert library.sqlite3_vfs_register(c.byref(functions.vfs), 0) == _OK
    return functions


class _Functions:
    """What SQLite calls. Kept for ever, like everything that C points to."""

    def __init__(self) -> None:
        self.disk: SimulatedDisk | None = None
        self._open: dict[int, tuple[SimulatedDisk, str, File, int]] = {}  # open file -> where, what, flags
        own = {
            name: _TYPES[name](self._guarded(name) if name in _MAY_FAIL else getattr(self, name))
            for name in _TYPES
            if hasattr(self, name)
        }
        missing = {name: _TYPES[name]() for name in _TYPES if name not in own}
        made = own | missing
        self.methods = _Methods(2, *(made[name] for name in _IO))
        self.vfs = _Vfs(1, c.sizeof(_Open), _PAGE, None, NAME.encode(), None, *(made[name] for name in _VFS))

    def _guarded(self, name: str) -> Callable[..., int]:
        """No exception may pass through C: it becomes the result code that the real VFS would give."""
        method, code = getattr(self, name), {"xRead": _READ, "xWrite": _WRITE, "xSync": _FSYNC}.get(name, _IOERR)

        def call(*arguments: Any) -> int:
            try:
                return method(*arguments) or _OK
            except Fault as fault:
                return _FULL if fault.number == errno.ENOSPC else code
            except Dead:
                return code

        return call

    # -- files -----------------------------------------------------------------------------------------------------

    def xOpen(self, _vfs: Any, name: bytes | None, file: int, flags: int, out: Any) -> int:  # noqa: N802  # SQLite's name
        assert self.disk is not None
        disk, path = self.disk, (name or b"").decode()
        _Open.from_address(file).methods = None
        found = disk.files.get(path)
        if found is None:
            if path and not flags & _CREATE:
                return _CANTOPEN
            disk.act("create")
            found = disk.named(path, File()) if path else File()
        self._open[file] = (disk, path, found, flags)
        _Open.from_address(file).methods = c.addressof(self.methods)
        if out:
            out[0] = flags
        return _OK

    def xClose(self, file: int) -> int:  # noqa: N802
        self.xUnlock(file, 0)
        disk, path, _, flags = self._open.pop(file)
        if flags & _DELETE_ON_CLOSE:
            disk.remove(path)
        return _OK

    def xRead(self, file: int, into: int, count: int, offset: int) -> int:  # noqa: N802
        disk, _, found, _ = self._open[file]
        disk.act("read")
        got = bytes(found.data[offset : offset + count])
        if len(got) == count:
            c.memmove(into, got, count)
            return _OK
        c.memmove(into, got + bytes(count - len(got)), count)
        return _SHORT_READ

    def xWrite(self, file: int, content: int, count: int, offset: int) -> None:  # noqa: N802
        disk, _, found, _ = self._open[file]
        disk.put(found, offset, c.string_at(content, count))

    def xTruncate(self, file: int, size: int) -> None:  # noqa: N802
        disk, _, found, _ = self._open[file]
        disk.act("write")
        found.cut(size)

    def xSync(self, file: int, _flags: int) -> None:  # noqa: N802
        disk, _, found, flags = self._open[file]
        disk.sync(found)
        if flags & _CREATE and flags & (_MAIN_JOURNAL | _WAL):
            disk.sync_names()  # as the real one does for logs that it has made

    def xFileSize(self, file: int, out: Any) -> int:  # noqa: N802
        out[0] = len(self._open[file][2].data)
        return _OK

    def xSectorSize(self, _file: int) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self, _file: int) -> int:  # noqa: N802
        return _POWERSAFE_OVERWRITE

    def xFileControl(self, _file: int, _what: int, _argument: Any) -> int:  # noqa: N802
        return _NOTFOUND

    def xDelete(self, _vfs: Any, name: bytes, sync: int) -> int:  # noqa: N802
        assert self.disk is not None
        self.disk.act("unlink")
        if name.decode() not in self.disk.files:
            return _IOERR | 23 << 8  # SQLITE_IOERR_DELETE_NOENT
        self.disk.remove(name.decode())
        if sync:
            self.disk.sync_names()
        return _OK

    def xAccess(self, _vfs: Any, name: bytes, _how: int, out: Any) -> int:  # noqa: N802
        assert self.disk is not None
        found = self.disk.files.get(name.decode())
        out[0] = int(found is not None)
        return _OK

    def xFullPathname(self, _vfs: Any, name: bytes, size: int, out: int) -> int:  # noqa: N802
        c.memmove(out, name + b"\0", min(size, len(name) + 1))
        return _OK

    # -- locks -----------------------------------------------------------------------------------------------------

    def xLock(self, file: int, level: int) -> int:  # noqa: N802
        found = self._open[file][2]
        if level == _SHARED:
            if found.pending or found.exclusive:
                return _BUSY
            found.readers.add(file)
        elif level == _RESERVED:
            if found.reserved not in (0, file):
                return _BUSY
            found.reserved = file
        else:
            if found.reserved not in (0, file) or found.pending not in (0, file):
                return _BUSY
            found.pending = file
            if found.readers - {file}:
                return _BUSY
            found.exclusive = file
        return _OK

    def xUnlock(self, file: int, level: int) -> int:  # noqa: N802
        found = self._open[file][2]
        found.reserved, found.pending, found.exclusive = (
            0 if held == file else held for held in (found.reserved, found.pending, found.exclusive)
        )
        if level == 0:
            found.readers.discard(file)
        return _OK

    def xCheckReservedLock(self, file: int, out: Any) -> int:  # noqa: N802
        found = self._open[file][2]
        out[0] = int(bool(found.reserved or found.exclusive))
        return _OK

    # -- the shared index of the write-ahead log -------------------------------------------------------------------

    def xShmMap(self, file: int, region: int, size: int, extend: int, out: Any) -> int:  # noqa: N802
        memory = self._open[file][2].shared_memory
        if region >= len(memory) and not extend:
            out[0] = None
            return _OK
        while region >= len(memory):
            memory.append(c.create_string_buffer(size))
        out[0] = c.addressof(memory[region])
        return _OK

    def xShmLock(self, file: int, first: int, count: int, flags: int) -> int:  # noqa: N802
        slots = self._open[file][2].memory_locks[first : first + count]
        if flags & _SHM_UNLOCK:
            for slot in slots:
                slot.pop(file, None)
            return _OK
        exclusive = bool(flags & _SHM_EXCLUSIVE)
        for slot in slots:
            for other, held in slot.items():
                if (held or exclusive) and other != file:
                    return _BUSY
        for slot in slots:
            slot[file] = exclusive
        return _OK

    def xShmBarrier(self, _file: int) -> int:  # noqa: N802
        return _OK

    def xShmUnmap(self, file: int, delete: int) -> int:  # noqa: N802
        found = self._open[file][2]
        for slot in found.memory_locks:
            slot.pop(file, None)
        if delete:
            found.shared_memory.clear()
        return _OK

    # -- the system ------------------------------------------------------------------------------------------------

    def xRandomness(self, _vfs: Any, count: int, out: int) -> int:  # noqa: N802
        assert self.disk is not None
        c.memmove(out, self.disk.random.randbytes(count), count)
        return count

    def xSleep(self, _vfs: Any, microseconds: int) -> int:  # noqa: N802
        return microseconds

    def xCurrentTime(self, _vfs: Any, out: Any) -> int:  # noqa: N802
        out[0] = time.time() / 86_400 + 2_440_587.5
        return _OK

    def xGetLastError(self, _vfs: Any, _count: int, _out: Any) -> int:  # noqa: N802
        return 0
