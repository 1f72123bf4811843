"""Replay: tidy rows or a journal through acceptance and engine, with nothing of the service around them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ingest.city import Sensor, parse_city
from ingest.entries import Batch, Configuration, Entry
from ingest.lookup import bounds_of
from ingest.quantity import CATALOGUE, Quantity, UnitError, convert
from ingest.readings import Flag
from ingest.tidy import TidyRow
from processing.acceptance import Acceptance
from processing.engine import Engine
from processing.plan import next_ids
from processing.rules import is_ending, parse_rules
from processing.transitions import Transition

BATCH_ROWS: Final = 100_000  # how many are taken at once; changes nothing but speed


@dataclass(slots=True)
class Tally:
    """What became of the rows. `refused` by reason."""

    readings: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def replay_journal(entries: Iterable[Entry], tally: Tally) -> Iterator[Transition]:
    """The transitions that a journal's entries call for, in order; those of `ends_when` are for incidents alone."""
    engine = Engine()
    for entry in entries:
        if isinstance(entry, Batch):
            tally.readings += len(entry.readings)
        yield from (one for one in engine.step(entry).transitions if not is_ending(one.rule))


def replay_rows(rows: Sequence[TidyRow], city_toml: str | None, rules_toml: str, tally: Tally) -> Iterator[Transition]:
    """The transitions that rows in time order call for; arrival = t, so that every one is judged.

    Without a city each (sensor_id, quantity) is a sensor of its own, without period, bounds and quality tests. Raises
    ConfigError where a text is wrong.
    """
    if not rows:
        return
    series = _Series(rows) if city_toml is None else _Registry(city_toml)
    city_toml = series.city_toml
    parse_rules(rules_toml)
    ids = next_ids((), parse_city(city_toml))
    engine, acceptance = Engine(), Acceptance()
    engine.step(Configuration(rows[0].t, city_toml, rules_toml, ids, clock="data"))
    acceptance.configure(engine.plan)
    numbers = {id_: number for number, id_ in enumerate(ids)}
    for start in range(0, len(rows), BATCH_ROWS):
        taken = [
            one for one in (series.take(row, tally) for row in rows[start : start + BATCH_ROWS]) if one is not None
        ]
        t = np.array([t for _, t, _ in taken], np.int64)
        raw = np.array([value for _, _, value in taken], np.float64)
        sensor = np.array([numbers[id_] for id_, _, _ in taken], np.int32)
        found = acceptance.accept(sensor, t, raw, np.full(len(t), Flag.NOT_EVALUATED, np.uint8), t)
        tally.readings += len(found.readings)
        tally.duplicates += len(found.duplicates)
        tally.conflicts += len(found.conflicts)
        tally.refused["out_of_bounds"] += len(found.out_of_bounds)
        for transition in engine.step(Batch(found.readings)).transitions:
            if not is_ending(transition.rule):
                yield replace(transition, sensor=series.label(transition.sensor))


class _Registry:
    """Rows of sensors that a city knows: by id, or by `{sensor_id}:{quantity}`; units and bounds as in `run`."""

    def __init__(self, city_toml: str) -> None:
        self.city_toml = city_toml
        self._city = parse_city(city_toml)

    def take(self, row: TidyRow, tally: Tally) -> tuple[str, int, float] | None:
        sensor = self._sensor(row)
        if sensor is None:
            tally.refused["unknown_sensor"] += 1
            return None
        try:
            value = convert(row.value, row.unit or sensor.quantity.unit, sensor.quantity.unit)
        except UnitError:
            tally.refused["wrong_unit"] += 1
            return None
        low, high = bounds_of(sensor)
        if math.isinf(value) or value < low or value > high:
            tally.refused["out_of_bounds"] += 1
            return None
        return sensor.id, row.t, value

    def label(self, id_: str) -> str:
        return id_

    def _sensor(self, row: TidyRow) -> Sensor | None:
        for id_ in (row.sensor_id, f"{row.sensor_id}:{row.quantity}"):
            sensor = self._city.sensors.get(id_)
            if sensor is not None and sensor.quantity.name == row.quantity:
                return sensor
        return None


class _Series:
    """Every (sensor_id, quantity) of the rows as a sensor of its own, named s0, s1, … inside."""

    def __init__(self, rows: Sequence[TidyRow]) -> None:
        units = {(row.sensor_id, row.quantity): row.unit for row in reversed(rows)}  # the unit of the first row
        order = dict.fromkeys((row.sensor_id, row.quantity) for row in rows)
        self._ids = {key: f"s{n}" for n, key in enumerate(order)}
        self._labels = {id_: sensor_id for (sensor_id, _), id_ in self._ids.items()}
        self._quantities = {quantity: _quantity(quantity, units[sensor_id, quantity]) for sensor_id, quantity in order}

    @property
    def city_toml(self) -> str:
        own = [
            f"[[quantity]]\nname = {json.dumps(one.name)}\nunit = {json.dumps(one.unit)}\nbounds = [-1e308, 1e308]\n"
            for one in self._quantities.values()
            if one.name not in CATALOGUE
        ]
        sensors = [
            f'[[sensor]]\nid = "{id_}"\nquantity = {json.dumps(quantity)}\narea = "series"\nquality.off = "all"\n'
            for (_, quantity), id_ in self._ids.items()
        ]
        return "\n".join(['[city]\nname = "series"\n[[area]]\ncode = "series"\nname = "series"\n', *own, *sensors])

    def take(self, row: TidyRow, tally: Tally) -> tuple[str, int, float] | None:
        quantity = self._quantities[row.quantity]
        try:
            value = convert(row.value, row.unit or quantity.unit, quantity.unit)
        except UnitError:
            if row.quantity in CATALOGUE:
                tally.refused["wrong_unit"] += 1
                return None
            value = row.value
        if math.isinf(value):
            tally.refused["out_of_bounds"] += 1
            return None
        return self._ids[row.sensor_id, row.quantity], row.t, value

    def label(self, id_: str) -> str:
        return self._labels[id_]


def _quantity(name: str, unit: str) -> Quantity:
    return CATALOGUE.get(name) or Quantity(name, unit, -1e308, 1e308)
