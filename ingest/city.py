"""The registry: areas, gateways and sensors of a city, from city.toml, checked once.

Behind this door nobody asks again whether a field exists or an id is known.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from ingest.quality_keys import NOTHING_STATED, QualityRow, misfit, over
from ingest.quantity import CATALOGUE, Quantity, UnitError, convert

DEFAULT_CITY_FILE: Final = Path(__file__).with_name("city.toml")
_GATEWAY_ID: Final = re.compile(r"[a-z0-9-]{1,32}\Z")
_RESERVED: Final = ("alerts", "cap", "drill", "speak")
TRUSTS: Final = ("normal", "reference")  # reference: a station of the hydromet office
FOREIGN: Final = ("chirpstack", "ttn", "tasmota", "shelly")  # networks with topics of their own
SENML: Final = "senml"  # no network: the names of SenML records, which come through our gateways
_HEX_IDS: Final = ("chirpstack", "ttn")  # an EUI is one in capitals too
_SENSOR_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_AREA_CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")  # a level of MQTT topics and a part of URLs
_QUANTITY_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)\Z")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

# How msgspec words what it finds wrong -> what was found, what is expected.
_MISFITS: Final = (
    (re.compile(r"Expected (.+), got (.+)"), lambda m: (_plain(m[2]), _plain(m[1]))),
    (re.compile(r"Object missing required field `(.+)`"), lambda m: (f"no {m[1]}", m[1])),
    (re.compile(r"Object contains unknown field `(.+)`"), lambda m: (f"an unknown key {m[1]}", "the documented keys")),
    (re.compile(r"Invalid enum value (.+)"), lambda m: (m[1].strip("'"), "one of the documented words")),
)

_PLAIN: Final = {
    "str": "text", "float": "a number", "int": "a whole number", "bool": "true or false",
    "array": "a list", "object": "a table", " | null": "",
}  # fmt: skip
_PATH_STEP: Final = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")

T = TypeVar("T")


class ConfigError(ValueError):
    """A file that people write is wrong. Says where (file and key), what was found and what is expected."""

    def __init__(self, key: str, found: object, expected: str, file: str = "") -> None:
        self.key, self.found, self.expected, self.file = key, found, expected, file
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.file else self.key
        return f"{where}: found {self.found!r}, expected {self.expected}"


def is_gateway_id(text: str) -> bool:
    """Whether a gateway may be called so: the name stands in topics, beside reserved words, and as MQTT user name."""
    return bool(_GATEWAY_ID.match(text)) and text not in _RESERVED and not text.startswith("collector")


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
    """How a foreign network names this sensor. `unit`: of what it sends without saying; default the quantity's."""

    network: str
    id: str
    field: str = ""
    unit: str | None = None

    @property
    def device(self) -> str:
        """No sensor's id, which has no slash."""
        return f"{self.network}/{self.id.lower() if self.network in _HEX_IDS else self.id}"

    @property
    def alias(self) -> str:
        """What decoders call the sensor."""
        return f"{self.device}/{self.field}"


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
    trust: str = "normal"
    counter: bool = False
    wrap: float | None = None
    mount_height: float | None = None
    decoder: Decoder | None = None
    station: str | None = None
    public: bool | None = None
    quality: QualityRow | None = None


class QuantityRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[quantity]]` as written: a deployment's own, or one of the catalogue with what differs here."""

    name: str
    unit: str | None = None
    bounds: tuple[float, float] | None = None
    public: bool | None = None
    decimals: int | None = None
    name_vi: str | None = None
    name_en: str | None = None
    quality: QualityRow | None = None


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
    quality: QualityRow = NOTHING_STATED  # its own keys over those of its quantity


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

    def lineage(self, code: str) -> tuple[str, ...]:
        """The area and all that it is part of, itself first; one that the registry does not know stands alone."""
        found = [code]
        while (area := self.areas.get(found[-1])) is not None and area.parent is not None:
            found.append(area.parent)  # never in a circle: that is refused when the registry is read
        return tuple(found)

    def within(self, code: str) -> tuple[str, ...]:
        """The area, first, and all that are part of it, at any depth, in the order of the file."""
        return (code, *(other for other in self.areas if other != code and code in self.lineage(other)))


def parse_toml(text: str, into: type[T], file: str = "") -> T:
    """A TOML text as a typed record. Raises ConfigError with the line or the key."""
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the message of tomllib names line and column
        raise ConfigError("line", str(error), "valid TOML", file) from None
    try:
        return msgspec.convert(tables, into)
    except msgspec.ValidationError as error:
        raise ConfigError(*_misfit(str(error), tables), file) from None


def _misfit(said: str, tables: dict[str, Any]) -> tuple[str, object, str]:
    """What msgspec says of a document, as key (tables with index and id), what was found, what is expected."""
    what, _, path = said.partition(" - at ")
    key = ""
    at: Any = tables
    for name, index in _PATH_STEP.findall(path):
        if name:
            key += f" {name}"
            at = at.get(name) if isinstance(at, dict) else None
        else:
            at = at[int(index)] if isinstance(at, list) else None
            own = next((at[k] for k in ("id", "code", "name") if k in at), None) if isinstance(at, dict) else None
            key += f"[{index}]" if own is None else f"[{index}] {own!r}"
    key = key.strip() or "the file"
    for pattern, words in _MISFITS:
        match = pattern.fullmatch(what)
        if match:
            found, expected = words(match)
            return key, at if isinstance(at, (str, int, float)) else found, expected
    return key, what, "the documented shape"


def _plain(types: str) -> str:
    for technical, plain in _PLAIN.items():
        types = types.replace(technical, plain)
    return types.replace("`", "")


