"""JSON and CBOR to plain values, whatever is sent: bounded in depth, and nothing but data comes out.

A key that stands twice counts with its last value.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

from cbor2 import CBORDecodeError, CBORDecoder, CBORTag

from ingest.formats.decoded import RefusedError, shown

DEPTH_MAX: Final = 16  # arrays, objects and tags within each other; ours are 3 deep, others' 8
_DIGITS_MAX: Final = 308  # of an integer; longer ones may be beyond float64 and would cost quadratic time
_EXPONENT_MAX: Final = 400  # of a decimal fraction, either way
# A string, even one that never ends, or a bracket. Possessive: each byte is looked at once, whatever is sent.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)

# Tags that the library would make objects of: big numbers as long as the message, patterns, messages of mail, dates,
# references that let a value contain itself. Of no use to a reading, so they stay unread.
_MEANT: Final = (0, 1, 2, 3, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_DECIMAL_FRACTION: Final = 4
_SELF_DESCRIBED: Final = b"\xd9\xd9\xf7"  # tag 55799 in front of the whole: "this is CBOR" (RFC 8949 section 3.4.6)


@dataclass(frozen=True, slots=True)
class Unread:
    """The content of a CBOR tag that stands for no number, text or list."""

    value: object


def json_document(payload: bytes) -> Any:
    """The JSON value. NaN, Infinity and numbers beyond float64 come as such, to be refused where they stand.

    Raises RefusedError: not_utf8, too_deep, not_json.
    """
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


def cbor_document(payload: bytes) -> Any:
    """The CBOR value: null, booleans, numbers, texts, octets, lists, maps; a decimal fraction is a float.

    A typed array stays a CBORTag, other tags become Unread. Raises RefusedError: too_deep, not_cbor.
    """
    payload = payload.removeprefix(_SELF_DESCRIBED)
    stream = BytesIO(payload)
    decoder = CBORDecoder(stream, semantic_decoders=_DECODERS, max_depth=DEPTH_MAX)
    try:
        document = decoder.decode()
    except CBORDecodeError as error:
        reason = "too_deep" if "nesting depth" in str(error) else "not_cbor"
        raise RefusedError(reason, shown(str(error))) from None
    if stream.tell() != len(payload):
        raise RefusedError("not_cbor", f"{len(payload) - stream.tell()} bytes after the end")
    return document


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits.removeprefix("-")) <= _DIGITS_MAX else math.inf


def _depth(payload: bytes) -> int:
    deep = deepest = 0
    for match in _BRACKETS.finditer(payload):
        if match[1]:
            deep += 1
            deepest = max(deepest, deep)
        elif match[2]:
            deep -= 1
    return deepest


def _unread(value: object, _immutable: bool) -> Unread:  # noqa: FBT001  # cbor2's
    return Unread(value)


def _decimal_fraction(value: object, _immutable: bool) -> object:  # noqa: FBT001  # cbor2's
    """RFC 8949 section 3.4.4: [exponent, mantissa]. Beyond what a float64 reaches it is no number of ours."""
    if not isinstance(value, (list, tuple)) or [type(part) for part in value] != [int, int]:
        return Unread(value)
    exponent, mantissa = value
    return float(Decimal(mantissa).scaleb(exponent)) if abs(exponent) <= _EXPONENT_MAX else Unread(value)


_DECODERS: Final = dict.fromkeys(_MEANT, _unread) | {_DECIMAL_FRACTION: _decimal_fraction}
__all__ = ["DEPTH_MAX", "CBORTag", "Unread", "cbor_document", "json_document"]
