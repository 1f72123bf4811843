"""Who is there: what a gateway says of itself on `…/status`, a device on its own topic, and by their last wills."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ingest.formats.decoded import RefusedError, shown

# By network, "" our own. Tasmota writes them with a capital; case counts nowhere.
_WORDS: Final[Mapping[str, Mapping[bytes, bool]]] = MappingProxyType({
    "": {b"online": True, b"offline": False},
    "tasmota": {b"online": True, b"offline": False},
    "shelly": {b"true": True, b"false": False},
})  # fmt: skip


def decode(payload: bytes, network: str = "") -> bool:
    """Whether the sender is online. Raises RefusedError."""
    words = _WORDS[network]
    online = words.get(payload.strip().lower())
    if online is None:
        text = payload[:100].decode("utf-8", "replace")
        expected = " or ".join(word.decode() for word in words)
        raise RefusedError("wrong_shape", f"a status is {shown(text)}, expected {expected}")
    return online


def encode(*, online: bool) -> bytes:
    return b"online" if online else b"offline"
