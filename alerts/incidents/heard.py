"""One step's news in the one true order: what the engine found, and the readings of sensors that stand above 0."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np

from ingest.city import City
from ingest.readings import Readings
from processing.transitions import HealthEvent, StepResult, Transition

FRESH_MS: Final = 900_000  # CONTRACTS section 4, Evaluation: max(15 min, 2 periods)


@dataclass(frozen=True, slots=True)
class Heard:
    """A fresh reading of a sensor that matters; `index` in its batch. Times ms UTC."""

    index: int
    sensor: str
    t: int
    flag: int
    arrival: int
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class News:
    """What became known together: one reading and the transitions that it made; or a tick's, or a change's."""

    arrival: int
    transitions: tuple[Transition, ...] = ()
    heard: Heard | None = None
    health: HealthEvent | None = None


_TICK, _READING, _HEARD = range(3)  # what stands before a reading, what it changed, the reading itself
_Item: TypeAlias = tuple[int, int, int, int, Transition | Heard | HealthEvent]


def hear(readings: Readings, sensor_ids: Sequence[str], which: Collection[str], city: City) -> list[Heard]:
    """The fresh readings of `which`, in order. `sensor_ids[n]`: the id of sensor number n; a city may have 250,000."""
    if not which or not len(readings):
        return []
    numbers = [n for n in np.unique(readings.sensor).tolist() if sensor_ids[n] in which]
    rows = np.flatnonzero(np.isin(readings.sensor, numbers) & (readings.late == 0))
    found = []
    for row in rows.tolist():
        sensor = city.sensors.get(sensor_ids[readings.sensor[row]])
        t, arrival = int(readings.t[row]), int(readings.arrival[row])
        if sensor is not None and arrival - t <= max(FRESH_MS, 2 * (sensor.period_ms or 0)):
            found.append(Heard(row, sensor.id, t, int(readings.flag[row]), arrival, float(readings.value[row])))
    return found


def in_order(result: StepResult, heard: Sequence[Heard]) -> Iterator[News]:
    """Ticks and changes before the reading that they came before; a reading with all that it changed."""
    items: list[_Item] = [
        (order, _TICK if one.value is None else _READING, one.arrival if one.value is None else 0, n, one)
        for n, (order, one) in enumerate(zip(result.order, result.transitions, strict=True))
    ]
    first = len(items)  # at one tick the engine closes schedules before it judges silence
    items += [(order, _TICK, event.at, first + n, event)
              for n, (order, event) in enumerate(zip(result.health_order, result.health, strict=True))]  # fmt: skip
    items += [(one.index, _HEARD, 0, n, one) for n, one in enumerate(heard)]
    items.sort(key=lambda item: item[:4])
    for _, group in groupby(items, key=lambda item: (item[0], item[1] == _TICK, item[3] * (not item[1]))):
        yield _news([item[-1] for item in group])


def _news(items: Sequence[Transition | Heard | HealthEvent]) -> News:
    transitions = tuple(one for one in items if isinstance(one, Transition))
    heard = next((one for one in items if isinstance(one, Heard)), None)
    health = next((one for one in items if isinstance(one, HealthEvent)), None)
    arrival = heard.arrival if heard is not None else health.at if health is not None else transitions[0].arrival
    return News(arrival, transitions, heard, health)
