"""The quantities a city measures: unit, physical bounds, how they are shown, public or not.

A new quantity is one row here (or one `[[quantity]]` of city.toml) and rules in TOML.
"""

from __future__ import annotations

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

# unit -> (unit it is converted to, factor, offset): value * factor + offset.
_TO_BASE: Final = {
    "mm": ("m", 0.001, 0.0), "cm": ("m", 0.01, 0.0), "m": ("m", 1.0, 0.0), "in": ("m", 0.0254, 0.0),
    "ft": ("m", 0.3048, 0.0), "V": ("V", 1.0, 0.0), "kV": ("V", 1000.0, 0.0),
    "°C": ("°C", 1.0, 0.0), "degC": ("°C", 1.0, 0.0), "Cel": ("°C", 1.0, 0.0),
    "°F": ("°C", 5 / 9, -160 / 9), "degF": ("°C", 5 / 9, -160 / 9),
}  # fmt: skip
# Exact factors between two units of length, so that 12 in is not 0.30479999999999996 m or 0.2 mm not 0.0002 * 1000.
_METRE_PARTS: Final = {"mm": (1, 1000), "cm": (1, 100), "m": (1, 1), "in": (254, 10_000), "ft": (3048, 10_000)}


def convert(value: float, unit: str, to: str) -> float:
    """`value` given in `unit`, in unit `to`. Raises UnitError where the two do not measure the same."""
    if unit == to:
        return value
    if unit in _METRE_PARTS and to in _METRE_PARTS:
        (up, down), (to_up, to_down) = _METRE_PARTS[unit], _METRE_PARTS[to]
        return value * (up * to_down) / (down * to_up)
    given, wanted = _TO_BASE.get(unit), _TO_BASE.get(to)
    if given is None or wanted is None or given[0] != wanted[0]:
        raise UnitError(f"unit {unit!r} cannot be read as {to!r}")
    return (value * given[1] + given[2] - wanted[2]) / wanted[1]
