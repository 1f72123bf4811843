"""The registry: areas, gateways and sensors of a city, from city.toml, checked once.

Behind this door nobody asks again whether a field exists or an id is known.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from ingest.quantity import CATALOGUE, Quantity

DEFAULT_CITY_FILE: Final = Path(__file__).with_name("city.toml")
_ID: Final = re.compile(r"[a-z0-9-]{1,32}\Z")
_SENSOR_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_RESERVED: Final = ("alerts", "cap", "drill", "speak")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)\Z")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

T = TypeVar("T")


class ConfigError(ValueError):
    """A file that people write is wrong. Says where (file and key), what was found and what is expected."""

    def __init__(self, key: str, found: object, expected: str, file: str = "") -> None:
        self.key, self.found, self.expected, self.file = key, found, expected, file
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.file else self.key
        return f"{where}: found {self.found!r}, expected {self.expected}"


class Area(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A unit of the city that people are told by; `parent` makes any depth."""

    code: str
    name: str
    name_en: str = ""
    lat: float = 0.0
    lon: float = 0.0
    parent: str | None = None


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str  # its MQTT user name and client id


class Decoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a foreign network names this sensor."""

    network: str
    id: str
    field: str = ""


class SensorRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[sensor]]` as written."""

    id: str
    quantity: str
    area: str
    affects: list[str] = []
    gateway: str | None = None
    lat: float | None = None
    lon: float | None = None
    period: str | None = None
    place: str = ""
    trust: Literal["normal", "reference"] = "normal"
    counter: bool = False
    wrap: float | None = None
    mount_height: float | None = None
    decoder: Decoder | None = None
    station: str | None = None
    public: bool | None = None


class QuantityRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[quantity]]` as written: a deployment's own, or another public mark for one of the catalogue."""

    name: str
    unit: str | None = None
    bounds: tuple[float, float] | None = None
    public: bool = False
    decimals: int = 1
    name_vi: str = ""
    name_en: str = ""


class _CityTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    timezone: str = "UTC"
    areas_geojson: str = ""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    city: _CityTable
    area: list[Area] = []
    gateway: list[Gateway] = []
    sensor: list[SensorRow] = []
    quantity: list[QuantityRow] = []


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor, everything resolved. `period_ms` None: unknown, nothing that speaks of gaps applies."""

    id: str
    quantity: Quantity
    area: str
    affects: tuple[str, ...]
    gateway: str | None = None
    lat: float = 0.0
    lon: float = 0.0
    period_ms: int | None = None
    place: str = ""
    trust: str = "normal"
    counter: bool = False
    wrap: float | None = None
    mount_height_m: float | None = None
    decoder: Decoder | None = None
    station: str | None = None
    public: bool = False


@dataclass(frozen=True, slots=True)
class City:
    """The whole registry; every mapping keeps the order of the file."""

    name: str
    timezone: ZoneInfo
    areas: Mapping[str, Area] = field(default_factory=dict)
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    sensors: Mapping[str, Sensor] = field(default_factory=dict)
    quantities: Mapping[str, Quantity] = field(default_factory=lambda: CATALOGUE)
    areas_geojson: str = ""


def parse_toml(text: str, into: type[T], file: str = "") -> T:
    """A TOML text as a typed record. Raises ConfigError with the line or the key."""
    try:
        return msgspec.convert(tomllib.loads(text), into)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("line", str(error), "valid TOML", file) from None
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise ConfigError(
            where.strip("`").removeprefix("$.") or "the file", what, "the documented shape", file
        ) from None


def duration_ms(text: str, key: str) -> int:
    """Milliseconds of a duration such as "90s", "15m", "24h". Raises ConfigError naming `key`."""
    match = _DURATION.match(text)
    if match is None:
        raise ConfigError(key, text, 'a duration such as "60s", "15m", "24h"')
    ms = float(match[1]) * _UNIT_MS[match[2]]
    if not ms.is_integer():
        raise ConfigError(key, text, "whole milliseconds")
    return int(ms)


def parse_city(text: str, file: str = "city.toml") -> City:
    """The registry that `text` describes. Raises ConfigError for the first thing that is wrong."""
    try:
        return _resolve(parse_toml(text, _Document))
    except ConfigError as error:
        raise ConfigError(error.key, error.found, error.expected, file) from None


