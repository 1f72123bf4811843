"""The rain of 14 October 2022 over Da Nang, as a function of place and time.

Published: the greatest sums over 1, 3, 6 and 24 h, the peak at 19-20 h local time, six stations' sums of 15-18 h.
Nobody published the hours one by one: their order here is a reconstruction that keeps all of those figures. The six
heavy hours are 15-21 h because then the station of Da Nang gets 161 mm in 15-18 h, of the 149 that it measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from firmware_sim.noise import key_of, uniform
from ingest.readings import Float64, Int64

HOUR_MS: Final = 3_600_000
MINUTE_MS: Final = 60_000
MAX_1H_MM, MAX_3H_MM, MAX_6H_MM, MAX_24H_MM = 150.2, 406.6, 567.8, 697.6
_CALM: Final = (MAX_24H_MM - MAX_6H_MM) / 18
_HEAVY: Final = (MAX_6H_MM - MAX_3H_MM) / 3
_PEAK: Final = (MAX_3H_MM - MAX_1H_MM) / 2
# mm in each hour from 01:00 to 01:00 local time at the wettest place.
HOURLY_MM: Final = (*[_CALM] * 14, *[_HEAVY] * 3, _PEAK, MAX_1H_MM, _PEAK, *[_CALM] * 4)
BEGIN_MS: Final = int(datetime(2022, 10, 13, 18, tzinfo=UTC).timestamp()) * 1000  # 01:00 local, UTC+7
END_MS: Final = BEGIN_MS + len(HOURLY_MM) * HOUR_MS
NOON_MS: Final = BEGIN_MS + 11 * HOUR_MS

_CUMULATIVE: Final = np.concatenate([[0.0], np.cumsum(HOURLY_MM)])
_SWING: Final = (0.25, 0.15)  # of the intensity within an hour; together under 1, so it never rains upwards


@dataclass(frozen=True, slots=True)
class Station:
    """A published gauge. Coordinates are approximate, read off the places they are named after."""

    name: str
    lat: float
    lon: float
    mm_15_18h: float


STATIONS: Final = (
    Station("Trạm Đà Nẵng", 16.055, 108.203, 149.4),
    Station("Trạm Cẩm Lệ", 16.003, 108.201, 108.6),
    Station("Suối Đá", 16.112, 108.258, 106.6),
    Station("Hồ Thạc Gián", 16.063, 108.211, 95.2),
    Station("Hòa Bắc", 16.124, 107.989, 75.4),
    Station("Hòa Phú", 15.968, 108.040, 30.2),
)
_NEAR_KM: Final = 0.5  # two gauges closer than this tell the same
_FAR_KM: Final = 15.0  # from here on the stations say less than the background does
_BACKGROUND: Final = 0.15  # share of the wettest place's rain far from all stations: an engineering choice


def distance_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Kilometres between two points given in degrees; flat, good to a percent within one city."""
    east = (other_lon - lon) * math.cos(math.radians((lat + other_lat) / 2))
    return math.hypot(other_lat - lat, east) * 111.2


def _interpolated(lat: float, lon: float) -> float:
    weights = [1 / (distance_km(lat, lon, s.lat, s.lon) ** 2 + _NEAR_KM**2) for s in STATIONS]
    shares = [s.mm_15_18h / STATIONS[0].mm_15_18h for s in STATIONS]
    far = 1 / _FAR_KM**2
    total = sum(w * share for w, share in zip(weights, shares, strict=True)) + far * _BACKGROUND
    return total / (sum(weights) + far)


_WETTEST: Final = _interpolated(STATIONS[0].lat, STATIONS[0].lon)


def share(lat: float, lon: float) -> float:
    """Rain at a place as a share of the rain at the wettest: 1 there, about the published ratios at the stations."""
    return _interpolated(lat, lon) / _WETTEST


@dataclass(frozen=True, slots=True)
class Rain:
    """The rain on one place. `key`: which gusts, within the hours, fall here."""

    share: float
    key: int

    @classmethod
    def at(cls, lat: float, lon: float, seed: int, name: str) -> Rain:
        return cls(share(lat, lon), key_of(seed, f"rain/{name}"))

    def fallen_mm(self, t_ms: Int64) -> Float64:
        """Rain in mm since the storm began, for each moment (ms UTC). Exact at whole hours, and never falling."""
        inside = np.clip(t_ms, BEGIN_MS, END_MS) - BEGIN_MS
        hour = np.minimum(inside // HOUR_MS, len(HOURLY_MM) - 1)
        part = (inside - hour * HOUR_MS) / HOUR_MS
        shape = part.copy()
        for wave, swing in enumerate(_SWING, start=2):
            phase = 2 * np.pi * uniform(self.key + wave, hour)
            shape += swing * (np.sin(2 * np.pi * wave * part + phase) - np.sin(phase)) / (2 * np.pi * wave)
        return np.asarray(self.share * (_CUMULATIVE[hour] + np.asarray(HOURLY_MM)[hour] * shape), np.float64)

    def intensity_mm_h(self, t_ms: Int64) -> Float64:
        """Rain in mm/h over the minute that ends at each moment."""
        return (self.fallen_mm(t_ms) - self.fallen_mm(t_ms - MINUTE_MS)) * 60.0
