"""Rules and registry compiled to arrays: what the kernels have to know of each sensor and of each (sensor, rule)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.city import City, Sensor, parse_city
from ingest.entries import Configuration
from processing.hours import Timetable
from processing.kernels.codes import FRESH_MS, NEVER
from processing.kernels.records import Judges, Sensors
from processing.rules import Judgement, Rule, Rules, Statistic, is_ending, journalled_rules

GAP_MS_MIN: Final = 180_000  # G = max(3 x period, 3 min)
HORIZON_MS_MIN: Final = 3_600_000  # identities are checked back to T - max(L, 1 h)
_CODES: Final = {statistic: code for code, statistic in enumerate(Statistic)}


@dataclass(frozen=True, slots=True)
class Plan:
    """One configuration, compiled. Arrays of n sensors (index = number) and m judged rows (sensor, rule)."""

    configuration: Configuration
    city: City
    rules: Rules
    sensors: tuple[Sensor | None, ...]  # by number; None: no longer in the registry
    rows: tuple[tuple[int, Rule], ...]  # by row: sensor number and rule
    per_sensor: Sensors
    judges: Judges
    ending: NDArray[np.bool_]  # by row: made by `ends_when`, no warning of its own
    timetable: Timetable


def compile_plan(configuration: Configuration) -> Plan:
    """Raises ConfigError where a text is wrong. Levels, timers and T are at their beginning."""
    city, rules = parse_city(configuration.city_toml), journalled_rules(configuration.rules_toml)
    sensors = tuple(city.sensors.get(id_) for id_ in configuration.sensor_ids)
    rows: list[tuple[int, Rule]] = []
    judged: list[Judgement] = []
    first = [0]
    for number, sensor in enumerate(sensors):
        for rule, judgement in rules.judging(sensor) if sensor is not None else ():
            rows.append((number, rule))
            judged.append(judgement)
        first.append(len(rows))
    schedules = list(dict.fromkeys(one.schedule for one in judged if one.schedule is not None))
    return Plan(
        configuration, city, rules, sensors, tuple(rows), _per_sensor(sensors, judged, first),
        _judges(judged, first, [-1 if one.schedule is None else schedules.index(one.schedule) for one in judged]),
        np.array([is_ending(rule.name) for _, rule in rows], bool), Timetable(schedules, city.timezone),
    )  # fmt: skip


def next_ids(known: Sequence[str], city: City) -> tuple[str, ...]:
    """The id table after `city` came into force: append-only, new sensors in the order of the registry."""
    return tuple(dict.fromkeys([*known, *city.sensors]))


def goes_on(old: Plan | None, new: Plan, number: int) -> bool:
    """Whether sensor `number` goes on measuring what it measured; else it begins anew."""
    if old is None or number >= len(old.sensors):
        return False
    before, after = old.sensors[number], new.sensors[number]
    if before is None or after is None:
        return False
    return (before.quantity.name, before.counter) == (after.quantity.name, after.counter)


def _per_sensor(sensors: Sequence[Sensor | None], judged: Sequence[Judgement], first: Sequence[int]) -> Sensors:
    period = np.array([(sensor.period_ms or 0) if sensor else 0 for sensor in sensors], np.int64)
    longest = [max((one.window_ms for one in judged[a:b]), default=0) for a, b in pairwise(first)]
    return Sensors(
        gap=np.where(period > 0, np.maximum(3 * period, GAP_MS_MIN), 0),
        fresh=np.maximum(FRESH_MS, 2 * period),
        longest=np.array(longest, np.int64),
        newest=np.full(len(sensors), NEVER, np.int64),
    )


def _judges(judged: Sequence[Judgement], first: Sequence[int], schedule: Sequence[int]) -> Judges:
    m = len(judged)
    return Judges(
        first=np.array(first, np.int64),
        statistic=np.array([_CODES[one.statistic] for one in judged], np.uint8),
        window=np.array([one.window_ms for one in judged], np.int64),
        above=np.array([one.above for one in judged], np.uint8),
        threshold=np.array([one.thresholds for one in judged], np.float64).reshape(m, 4),
        clear=np.array([one.clears for one in judged], np.float64).reshape(m, 4),
        hold=np.array([one.hold_ms for one in judged], np.int64),
        hold_clear=np.array([one.hold_clear_ms for one in judged], np.int64),
        min_readings=np.array([one.min_readings for one in judged], np.int64),
        schedule=np.array(schedule, np.int32),
        skips_suspect=np.array([one.skips_suspect for one in judged], np.uint8),
        level=np.zeros(m, np.uint8),
        hold_since=np.full((m, 4), NEVER, np.int64),
        clear_since=np.full((m, 4), NEVER, np.int64),
        evaluated=np.full(m, NEVER, np.int64),
    )
