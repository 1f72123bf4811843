"""Our own JSON (CONTRACTS section 3): `{"boot","seq","first","readings":[{"sensor","t","v","u"}]}`, or a bare reading.

A typed decoder reads what is right, which is nearly everything; what it stumbles over is read again, slowly, to find
out which reading is wrong and why. A key that stands twice counts with its last value; unknown keys are left alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from ingest.formats.decoded import (
    PAYLOAD_BYTES_MAX,
    READINGS_MAX,
    Decoded,
    Numbering,
    Refusal,
    RefusedError,
    shown,
)

DEPTH_MAX: Final = 16  # arrays and objects within each other; ours are 3 deep, more is room for unknown keys
SEQ_MAX: Final = 2**53 - 1  # what every JSON reader keeps exactly
_BOOT: Final = re.compile(r"[0-9a-fA-F]{16,64}\Z")  # at least 64 random bits
_DIGITS_MAX: Final = 400  # of an integer; longer ones are beyond float64 and would cost quadratic time
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
# A string, even one that never ends, or a bracket. Possessive: each byte is looked at once, whatever is sent.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)


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
        times = [row.t if isinstance(row.t, int) else parse_time(row.t) for row in message.readings]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return _decode_slowly(gateway, payload)
    numbering = _numbering(message.boot, message.seq, message.first)
    rows = _at_most(message.readings, numbering)
    return Decoded(
        gateway, message.boot, message.seq, message.first,
        sensors=[row.sensor for row in rows], t=times,
        values=[math.nan if row.v is None else row.v for row in rows], units=[row.u for row in rows],
    )  # fmt: skip


def renamed(payload: bytes, names: Mapping[str, str]) -> bytes:
    """`payload` with sensors called by their new names, for a person who corrects what was refused.

    All else stays as it means: unknown keys, and numbers that no reading may have. Raises ValueError where it is no
    message of ours or none of `names` is in it.
    """
    try:
        message = _document(payload)
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


def parse_time(text: str) -> int:
    """Milliseconds UTC of an RFC 3339 time with zone, floored. Raises ValueError where there is no zone or no sense."""
    match = _TIME.match(text)
    if match is None:
        raise ValueError("not a time of RFC 3339 with zone")
    day, minute, second, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    if int(second) > 60 or int(offset[4:]) > 59:
        raise ValueError("no such time")
    # The second is added on top: datetime knows no minute of 61 seconds, RFC 3339 does.
    minute_s = int(datetime.fromisoformat(f"{day}T{minute}:00{offset}").timestamp())
    return (minute_s + int(second)) * 1000 + int((fraction or "")[:3].ljust(3, "0"))


def _decode_slowly(gateway: str, payload: bytes) -> Decoded:
    message = _document(payload)
    if not isinstance(message, dict):
        raise RefusedError("wrong_shape", f"the message is {shown(message)}, expected an object")
    numbering = _numbering(message.get("boot"), message.get("seq"), message.get("first"))
    bare = "sensor" in message
    if bare == ("readings" in message):
        raise RefusedError("wrong_shape", "expected either readings or one bare reading", numbering)
    rows = [message] if bare else message["readings"]
    if not isinstance(rows, list):
        raise RefusedError("wrong_shape", f"readings is {shown(rows)}, expected an array", numbering)
    decoded = Decoded(gateway, message.get("boot"), message.get("seq"), message.get("first"))
    for index, row in enumerate(_at_most(rows, numbering)):
        try:
            sensor, t, value, unit = _reading(row)
        except RefusedError as error:
            decoded.refused.append(Refusal(error.reason, error.detail, index))
            continue
        decoded.sensors.append(sensor)
        decoded.t.append(t)
        decoded.values.append(value)
        decoded.units.append(unit)
    return decoded


def _document(payload: bytes) -> Any:
    """The JSON value. NaN, Infinity and numbers beyond float64 come as such, to be refused where they stand."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError("not_utf8", f"byte {error.start}") from None
    if _depth(payload) > DEPTH_MAX:
        raise RefusedError("too_deep", f"more than {DEPTH_MAX} arrays and objects within each other")
    try:
        return json.loads(text, parse_int=_integer)
    except ValueError as error:
        raise RefusedError("not_json", shown(str(error))) from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS_MAX else math.inf


def _depth(payload: bytes) -> int:
    deep = deepest = 0
    for match in _BRACKETS.finditer(payload):
        if match[1]:
            deep += 1
            deepest = max(deepest, deep)
        elif match[2]:
            deep -= 1
    return deepest


def _numbering(boot: Any, seq: Any, first: Any) -> Numbering | None:
    if boot is None and seq is None and first is None:
        return None
    if not isinstance(boot, str) or not _BOOT.match(boot):
        raise RefusedError("wrong_shape", f"boot is {shown(boot)}, expected 16 to 64 hex digits beside seq")
    if type(seq) is not int or not 1 <= seq <= SEQ_MAX:
        raise RefusedError("wrong_shape", f"seq is {shown(seq)}, expected 1 to 2^53 - 1 beside boot")
    if first is not None and (type(first) is not int or not 1 <= first <= seq):
        raise RefusedError("wrong_shape", f"first is {shown(first)}, expected 1 to seq, {seq}")
    return Numbering(boot, seq, first)


def _at_most(rows: list[Any], numbering: Numbering | None) -> list[Any]:
    if len(rows) > READINGS_MAX:
        raise RefusedError("wrong_shape", f"{len(rows)} readings, at most {READINGS_MAX}", numbering)
    return rows


def _reading(row: Any) -> tuple[str, int, float, str | None]:
    """Sensor, t, value and unit. Raises RefusedError for the first thing wrong with this reading."""
    if not isinstance(row, dict):
        raise RefusedError("wrong_shape", f"the reading is {shown(row)}, expected an object")
    sensor, t, unit = row.get("sensor"), row.get("t"), row.get("u")
    if not isinstance(sensor, str):
        raise RefusedError("wrong_shape", f"sensor is {shown(sensor)}, expected its id")
    if "v" not in row:
        raise RefusedError("wrong_shape", "v is absent, expected a number or null")
    if isinstance(t, str):
        try:
            t = parse_time(t)
        except ValueError:
            raise RefusedError("no_time", f"t is {shown(t)}, expected RFC 3339 with zone") from None
    if type(t) is not int:
        raise RefusedError("no_time", f"t is {shown(t)}, expected whole milliseconds or RFC 3339 with zone")
    if unit is not None and not isinstance(unit, str):
        raise RefusedError("wrong_unit", f"u is {shown(unit)}, expected a unit")
    return sensor, t, _value(row["v"]), unit


def _value(v: Any) -> float:
    if v is None:
        return math.nan
    if type(v) in (int, float):
        try:
            value = float(v)
        except OverflowError:
            value = math.inf
        if math.isfinite(value):
            return value
    raise RefusedError("not_a_number", f"v is {shown(v)}, expected a finite number or null")