def _resolve(doc: _Document) -> City:
    try:
        zone = ZoneInfo(doc.city.timezone)
    except (KeyError, ValueError, OSError):
        raise ConfigError("city.timezone", doc.city.timezone, "a zone such as Asia/Ho_Chi_Minh") from None
    quantities = dict(CATALOGUE)
    for i, row in enumerate(doc.quantity):
        quantities[row.name] = _quantity(row, CATALOGUE.get(row.name), f"quantity[{i}] {row.name!r}")
    areas = _unique(doc.area, "code", "area")
    for code, area in areas.items():
        _check_area(code, area, areas)
    gateways = _unique(doc.gateway, "id", "gateway")
    for id_ in gateways:
        if not _ID.match(id_) or id_ in _RESERVED or id_.startswith("collector"):
            raise ConfigError("gateway.id", id_, "[a-z0-9-]{1,32}, not alerts, cap, drill, speak, collector…")
    rows = _unique(doc.sensor, "id", "sensor")
    sensors = {id_: _sensor(row, quantities, areas, gateways) for id_, row in rows.items()}
    return City(doc.city.name, zone, areas, gateways, sensors, quantities, doc.city.areas_geojson)


def _unique(rows: list[Any], key: str, table: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        name = getattr(row, key)
        if name in found:
            raise ConfigError(f"{table}.{key}", name, f"every {key} once")
        found[name] = row
    return found


def _check_area(code: str, area: Area, areas: Mapping[str, Area]) -> None:
    if not -90 <= area.lat <= 90 or not -180 <= area.lon <= 180:
        raise ConfigError(f"area {code!r} lat, lon", (area.lat, area.lon), "degrees")
    seen, up = {code}, area.parent
    while up is not None:
        if up not in areas:
            raise ConfigError(f"area {code!r} parent", up, "the code of an area")
        if up in seen:
            raise ConfigError(f"area {code!r} parent", up, "no circle of parents")
        seen.add(up)
        up = areas[up].parent


def _quantity(row: QuantityRow, known: Quantity | None, key: str) -> Quantity:
    if known is not None:
        if row.unit not in (None, known.unit):
            raise ConfigError(f"{key} unit", row.unit, f"{known.unit!r}, the unit of the catalogue")
        low, high = row.bounds or (known.low, known.high)
        records = () if row.bounds else known.records
        return Quantity(known.name, known.unit, low, high, row.public, known.decimals, known.name_vi,
                        known.name_en, records)  # fmt: skip
    if row.unit is None or row.bounds is None:
        raise ConfigError(key, "no unit or no bounds", "unit and bounds = [low, high] of a new quantity")
    low, high = row.bounds
    if not low < high:
        raise ConfigError(f"{key} bounds", row.bounds, "[low, high] with low < high")
    return Quantity(row.name, row.unit, low, high, row.public, row.decimals, row.name_vi or row.name,
                    row.name_en or row.name)  # fmt: skip


def _sensor(
    row: SensorRow,
    quantities: Mapping[str, Quantity],
    areas: Mapping[str, Area],
    gateways: Mapping[str, Gateway],
) -> Sensor:
    key = f"sensor {row.id!r}"
    if not _SENSOR_ID.match(row.id):
        raise ConfigError("sensor.id", row.id, "1 to 64 of A-Z a-z 0-9 . _ : -")
    if row.quantity not in quantities:
        raise ConfigError(f"{key} quantity", row.quantity, "one of " + " ".join(quantities))
    for name, code in [("area", row.area), *(("affects", code) for code in row.affects)]:
        if code not in areas:
            raise ConfigError(f"{key} {name}", code, "the code of an area")
    if row.gateway is not None and row.gateway not in gateways:
        raise ConfigError(f"{key} gateway", row.gateway, "the id of a gateway")
    period_ms = None if row.period is None else duration_ms(row.period, f"{key} period")
    if period_ms is not None and period_ms <= 0:
        raise ConfigError(f"{key} period", row.period, "more than nothing")
    if row.wrap is not None and not (row.counter and row.wrap > 0):
        raise ConfigError(f"{key} wrap", row.wrap, "a positive number beside counter = true")
    area, quantity = areas[row.area], quantities[row.quantity]
    return Sensor(
        id=row.id, quantity=quantity, area=row.area, affects=tuple(row.affects) or (row.area,),
        gateway=row.gateway, lat=area.lat if row.lat is None else row.lat,
        lon=area.lon if row.lon is None else row.lon, period_ms=period_ms, place=row.place or area.name,
        trust=row.trust, counter=row.counter, wrap=row.wrap, mount_height_m=row.mount_height,
        decoder=row.decoder, station=row.station, public=quantity.public if row.public is None else row.public,
    )  # fmt: skip
