"""What a gateway says of itself on `…/status`: online, or, by its last will, offline."""

from __future__ import annotations

from typing import Final

from ingest.formats.decoded import RefusedError, shown

_WORDS: Final = {b"online": True, b"offline": False}


def decode(payload: bytes) -> bool:
    """Whether the gateway is online. Raises RefusedError."""
    online = _WORDS.get(payload.strip().lower())
    if online is None:
        text = payload[:100].decode("utf-8", "replace")
        raise RefusedError("wrong_shape", f"a status is {shown(text)}, expected online or offline")
    return online


def encode(*, online: bool) -> bytes:
    return b"online" if online else b"offline"
