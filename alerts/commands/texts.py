"""Files that people write, read as text with an error that names them."""

from __future__ import annotations

from pathlib import Path

from ingest.city import ConfigError


def read_text(path: Path) -> str:
    """Raises ConfigError where the file cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file", str(error), "a readable text in UTF-8", str(path)) from None
