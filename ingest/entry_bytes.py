"""An entry as the bytes of one journal row, and back. `encode` and `decode` undo each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec

from ingest.entries import SCHEMA_VERSION, Batch, Configuration, DeadLetter, Entry, Header, Start, Tick
from ingest.readings import NO_SIGNS, Readings, Signs


class EntryError(ValueError):
    """The bytes are no entry of this version; the message says what was found."""


class _Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch without its refused messages, which stand in rows of their own: of each only the checksum is here.

    `signs` None: it has none, or was written before there were any.
    """

    arrival: int
    readings: dict[str, bytes]
    headers: tuple[Header, ...]
    refused: tuple[int, ...]
    signs: dict[str, bytes] | None = None


class _Schema(msgspec.Struct, frozen=True):
    schema: int


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_BATCH: Final = msgspec.msgpack.Decoder(_Batch)
_CONFIGURATION: Final = msgspec.msgpack.Decoder(Configuration)
_SCHEMA: Final = msgspec.msgpack.Decoder(_Schema)


def kind_of(entry: Entry) -> str:
    return type(entry).__name__.lower()


def encode(entry: Entry) -> bytes:
    """The body of `entry`'s row; a start or a tick has none, its arrival says all."""
    match entry:
        case Batch():
            refused = tuple(letter_crc(letter) for letter in entry.refused)
            signs = entry.signs.to_bytes() if len(entry.signs) else None
            return _ENCODE(_Batch(entry.arrival, entry.readings.to_bytes(), entry.headers, refused, signs))
        case Configuration():
            return _ENCODE(entry)
        case Start() | Tick():
            return b""


def decode(kind: str, arrival: int, body: bytes, letters: Sequence[DeadLetter]) -> Entry:
    """The entry that was encoded; `letters` are the batch's refused messages. Raises EntryError."""
    try:
        match kind:
            case "batch":
                return _batch(_BATCH.decode(body), letters)
            case "configuration":
                return _configuration(body)
            case "start":
                return Start(arrival)
            case "tick":
                return Tick(arrival)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise EntryError(f"{kind}: {error}") from error
    raise EntryError(f"kind {kind!r} is unknown")


def letter_crc(letter: DeadLetter) -> int:
    return crc32(_ENCODE(letter))


def _batch(body: _Batch, letters: Sequence[DeadLetter]) -> Batch:
    if tuple(letter_crc(letter) for letter in letters) != body.refused:
        raise EntryError("the dead letters are not those that were written")
    signs = NO_SIGNS if body.signs is None else Signs.from_bytes(body.signs)
    return Batch(Readings.from_bytes(body.readings), body.headers, tuple(letters), body.arrival, signs)


def _configuration(body: bytes) -> Configuration:
    schema = _SCHEMA.decode(body).schema
    if schema != SCHEMA_VERSION:
        raise EntryError(f"written in schema {schema}; this program reads schema {SCHEMA_VERSION}")
    return _CONFIGURATION.decode(body)
