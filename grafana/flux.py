"""The part of Flux that our dashboards ask InfluxDB 2: written and checked. Pure.

A measurement per quantity; tags sensor, area, gateway; fields value (of readings that count, which are
neither failed nor missing) and flag (of all).

    [import "date"] from(bucket: v.defaultBucket) |> range() |> filter() |> aggregateWindow() |> range()
        |> group() |> … |> keep()

Grafana writes the time range, the interval and the bucket in place of v.…, and areas or sensors in place of ${…:regex}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from grafana.promql import QueryError

Where = Sequence[tuple[str, str, str]]

STATISTICS: Final = ("last", "sum", "mean", "max", "min", "count")
_DATE: Final = 'import "date"\n'
_FROM: Final = "from(bucket: v.defaultBucket)"
_START: Final = "v.timeRangeStart"
_STOP: Final = "v.timeRangeStop"
_CHART: Final = f"range(start: {_START}, stop: {_STOP})"


def line(quantity: str, where: Where, statistic: str, window: str) -> str:
    """`statistic` over `window` ("": over each interval), at each interval of the chart; a series a sensor.

    The first windows begin before the chart, and so does what is read. InfluxDB cuts windows at the end of what is
    read, gives all that it cut that moment, and would show a fall there: the second range leaves that moment out.
    """
    every = f"aggregateWindow(every: v.windowPeriod, fn: {statistic}, createEmpty: false)"
    kept = f"keep(columns: {_list(['_time', '_value', 'sensor'])})"
    read = _where(quantity, [("_field", "=", "value"), *where])
    if not window:
        return _joined(_CHART, read, every, kept)
    around = _range(f"date.sub(d: {window}, from: {_START})", _STOP)
    return _joined(around, read, every.replace(", fn", f", period: {window}, fn"), _CHART, kept)


def number(quantity: str, where: Where, statistic: str, window: str, across: str = "", by: Sequence[str] = ()) -> str:
    """`statistic` over the last `window` of the time range; a row a sensor or a `by`, in one table."""
    return _joined(
        _range(f"date.sub(d: {window}, from: {_STOP})", _STOP),
        _where(quantity, [("_field", "=", "value"), *where]),
        f"{statistic}()",
        *_over_sensors(across, by),
        "group()",
        f"keep(columns: {_list(['_value', *(by if across else ['sensor', 'area'])])})",
    )


def flags(quantity: str, where: Where) -> str:
    """The flag of the newest reading of each interval, a series a sensor."""
    return _joined(
        _CHART,
        _where(quantity, [("_field", "=", "flag"), *where]),
        "aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: false)",
        'keep(columns: ["_time", "_value", "sensor"])',
    )


def tag_values(quantity: str, where: Where, tag: str) -> str:
    """The values of `tag` that readings of the time range have, for a variable."""
    return _joined(
        _CHART,
        _where(quantity, [("_field", "=", "flag"), *where]),
        "last()",
        "group()",
        f'distinct(column: "{tag}")',
    )


def _joined(*calls: str) -> str:
    head = _DATE if any("date." in call for call in calls) else ""
    return head + "\n  |> ".join([_FROM, *calls])


def _range(start: str, stop: str) -> str:
    return f"range(start: {start}, stop: {stop})"


def _over_sensors(across: str, by: Sequence[str]) -> list[str]:
    return [f"group(columns: {_list(by)})", f"{across}()"] if across else []


def _where(quantity: str, where: Where) -> str:
    conditions = [f'r._measurement == "{_escaped(quantity)}"', *(_condition(*row) for row in where)]
    return f"filter(fn: (r) => {' and '.join(conditions)})"


def _condition(tag: str, operator: str, value: str) -> str:
    if operator in ("=", "!="):
        return f'r.{tag} {"==" if operator == "=" else "!="} "{_escaped(value)}"'
    variable = re.fullmatch(r"\$\{?(\w+)\}?", value)
    pattern = f"${{{variable[1]}:regex}}" if variable else value.replace("/", r"\/")
    return f"r.{tag} {operator} /^({pattern})$/"


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


# ---- the check: what the functions may be called with, and in which order
_NAMES: Final = r'\["[a-z_]+"(?:, "[a-z_]+")*\]'
_SPAN: Final = r"[1-9][0-9]*(?:ms|s|m|h|d)"
_END: Final = r"v\.timeRange(?:Start|Stop)"
_TIME: Final = rf"(?:{_END}|date\.sub\(d: {_SPAN}, from: {_END}\))"
_TEXT: Final = r'"(?:[^"\\\n]|\\["\\])*"'
_CONDITION: Final = rf"r\.[a-z_]+ (?:(?:==|!=) (?:{_TEXT}|[0-9]+)|(?:=~|!~) /(?:[^/\\\n]|\\.)+/)"
_CALLS: Final = {
    "range": re.compile(rf"start: {_TIME}, stop: {_TIME}\Z"),
    "filter": re.compile(rf"fn: \(r\) => {_CONDITION}(?: and {_CONDITION})*\Z"),
    "aggregateWindow": re.compile(
        rf"every: v\.windowPeriod(?:, period: {_SPAN})?, fn: (?:last|sum|mean|max|min|count)"
        r", createEmpty: false\Z"
    ),
    "group": re.compile(rf"(?:columns: {_NAMES})?\Z"),
    "keep": re.compile(rf"columns: {_NAMES}\Z"),
    "distinct": re.compile(r'column: "[a-z_]+"\Z'),
    **{name: re.compile(r"\Z") for name in STATISTICS},
}
_CALL: Final = re.compile(r"([a-zA-Z]+)\((.*)\)\Z", re.DOTALL)
_MEASUREMENT: Final = re.compile(rf"r\._measurement == ({_TEXT})")


def check(query: str) -> str:
    """The measurement that `query` asks for. Raises QueryError where it is none of ours."""
    start, *calls = query.split("\n  |> ")
    if start != (_DATE if "date." in query else "") + _FROM:
        raise QueryError(f"{_FROM}, behind an import of what is used and no other, does not begin {query}")
    names = []
    for call in calls:
        found = _CALL.match(call)
        if found is None or found[1] not in _CALLS or _CALLS[found[1]].match(found[2]) is None:
            raise QueryError(f"{call!r} is none of the calls of our dashboards, in {query}")
        names.append(found[1])
    if names[:2] != ["range", "filter"] or names[-1] not in ("keep", "distinct"):
        raise QueryError(f"range and filter come first and keep or distinct last, in {query}")
    measurement = _MEASUREMENT.search(calls[1])
    if measurement is None:
        raise QueryError(f"no measurement in {query}")
    return measurement[1][1:-1].replace('\\"', '"').replace("\\\\", "\\")
