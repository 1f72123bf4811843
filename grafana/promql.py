"""The part of PromQL that the service's own endpoint answers (docs/reference: /prometheus/api/v1): written and checked.

    [avg|min|max|sum|count by (labels)] ( [avg|min|max|sum|count|last_over_time] ( name{matchers} [duration] ) )

Written for people who read a panel's query; checked by a parser of its own, so that no panel asks for more. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

OVER_TIME: Final = {
    "last": "last_over_time",
    "sum": "sum_over_time",
    "mean": "avg_over_time",
    "max": "max_over_time",
    "min": "min_over_time",
    "count": "count_over_time",
}
ACROSS: Final = {"mean": "avg", "min": "min", "max": "max", "sum": "sum", "count": "count"}
_AT_BY: Final = re.compile(r"(avg|min|max|sum|count) by \(([a-z_]+(?:, [a-z_]+)*)\) \((.*)\)\Z", re.DOTALL)
_AT_TIME: Final = re.compile(r"(avg|min|max|sum|count|last)_over_time\((.*)\[([^\]]+)\]\)\Z", re.DOTALL)
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\Z", re.DOTALL)
_MATCHER: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(=~|!~|!=|=)"((?:[^"\\\n]|\\["\\n])*)"(,|\Z)')
_DURATION: Final = re.compile(r"(?:[1-9][0-9]*(?:ms|s|m|h|d|w|y))+\Z|\$__(?:interval|rate_interval|range)\Z")
_LABEL_VALUES: Final = re.compile(r"label_values\((.+), ([a-zA-Z_][a-zA-Z0-9_]*)\)\Z", re.DOTALL)


class QueryError(ValueError):
    """The query is none that our sources answer."""


def selector(name: str, where: Sequence[tuple[str, str, str]] = ()) -> str:
    inside = ",".join(f'{label}{operator}"{_escaped(value)}"' for label, operator, value in where)
    return f"{name}{{{inside}}}" if inside else name


def over_time(statistic: str, selected: str, window: str) -> str:
    return f"{OVER_TIME[statistic]}({selected}[{window}])"


def across(statistic: str, by: Sequence[str], inner: str) -> str:
    return f"{ACROSS[statistic]} by ({', '.join(by)}) ({inner})"


def label_values(selected: str, label: str) -> str:
    """A variable's query; Grafana makes /api/v1/label/…/values?match[]= of it."""
    return f"label_values({selected}, {label})"


def check(query: str) -> str:
    """The metric that `query` asks for. Raises QueryError where the subset has no such query."""
    inner = query
    if (found := _AT_BY.match(inner)) is not None:
        inner = found[3]
    if (found := _AT_TIME.match(inner)) is not None:
        if _DURATION.match(found[3]) is None:
            raise QueryError(f"{found[3]!r} is no duration, in {query}")
        inner = found[2]
    return _check_selector(inner, query)


def check_variable(query: str) -> str:
    """The metric that a variable's query is about. Raises QueryError."""
    found = _LABEL_VALUES.match(query)
    if found is None:
        raise QueryError(f"{query} is no label_values(selector, label)")
    return _check_selector(found[1], query)


def _check_selector(text: str, query: str) -> str:
    found = _SELECTOR.match(text)
    if found is None:
        raise QueryError(f"{text!r} is no selector, in {query}")
    at, inside = 0, found[2] or ""
    while at < len(inside):
        matcher = _MATCHER.match(inside, at)
        if matcher is None or (matcher[4] == "," and matcher.end() == len(inside)):
            raise QueryError(f"{inside[at:]!r} is no list of matchers, in {query}")
        at = matcher.end()
    return found[1]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
