"""What the one writer of the DuckDB file remembers of it, and which of the rows that come are new to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
from numpy.typing import NDArray

from ingest.entries import ORIGIN, Position
from ingest.history.rollups import clusters
from ingest.history.store import DAY_MS, Named
from ingest.readings import Int32, Int64, Readings

TABLES: Final = (
    (
        "CREATE TABLE series (number INTEGER, sensor INTEGER, id VARCHAR, quantity VARCHAR,"
        " unit VARCHAR, area VARCHAR, gateway VARCHAR)"
    ),
    "CREATE TABLE reading (series INTEGER, t BIGINT, value DOUBLE, raw DOUBLE, flag UTINYINT)",
)
Columns: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class State:
    """The row of `state`. `rolled`: the minutes and hours before it are closed; `days_to`: the days.

    `raw_from`, `minutes_from`: readings and minutes before it are forgotten. `mark`: of the entry at `position`.
    """

    position: Position = ORIGIN
    rolled: int = 0
    days_to: int = 0
    raw_from: int = 0
    minutes_from: int = 0
    mark: int | None = None


class Known:
    """A series is a sensor as the registry had it; a sensor that is moved or renamed in it begins another.

    Thrown away whenever a step fails: it may then say what the file does not.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, state: State) -> None:
        self.state = state
        self._series: dict[Named, int] = {}
        self._sensors: dict[str, int] = {}
        rows = db.execute("SELECT sensor, id, quantity, unit, area, gateway FROM series ORDER BY number").fetchall()
        for sensor, *words in rows:
            self._series[Named(*words)] = len(self._series)
            self._sensors[words[0]] = sensor
        self._sensor_of = np.array([row[0] for row in rows], np.int32)  # by series
        # What is newer than this is new. Before `rolled` the file is asked in any case, so that need not be read here.
        self._newest = np.full(len(self._sensors), state.rolled - 1, np.int64)
        newest = db.execute(
            "SELECT sensor, max(t) AS t FROM reading JOIN series ON number = series WHERE t >= $1 GROUP BY sensor",
            [state.rolled],
        ).fetchnumpy()
        self._newest[newest["sensor"]] = newest["t"]
        self._names: Mapping[int, Named] = {}
        self._series_of = np.empty(0, np.int32)  # by sensor number of `_names`, -1 where not asked yet

    def take(self, db: duckdb.DuckDBPyConnection, readings: Readings, names: Mapping[int, Named]) -> Columns:
        """Those of `readings` that are new, as columns of `reading`, in their order; their series are in the file."""
        series = self._numbered(db, readings.sensor, names)
        sensor = self._sensor_of[series]
        is_new = _firsts(sensor, readings.t) & (readings.t >= self.state.raw_from)
        asked = np.flatnonzero(is_new & (readings.t <= self._newest[sensor]))
        is_new[asked[_stored(db, sensor[asked], readings.t[asked])]] = False
        np.maximum.at(self._newest, sensor[is_new], readings.t[is_new])
        return {
            "series": series[is_new],
            "t": readings.t[is_new],
            "value": readings.value[is_new],
            "raw": readings.raw[is_new],
            "flag": readings.flag[is_new],
        }

    def _numbered(self, db: duckdb.DuckDBPyConnection, sensor: Int32, names: Mapping[int, Named]) -> Int32:
        """The series of every row."""
        if names is not self._names:
            self._names = names
            self._series_of = np.full(max(names, default=-1) + 1, -1, np.int32)
        unknown = np.unique(sensor[self._series_of[sensor] < 0]).tolist()
        self._begin(db, list(dict.fromkeys(names[number] for number in unknown if names[number] not in self._series)))
        self._series_of[unknown] = [self._series[names[number]] for number in unknown]
        return self._series_of[sensor]

    def _begin(self, db: duckdb.DuckDBPyConnection, names: Sequence[Named]) -> None:
        """Series that the file has not had."""
        if not names:
            return
        first = len(self._series)
        self._series.update({name: number for number, name in enumerate(names, first)})
        sensors = [self._sensors.setdefault(name.id, len(self._sensors)) for name in names]
        self._sensor_of = np.append(self._sensor_of, np.array(sensors, np.int32))
        fresh = len(self._sensors) - len(self._newest)
        self._newest = np.append(self._newest, np.full(fresh, -1, np.int64))
        words = [[getattr(name, word) for name in names] for word in ("id", "quantity", "unit", "area", "gateway")]
        db.execute(
            "INSERT INTO series SELECT unnest($1::INTEGER[]), unnest($2::INTEGER[]), unnest($3::VARCHAR[]),"
            " unnest($4::VARCHAR[]), unnest($5::VARCHAR[]), unnest($6::VARCHAR[]), unnest($7::VARCHAR[])",
            [list(range(first, first + len(names))), sensors, *words],
        )


def _firsts(sensor: Int32, t: Int64) -> NDArray[np.bool_]:
    """True where the same (sensor, t) has not stood before."""
    first = np.zeros(len(t), bool)
    if len(t):
        times, moment = np.unique(t, return_inverse=True)
        key = sensor.astype(np.int64) * len(times) + moment  # below 2^63 for any number of rows that fits in memory
        first[np.unique(key, return_index=True)[1]] = True
    return first


def _stored(db: duckdb.DuckDBPyConnection, sensor: Int32, t: Int64) -> Int64:
    """The rows of (sensor, t) that the file holds already. Looked for in the blocks of their times alone."""
    found = [np.empty(0, np.int64)]
    db.register("asked", {"nr": np.arange(len(t)), "sensor": sensor, "t": t})
    for first, last in clusters(t, DAY_MS):
        near = f"t BETWEEN {first} AND {last}"
        kept = f"SELECT s.sensor, r.t FROM reading r JOIN series s ON s.number = r.series WHERE r.{near}"
        rows = f"SELECT nr FROM asked SEMI JOIN ({kept}) k USING (sensor, t) WHERE {near}"
        found.append(db.execute(rows).fetchnumpy()["nr"])
    db.unregister("asked")
    return np.concatenate(found)
