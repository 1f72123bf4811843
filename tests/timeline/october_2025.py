"""26 to 30 October 2025 over Đà Nẵng: rivers as bulletins gave them, rain in pulses, and a depth for each street.

Published: the eight rivers' levels at certain hours, 1739.6 mm in 24 h at Bạch Mã, 104.6 mm in 1 h at Nam Đông (DOMAIN
section 9). Choices: how the rain of Bạch Mã falls in pulses, that it lessens with the distance from there to what the
city's plains get, how much of it stands in which street, and the rivers before the first and after the last figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
import numpy as np
from timeline.script import ZONE
from timeline.world import Sent

from firmware_sim.city_file import city_text
from firmware_sim.noise import key_of, normal, uniform
from firmware_sim.sites import Site, sites, within_reach
from firmware_sim.storm import distance_km
from ingest.city import DEFAULT_CITY_FILE, City, SensorRow, parse_city
from ingest.readings import Float64, Int64

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
GAUGES, TOWERS = 82, 56
GAUGE_MS = 10 * MINUTE_MS


def ms(text: str) -> int:
    """A local time of October 2025, `26 19:00`."""
    return round(datetime.fromisoformat(f"2025-10-{text}").replace(tzinfo=ZONE).timestamp() * 1000)


BEGIN, END = ms("26 00:00"), ms("31 23:59")  # the story is over on the 30th; then it has to end
BACH_MA: Final = (16.197, 107.862)
# Begin, hours, mm at Bạch Mã. The first three are the 1739.6 mm of 24 h.
PULSES: Final = (
    (ms("26 19:00"), 6, 579.8), (ms("27 03:00"), 6, 579.9), (ms("27 11:00"), 7, 579.9), (ms("28 04:00"), 5, 300.0),
    (ms("28 20:00"), 5, 350.0), (ms("29 14:00"), 6, 450.0), (ms("30 01:00"), 5, 250.0),
)  # fmt: skip
_NEAR, _FAR, _FADES_KM = 0.50, 0.05, 35.0  # the share of Bạch Mã's rain: beside it, far off, and how it lessens
_TIMES: Final = ("28 01:00", "28 13:00", "28 19:00", "29 13:00", "29 18:00", "30 01:00", "30 02:00", "30 06:30")
_N: Final = math.nan
RIVERS: Final[dict[str, tuple[float, ...]]] = {  # m, at _TIMES
    "cam_le": (1.93, 2.46, _N, 2.73, _N, 3.20, _N, _N),
    "ai_nghia": (10.14, _N, 10.10, 10.01, 10.56, 10.29, 10.22, 9.88),
    "hoi_khach": (17.81, _N, 18.57, _N, _N, 16.79, _N, _N),
    "nong_son": (17.84, _N, 16.24, 17.84, 18.60, 17.95, _N, _N),
    "giao_thuy": (9.79, _N, 9.28, 9.38, 9.87, 9.88, _N, _N),
    "cau_lau": (5.15, _N, 5.15, 5.17, 5.32, 5.61, 5.62, _N),
    "hoi_an": (3.06, _N, 3.05, 2.99, 3.11, 3.37, 3.39, 3.32),
    "tam_ky": (2.24, _N, _N, 2.44, _N, 2.72, _N, _N),
}
_ALARM: Final = {  # m: alarm levels I and II
    "cam_le": (1.0, 2.0), "ai_nghia": (6.5, 8.0), "hoi_khach": (14.5, 15.5), "nong_son": (11.0, 13.0),
    "giao_thuy": (6.5, 7.5), "cau_lau": (2.0, 3.0), "hoi_an": (1.0, 1.5), "tam_ky": (1.7, 2.2),
}  # fmt: skip


def river_m(station: str, t: Int64) -> Float64:
    """Straight lines between the figures; from half a metre under alarm level I a day and a half before, and back."""
    low = _ALARM[station][0] - 0.5
    known = [(ms(when), level) for when, level in zip(_TIMES, RIVERS[station], strict=True) if not math.isnan(level)]
    points = [(ms("26 12:00"), low), *known, (ms("31 12:00"), low)]
    return np.interp(t, [at for at, _ in points], [level for _, level in points])


def share(lat: float, lon: float) -> float:
    """Rain at a place as a share of Bạch Mã's."""
    return _FAR + (_NEAR - _FAR) * math.exp(-distance_km(lat, lon, *BACH_MA) / _FADES_KM)


def fallen_mm(lat: float, lon: float, t: Int64) -> Float64:
    """Rain since the story began; a pulse swells and fades as sin² does."""
    found = np.zeros(len(t))
    for begin, hours, total in PULSES:
        part = np.clip((t - begin) / (hours * HOUR_MS), 0.0, 1.0)
        found += total * (part - np.sin(2 * np.pi * part) / (2 * np.pi))
    return share(lat, lon) * found


