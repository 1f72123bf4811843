"""Devices as seeded functions of time: ask for any stretch, in any order, and get the same readings.

Each has `series(since_ms, until_ms)`: what it sends in [since, until), one Series for each of its sensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from firmware_sim.noise import normal
from firmware_sim.storm import BEGIN_MS, END_MS, HOUR_MS, MINUTE_MS, Rain
from ingest.readings import Float64, Int64

BUCKET_MM: Final = 0.2
MINUTES: Final = np.arange(
    BEGIN_MS, END_MS + 1, MINUTE_MS, dtype=np.int64
)  # the grid that reservoirs are integrated on
_TIDE_MS: Final = 12.42 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Series:
    """What one sensor sends: columns of shape (n,). `sent` >= `t`, ms UTC; `value` in the catalogue's unit."""

    sensor: str
    t: Int64
    value: Float64
    sent: Int64


def rounded(value: Float64, decimals: int) -> Float64:
    """As a device shows it; -0.0 becomes 0.0."""
    return np.asarray(np.round(value, decimals) + 0.0, np.float64)


class Device(Protocol):
    """Something on a wall or a pole with one or more sensors."""

    def series(self, since_ms: int, until_ms: int) -> list[Series]: ...


@dataclass(frozen=True, slots=True)
class Beat:
    """The moments at which a device samples: every period, at its own offset."""

    period_ms: int
    offset_ms: int

    def moments(self, since_ms: int, until_ms: int) -> Int64:
        first = -((self.offset_ms - since_ms) // self.period_ms) * self.period_ms + self.offset_ms
        return np.arange(first, until_ms, self.period_ms, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class TippingBucket:
    """Rain gauge with a 0.2 mm bucket: mm since the reading before, or a running total.

    `fill`: how full the bucket was at the start, 0-1. `total_mm`: what a counting gauge showed then, None for one
    that does not count. `wrap_mm`: where its register starts again from 0.
    """

    sensor: str
    beat: Beat
    rain: Rain
    fill: float = 0.0
    total_mm: float | None = None
    wrap_mm: float | None = None

    def series(self, since_ms: int, until_ms: int) -> list[Series]:
        t = self.beat.moments(since_ms, until_ms)
        if self.total_mm is None:
            value = rounded((self._tips(t) - self._tips(t - self.beat.period_ms)) * BUCKET_MM, 1)
        else:
            total = self.total_mm + self._tips(t) * BUCKET_MM
            value = rounded(total if self.wrap_mm is None else total % self.wrap_mm, 2)
        return [Series(self.sensor, t, value, t)]

    def _tips(self, t_ms: Int64) -> Float64:
        # The tiny addend keeps a sum that should be whole from ending just under it.
        return np.floor(self.rain.fallen_mm(t_ms) / BUCKET_MM + self.fill + 1e-9)


@dataclass(frozen=True)
class Tower:
    """Ultrasonic flood tower: metres of water above the road.

    The road is a reservoir: rain gathered from around it, less what drains, less what runs off. At high tide the
    outfalls of low ground stand under water and drain less.
    """

    sensor: str
    beat: Beat
    rain: Rain
    key: int
    gathering: float  # metres of water on the road per metre of rain that does not drain
    drain_mm_h: float
    runoff_h: float  # how long standing water takes to leave by itself
    tidal: float  # share of the drainage lost at high tide, 0-1

    def series(self, since_ms: int, until_ms: int) -> list[Series]:
        t = self.beat.moments(since_ms, until_ms)
        noise = 0.002 * normal(self.key, t)  # of an ultrasonic echo in rain
        depth = np.interp(t, MINUTES, self.depth_m) + noise
        return [Series(self.sensor, t, rounded(np.maximum(depth, -0.01), 3), t)]

    @cached_property
    def depth_m(self) -> Float64:
        """True depth on the storm's minutes, shape (1441,)."""
        tide = 0.5 + 0.5 * np.cos(2 * np.pi * (MINUTES - BEGIN_MS - 18 * HOUR_MS) / _TIDE_MS)  # high at 19 h local
        surplus = (self.rain.intensity_mm_h(MINUTES) - self.drain_mm_h * (1 - self.tidal * tide)) / 60_000
        keep = 1 - 1 / (60 * self.runoff_h)
        depth, out = 0.0, np.empty(len(MINUTES))
        for i, gain in enumerate(surplus * self.gathering):
            depth = max(0.0, depth * keep + gain)
            out[i] = depth
        return out


@dataclass(frozen=True, slots=True)
class Outage:
    """[begin, end) without supply, ms UTC. A last gasp leaves `gasp_delay_ms` after its beginning, or never (None)."""

    begin_ms: int
    end_ms: int
    gasp_delay_ms: int | None
    battery: bool  # keeps reporting 0 from a battery; otherwise silent until the supply is back


@dataclass(frozen=True, slots=True)
class TransformerNode:
    """Voltage (V) and supply (1 or 0) of a distribution transformer."""

    voltage_sensor: str
    power_sensor: str
    beat: Beat
    key: int
    outage: Outage | None = None

    def series(self, since_ms: int, until_ms: int) -> list[Series]:
        t = self.beat.moments(since_ms, until_ms)
        dead = self._dead(t)
        if self.outage is not None and not self.outage.battery:
            t = t[~dead]
        t, sent = self._with_events(t, since_ms, until_ms)
        dead = self._dead(t)
        power = 1.0 - dead.astype(np.float64)
        voltage = rounded(self._live_v(t) * power, 1)
        return [Series(self.voltage_sensor, t, voltage, sent), Series(self.power_sensor, t, power, sent)]

    def _dead(self, t: Int64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if self.outage is None:
            return np.zeros(len(t), np.bool_)
        return (t >= self.outage.begin_ms) & (t < self.outage.end_ms)

    def _live_v(self, t: Int64) -> Float64:
        evening = np.exp(-(((t - BEGIN_MS) / HOUR_MS - 18.5) ** 2) / 4)  # the load peaks at half past seven
        return np.asarray(224.0 - 6.0 * evening + 1.2 * normal(self.key, t), np.float64)

    def _with_events(self, t: Int64, since_ms: int, until_ms: int) -> tuple[Int64, Int64]:
        """The beats, and the last gasp and the boot that fall between: measured and sent, in order of sending."""
        events: list[tuple[int, int]] = []
        if self.outage is not None:
            if self.outage.gasp_delay_ms is not None:
                events.append((self.outage.begin_ms, self.outage.begin_ms + self.outage.gasp_delay_ms))
            events.append((self.outage.end_ms, self.outage.end_ms))
        extra = [event for event in events if since_ms <= event[1] < until_ms]
        measured = np.concatenate([t, np.array([e[0] for e in extra], np.int64)])
        sent = np.concatenate([t, np.array([e[1] for e in extra], np.int64)])
        order = np.argsort(sent, kind="stable")
        return measured[order], sent[order]
