"""Our own JSON (CONTRACTS section 3): `{"boot","seq","first","readings":[{"sensor","t","v","u"}]}`, or a bare reading.

A typed decoder reads what is right, which is nearly everything; what it stumbles over is read again, slowly, to find
out which reading is wrong and why. A key that stands twice counts with its last value; unknown keys are left alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from ingest.formats.decoded import PAYLOAD_BYTES_MAX, Decoded, RefusedError, shown
from ingest.formats.documents import json_document
from ingest.formats.message import at_most, decoded_message, numbering_of
from ingest.formats.times import rfc3339_ms


class _Reading(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    sensor: str
    t: int | str
    v: float | None
    u: str | None = None


# Unknown keys go the slow way, so that nothing here is deeper than 3 and no text passes unread.
class _Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    boot: str | None = None
    seq: int | None = None
    first: int | None = None
    readings: list[_Reading]


_FAST: Final = msgspec.json.Decoder(_Message)
_ENCODER: Final = msgspec.json.Encoder()


def encode(
    sensors: Sequence[str],
    t: Sequence[int],
    values: Sequence[float],
    units: Sequence[str | None] = (),
    *,
    boot: str | None = None,
    seq: int | None = None,
    first: int | None = None,
) -> bytes:
    """A message of these readings; `t` ms UTC, `values` finite or NaN (missing), `units` empty or one a reading.

    Keeping to PAYLOAD_BYTES_MAX is the caller's: what is too large is split before it is numbered. Raises ValueError
    for an infinite value, which JSON cannot say.
    """
    if any(map(math.isinf, values)):
        raise ValueError("a value is infinite")
    rows = zip(sensors, t, values, units or [None] * len(sensors), strict=True)
    readings = [_Reading(id_, at, None if math.isnan(v) else v, unit) for id_, at, v, unit in rows]
    return _ENCODER.encode(_Message(boot=boot, seq=seq, first=first, readings=readings))


def decode(gateway: str, payload: bytes) -> Decoded:
    """The message of `gateway`. Raises RefusedError for a whole message; one bad reading is refused by itself."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise RefusedError("too_large", f"{len(payload)} bytes, at most {PAYLOAD_BYTES_MAX}")
    try:
        message = _FAST.decode(payload)
        times = [row.t if isinstance(row.t, int) else rfc3339_ms(row.t) for row in message.readings]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return decoded_message(gateway, json_document(payload))
    numbering = numbering_of(message.boot, message.seq, message.first)
    rows = at_most(message.readings, numbering)
    return replace(
        Decoded.numbered(gateway, numbering),
        sensors=[row.sensor for row in rows], t=times,
        values=[math.nan if row.v is None else row.v for row in rows], units=[row.u for row in rows],
    )  # fmt: skip


def renamed(payload: bytes, names: Mapping[str, str]) -> bytes:
    """`payload` with sensors called by their new names, for a person who corrects what was refused.

    All else stays as it means: unknown keys, and numbers that no reading may have. Raises ValueError where it is no
    message of ours or none of `names` is in it.
    """
    try:
        message = json_document(payload)
    except RefusedError as error:
        raise ValueError(str(error)) from None
    rows = message.get("readings", [message]) if isinstance(message, dict) else None
    found = [row for row in rows if _is_named(row, names)] if isinstance(rows, list) else []
    if not found:
        raise ValueError(f"no reading of {' or '.join(map(shown, names))} in it")
    for row in found:
        row["sensor"] = names[row["sensor"]]
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def _is_named(row: Any, names: Mapping[str, str]) -> bool:
    return isinstance(row, dict) and isinstance(row.get("sensor"), str) and row["sensor"] in names
