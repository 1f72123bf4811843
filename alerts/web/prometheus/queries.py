"""Questions of Grafana's, answered from the registry, the history and the service's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from alerts.promql import answers
from alerts.promql.evaluate import Line, Samples, evaluate, needed, steps
from alerts.promql.grammar import Constant, Query, parse_query, parse_selector
from alerts.promql.series import Regex, Series, of_city, select
from alerts.promql.tokens import QueryError
from alerts.watch.ring import Ring
from alerts.web.prometheus.measured import measured
from ingest.city import City
from ingest.history.store import Reader
from ingest.readings import Int64

POINTS_MAX: Final = 500_000  # in one answer


class Queries:
    """Every call raises QueryError for a question without an answer, StoreError where the history is away."""

    def __init__(self, city: Callable[[], City], history: Reader, ring: Ring, regex: Regex) -> None:
        self._city, self._history, self._ring, self._regex = city, history, ring, regex

    def instant(self, text: str, at: int) -> dict[str, Any]:
        """The data of `query` at the time `at`, ms UTC."""
        query, times = parse_query(text), np.array([at], np.int64)
        if isinstance(query, Constant):
            return answers.scalar(query.value, times)
        return answers.vector(self._lines(query, times), times)

    def range(self, text: str, start: int, end: int, step_ms: int) -> dict[str, Any]:
        """The data of `query_range`; times ms UTC."""
        query, times = parse_query(text), steps(start, end, step_ms)
        if isinstance(query, Constant):
            always = Line({}, np.full(len(times), query.value), np.ones(len(times), bool))
            return answers.matrix([always], times)
        return answers.matrix(self._lines(query, times), times)

    def series(self, selectors: Sequence[str]) -> list[Series]:
        """Those that any of the selectors means; without selectors all."""
        known = [*of_city(self._city()), *map(_own, self._ring.names())]
        if not selectors:
            return known
        found: dict[tuple[str, str], Series] = {}
        for selector in selectors:
            for series in select(parse_selector(selector), known, self._regex):
                found[series.kind, series.source] = series
        return list(found.values())

    @property
    def city(self) -> City:
        return self._city()

    @property
    def warnings(self) -> list[str]:
        left_out = self._ring.left_out
        return [f"{left_out} of the service's own metrics are not kept: there are too many"] if left_out else []

    def _lines(self, query: Query, times: Int64) -> list[Line]:
        known = [*of_city(self._city()), *map(_own, self._ring.names())]
        found = select(query.matchers, known, self._regex)
        _hold(_lines_most(query, found), len(times))  # before memory is taken for them
        lines = evaluate(query, times, self._columns(query, times, found))
        _hold(len(lines), len(times))
        return lines

    def _columns(self, query: Query, times: Int64, found: Sequence[Series]) -> Iterator[tuple[Series, Samples]]:
        for series in found:
            if series.kind == "own":
                yield series, Samples(*self._ring.samples(series.source))
        of_sensors = [series for series in found if series.kind != "own"]
        if of_sensors:
            yield from measured(self._history, of_sensors, *needed(query, times, of_sensors))


def _lines_most(query: Query, found: Sequence[Series]) -> int:
    if query.aggregate is None:
        return len(found)
    return len({tuple(series.labels.get(label, "") for label in query.by) for series in found})


def _hold(series: int, times: int) -> None:
    if series * times > POINTS_MAX:
        raise QueryError(
            f"{series} series at {times} times are more than {POINTS_MAX:,} values: ask for fewer series, "
            "a shorter time or a longer step, or put them together by labels", "execution",
        )  # fmt: skip


@lru_cache(maxsize=8_192)
def _own(name: str) -> Series:
    """A metric as the exposition format writes it, which is how PromQL writes a selector."""
    return Series({matcher.label: matcher.value for matcher in parse_selector(name) if matcher.value}, name, "own")
