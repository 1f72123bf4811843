"""What goes between the service and the process of its history: msgpack in frames, over pairs of sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
import numpy as np

from ingest.history.store import Buckets, Named, Points, Rows

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024  # an answer of BUCKETS_MAX buckets has about half of it
_DTYPES: Final[Mapping[str, str]] = {
    "t": "<i8", "value": "<f8", "raw": "<f8", "flag": "|u1", "series": "<i4", "sensor": "<i4", "start": "<i8",
    "count": "<i8", "mean": "<f8", "min": "<f8", "max": "<f8", "sum": "<f8", "last": "<f8",
}  # fmt: skip
_Columns = TypeVar("_Columns", Points, Buckets)


class Follow(msgspec.Struct, frozen=True, tag=True):
    """To the process: entries up to `until` are decided, and may be followed."""

    until: int


class Stop(msgspec.Struct, frozen=True, tag=True):
    """To the process: end; or, in the midst of a scan, no more of it."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """From the process: how far it has come. `arrival`, ms UTC, of the entry at `position`, 0 where none was read yet.

    `fault`: why it does not come further, "" while it does. The others count since it was started.
    """

    position: int = 0
    arrival: int = 0
    fault: str = ""
    readings: int = 0  # that were new to the store
    retries: int = 0
    gaps: int = 0  # times that the journal no longer had what came next
    refused: int = 0  # that the store will never take


class AskReadings(msgspec.Struct, frozen=True, tag=True):
    sensor: str
    start: int
    end: int
    limit: int
    quantity: str | None


class AskBuckets(msgspec.Struct, frozen=True, tag=True):
    sensors: list[str]
    start: int
    end: int
    every_ms: int
    quantity: str | None


class AskScan(msgspec.Struct, frozen=True, tag=True):
    """Answered chunk by chunk: the first at once, each other one for a More, and None after the last."""

    start: int
    end: int
    sensors: list[str] | None


class AskSpan(msgspec.Struct, frozen=True, tag=True):
    pass


class More(msgspec.Struct, frozen=True, tag=True):
    pass


class Failed(msgspec.Struct, frozen=True, tag=True):
    """`wrong`: the question was (ValueError); else the store could not (StoreError)."""

    message: str
    wrong: bool = False


class Found(msgspec.Struct, frozen=True, tag=True):
    """Columns by name, little-endian; `names` only of a scan; `span` only of AskSpan."""

    columns: dict[str, bytes] | None = None
    names: list[tuple[str, str, str, str, str]] = []
    span: tuple[int, int] | None = None


Question: TypeAlias = AskReadings | AskBuckets | AskScan | AskSpan
Asked: TypeAlias = Question | More | Stop
Answer: TypeAlias = Found | Failed

_encode: Final = msgspec.msgpack.Encoder().encode


def send(to: Connection, message: msgspec.Struct) -> None:
    """Raises OSError where nobody listens any more."""
    to.send_bytes(_encode(message))


def receive(source: Connection, kind: Any) -> Any:
    """The next message, of `kind`. Raises EOFError or OSError where there is none any more, and ValueError where it is
    no message of ours.
    """
    return msgspec.msgpack.decode(source.recv_bytes(FRAME_BYTES_MAX), type=kind)


def packed(columns: Points | Buckets | Rows) -> Found:
    named = columns.names if isinstance(columns, Rows) else ()
    return Found(
        {column.name: getattr(columns, column.name).astype(_DTYPES[column.name], copy=False).tobytes()
         for column in fields(columns) if column.name in _DTYPES},
        [(name.id, name.quantity, name.unit, name.area, name.gateway) for name in named],
    )  # fmt: skip


def unpacked(kind: type[_Columns], columns: Mapping[str, bytes]) -> _Columns:
    return kind(**{column.name: _column(columns, column.name) for column in fields(kind)})


def unpacked_rows(found: Found, columns: Mapping[str, bytes]) -> Rows:
    names = tuple(Named(*words) for words in found.names)
    return Rows(names, *(_column(columns, name) for name in ("series", "t", "value", "raw", "flag")))


def _column(columns: Mapping[str, bytes], name: str) -> Any:
    return np.frombuffer(columns[name], _DTYPES[name])
