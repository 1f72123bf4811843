"""Readings in memory, asked as a history store is asked, and the same readings as a file for Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from ingest.city import City
from ingest.history.store import Named, Points, Rows, StoreError
from ingest.readings import Flag, Float64, Int64, Readings, UInt8


@dataclass
class KeptReadings:
    """Sensor id -> its readings. `fault`: why the store is away. `scanned`: rows that were handed out."""

    names: dict[str, Named]
    points: dict[str, Points] = field(default_factory=dict)
    fault: str = ""
    scanned: int = 0
    chunk: int = 1000
    open_scans: int = 0
    scans: int = 0

    def keep(self, sensor: str, t: Int64, value: Float64, flag: UInt8) -> None:
        self.points[sensor] = Points(t, value, value, flag)

    def scan(self, start: int, end: int, sensors: Collection[str] | None = None) -> Iterator[Rows]:
        if self.fault:
            raise StoreError(self.fault)
        self.open_scans += 1
        self.scans += 1
        try:
            yield from self._chunks(start, end, sensors)
        finally:
            self.open_scans -= 1

    def span(self) -> tuple[int, int] | None:
        ends = [(int(points.t[0]), int(points.t[-1])) for points in self.points.values() if len(points.t)]
        return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None

    def _chunks(self, start: int, end: int, sensors: Collection[str] | None) -> Iterator[Rows]:
        """In the order of time, then of sensor id."""
        ids = sorted(self.points if sensors is None else set(sensors) & set(self.points))
        if not ids:
            return
        kept = [self.points[id_] for id_ in ids]
        series = np.repeat(np.arange(len(ids), dtype=np.int32), [len(points.t) for points in kept])
        t = np.concatenate([points.t for points in kept])
        value = np.concatenate([points.value for points in kept])
        flag = np.concatenate([points.flag for points in kept])
        order = np.lexsort((series, t))
        order = order[(t[order] >= start) & (t[order] < end)]
        for at in range(0, len(order), self.chunk):
            rows = order[at : at + self.chunk]
            self.scanned += len(rows)
            yield Rows(
                tuple(self.names[id_] for id_ in ids), series[rows], t[rows], value[rows], value[rows], flag[rows]
            )


def of_city(city: City) -> KeptReadings:
    """None yet of the city's sensors, under the names that the registry gives them."""
    named = {
        sensor.id: Named(sensor.id, sensor.quantity.name, sensor.quantity.unit, sensor.area, sensor.gateway or "")
        for sensor in city.sensors.values()
    }
    return KeptReadings(named)


def weather(kept: KeptReadings, start: int, end: int, seed: int) -> None:
    """Each sensor about once a minute, some of it just on the minute, with gaps, and with flags of every kind."""
    chance = np.random.default_rng(seed)
    for id_ in kept.names:
        t = np.arange(start, end, 60_000, dtype=np.int64)
        t += chance.integers(0, 2, len(t)) * chance.integers(-9_000, 9_000, len(t))
        begins, lasts = chance.integers(0, len(t), 4), chance.integers(1, 25, 4)
        gaps = np.zeros(len(t), bool)
        for begin, last in zip(begins, lasts, strict=True):
            gaps[begin : begin + last] = True
        t = t[~gaps]
        value = np.round(chance.gamma(0.5, 2.0, len(t)) / 0.2) * 0.2 - (chance.random(len(t)) < 0.2)
        flag = chance.choice([Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL, Flag.MISSING], len(t),
                             p=[0.7, 0.05, 0.1, 0.1, 0.05])  # fmt: skip
        kept.keep(id_, t, np.where(flag == Flag.MISSING, np.nan, value), flag.astype(np.uint8))


def as_readings(kept: KeptReadings) -> tuple[Readings, dict[int, Named]]:
    """All of them as one batch, sensor after sensor, and the names of the sensors' numbers."""
    columns = [(np.full(len(points.t), n), points.t, points.value, points.raw, points.flag)
               for n, points in enumerate(kept.points.values())]  # fmt: skip
    sensor, t, value, raw, flag = (np.concatenate(column) for column in zip(*columns, strict=True))
    names = {n: kept.names[id_] for n, id_ in enumerate(kept.points)}
    return Readings.of(sensor=sensor, t=t, value=value, raw=raw, flag=flag), names


def open_metrics(city: City, kept: KeptReadings) -> str:
    """The values that count, and every flag, in the OpenMetrics text format."""
    values, flags = [], []
    for id_, points in kept.points.items():
        sensor = city.sensors[id_]
        labels = f'sensor="{id_}",area="{sensor.area}",gateway="{sensor.gateway or ""}"'
        name, unit = sensor.quantity.name, sensor.quantity.unit
        counts = (points.flag != Flag.FAIL) & (points.flag != Flag.MISSING) & ~np.isnan(points.value)
        rows = zip(points.t[counts].tolist(), points.value[counts].tolist(), strict=True)
        values += [f'{name}{{{labels},unit="{unit}"}} {value!r} {t / 1000:.3f}' for t, value in rows]
        rows = zip(points.t.tolist(), points.flag.tolist(), strict=True)
        flags += [f"{name}_flag{{{labels}}} {flag} {t / 1000:.3f}" for t, flag in rows]
    return "\n".join([*values, *flags]) + "\n# EOF\n"
