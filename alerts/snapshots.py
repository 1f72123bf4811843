"""Snapshots: the folds of the journal as files, named in the ledger. A damaged one is passed over for an older one."""

from __future__ import annotations

import logging
import os
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec

from ingest.entries import Position

log = logging.getLogger(__name__)

KEPT: Final = 3  # files; older ones are unlinked once a newer one is named in the ledger
_MAGIC: Final = b"canhbao-snapshot-1\n"


class Snapshots:
    """A folder of snapshots, written by one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, position: Position, state: dict[str, Any]) -> str:
        """The name under which `state` is on disk, whole or not at all. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{position:020d}.snapshot"
        body = msgspec.msgpack.encode(state)
        unfinished = self._folder / f"{name}.part"
        with unfinished.open("wb") as file:
            file.write(_MAGIC + zlib.crc32(body).to_bytes(4, "big") + body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._folder / name)
        _sync(self._folder)
        return name

    def read(self, name: str) -> dict[str, Any] | None:
        """The state, None where the file is gone or damaged."""
        try:
            content = (self._folder / name).read_bytes()
        except OSError as error:
            log.warning("snapshot %s: %s", name, error.strerror)
            return None
        head = len(_MAGIC) + 4
        if not content.startswith(_MAGIC) or zlib.crc32(content[head:]).to_bytes(4, "big") != content[head - 4 : head]:
            log.warning("snapshot %s is damaged, an older one is taken", name)
            return None
        state: dict[str, Any] = msgspec.msgpack.decode(content[head:])
        return state

    def prune(self) -> None:
        """Unlink all but the newest KEPT."""
        for path in sorted(self._folder.glob("*.snapshot"))[:-KEPT]:
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
