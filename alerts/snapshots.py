"""Snapshots: the folds of the journal as files, named in the ledger. A damaged one is passed over for an older one."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from typing import Any, Final

import msgspec

from ingest.disk import LOCAL, Disk
from ingest.entries import Position

log = logging.getLogger(__name__)

KEPT: Final = 3  # files; older ones are unlinked once a newer one is named in the ledger
_MAGIC: Final = b"canhbao-snapshot-2\n"


class Snapshots:
    """A folder of snapshots, written by one process."""

    def __init__(self, folder: Path, disk: Disk = LOCAL) -> None:
        self._folder, self._disk = folder, disk

    def write(self, position: Position, state: dict[str, Any]) -> str:
        """The name under which `state` is on disk, whole or not at all. Raises OSError."""
        self._disk.make_folder(self._folder)
        name = f"{position:020d}.snapshot"
        body = msgspec.msgpack.encode(state)
        self._disk.write(self._folder / name, _MAGIC + zlib.crc32(body).to_bytes(4, "big") + body)
        return name

    def read(self, name: str) -> dict[str, Any] | None:
        """The state, None where the file is gone or damaged."""
        try:
            content = self._disk.read(self._folder / name)
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
        """Unlink all but the newest KEPT, and what a crash has left half written."""
        names = self._disk.names(self._folder)
        kept = [name for name in names if name.endswith(".snapshot")][-KEPT:]
        for name in names:
            if name not in kept:
                self._disk.unlink(self._folder / name)