@dataclass(frozen=True, slots=True)
class Town:
    """The city file, what its sensors send, and the truth: `depth_m[tower]` on `minutes`."""

    city_toml: str
    areas: tuple[str, ...]
    sent: Sent
    minutes: Int64
    depth_m: dict[str, Float64]
    towers_of: dict[str, list[str]]  # by area
    died: dict[str, int]  # tower -> ms UTC

    def deepest(self, area: str, at: int) -> float:
        """The deepest water in the streets of an area, m; NaN where it has no tower."""
        minute = min(max((at - BEGIN) // MINUTE_MS, 0), len(self.minutes) - 1)
        return max((float(self.depth_m[tower][minute]) for tower in self.towers_of.get(area, ())), default=math.nan)


def town(seed: int) -> Town:
    base = parse_city(DEFAULT_CITY_FILE.read_text("utf-8"))
    areas = within_reach(list(base.areas.values()))
    gauges = sites("rain", "Trạm mưa", areas, GAUGES, seed=seed, weight=lambda d: math.sqrt(d) + 0.2)
    towers = sites("tower", "Tháp báo ngập", areas, TOWERS, seed=seed, weight=lambda d: d + 0.02)
    minutes = np.arange(BEGIN, END, MINUTE_MS, dtype=np.int64)
    depth = {site.id: street_m(site, base, minutes, seed) for site in towers}
    died = {site.id: int(minutes[depth[site.id].argmax()]) for site in towers[::3]}
    parts = [_river(row, seed) for row in base.sensors]
    parts += [_gauge(site, seed) for site in gauges]
    parts += [_tower(site, minutes, depth[site.id], died.get(site.id, END), seed) for site in towers]
    rows = _rivers(base) + [_row(site, "rain", "10m") for site in gauges]
    rows += [_row(site, "street_depth", "60s") for site in towers]
    text = city_text(base.name, base.timezone.key, areas=base.areas.values(), gateways=base.gateways, sensors=rows)
    towers_of: dict[str, list[str]] = {}
    for site in towers:
        towers_of.setdefault(site.area.code, []).append(site.id)
    return Town(text, tuple(base.areas), _joined(parts), minutes, depth, towers_of, died)


def street_m(site: Site, city: City, minutes: Int64, seed: int) -> Float64:
    """The true depth: a reservoir of what rain gathers, less what drains and runs off; low ground follows the river."""
    gathering, drain_mm_h, runoff_h, low = (uniform(key_of(seed, f"{site.id}/{name}"), np.zeros(1, np.int64))[0]
                                            for name in ("gathering", "drain", "runoff", "low"))  # fmt: skip
    fell_mm = np.diff(fallen_mm(site.lat, site.lon, minutes), prepend=0.0)
    gain = (fell_mm - (15 + 25 * drain_mm_h) / 60) / 1000 * (4 + 20 * gathering)
    keep = 1 - 1 / (60 * (0.7 + 2.3 * runoff_h))
    depth, out = 0.0, np.empty(len(minutes))
    for i, more in enumerate(gain):
        depth = max(0.0, depth * keep + more)
        out[i] = depth
    stations = [s.station for s in city.sensors.values() if site.area.code in s.affects and s.station]
    over = [np.maximum(river_m(station, minutes) - _ALARM[station][1], 0.0) for station in stations]
    return np.asarray(out + 0.35 * low * np.max([np.zeros(len(minutes)), *over], axis=0), np.float64)


def _row(site: Site, quantity: str, period: str) -> SensorRow:
    return SensorRow(id=site.id, quantity=quantity, area=site.area.code, lat=site.lat, lon=site.lon, period=period,
                     place=site.place)  # fmt: skip


def _rivers(base: City) -> list[SensorRow]:
    return [msgspec.structs.replace(
        _row(Site(s.id, base.areas[s.area], s.lat, s.lon, s.place), "water_level", "10m"),
        affects=list(s.affects), trust="reference", station=s.station,
    ) for s in base.sensors.values()]  # fmt: skip


_Part = tuple[Int64, Float64]


def _river(id_: str, seed: int) -> _Part:
    key = key_of(seed, id_)
    t = np.arange(BEGIN + key % GAUGE_MS, END, GAUGE_MS, dtype=np.int64)
    station = id_.removeprefix("river-").replace("-", "_")
    return t, np.round(river_m(station, t) + 0.01 * normal(key, t), 2)


def _gauge(site: Site, seed: int) -> _Part:
    """mm in 10 min, in gusts that change nothing of the total in the long run; 0.2 mm a tip."""
    key = key_of(seed, site.id)
    t = np.arange(BEGIN + key % GAUGE_MS, END, GAUGE_MS, dtype=np.int64)
    fell = fallen_mm(site.lat, site.lon, t) - fallen_mm(site.lat, site.lon, t - GAUGE_MS)
    tips = np.floor(np.cumsum(fell * (0.6 + 0.8 * uniform(key, t))) / 0.2)
    return t, np.round(np.diff(tips, prepend=0.0) * 0.2, 1)


def _tower(site: Site, minutes: Int64, depth: Float64, dies: int, seed: int) -> _Part:
    """Each minute, with an echo's noise and the waves of what drives through deeper water; nothing once it is dead."""
    key = key_of(seed, site.id)
    t = np.arange(BEGIN + key % MINUTE_MS, min(END, dies), MINUTE_MS, dtype=np.int64)
    true = np.interp(t, minutes, depth)
    return t, np.round(np.maximum(true + (0.003 + 0.02 * np.minimum(true, 1.0)) * normal(key, t), -0.01), 3) + 0.0


def _joined(parts: list[_Part]) -> Sent:
    sensor = np.concatenate([np.full(len(t), n, np.int32) for n, (t, _) in enumerate(parts)])
    t, value = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    order = np.argsort(t, kind="stable")
    return Sent(sensor[order], t[order], value[order], t[order])
