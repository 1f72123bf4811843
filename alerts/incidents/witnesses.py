"""Who can bear witness for whom: the sensors of a hazard that share an area, or stand near."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from ingest.city import City, Sensor
from processing.rules import Hazard, Judgement, Rules

KM_PER_DEGREE: Final = 111.2  # of latitude; the earth as a sphere of 6,371 km


class Witnesses:
    """Of one registry and one set of rules."""

    def __init__(self, city: City, rules: Rules) -> None:
        self._city, self._rules = city, rules
        self._near: dict[tuple[str, str], frozenset[str]] = {}
        self._judgements: dict[tuple[str, str], Judgement | None] = {}

    @cached_property
    def hazard_of(self) -> Mapping[str, str]:
        """Rule -> hazard."""
        return {rule.name: rule.hazard for rule in self._rules.rules}

    def hazard(self, name: str) -> Hazard:
        return self._rules.hazards.get(name) or Hazard(name)

    def sensor(self, id_: str) -> Sensor | None:
        return self._city.sensors.get(id_)

    def areas(self, id_: str) -> tuple[str, ...]:
        """Those that it speaks for; none where the registry does not know it."""
        sensor = self._city.sensors.get(id_)
        return () if sensor is None else sensor.affects

    def stands_in(self, id_: str) -> frozenset[str]:
        """Where it can bear witness: the area that it stands in, and those that it speaks for."""
        sensor = self._city.sensors.get(id_)
        return frozenset() if sensor is None else frozenset((sensor.area, *sensor.affects))

    @cached_property
    def _of_hazard(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {}
        for id_, sensor in self._city.sensors.items():
            for rule in self._rules.rules:
                if rule.judgement(sensor) is not None:
                    found.setdefault(rule.hazard, {})[id_] = None
        return {hazard: tuple(ids) for hazard, ids in found.items()}

    def hazards(self, id_: str) -> list[str]:
        """Those that some rule of the sensor's speaks of, sorted."""
        return sorted(hazard for hazard, ids in self._members.items() if id_ in ids)

    @cached_property
    def _members(self) -> Mapping[str, frozenset[str]]:
        return {hazard: frozenset(ids) for hazard, ids in self._of_hazard.items()}

    @cached_property
    def _of_area(self) -> Mapping[tuple[str, str], frozenset[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for hazard, ids in self._of_hazard.items():
            for id_ in ids:
                sensor = self._city.sensors[id_]
                for area in {sensor.area, *sensor.affects}:
                    found.setdefault((hazard, area), set()).add(id_)
        return {key: frozenset(ids) for key, ids in found.items()}

    @cached_property
    def _places(self) -> Mapping[str, npt.NDArray[np.float64]]:
        """By hazard: latitude and longitude of its sensors, shape (n, 2), degrees; NaN where unknown."""
        places = {}
        for hazard, ids in self._of_hazard.items():
            rows = [(self._city.sensors[id_].lat, self._city.sensors[id_].lon) for id_ in ids]
            at = np.array(rows, np.float64).reshape(len(ids), 2)
            at[(at == 0).all(axis=1)] = math.nan
            places[hazard] = at
        return places

    def near(self, id_: str, hazard: str) -> frozenset[str]:
        """The other sensors of the hazard within its `confirm_km`; a sensor without a place has none."""
        key = (id_, hazard)
        if key not in self._near:
            self._near[key] = self._within(id_, hazard)
        return self._near[key]

    def _within(self, id_: str, hazard: str) -> frozenset[str]:
        ids, sensor = self._of_hazard.get(hazard, ()), self._city.sensors.get(id_)
        if sensor is None or not ids:
            return frozenset()
        by_lat, lats = self._by_latitude[hazard]
        reach = 1.001 * self.hazard(hazard).confirm_km / KM_PER_DEGREE  # a little more: the next lines decide
        low, high = np.searchsorted(lats, (sensor.lat - reach, sensor.lat + reach))
        some = by_lat[low:high]
        at = self._places[hazard][some] - (sensor.lat, sensor.lon)
        # Flat within some kilometres: the error is below a thousandth.
        away_km = KM_PER_DEGREE * np.hypot(at[:, 0], at[:, 1] * math.cos(math.radians(sensor.lat)))
        return frozenset(ids[i] for i in some[away_km <= self.hazard(hazard).confirm_km].tolist()) - {id_}

    @cached_property
    def _by_latitude(self) -> Mapping[str, tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
        """By hazard: its sensors in the order of their latitudes, and these, degrees; NaN last."""
        orders = {hazard: np.argsort(at[:, 0]) for hazard, at in self._places.items()}
        return {hazard: (order, self._places[hazard][order, 0]) for hazard, order in orders.items()}

    def of(self, id_: str, hazard: str, area: str) -> frozenset[str]:
        """Whoever could confirm what `id_` says of `area`."""
        return (self._of_area.get((hazard, area), frozenset()) | self.near(id_, hazard)) - {id_}

    def judgement(self, id_: str, rule: str) -> Judgement | None:
        """How the rule judges the sensor; None where either has vanished."""
        key = (id_, rule)
        if key not in self._judgements:
            sensor = self._city.sensors.get(id_)
            found = next((one for one in self._rules.rules if one.name == rule), None)
            self._judgements[key] = None if sensor is None or found is None else found.judgement(sensor)
        return self._judgements[key]

    def ends(self, id_: str, hazard: str) -> bool:
        """Whether `ends_when` of the hazard watches the sensor: else nothing is known to be calm."""
        sensor = self._city.sensors.get(id_)
        return self.hazard(hazard).ends_when is not None and sensor is not None and self._rules.ends(sensor, hazard)

    def same_quantity(self, id_: str, other: str) -> bool:
        sensors = self._city.sensors
        return id_ in sensors and other in sensors and sensors[id_].quantity.name == sensors[other].quantity.name

    def could(self, id_: str) -> bool:
        """Whether its silence would be noticed: what has no known period may have been dead for years."""
        sensor = self._city.sensors.get(id_)
        return sensor is not None and sensor.period_ms is not None
