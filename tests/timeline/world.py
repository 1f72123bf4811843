"""What a story's sensors measure and send: its changes over time as columns of readings, and its registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from timeline.script import Change, Placed, Script, WrongLineError

from firmware_sim.city_file import city_text
from firmware_sim.noise import key_of, normal
from ingest.city import Area, SensorRow
from ingest.readings import Float64, Int32, Int64

HOUR_MS: Final = 3_600_000
Series: TypeAlias = Callable[[Int64], Float64]  # values at moments, ms UTC, in the quantity's unit
_APART_DEGREES: Final = 0.2  # areas are 22 km apart: no sensor is near another area's
_FIRST: Final = (15.5, 107.0)
_COLUMNS: Final = 10
_SIGNALS: Final = ("reads", "goes", "rains", "swings", "follows")
_FAULTS: Final = ("spikes", "stands", "times", "drifts", "sticks", "behind", "again", "well")


@dataclass(frozen=True, slots=True)
class Sent:
    """Columns of shape (n,), in order of arrival: sensor number, measured and arrived (ms UTC), value."""

    sensor: Int32
    t: Int64
    value: Float64
    arrival: Int64

    def between(self, since: int, until: int) -> Sent:
        """What arrives in (since, until]."""
        first, last = np.searchsorted(self.arrival, [since, until], "right")
        cut = slice(int(first), int(last))
        return Sent(self.sensor[cut], self.t[cut], self.value[cut], self.arrival[cut])


def registry(script: Script) -> str:
    """The city.toml of a story: its areas far apart, its sensors at their area's point or so many metres away."""
    points = {code: (_FIRST[0] + n // _COLUMNS * _APART_DEGREES, _FIRST[1] + n % _COLUMNS * _APART_DEGREES)
              for n, code in enumerate(script.areas)}  # fmt: skip
    areas = [Area(code, f"Phường {code}", f"Ward {code}", *points[code]) for code in script.areas]
    return city_text("Đà Nẵng", "Asia/Ho_Chi_Minh", areas=areas, gateways=(),
                     sensors=[_row(placed, *points[placed.area]) for placed in script.sensors])  # fmt: skip


def _row(placed: Placed, lat: float, lon: float) -> SensorRow:
    return SensorRow(
        placed.id, placed.quantity, placed.area, affects=list(placed.affects), lat=lat + placed.away_m / 111_200,
        lon=lon, period=f"{placed.period_ms}ms", place=f"Trạm {placed.id}", station=placed.station or None,
        trust="reference" if placed.reference else "normal",
    )  # fmt: skip


def sent(script: Script, series: Mapping[str, Series]) -> Sent:
    """All that arrives from the story's begin to its end; sensors are numbered in their order."""
    known = [placed.id for placed in script.sensors]
    for change in script.changes:
        if not any(fnmatchcase(id_, change.sensor) for id_ in known):
            raise WrongLineError(f"no sensor {change.sensor!r}")
    parts = [_of_sensor(script, n, placed, series) for n, placed in enumerate(script.sensors)]
    whole = [np.concatenate([getattr(part, name) for part in parts]) for name in ("sensor", "t", "value", "arrival")]
    order = np.argsort(whole[3], kind="stable")
    return Sent(*(column[order] for column in whole))


def _of_sensor(script: Script, number: int, placed: Placed, series: Mapping[str, Series]) -> Sent:
    changes = [change for change in script.changes if fnmatchcase(placed.id, change.sensor)]
    offset = number * 1009 % placed.period_ms  # nobody's clock agrees with another's
    t = np.arange(script.begin + offset, script.until, placed.period_ms, dtype=np.int64)
    value = _measured(t, [change for change in changes if change.what in _SIGNALS], placed, series)
    if placed.noise:
        value = value + placed.noise * normal(key_of(1, placed.id), t)
    found = Sent(np.full(len(t), number, np.int32), t, np.round(value, 3) + 0.0, t.copy())
    faulty = [change for change in changes if change.what in _FAULTS]
    for change, following in pairwise([*faulty, Change(script.until, placed.id, "well")]):
        found = _faulty(found, change, following.at)
    return _heard(found, changes)


def _measured(t: Int64, changes: list[Change], placed: Placed, series: Mapping[str, Series]) -> Float64:
    """The true value at each moment; before the first change 0, that is dry."""
    value = np.zeros(len(t))
    for change in changes:
        later = t >= change.at
        match change.what:
            case "goes":
                before = value[~later][-1] if (~later).any() else 0.0
                value[later] = np.interp(t[later], [change.at, change.at + change.over_ms], [before, change.number])
            case "rains":
                value[later] = change.number * placed.period_ms / HOUR_MS
            case "swings":
                high = (t[later] - change.at) // change.over_ms % 2 == 0
                value[later] = np.where(high, change.number, change.low)
            case "follows":
                value[later] = series[change.name](t[later])
            case _:
                value[later] = change.number
    return value


def _faulty(sent_: Sent, change: Change, until: int) -> Sent:
    """The readings from the change on, until it is well again."""
    now = (sent_.arrival >= change.at) & (sent_.arrival < until)
    t, value = sent_.t.copy(), sent_.value.copy()
    match change.what:
        case "spikes":
            value[np.flatnonzero(now)[:1]] += change.number
        case "stands":
            value[now] = change.number
        case "times":
            value[now] *= change.number
        case "drifts":
            value[now] += change.number * (t[now] - change.at) / HOUR_MS
        case "sticks":
            value[now] = value[np.flatnonzero(now)[:1]]
        case "behind":
            t[now] -= change.over_ms
        case "again":
            return _again(sent_, change)
    return Sent(sent_.sensor, t, value, sent_.arrival)


def _again(sent_: Sent, change: Change) -> Sent:
    old = (sent_.t >= change.at - change.over_ms) & (sent_.t < change.at)
    columns = [np.concatenate([column, column[old]]) for column in (sent_.sensor, sent_.t, sent_.value)]
    arrival = np.concatenate([sent_.arrival, np.full(int(old.sum()), change.at)])
    order = np.argsort(arrival, kind="stable")
    return Sent(*(column[order] for column in columns), arrival[order])


def _heard(sent_: Sent, changes: list[Change]) -> Sent:
    keep = np.full(len(sent_.t), fill_value=True)
    for change in changes:
        if change.what in ("silent", "heard"):
            keep[sent_.arrival >= change.at] = change.what == "heard"
    return Sent(sent_.sensor[keep], sent_.t[keep], sent_.value[keep], sent_.arrival[keep])
