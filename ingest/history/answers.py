"""InfluxDB's answers as columns: rows of one field each come together to readings, windows to buckets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from ingest.history.lines import UNNAMED
from ingest.history.store import READINGS_MAX, Buckets, Named, Points, Rows
from ingest.readings import Flag, Float64, Int64, UInt8

_FIRST_DOUBT: Final = int(Flag.SUSPECT)  # of the greatest flags up to 4 those that are worse than every other


def ms(rfc3339: str) -> int:
    """A time as InfluxDB writes it (UTC, 0 to 9 digits after the point) in ms UTC."""
    return int(np.datetime64(rfc3339.removesuffix("Z"), "ms").astype(np.int64))


class Answer:
    """Rows of one field each, gathered; `series` numbers what has the same name."""

    def __init__(self) -> None:
        self.names: dict[Named, int] = {}
        self._series: list[int] = []
        self._time: list[str] = []
        self._field: list[str] = []
        self._value: list[str] = []

    def add(self, row: Mapping[str, str]) -> None:
        quantity, unit = row["_measurement"].replace(UNNAMED, ""), row.get("unit", "")
        named = Named(row["sensor"], quantity, unit, row.get("area", ""), row.get("gateway", ""))
        self._series.append(self.names.setdefault(named, len(self.names)))
        self._time.append(row["_time"].removesuffix("Z"))
        self._field.append(row["_field"])
        self._value.append(row["_value"])

    def columns(self) -> tuple[Int64, Int64, Points]:
        """Series, its sensor's place in the alphabet, and the readings, each once, in the order of series and t."""
        series = np.array(self._series, np.int64)
        t = np.array(self._time, "datetime64[ms]").astype(np.int64)
        field, given = np.array(self._field), np.array(self._value, np.float64)
        order = np.lexsort((t, series))
        new = np.ones(len(order), np.bool_)
        new[1:] = (series[order][1:] != series[order][:-1]) | (t[order][1:] != t[order][:-1])
        reading = np.empty(len(order), np.int64)
        reading[order] = np.cumsum(new) - 1
        columns = {name: np.full(int(new.sum()), np.nan) for name in ("value", "raw", "flag")}
        for name, into in (("value", "value"), ("failed", "value"), ("raw", "raw"), ("flag", "flag")):
            columns[into][reading[field == name]] = given[field == name]
        first = order[new]
        ids = [named.id for named in self.names]
        rank = np.argsort(np.argsort(np.array(ids, np.str_), kind="stable"), kind="stable")
        flag = np.nan_to_num(columns["flag"], nan=Flag.NOT_EVALUATED).astype(np.uint8)
        points = Points(t[first], columns["value"], columns["raw"], flag)
        return series[first], rank[series[first]], points


def to_points(rows: Iterable[Mapping[str, str]], limit: int) -> Points:
    """Of one sensor, whatever its area was, in the order of t."""
    answer = Answer()
    for row in rows:
        answer.add(row)
    _, _, points = answer.columns()
    order = np.argsort(points.t, kind="stable")[:limit]
    return Points(points.t[order], points.value[order], points.raw[order], points.flag[order])


def rows_of(answer: Answer) -> list[Rows]:
    """In the order of t, then sensor id, READINGS_MAX at most in each part."""
    if not answer.names:
        return []
    series, rank, points = answer.columns()
    order = np.lexsort((rank, points.t))
    parts = [order[begin : begin + READINGS_MAX] for begin in range(0, len(order), READINGS_MAX)]
    names = tuple(answer.names)
    return [
        Rows(names, series[part].astype(np.int32), points.t[part], points.value[part], points.raw[part],
             points.flag[part]) for part in parts
    ]  # fmt: skip


class Statistics:
    """Statistics of windows, which come together to buckets by their keys."""

    def __init__(self, sensors: Sequence[str]) -> None:
        self._numbers = {id_: number for number, id_ in enumerate(sensors)}
        self.found: dict[tuple[int, int], dict[str, float]] = {}

    def add(self, row: Mapping[str, str], start: int) -> None:
        into = self.found.setdefault((self._numbers[row["sensor"]], start), {})
        name, value = row["result"], float(row["_value"])
        if name in ("count", "sum"):
            into[name] = into.get(name, 0.0) + value
        elif name in ("min", "flag"):
            into[name] = min(into.get(name, np.inf), value)
        elif name in ("max", "doubt"):
            into[name] = max(into.get(name, -np.inf), value)
        elif ms(row["_time"]) >= into.get("last_t", -np.inf):
            into["last"], into["last_t"] = value, float(ms(row["_time"]))


def to_buckets(statistics: Statistics) -> Buckets:
    keys = sorted(statistics.found)
    found = [statistics.found[key] for key in keys]
    count = np.array([one.get("count", 0.0) for one in found], np.int64)

    def column(name: str, otherwise: float) -> Float64:
        return np.array([one.get(name, otherwise) for one in found], np.float64)

    total = column("sum", 0.0)
    mean = np.divide(total, count, out=np.full(len(keys), np.nan), where=count > 0)
    return Buckets(
        np.array([number for number, _ in keys], np.int32), np.array([start for _, start in keys], np.int64), count,
        mean, column("min", np.nan), column("max", np.nan), total, column("last", np.nan), _worst(found),
    )  # fmt: skip


def _worst(found: Sequence[Mapping[str, float]]) -> UInt8:
    """4 before 3 before the least of the others: 1, 2, 9."""
    worst = [one["doubt"] if one.get("doubt", 0) >= _FIRST_DOUBT else one["flag"] for one in found]
    return np.array(worst, np.uint8)
