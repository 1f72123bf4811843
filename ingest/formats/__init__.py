"""One file a payload format, encode beside decode, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ingest.city import is_gateway_id
from ingest.formats import cbor, native
from ingest.formats.decoded import PAYLOAD_BYTES_MAX, REASONS, Decoded, Numbering, Refusal, RefusedError, shown

__all__ = [
    "DECODERS",
    "PAYLOAD_BYTES_MAX",
    "REASONS",
    "Decoded",
    "Numbering",
    "Refusal",
    "RefusedError",
    "decode",
    "gateway_of",
    "shown",
]

PREFIX: Final = "canhbao/v1/"
# What follows canhbao/v1/{gateway}/ -> decode(gateway, payload). A new format is one file and one line here.
DECODERS: Final[Mapping[str, Callable[[str, bytes], Decoded]]] = MappingProxyType({
    "readings": native.decode,
    "backfill": native.decode,
    "readings/cbor": cbor.decode,
    "backfill/cbor": cbor.decode,
})  # fmt: skip


def gateway_of(topic: str) -> str:
    """The gateway that a topic of ours names, "" where it names none."""
    if not topic.startswith(PREFIX):
        return ""
    gateway = topic.removeprefix(PREFIX).partition("/")[0]
    return gateway if is_gateway_id(gateway) else ""


def decode(topic: str, payload: bytes, *, retained: bool) -> Decoded:
    """The message that came on `topic`. Raises RefusedError for a whole message.

    A retained reading is what somebody once said: it comes again with every subscription and is no news.
    """
    gateway = gateway_of(topic)
    decoder = DECODERS.get(topic.removeprefix(f"{PREFIX}{gateway}/"))
    if not gateway or decoder is None:
        raise RefusedError("wrong_shape", f"no readings are expected on {shown(topic)}")
    if retained:
        raise RefusedError("retained", "readings are sent without the retain flag")
    return decoder(gateway, payload)
