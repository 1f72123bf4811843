"""The samples of what sensors measured, out of the history: a few sensors at a time, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from typing import Final

import numpy as np

from alerts.promql.evaluate import Samples
from alerts.promql.series import Series
from alerts.promql.tokens import QueryError
from ingest.history.store import Reader, Rows
from ingest.readings import Flag, Float64, Int32, Int64, UInt8

SAMPLES_MAX: Final = 12_000_000  # for one question: some ten days of 800 sensors at 60 s, about 10 s
TOGETHER: Final = 1_000_000  # are expected in memory at a time; one sensor alone may have more
_LEFT_OUT: Final = (Flag.FAIL, Flag.MISSING)
_Columns = tuple[Int32, Int64, Float64, UInt8]


def measured(history: Reader, series: Iterable[Series], start: int, end: int) -> Iterator[tuple[Series, Samples]]:
    """Each series with its samples of start <= t < end, ms UTC. Raises QueryError for more than SAMPLES_MAX in all, and
    StoreError.
    """
    by_sensor = [list(its) for _, its in groupby(sorted(series, key=lambda one: one.source), lambda one: one.source)]
    left = SAMPLES_MAX
    for some in _parts(history, by_sensor, start, end):
        ids = [its[0].source for its in some]
        quantities = {its[0].source: its[0].quantity for its in some}
        with closing(history.scan(start, end, ids)) as chunks:
            columns, left = _gathered(chunks, quantities, left)
        yield from _by_series(some, columns)


def _parts(history: Reader, by_sensor: list[list[Series]], start: int, end: int) -> Iterator[list[list[Series]]]:
    """Sensors, each with its series, of which TOGETHER readings are expected."""
    if sum((end - start) // its[0].period_ms for its in by_sensor) > TOGETHER:
        first, last = history.span() or (0, 0)
        start, end = max(start, first), min(end, last + 1)
    some: list[list[Series]] = []
    expected = 0
    for its in by_sensor:
        expects = max(0, end - start) // its[0].period_ms
        if some and expected + expects > TOGETHER:
            yield some
            some, expected = [], 0
        some.append(its)
        expected += expects
    if some:
        yield some


def _gathered(chunks: Iterable[Rows], quantities: dict[str, str], left: int) -> tuple[_Columns, int]:
    """Sensor (its place among `quantities`), t, value, flag; and how many more may be read. What a sensor measured when
    it measured something else is left out.
    """
    place = {(id_, quantity): n for n, (id_, quantity) in enumerate(quantities.items())}
    parts: list[_Columns] = [(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))]
    for rows in chunks:
        left -= len(rows.t)
        if left < 0:
            raise QueryError(
                f"query processing would load too many samples, more than {SAMPLES_MAX:,}: "
                "ask for fewer sensors or a shorter time", "execution",
            )  # fmt: skip
        places = np.array([place.get((name.id, name.quantity), -1) for name in rows.names], np.int32)
        sensor = places[rows.series]
        wanted = sensor >= 0
        parts.append((sensor[wanted], rows.t[wanted], rows.value[wanted], rows.flag[wanted]))
    sensor, t, value, flag = (np.concatenate(column) for column in zip(*parts, strict=True))
    return (sensor, t, value, flag), left


def _by_series(some: Sequence[Sequence[Series]], columns: _Columns) -> Iterator[tuple[Series, Samples]]:
    """Out of rows of all of these sensors, in the order of time."""
    sensor, t, value, flag = columns
    order = np.argsort(sensor, kind="stable")
    bounds = np.searchsorted(sensor[order], np.arange(len(some) + 1))
    counts = ~np.isin(flag, _LEFT_OUT) & ~np.isnan(value)
    for n, its in enumerate(some):
        rows = order[bounds[n] : bounds[n + 1]]
        for series in its:
            if series.kind == "flag":
                yield series, Samples(t[rows], flag[rows].astype(np.float64))
            else:
                counting = rows[counts[rows]]
                yield series, Samples(t[counting], value[counting])
