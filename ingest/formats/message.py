"""Our own message (CONTRACTS section 3) as plain values, however it was written: JSON or CBOR.

Whatever is in it is looked at with care, and what is wrong is refused alone where that is possible.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sized
from typing import Any, Final, TypeVar

from ingest.formats.decoded import READINGS_MAX, Decoded, Numbering, Refusal, RefusedError, shown
from ingest.formats.times import rfc3339_ms

SEQ_MAX: Final = 2**53 - 1  # what every JSON reader keeps exactly
_BOOT: Final = re.compile(r"[0-9a-fA-F]{16,64}\Z")  # at least 64 random bits

Rows = TypeVar("Rows", bound=Sized)


def decoded_message(gateway: str, message: Any) -> Decoded:
    """`{"boot","seq","first","readings":[{"sensor","t","v","u"}]}` or one bare reading; unknown keys are left alone.

    Raises RefusedError for a whole message, with its number where that can be read.
    """
    if not isinstance(message, dict):
        raise RefusedError("wrong_shape", f"the message is {shown(message)}, expected an object")
    numbering = numbering_of(message.get("boot"), message.get("seq"), message.get("first"))
    bare = "sensor" in message
    if bare == ("readings" in message):
        raise RefusedError("wrong_shape", "expected either readings or one bare reading", numbering)
    rows = [message] if bare else message["readings"]
    if not isinstance(rows, list):
        raise RefusedError("wrong_shape", f"readings is {shown(rows)}, expected an array", numbering)
    decoded = Decoded.numbered(gateway, numbering)
    for index, row in enumerate(at_most(rows, numbering)):
        try:
            sensor, t, value, unit = _reading(row)
        except RefusedError as error:
            named = row.get("sensor") if isinstance(row, dict) else None
            decoded.refused.append(Refusal(error.reason, error.detail, index, named if isinstance(named, str) else ""))
            continue
        decoded.sensors.append(sensor)
        decoded.t.append(t)
        decoded.values.append(value)
        decoded.units.append(unit)
    return decoded


def numbering_of(boot: Any, seq: Any, first: Any) -> Numbering | None:
    """None where none of the three is there. Raises RefusedError, wrong_shape.

    A `first` above `seq` counts as `seq`: it fills a hole with a seq that is no longer in the spool, and is owed its
    receipt as any other. What it says of the seqs in between, the gateway's next message says again.
    """
    if boot is None and seq is None and first is None:
        return None
    if not isinstance(boot, str) or not _BOOT.match(boot):
        raise RefusedError("wrong_shape", f"boot is {shown(boot)}, expected 16 to 64 hex digits beside seq")
    if type(seq) is not int or not 1 <= seq <= SEQ_MAX:
        raise RefusedError("wrong_shape", f"seq is {shown(seq)}, expected 1 to 2^53 - 1 beside boot")
    if first is not None and (type(first) is not int or first < 1):
        raise RefusedError("wrong_shape", f"first is {shown(first)}, expected 1 or more")
    return Numbering(boot, seq, None if first is None else min(first, seq))


def at_most(rows: Rows, numbering: Numbering | None = None) -> Rows:
    """`rows`, if they are no more than a message may have. Raises RefusedError, wrong_shape."""
    if len(rows) > READINGS_MAX:
        raise RefusedError("wrong_shape", f"{len(rows)} readings, at most {READINGS_MAX}", numbering)
    return rows


def value_of(v: Any) -> float:
    """A finite number, or NaN for null (missing). Raises RefusedError, not_a_number."""
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
            t = rfc3339_ms(t)
        except ValueError:
            raise RefusedError("no_time", f"t is {shown(t)}, expected RFC 3339 with zone") from None
    if type(t) is not int:
        raise RefusedError("no_time", f"t is {shown(t)}, expected whole milliseconds or RFC 3339 with zone")
    if unit is not None and not isinstance(unit, str):
        raise RefusedError("wrong_unit", f"u is {shown(unit)}, expected a unit")
    return sensor, t, value_of(row["v"]), unit
