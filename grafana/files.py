"""Texts onto disk: only what differs is written, whole or not at all; our dashboards that are no more go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grafana.board import TAG


@dataclass(frozen=True, slots=True)
class Written:
    """Paths below the folder."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def write(folder: Path, texts: Mapping[str, str]) -> Written:
    """Raises OSError where the folder cannot be written to."""
    written = [path for path, text in texts.items() if _put(folder / path, text)]
    ours = (folder / "dashboards").glob(f"*/{TAG}-*.json")
    gone = [path for path in sorted(ours) if path.relative_to(folder).as_posix() not in texts]
    for path in gone:
        path.unlink()
    unchanged = [path for path in texts if path not in written]
    return Written(tuple(written), tuple(unchanged), tuple(path.relative_to(folder).as_posix() for path in gone))


def _put(path: Path, text: str) -> bool:
    data = text.encode()
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f".{path.name}.{os.getpid()}")  # Grafana looks for new files every 30 s: never half of one
    try:
        whole.write_bytes(data)
        whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
    return True