def duration_ms(text: str, key: str) -> int:
    """Milliseconds of a duration such as "90s", "15m", "24h". Raises ConfigError naming `key`."""
    match = _DURATION.match(text)
    if match is None:
        raise ConfigError(key, text, 'a duration such as "60s", "15m", "24h"')
    ms = Decimal(match[1]) * _UNIT_MS[match[2]]
    if ms % 1:
        raise ConfigError(key, text, "whole milliseconds")
    return int(ms)


def parse_city(text: str, file: str = "city.toml") -> City:
    """The registry that `text` describes. Raises ConfigError for the first thing that is wrong."""
    try:
        return _parsed(text)
    except ConfigError as error:
        raise ConfigError(error.key, error.found, error.expected, file) from None


@lru_cache(maxsize=2)  # a start reads the same text three times: for the spine, for the plan, and out of the journal
def _parsed(text: str) -> City:
    return _resolve(parse_toml(text, _Document))


def _resolve(doc: _Document) -> City:
    try:
        zone = ZoneInfo(doc.city.timezone)
    except (KeyError, ValueError, OSError):
        raise ConfigError("city.timezone", doc.city.timezone, "a zone such as Asia/Ho_Chi_Minh") from None
    quantities = dict(CATALOGUE)
    own: dict[str, QualityRow] = {}
    for name, row in _unique(doc.quantity, "name", "quantity").items():
        quantities[name] = _quantity(row, CATALOGUE.get(name), f"quantity {name!r}")
        if row.quality is not None:
            own[name] = row.quality
            _check_quality(f"quantity {name!r}", row.quality, counter=False)
    areas = _unique(doc.area, "code", "area")
    for code, area in areas.items():
        _check_area(code, area, areas)
    gateways = _unique(doc.gateway, "id", "gateway")
    for id_ in gateways:
        if not is_gateway_id(id_):
            raise ConfigError("gateway.id", id_, "[a-z0-9-]{1,32}, not alerts, cap, drill, speak, collector…")
    rows = _unique(doc.sensor, "id", "sensor")
    sensors = {id_: _sensor(row, quantities, own.get(row.quantity), areas, gateways) for id_, row in rows.items()}
    _check_aliases(sensors)
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
    if not _AREA_CODE.match(code):
        raise ConfigError("area.code", code, "1 to 32 of A-Z a-z 0-9 _ -")
    _check_words(f"area {code!r} name", area.name)
    _check_words(f"area {code!r} name_en", area.name_en or area.name)
    _check_place(f"area {code!r}", area.lat, area.lon)
    seen, up = {code}, area.parent
    while up is not None:
        if up not in areas:
            raise ConfigError(f"area {code!r} parent", up, "the code of an area")
        if up in seen:
            raise ConfigError(f"area {code!r} parent", up, "no circle of parents")
        seen.add(up)
        up = areas[up].parent


def _check_words(key: str, text: str) -> None:
    """Names stand in warnings: no control characters, none that turn the direction of writing."""
    if not text or not text.isprintable():
        raise ConfigError(key, text, "printable words")


def _check_place(key: str, lat: float, lon: float) -> None:
    if not -90 <= lat <= 90 or not -180 <= lon <= 180:
        raise ConfigError(f"{key} lat, lon", (lat, lon), "degrees, -90 to 90 and -180 to 180")


