"""A classroom as a seeded function of time: six sensors of one node."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from firmware_sim.devices import MINUTES, Beat, Series, rounded
from firmware_sim.noise import normal
from firmware_sim.storm import BEGIN_MS, HOUR_MS, Rain
from ingest.readings import Float64, Int64

QUANTITIES: Final = ("co2", "pm25", "temperature", "humidity", "noise", "light")
_LESSONS_H: Final = ((7.25, 11.0), (13.5, 16.75))  # local hours
_BREAKS_H: Final = ((9.0, 9.4), (15.0, 15.4))
_OUTDOOR_CO2_PPM: Final = 425.0
_CO2_M3_H_PUPIL: Final = 0.0145  # a sitting child
_CLOSES_AT_MM_H: Final = 30.0  # rain in which windows are shut


@dataclass(frozen=True)
class Classroom:
    """CO2 (ppm), PM2.5 (µg/m3), temperature (°C), humidity (%), noise (dBA) and light (lux) of one room.

    CO2 is a mass balance: what the pupils breathe out, less what the windows let go; the storm shuts the windows.
    """

    name: str  # its sensors are name-co2, name-pm25, …
    beat: Beat
    rain: Rain
    key: int
    pupils: int
    volume_m3: float
    open_per_h: float  # changes of air an hour, windows open
    shut_per_h: float  # and shut
    street_pm25: float  # µg/m3 outside before the rain
    lamps_lux: float

    def series(self, since_ms: int, until_ms: int) -> list[Series]:
        t = self.beat.moments(since_ms, until_ms)
        values = self._values(t)
        return [Series(f"{self.name}-{name}", t, values[name], t) for name in QUANTITIES]

    def _values(self, t: Int64) -> dict[str, Float64]:
        taught, playing = _within(t, _LESSONS_H), _within(t, _BREAKS_H)
        fallen = self.rain.fallen_mm(t)
        cooled = np.minimum(fallen / 300.0, 1.0)

        def noise(column: int) -> Float64:
            return normal(self.key + column, t)

        return {
            "co2": rounded(np.interp(t, MINUTES, self.co2_ppm) + 12.0 * noise(1), 0),
            "pm25": rounded(np.maximum(self.street_pm25 * np.exp(-fallen / 400.0) + 3.0 + 1.5 * noise(2), 1.0), 1),
            "temperature": rounded(29.0 - 4.0 * cooled + 1.5 * taught + 0.1 * noise(3), 1),
            "humidity": rounded(np.clip(72.0 + 20.0 * cooled + 0.8 * noise(4), 0.0, 100.0), 1),
            "noise": rounded(38.0 + 18.0 * taught + 14.0 * playing + 2.5 * noise(5), 1),
            "light": rounded(np.maximum(self.lamps_lux * taught + 8.0 + 6.0 * noise(6), 0.0), 0),
        }

    @cached_property
    def co2_ppm(self) -> Float64:
        """True CO2 on the storm's minutes, shape (1441,)."""
        taught = _within(MINUTES, _LESSONS_H) - 0.7 * _within(MINUTES, _BREAKS_H)
        source = 1e6 * self.pupils * taught * _CO2_M3_H_PUPIL / self.volume_m3 / 60.0  # ppm a minute
        shut = self.rain.intensity_mm_h(MINUTES) >= _CLOSES_AT_MM_H
        leave = np.where(shut, self.shut_per_h, self.open_per_h) / 60.0
        level, out = _OUTDOOR_CO2_PPM, np.empty(len(MINUTES))
        for i in range(len(out)):
            level += source[i] - leave[i] * (level - _OUTDOOR_CO2_PPM)
            out[i] = level
        return out


def _within(t: Int64, spans_h: tuple[tuple[float, float], ...]) -> Float64:
    """1 inside the spans (local hours), else 0."""
    hour = 1.0 + (t - BEGIN_MS) / HOUR_MS  # the storm begins at 01:00 local
    inside = np.zeros(len(t))
    for begin, end in spans_h:
        inside += (hour >= begin) & (hour < end)
    return inside
