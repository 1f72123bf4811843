"""Our own messages in CBOR (RFC 8949): the maps of the JSON, and columns for gateways that batch (CONTRACTS section 3).

Columns: `{"boot","seq","first","sensor":["…"],"t0":int,"i":[…],"dt":[…],"v":[…]}`: reading n is of sensor[i[n]], was
measured dt[n] ms after t0 (before it, where negative) and has the value v[n]. Each column is an array or an RFC 8746
typed array. A missing value is null, so that a column with one is an array: NaN is what goes wrong, never what is
missing. Columns carry no units: values are in those of the quantities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import cbor2
import numpy as np

from ingest.formats.decoded import PAYLOAD_BYTES_MAX, Decoded, Numbering, Refusal, RefusedError, shown
from ingest.formats.documents import CBORTag, cbor_document
from ingest.formats.message import at_most, decoded_message, numbering_of, value_of

# RFC 8746 section 2.1: tag -> numpy's name; float128 has none, tag 76 is reserved.
_TYPED: Final = {
    64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8",
    72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8",
    80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8",
}  # fmt: skip
_UINT16, _INT32, _FLOAT64 = 69, 78, 86


def encode_columns(
    sensors: Sequence[str],
    t: Sequence[int],
    values: Sequence[float],
    *,
    boot: str | None = None,
    seq: int | None = None,
    first: int | None = None,
) -> bytes:
    """A message of these readings; `t` ms UTC, all within 24 days, `values` finite or NaN (missing).

    Keeping to PAYLOAD_BYTES_MAX is the caller's. Raises ValueError for an infinite value, OverflowError for times
    further apart.
    """
    if any(map(math.isinf, values)):
        raise ValueError("a value is infinite")
    numbers = {id_: number for number, id_ in enumerate(dict.fromkeys(sensors))}
    t0 = min(t, default=0)
    missing = any(map(math.isnan, values))
    message = {
        "boot": boot,
        "seq": seq,
        "first": first,
        "sensor": list(numbers),
        "t0": t0,
        "i": CBORTag(_UINT16, np.array([numbers[id_] for id_ in sensors], "<u2").tobytes()),
        "dt": CBORTag(_INT32, np.array([each - t0 for each in t], "<i4").tobytes()),
        "v": [None if math.isnan(value) else float(value) for value in values]
        if missing
        else CBORTag(_FLOAT64, np.array(values, "<f8").tobytes()),
    }
    return cbor2.dumps({key: part for key, part in message.items() if part is not None})


def decode(gateway: str, payload: bytes) -> Decoded:
    """The message of `gateway`. Raises RefusedError for a whole message; one bad reading is refused by itself."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise RefusedError("too_large", f"{len(payload)} bytes, at most {PAYLOAD_BYTES_MAX}")
    message = cbor_document(payload)
    if isinstance(message, dict) and "t0" in message:
        return _columns(gateway, message)
    return decoded_message(gateway, message)


def _columns(gateway: str, message: dict[Any, Any]) -> Decoded:
    numbering = numbering_of(message.get("boot"), message.get("seq"), message.get("first"))
    names, t0 = message.get("sensor"), message["t0"]
    if not isinstance(names, list) or not set(map(type, names)) <= {str}:
        raise RefusedError("wrong_shape", f"sensor is {shown(names)}, expected an array of ids", numbering)
    if type(t0) is not int:
        raise RefusedError("no_time", f"t0 is {shown(t0)}, expected whole milliseconds", numbering)
    if "u" in message or "readings" in message:
        raise RefusedError("wrong_shape", "columns have no u and no readings", numbering)
    (which, whole), (after, exact), (values, real) = (
        _column(key, message.get(key), numbering) for key in ("i", "dt", "v")
    )
    if not len(which) == len(after) == len(values):
        lengths = f"{len(which)} of i, {len(after)} of dt, {len(values)} of v"
        raise RefusedError("wrong_shape", f"columns of one length are expected, found {lengths}", numbering)
    decoded = Decoded.numbered(gateway, numbering)
    if whole | exact <= {int} and real <= {float} and _is_sound(names, which, values):
        decoded.sensors.extend(map(names.__getitem__, which))
        decoded.t.extend([t0 + each for each in after])
        decoded.values.extend(values)
        decoded.units.extend([None] * len(values))
        return decoded
    for index, row in enumerate(zip(which, after, values, strict=True)):
        try:
            sensor, t, value = _row(names, t0, *row)
        except RefusedError as error:
            number = row[0]
            named = names[number] if type(number) is int and 0 <= number < len(names) else ""
            decoded.refused.append(Refusal(error.reason, error.detail, index, named))
            continue
        decoded.sensors.append(sensor)
        decoded.t.append(t)
        decoded.values.append(value)
        decoded.units.append(None)
    return decoded


def _is_sound(names: list[str], which: list[int], values: list[float]) -> bool:
    """Whether nothing is wrong or missing in any row, which is nearly always."""
    return (not which or 0 <= min(which) <= max(which) < len(names)) and all(map(math.isfinite, values))


def _column(key: str, column: Any, numbering: Numbering | None) -> tuple[list[Any], set[type]]:
    """Its elements, not yet looked at but for their types. Raises RefusedError, wrong_shape."""
    if isinstance(column, list):
        return at_most(column, numbering), set(map(type, column))
    if isinstance(column, CBORTag) and column.tag in _TYPED and isinstance(column.value, bytes):
        dtype = np.dtype(_TYPED[column.tag])
        if len(column.value) % dtype.itemsize == 0:
            elements = at_most(np.frombuffer(column.value, dtype), numbering).tolist()
            return elements, {float if dtype.kind == "f" else int}
    raise RefusedError("wrong_shape", f"{key} is {shown(column)}, expected an array or a typed array", numbering)


def _row(names: list[str], t0: int, which: Any, after: Any, value: Any) -> tuple[str, int, float]:
    if type(which) is not int or not 0 <= which < len(names):
        raise RefusedError("wrong_shape", f"i is {shown(which)}, expected 0 to {len(names) - 1}")
    if type(after) is not int:
        raise RefusedError("no_time", f"dt is {shown(after)}, expected whole milliseconds after t0")
    return names[which], t0 + after, value_of(value)
