"""SenML packs (RFC 8428) in JSON or CBOR, resolved: base name, time, unit, value and sum, and times relative to now.

The first byte tells the two apart: a JSON text begins below 128, a CBOR array or tag does not. The resolved name is the
id of a sensor, or what its `decoder = { network = "senml", id = name }` says; a sensor with `field = "s"` there hears
the sums.

Where the RFC leaves two readings we make no reading of nothing: section 4.5.4 takes a missing value for zero, 4.2 wants
each record to have a value unless it has a sum. A record without a value has that of the base, if there is one and the
record has no sum of its own; base fields alone are set for what follows, and are no reading.

Packs are not numbered, so there are no receipts; a time relative to now is counted back from the arrival, and is
another one when the message comes again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from ingest.formats.decoded import PAYLOAD_BYTES_MAX, Decoded, Envelope, Refusal, RefusedError, shown
from ingest.formats.documents import cbor_document, json_document
from ingest.formats.message import at_most
from ingest.formats.times import decimal_of, seconds_ms

VERSION: Final = 10  # of RFC 8428; a newer one may mean something else by the same labels
ABSOLUTE_S: Final = 2**28  # from here on a time is one since 1970, below it is relative to now (section 4.5.3)
# Section 6: what stands for the labels in CBOR.
_LABELS: Final = {-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs", 0: "n", 1: "u", 2: "v", 3: "vs",
                  4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd"}  # fmt: skip
_VALUES: Final = ("v", "vs", "vb", "vd")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:./_-]*\Z")  # section 4.5.1
_UNITS: Final = {"%RH": "%", "%EL": "%", "lx": "lux", "ug/m3": "µg/m3"}  # of SenML's registry -> as we call them


def decode(envelope: Envelope, payload: bytes) -> Decoded:
    """The pack in `payload`. Raises RefusedError for a whole message; one bad record is refused by itself.

    A record of base fields alone is no reading and gets no index.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise RefusedError("too_large", f"{len(payload)} bytes, at most {PAYLOAD_BYTES_MAX}")
    pack = cbor_document(payload) if payload[:1] >= b"\x80" else json_document(payload)
    if not isinstance(pack, list):
        raise RefusedError("wrong_shape", f"the pack is {shown(pack)}, expected an array of records")
    records = [_labelled(record) for record in at_most(pack)]
    _check_version(records)
    decoded = Decoded(envelope.sender)
    base: dict[str, Any] = {}
    for record in records:
        base |= {label: value for label, value in (record or {}).items() if label.startswith("b")}
        if record is None or record.keys() - base.keys():
            _add(decoded, envelope, record, base)
    return decoded


def _labelled(record: Any) -> dict[str, Any] | None:
    """None: it is no record. A label of another type is one that nobody has to understand."""
    if not isinstance(record, dict):
        return None
    labels = ((_LABELS.get(label) if type(label) is int else label, value) for label, value in record.items())
    return {label: value for label, value in labels if isinstance(label, str)}


def _check_version(records: list[dict[str, Any] | None]) -> None:
    """Section 4.4: a record without one has VERSION until a base version is given, and all have the same."""
    stated = [record["bver"] for record in records if record is not None and "bver" in record]
    for version in stated:
        if not (type(version) is int and 1 <= version <= VERSION):
            raise RefusedError("wrong_shape", f"bver is {shown(version)}, expected 1 to {VERSION}")
    first = (records[0] or {}).get("bver", VERSION) if records else VERSION
    if any(version != first for version in stated):
        raise RefusedError("wrong_shape", f"a pack has one bver, which is {VERSION} where it does not begin with one")


def _add(decoded: Decoded, envelope: Envelope, record: dict[str, Any] | None, base: dict[str, Any]) -> None:
    """The readings of one record, at most a value and a sum; or why there are none."""
    name = ""
    try:
        said = _said(record, base)
        name = _name(said)
        t, unit = _time_and_unit(said, envelope.arrival)
        fields = envelope.networks.fields.get(f"senml/{name}", ())
        labels = _wanted(record or {}, base, fields)
    except RefusedError as error:
        _refuse(decoded, error, _sensor(name, "v", envelope.networks.fields.get(f"senml/{name}", ())))
        return
    for label in labels:
        try:
            value, its_unit = _value(label, record or {}, base, unit)
        except RefusedError as error:
            _refuse(decoded, error, _sensor(name, label, fields))
            continue
        decoded.sensors.append(_sensor(name, label, fields))
        decoded.t.append(t)
        decoded.values.append(value)
        decoded.units.append(its_unit)


