"""What devices of other networks say in objects of their own making, read by the fields that the registry names.

A field is a key of the object, or a path of keys and of positions in lists, joined by dots. Only those that a sensor
stands for are looked at: a device sends ten, two are registered, and the others are nobody's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ingest.formats.decoded import Decoded, Envelope, Refusal, RefusedError, shown
from ingest.formats.documents import json_document
from ingest.formats.message import value_of
from ingest.formats.times import device_ms
from ingest.readings import Flag

OBJECT_BYTES_MAX: Final = 65_536  # a message of thirty gateways' receptions has more than the 16,000 of our own
HISTORY_READINGS_MAX: Final = 2_000  # from a device's memory in one message, a day and more of its minutes
# A number and what may follow it as its unit: "3.42 V", "1200 mm", "25.60". No comma: 1,234 is two numbers.
_AMOUNT: Final = re.compile(
    r"([+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?) {0,2}((?:[^\W\d_]|[°%])[^\s\d]{0,15}[23]?)?\Z"
)
_AMOUNT_CHARACTERS_MAX: Final = 64
_NOWHERE: Final = object()
_NO_UNITS: Final[Mapping[str, str]] = MappingProxyType({})


def registered(envelope: Envelope, *ids: str) -> str:
    """The first of `ids` (of the one device that speaks) that sensors stand for, as the city's fields have it.

    Raises RefusedError, unknown_sensor: of a device that nobody registered there is one letter a message.
    """
    device = envelope.networks.registered(envelope.network, *ids)
    if not device:
        raise RefusedError("unknown_sensor", f"no sensor stands for {envelope.network} device {shown(envelope.device)}")
    return device


def json_object(payload: bytes) -> dict[str, Any]:
    """Raises RefusedError."""
    if len(payload) > OBJECT_BYTES_MAX:
        raise RefusedError("too_large", f"{len(payload)} bytes, at most {OBJECT_BYTES_MAX}")
    return as_object(json_document(payload), "the message")


def as_object(value: Any, name: str) -> dict[str, Any]:
    """Raises RefusedError, wrong_shape."""
    if not isinstance(value, dict):
        raise RefusedError("wrong_shape", f"{name} is {shown(value)}, expected an object")
    return value


def time_of(value: Any, name: str, envelope: Envelope) -> int:
    """Raises RefusedError, no_time."""
    try:
        return device_ms(value, envelope.networks.zone, envelope.arrival)
    except ValueError as error:
        raise RefusedError("no_time", f"{name} is {shown(value)}: {error}") from None


def add_readings(
    decoded: Decoded, envelope: Envelope, said: Mapping[str, Any], t: int,
    *, units: Mapping[str, str] = _NO_UNITS,
) -> None:  # fmt: skip
    """The registered fields of what the device said at `t`, those from its memory before them, at their own times.

    `units`: last key of a field -> its unit, where the device says that beside. A field that is absent is no reading,
    in particular no zero: ChirpStack and The Things Stack leave zeros out of their own fields, never of these. It is a
    missing value where the device says so: null, or FIELD_error beside.
    """
    fields = envelope.networks.fields[decoded.device]
    memory = said.get("history")
    items = memory if isinstance(memory, list) else []
    if len(items) * len(fields) > HISTORY_READINGS_MAX:
        raise RefusedError("wrong_shape", f"{len(items)} times {len(fields)} readings, at most {HISTORY_READINGS_MAX}")
    for item in items:
        if isinstance(item, dict) and any(_find(item, name)[1] is not _NOWHERE for name in fields):
            try:
                then = time_of(item.get("timestamp"), "timestamp", envelope)
            except RefusedError as error:
                _refuse(decoded, error)
            else:
                _add(decoded, envelope, item, then, units)
    _add(decoded, envelope, said, t, units)


def left_out(envelope: Envelope, device: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """The registered fields ("network/id/field") of which `said` says nothing, neither value nor error."""
    fields = envelope.networks.fields[device]
    return tuple(f"{device}/{name}" for name in fields if _said(said, name) is _NOWHERE)


def _add(decoded: Decoded, envelope: Envelope, said: Mapping[str, Any], t: int, units: Mapping[str, str]) -> None:
    device, tilted = decoded.device, said.get("position") == "tilt"
    for name in envelope.networks.fields[device]:
        found, leaf = _said(said, name), name.rpartition(".")[2]
        if found is _NOWHERE:
            continue
        try:
            value, unit = _amount(found)
        except RefusedError as error:
            _refuse(decoded, error, f"{device}/{name}")
            continue
        alias = f"{device}/{name}"
        decoded.sensors.append(alias)
        decoded.t.append(t)
        decoded.values.append(value)
        decoded.units.append(units.get(leaf) if unit is None else unit)
        # A distance that is measured aslant is not the one to the water below; its battery is as full as it was.
        decoded.flags.append(Flag.SUSPECT if tilted and alias in envelope.networks.aimed else Flag.NOT_EVALUATED)


def _said(said: Mapping[str, Any], name: str) -> Any:
    """What is said of the field; None where that it cannot be measured, _NOWHERE where nothing."""
    around, found = _find(said, name)
    if found is _NOWHERE and isinstance(around, dict) and f"{name.rpartition('.')[2]}_error" in around:
        return None
    return found


def _find(said: Any, path: str) -> tuple[Any, Any]:
    """What the path leads to, with what it stands in; _NOWHERE where there is nothing. A key may have dots itself."""
    if isinstance(said, dict) and path in said:
        return said, said[path]
    step, dot, rest = path.partition(".")
    if not dot:
        return said, _at(said, step)
    inner = _at(said, step)
    return (said, _NOWHERE) if inner is _NOWHERE else _find(inner, rest)


def _at(said: Any, step: str) -> Any:
    if isinstance(said, dict):
        return said.get(step, _NOWHERE)
    if isinstance(said, list) and step.isascii() and step.isdigit() and int(step) < len(said):
        return said[int(step)]
    return _NOWHERE


def _amount(found: Any) -> tuple[float, str | None]:
    """Value and unit. A truth is 1 or 0 without unit, which fits power and its like alone. Raises RefusedError."""
    if type(found) is bool:
        return float(found), ""
    if isinstance(found, str):
        match = _AMOUNT.match(found)
        if match is None or len(found) > _AMOUNT_CHARACTERS_MAX:
            raise RefusedError("not_a_number", f"{shown(found)}, expected a number and perhaps its unit")
        return value_of(float(match[1])), match[2] or None
    return value_of(found), None


def _refuse(decoded: Decoded, error: RefusedError, sensor: str = "") -> None:
    decoded.refused.append(Refusal(error.reason, error.detail, len(decoded.sensors) + len(decoded.refused), sensor))