def _quantity(row: QuantityRow, known: Quantity | None, key: str) -> Quantity:
    if not _QUANTITY_NAME.match(row.name):
        raise ConfigError("quantity.name", row.name, "1 to 64 of A-Z a-z 0-9 . _ -")
    if known is not None and row.unit not in (None, known.unit):
        raise ConfigError(f"{key} unit", row.unit, f"{known.unit!r}, the unit of the catalogue")
    if row.bounds is not None and not -math.inf < row.bounds[0] < row.bounds[1] < math.inf:
        raise ConfigError(f"{key} bounds", row.bounds, "[low, high], finite, low < high")
    if row.decimals is not None and not 0 <= row.decimals <= 9:
        raise ConfigError(f"{key} decimals", row.decimals, "0 to 9")
    if known is None:
        if row.unit is None or row.bounds is None:
            raise ConfigError(key, "no unit or no bounds", "unit and bounds = [low, high] of a new quantity")
        known = Quantity(row.name, row.unit, *row.bounds, name_vi=row.name, name_en=row.name)
    if row.bounds is not None:  # given bounds stand for every span
        known = replace(known, low=row.bounds[0], high=row.bounds[1], records=())
    stated = {name: getattr(row, name) for name in ("public", "decimals", "name_vi", "name_en")}
    return replace(known, **{name: value for name, value in stated.items() if value is not None})


def _sensor(
    row: SensorRow,
    quantities: Mapping[str, Quantity],
    quality: QualityRow | None,
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
    area, quantity = areas[row.area], quantities[row.quantity]
    if (row.lat is None) != (row.lon is None):
        raise ConfigError(f"{key} lat, lon", (row.lat, row.lon), "both or neither")
    lat, lon = (area.lat, area.lon) if row.lat is None or row.lon is None else (row.lat, row.lon)
    _check_place(key, lat, lon)
    _check_words(f"{key} place", row.place or area.name)
    _check_device(key, row)
    _check_decoder(f"{key} decoder", row.decoder, quantity)
    return Sensor(
        id=row.id, quantity=quantity, area=row.area, affects=tuple(dict.fromkeys(row.affects)) or (row.area,),
        gateway=row.gateway, lat=lat, lon=lon, period_ms=_period_ms(row, key), place=row.place or area.name,
        trust=row.trust, counter=row.counter, wrap=row.wrap, mount_height_m=row.mount_height,
        decoder=row.decoder, station=row.station, public=quantity.public if row.public is None else row.public,
        quality=over(quality, row.quality),
    )  # fmt: skip


def _check_device(key: str, row: SensorRow) -> None:
    if row.trust not in TRUSTS:
        raise ConfigError(f"{key} trust", row.trust, "one of " + " ".join(TRUSTS))
    if row.wrap is not None and not (row.counter and 0 < row.wrap < math.inf):
        raise ConfigError(f"{key} wrap", row.wrap, "a positive number beside counter = true")
    if row.mount_height is not None and not 0 < row.mount_height < math.inf:
        raise ConfigError(f"{key} mount_height", row.mount_height, "metres above the ground, more than 0")
    if row.quality is not None:
        _check_quality(key, row.quality, counter=row.counter)


def _check_quality(key: str, row: QualityRow, *, counter: bool) -> None:
    wrong = misfit(row, counter=counter)
    if wrong is not None:
        raise ConfigError(f"{key} quality.{wrong.key}", wrong.found, wrong.expected)
    if row.flat is not None and duration_ms(row.flat.for_, f"{key} quality.flat.for") <= 0:
        raise ConfigError(f"{key} quality.flat.for", row.flat.for_, "more than nothing")


def _check_decoder(key: str, decoder: Decoder | None, quantity: Quantity) -> None:
    if decoder is None:
        return
    foreign = decoder.network in FOREIGN
    if not foreign and decoder.network != SENML:
        raise ConfigError(f"{key} network", decoder.network, f"one of {' '.join(FOREIGN)} {SENML}")
    if not decoder.id or not decoder.id.isprintable() or (foreign and "/" in decoder.id):
        raise ConfigError(f"{key} id", decoder.id, "how the network names the device")
    if not decoder.field if foreign else decoder.field not in ("", "s"):
        raise ConfigError(f"{key} field", decoder.field, "a field of the device" if foreign else '"", or "s": the sum')
    if decoder.unit is not None:
        try:
            convert(1.0, decoder.unit, quantity.unit)
        except UnitError:
            raise ConfigError(f"{key} unit", decoder.unit, f"a unit that can be read as {quantity.unit!r}") from None


def _check_aliases(sensors: Mapping[str, Sensor]) -> None:
    known: dict[str, str] = {}
    for id_, sensor in sensors.items():
        if sensor.decoder is not None and known.setdefault(sensor.decoder.alias, id_) != id_:
            other = known[sensor.decoder.alias]
            raise ConfigError(f"sensor {id_!r} decoder", f"that of {other!r}", "each field of a device once")


def _period_ms(row: SensorRow, key: str) -> int | None:
    if row.period is None:
        return None
    period_ms = duration_ms(row.period, f"{key} period")
    if period_ms <= 0:
        raise ConfigError(f"{key} period", row.period, "more than nothing")
    return period_ms
