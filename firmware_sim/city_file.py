"""Writing a city.toml that `ingest.city.parse_city` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from ingest.city import Area, Gateway, QuantityRow, SensorRow


def city_text(
    name: str,
    timezone: str,
    *,
    areas: Iterable[Area],
    gateways: Iterable[str],
    sensors: Iterable[SensorRow],
    quantities: Iterable[QuantityRow] = (),
) -> str:
    """The whole file; what stands at its default is left out."""
    tables = [_table("[city]", {"name": name, "timezone": timezone})]
    tables += [_table("[[area]]", _set_fields(area)) for area in areas]
    tables += [_table("[[quantity]]", _set_fields(quantity)) for quantity in quantities]
    tables += [_table("[[gateway]]", _set_fields(Gateway(id_))) for id_ in gateways]
    tables += [_table("[[sensor]]", _set_fields(sensor)) for sensor in sensors]
    return "\n".join(tables)


def _set_fields(row: msgspec.Struct) -> dict[str, Any]:
    found, defaults = msgspec.structs.asdict(row), _defaults(type(row))
    return {name: value for name, value in found.items() if value != defaults[name] and value not in (None, [])}


@cache
def _defaults(table: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(table)}


def _table(head: str, values: dict[str, Any]) -> str:
    return "".join([head, "\n", *(f"{name} = {_value(value)}\n" for name, value in values.items())])


def _value(value: object) -> str:
    if isinstance(value, str):
        # A JSON string is a TOML string, but for DEL, which only TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"no city file holds a {type(value).__name__}")
