"""A scan as a stream of bytes, for whoever asks the running service: frames of a length (4 bytes, big-endian) and a
message of ingest.history.wire. The last frame holds no columns; a stream that ends before it is broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import msgspec

from ingest.history import wire
from ingest.history.store import Rows, StoreError

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(wire.Answer).decode


def frame(rows: Rows | None) -> bytes:
    """None: that was all."""
    return _framed(wire.Found() if rows is None else wire.packed(rows))


def failure(message: str) -> bytes:
    """There will be no more, and it was not all."""
    return _framed(wire.Failed(message))


def rows_in(stream: IO[bytes]) -> Iterator[Rows]:
    """Raises StoreError where the stream says so, is cut, or is none of ours."""
    while (answer := _next(stream)).columns is not None:
        yield wire.unpacked_rows(answer, answer.columns)


def _next(stream: IO[bytes]) -> wire.Found:
    length = int.from_bytes(stream.read(4) or b"\xff" * 4, "big")
    body = stream.read(length) if length <= wire.FRAME_BYTES_MAX else b""
    if len(body) != length:
        raise StoreError("the answer is cut short")
    try:
        answer: wire.Answer = _decode(body)
    except msgspec.DecodeError:
        raise StoreError("the answer is none of ours") from None
    if isinstance(answer, wire.Failed):
        raise StoreError(answer.message)
    return answer


def _framed(message: msgspec.Struct) -> bytes:
    body = _encode(message)
    return len(body).to_bytes(4, "big") + body
