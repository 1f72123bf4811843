"""The quantities a city measures: unit, physical bounds, how they are shown, public or not.

A new quantity is one row here (or one `[[quantity]]` of city.toml) and rules in TOML.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# Greatest rain ever measured over a span (ms, mm): the only bounds that real rain here never passes.
# 1 and 10 min: the "fail" column of DOMAIN section 8; 15 min, 1 h, 24 h: world records, DOMAIN section 2.
RAIN_RECORDS: Final = ((60_000, 38.0), (600_000, 150.0), (900_000, 198.0), (3_600_000, 401.0), (86_400_000, 1825.0))


class UnitError(ValueError):
    """The unit is not one of the quantity's."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity. `low` and `high` are physical bounds in `unit`; beyond them a value is refused.

    `records`: for amounts per span, rising points (span ms, most); `high` is then the bound of an unknown span.
    """

    name: str
    unit: str
    low: float
    high: float
    public: bool = False
    decimals: int = 1
    name_vi: str = ""
    name_en: str = ""
    records: tuple[tuple[int, float], ...] = ()

    def most(self, span_ms: int) -> float:
        """The greatest possible value over `span_ms` (0: unknown), in `unit`; linear between the records."""
        if not self.records or span_ms <= 0:
            return self.high
        spans = [span for span, _ in self.records]
        at = bisect_left(spans, span_ms)
        if at == len(spans):
            span, most = self.records[-1]
            return most * span_ms / span
        right_ms, right = self.records[at]
        left_ms, left = self.records[at - 1] if at else (0, 0.0)
        return left + (right - left) * (span_ms - left_ms) / (right_ms - left_ms)


_ROWS: Final = (
    Quantity("rain", "mm", 0.0, 1825.0, True, 1, "Mưa", "Rain", RAIN_RECORDS),
    Quantity("water_level", "m", -10.0, 60.0, True, 2, "Mực nước sông", "River level"),
    Quantity("street_depth", "m", -0.03, 10.0, True, 2, "Ngập đường", "Street depth"),
    Quantity("voltage", "V", 0.0, 300.0, False, 0, "Điện áp", "Voltage"),
    Quantity("power", "", 0.0, 1.0, False, 0, "Nguồn điện", "Power"),
    Quantity("co2", "ppm", 0.0, 10_000.0, False, 0, "CO₂", "CO₂"),
    Quantity("pm25", "µg/m3", 0.0, 1000.0, False, 0, "Bụi PM2.5", "PM2.5"),
    Quantity("pm10", "µg/m3", 0.0, 2000.0, False, 0, "Bụi PM10", "PM10"),
    Quantity("temperature", "°C", -10.0, 60.0, False, 1, "Nhiệt độ", "Temperature"),
    Quantity("humidity", "%", 0.0, 100.0, False, 0, "Độ ẩm", "Humidity"),
    Quantity("noise", "dBA", 20.0, 130.0, False, 0, "Tiếng ồn", "Noise"),
    Quantity("light", "lux", 0.0, 200_000.0, False, 0, "Ánh sáng", "Light"),
    Quantity("ammonia", "ppm", 0.0, 1000.0, False, 1, "Amoniac", "Ammonia"),
    Quantity("occupancy", "count", 0.0, 100_000.0, False, 0, "Số người", "Occupancy"),
    Quantity("battery", "%", 0.0, 100.0, False, 0, "Pin", "Battery"),
    Quantity("rssi", "dBm", -200.0, 20.0, False, 0, "Sóng", "Signal"),
)
CATALOGUE: Final[Mapping[str, Quantity]] = MappingProxyType({row.name: row for row in _ROWS})

# Exact fractions of a metre: 12 in is then 0.3048 m, not 0.30479999999999996, and 0.2 mm stays 0.2 mm.
_METRE_PARTS: Final = {"mm": (1, 1000), "cm": (1, 100), "m": (1, 1), "in": (254, 10_000), "ft": (3048, 10_000)}
_VOLTS: Final = {"V": 1, "kV": 1000}
_CELSIUS: Final = ("°C", "degC", "Cel")
_FAHRENHEIT: Final = ("°F", "degF")
_NOT_IN_METRICS: Final = re.compile("[^a-zA-Z0-9_]")


def metric_name(quantity: str) -> str:
    """A quantity's name as a metric's, in Prometheus's data model: with _ for what no such name may hold."""
    name = _NOT_IN_METRICS.sub("_", quantity)
    return f"_{name}" if name[0].isdigit() else name


def convert(value: float, unit: str, to: str) -> float:
    """`value` given in `unit`, in unit `to`. Raises UnitError where the two do not measure the same."""
    if unit == to or (unit in _CELSIUS and to in _CELSIUS) or (unit in _FAHRENHEIT and to in _FAHRENHEIT):
        return value
    if unit in _METRE_PARTS and to in _METRE_PARTS:
        (up, down), (to_up, to_down) = _METRE_PARTS[unit], _METRE_PARTS[to]
        return value * (up * to_down) / (down * to_up)
    if unit in _VOLTS and to in _VOLTS:
        return value * _VOLTS[unit] / _VOLTS[to]
    if unit in _FAHRENHEIT and to in _CELSIUS:
        return (value - 32) * 5 / 9
    if unit in _CELSIUS and to in _FAHRENHEIT:
        return value * 9 / 5 + 32
    raise UnitError(f"unit {unit!r} cannot be read as {to!r}")