def _sensor(name: str, label: str, fields: Sequence[str]) -> str:
    """Whose value `label` of a record of `name` is: the registry's alias, or the name itself."""
    field = "s" if label == "s" else ""
    return f"senml/{name}/{field}" if field in fields else name


def _refuse(decoded: Decoded, error: RefusedError, sensor: str = "") -> None:
    decoded.refused.append(Refusal(error.reason, error.detail, len(decoded.sensors) + len(decoded.refused), sensor))


def _said(record: dict[str, Any] | None, base: dict[str, Any]) -> dict[str, Any]:
    """A record's fields with those of the base. Raises RefusedError."""
    if record is None:
        raise RefusedError("wrong_shape", "a record is expected to be an object")
    fields = record | base
    unknown = [label for label in fields if label.endswith("_")]
    if unknown:  # "an error MUST be generated", section 12.3.1; those of the base hold on
        raise RefusedError("wrong_shape", f"{shown(unknown[0])} has to be understood, and is not")
    return fields


def _name(fields: dict[str, Any]) -> str:
    """Raises RefusedError."""
    names = [fields.get(label, "") for label in ("bn", "n")]
    if not all(isinstance(name, str) for name in names) or not _NAME.match("".join(names)):
        raise RefusedError("wrong_shape", f"bn and n are {shown(names)}, expected a name of A-Z a-z 0-9 : . / _ -")
    return "".join(names)


def _time_and_unit(fields: dict[str, Any], arrival: int) -> tuple[int, str | None]:
    """In ms UTC. Raises RefusedError."""
    seconds = [fields.get(label, 0) for label in ("bt", "t")]
    if not all(map(_is_number, seconds)):
        raise RefusedError("no_time", f"bt and t are {shown(seconds)}, expected seconds")
    unit = fields.get("u", fields.get("bu"))
    if unit is not None and not isinstance(unit, str):
        raise RefusedError("wrong_unit", f"u is {shown(unit)}, expected a unit")
    since = sum(map(decimal_of, seconds), Decimal())
    if not math.isfinite(since):  # each is, and their sum is more than float64 holds
        raise RefusedError("no_time", f"bt and t are {shown(seconds)}, expected seconds")
    t = seconds_ms(since) + (arrival if since < ABSOLUTE_S else 0)
    return t, None if unit is None else _UNITS.get(unit, unit)


def _wanted(record: dict[str, Any], base: dict[str, Any], fields: Sequence[str]) -> list[str]:
    """The labels that are readings: the one value, and the sum where a sensor stands for it. Raises RefusedError.

    A name that sensors stand for by their decoders may say more than they want; that is no refusal.
    """
    labels: list[str] = [label for label in _VALUES if label in record]
    if not labels and "bv" in base and "s" not in record:
        labels = ["v"]
    has_sum = "s" in record or "bs" in base
    if len(labels) > 1 or not (labels or has_sum):
        raise RefusedError("wrong_shape", f"a record has one value, this one {shown(labels)}")
    if not labels and not fields:
        raise RefusedError("wrong_shape", "a sum alone, which no sensor stands for")
    wanted = labels if not fields or "" in fields else []
    return [*wanted, "s"] if has_sum and "s" in fields else wanted


def _value(label: str, record: dict[str, Any], base: dict[str, Any], unit: str | None) -> tuple[float, str | None]:
    """Value and unit. Raises RefusedError, not_a_number."""
    if label == "v":
        return _sum(label, record, base), unit
    if label == "s":
        return _sum(label, record, base), None  # its unit is that of the value times seconds
    if label == "vb" and type(record[label]) is bool:
        return float(record[label]), ""  # fits quantities without a unit alone, such as power
    raise RefusedError("not_a_number", f"{label} is {shown(record[label])}, no value of a sensor")


def _sum(label: str, record: dict[str, Any], base: dict[str, Any]) -> float:
    """Of a label and its base, of which one may be missing: it is zero (section 4.5.4)."""
    parts = record.get(label, 0), base.get(f"b{label}", 0)
    if all(map(_is_number, parts)):
        value = float(sum(map(decimal_of, parts), Decimal()))
        if math.isfinite(value):
            return value
    raise RefusedError("not_a_number", f"{label} is {shown(parts[0])} beside the base {shown(parts[1])}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
