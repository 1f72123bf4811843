"""A query over columns of samples, at given times: Prometheus's rules, in whole columns.

A window is left-open, (t - range, t], as in Prometheus 3; so is the time for which the newest sample is taken to hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from alerts.promql.grammar import NAME, Query, Statistic
from alerts.promql.series import Series
from alerts.promql.tokens import QueryError
from ingest.readings import Float64, Int64

WORK_MAX: Final = 100_000_000  # series x times, and samples in windows: about a second of one core
_REDUCE: Final = {"sum": np.add, "avg": np.add, "min": np.fmin, "max": np.fmax}
_START: Final = {"min": np.nan, "max": np.nan}  # of an aggregate: NaN gives way to any number, as in Prometheus


@dataclass(frozen=True, slots=True)
class Samples:
    """Columns of shape (n,), `t` ms UTC, rising."""

    t: Int64
    value: Float64


@dataclass(frozen=True, slots=True)
class Line:
    """One series of an answer: `value` of shape (k,) at the k times that were asked for, where `there` says so."""

    labels: Mapping[str, str]
    value: Float64
    there: np.ndarray[tuple[int], np.dtype[np.bool_]]


def steps(start: int, end: int, step_ms: int) -> Int64:
    """The times from `start` to `end`, both included, every `step_ms`."""
    return np.arange(start, end + 1, step_ms, dtype=np.int64)


def needed(query: Query, at: Int64, series: Iterable[Series]) -> tuple[int, int]:
    """[start, end) of the samples that decide the values at the times `at`, ms UTC."""
    window = max((_window_ms(query, one) for one in series), default=0)
    return max(int(at[0]) - window + 1, -(2**62)), int(at[-1]) + 1


def evaluate(query: Query, at: Int64, columns: Iterable[tuple[Series, Samples]]) -> list[Line]:
    """The lines that have a value at any of the times `at`, shape (k,), ms UTC, rising. Raises QueryError for what has
    no answer in Prometheus either, and for more than WORK_MAX.
    """
    budget = _Budget()
    lines = (_line(query, at, series, samples, budget) for series, samples in columns)
    there = (line for line in lines if line.there.any())
    with np.errstate(invalid="ignore", over="ignore"):  # infinite minus infinite is NaN here, and no fault
        return _distinct(there) if query.aggregate is None else _aggregated(query, there, len(at))


def _line(query: Query, at: Int64, series: Series, samples: Samples, budget: _Budget) -> Line:
    labels = series.labels
    if query.over not in (None, "last"):
        labels = {label: value for label, value in labels.items() if label != NAME}
    last = np.searchsorted(samples.t, at, "right")
    first = np.searchsorted(samples.t, at - _window_ms(query, series), "right")
    budget.spend(len(at))
    there = last > first
    if query.over in (None, "last"):
        value = np.full(len(at), np.nan)
        value[there] = samples.value[last[there] - 1]
    elif query.over == "count":
        value = (last - first).astype(np.float64)
    else:
        budget.spend(int((last - first).sum()))
        value = _reduced(query.over, samples.value, first, last)
    return Line(labels, value, there)


def _reduced(statistic: Statistic, value: Float64, first: Int64, last: Int64) -> Float64:
    """Of value[first:last] each; anything where that is empty. Each window by itself: differences of running sums
    would leave crumbs where there was nothing.
    """
    pairs = np.empty(2 * len(first), np.int64)
    pairs[::2], pairs[1::2] = first, last
    found = _REDUCE[statistic].reduceat(np.append(value, 0.0), pairs)[::2]
    if statistic == "avg":
        found = found / np.maximum(last - first, 1)
    return np.asarray(found, np.float64)


def _aggregated(query: Query, lines: Iterable[Line], k: int) -> list[Line]:
    """By the labels that are asked for: value and count of each group at each time, series after series."""
    statistic = query.aggregate
    assert statistic is not None
    groups: dict[tuple[str, ...], tuple[Float64, Int64]] = {}
    for line in lines:
        key = tuple(line.labels.get(label, "") for label in query.by)
        if key not in groups:
            groups[key] = np.full(k, _START.get(statistic, 0.0)), np.zeros(k, np.int64)
        value, count = groups[key]
        if statistic != "count":
            _REDUCE[statistic](value, line.value, out=value, where=line.there)
        count += line.there
    return [
        Line(_named(query.by, key), _finished(statistic, value, count), count > 0)
        for key, (value, count) in groups.items()
    ]


def _finished(statistic: Statistic, value: Float64, count: Int64) -> Float64:
    if statistic == "count":
        return count.astype(np.float64)
    return value / np.maximum(count, 1) if statistic == "avg" else value


def _named(labels: Iterable[str], values: Iterable[str]) -> dict[str, str]:
    return {label: value for label, value in zip(labels, values, strict=True) if value}


def _distinct(lines: Iterable[Line]) -> list[Line]:
    found = list(lines)
    if len({frozenset(line.labels.items()) for line in found}) < len(found):
        raise QueryError("vector cannot contain metrics with the same labelset: name one metric", "execution")
    return found


def _window_ms(query: Query, series: Series) -> int:
    return query.range_ms if query.over else series.lookback_ms


class _Budget:
    def __init__(self) -> None:
        self._left = WORK_MAX

    def spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise QueryError(
                f"more than {WORK_MAX} samples would be looked at: ask for fewer series, a shorter time, a longer step "
                "or shorter windows", "execution",
            )  # fmt: skip
