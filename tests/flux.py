"""The part of Flux that the history and the dashboards ask in, evaluated over tables as InfluxDB has them. Whatever
else is refused.

Written from the language's specification and the documents of the functions, not from the questions of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from line_protocol import Value

_TOKENS = re.compile(
    r"""(?P<space>[ \t\n]+) | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)
      | (?P<regex>/(?:\\.|[^/\\\n])+/)
      | (?P<duration>-?(?:\d+(?:ms|s|m|h|d))+) | (?P<int>\d+) | (?P<string>"(?:\\.|[^"\\])*")
      | (?P<name>[A-Za-z_]\w*) | (?P<sign>\|>|=>|=~|!~|==|!=|<=|>=|[()\[\]:,.<>])""",
    re.VERBOSE,
)  # fmt: skip
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_UNIT_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip
Row = dict[str, Any]
Series = Mapping[tuple[str, tuple[tuple[str, str], ...], str], Mapping[int, Value]]


class FluxError(ValueError):
    """InfluxDB would not run this."""


class Time(int):
    """ns UTC."""


class Duration(int):
    """ns."""


class Function(str):
    """The name of a function of the language."""

    __slots__ = ()


@dataclass(slots=True)
class Table:
    """Rows with the same group key; the columns of the key are in every row as well."""

    key: Row
    rows: list[Row] = field(default_factory=list)


# -- reading a script ------------------------------------------------------------------------------------------------


class Script:
    """The statements of a script, each a source and its calls: [(name, {argument: value})]."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._imported: set[str] = set()

    def statements(self) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        while self._is("import"):
            self._take("name")
            self._imported.add(_literal("string", self._take("string")))
        while self._kind() != "end":
            calls = [self._call()]
            while self._is("|>"):
                self._at += 1
                calls.append(self._call())
            yield calls

    def _kind(self) -> str:
        return self._tokens[self._at][0]

    def _is(self, text: str) -> bool:
        return self._tokens[self._at] in (("sign", text), ("name", text))

    def _take(self, kind: str, text: str | None = None) -> str:
        found, said = self._tokens[self._at]
        if found != kind or text not in (None, said):
            raise FluxError(f"compilation failed: expected {text or kind}, got {said!r}")
        self._at += 1
        return said

    def _call(self) -> tuple[str, dict[str, Any]]:
        name, arguments = self._take("name"), {}
        self._take("sign", "(")
        while not self._is(")"):
            if arguments:
                self._take("sign", ",")
            key = self._take("name")
            self._take("sign", ":")
            arguments[key] = self._value()
        self._take("sign", ")")
        return name, arguments

    def _value(self) -> Any:
        kind = self._kind()
        if kind in ("string", "int", "time", "duration"):
            return _literal(kind, self._take(kind))
        if self._is("["):
            return self._list()
        if kind == "name":
            return self._named()
        for sign in ("(", "r", ")", "=>"):
            self._take("name" if sign == "r" else "sign", sign)
        return self._either()

    def _named(self) -> Any:
        """false, true, a function that is handed over, or a moment that date.add or date.sub makes."""
        name = self._take("name")
        if name in ("false", "true"):
            return name == "true"
        if name != "date":
            return Function(name)
        if "date" not in self._imported:
            raise FluxError("compilation failed: undefined identifier date")
        self._take("sign", ".")
        call, given = self._call()
        sign, moment = {"add": (1, "to"), "sub": (-1, "from")}.get(call, (0, ""))
        if set(given) != {"d", moment} or not isinstance(given["d"], Duration) or not isinstance(given[moment], Time):
            raise FluxError(f"compilation failed: date.{call} with {sorted(given)}")
        return Time(given[moment] + sign * given["d"])

    def _list(self) -> list[Any]:
        self._take("sign", "[")
        found = [] if self._is("]") else [self._value()]
        while self._is(","):
            self._take("sign", ",")
            found.append(self._value())
        self._take("sign", "]")
        return found

    def _either(self) -> Callable[[Row], bool]:
        parts = [self._both()]
        while self._is("or"):
            self._take("name")
            parts.append(self._both())
        return lambda row: any(part(row) for part in parts)

    def _both(self) -> Callable[[Row], bool]:
        parts = [self._comparison()]
        while self._is("and"):
            self._take("name")
            parts.append(self._comparison())
        return lambda row: all(part(row) for part in parts)

    def _comparison(self) -> Callable[[Row], bool]:
        if self._is("("):
            self._take("sign")
            inner = self._either()
            self._take("sign", ")")
            return inner
        self._take("name", "r")
        self._take("sign", ".")
        column, sign = self._take("name"), self._take("sign")
        compare = _COMPARE.get(sign)
        if sign in ("=~", "!~"):
            pattern = re.compile(self._take("regex")[1:-1].replace(r"\/", "/"))
            return lambda row: isinstance(row.get(column), str) and bool(pattern.search(row[column])) is (sign == "=~")
        if compare is None:
            raise FluxError(f"compilation failed: {sign!r} compares nothing")
        wanted = self._value()
        return lambda row: (
            row.get(column) is not None and _same_kind(row[column], wanted) and compare(row[column], wanted)
        )


def _same_kind(one: Any, other: Any) -> bool:
    if isinstance(one, str) != isinstance(other, str):
        raise FluxError("type error: string is not comparable to a number")
    return True


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise FluxError(f"compilation failed: error at {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup not in (None, "space"):
            yield str(match.lastgroup), match[0]
    yield "end", ""


def _literal(kind: str, text: str) -> Any:
    if kind == "int":
        return int(text)
    if kind == "time":
        whole, _, part = text[:-1].partition(".")
        return Time(int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(part.ljust(9, "0") or 0))
    if kind == "duration":
        ns = sum(int(n) * _UNIT_NS[unit] for n, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))
        return Duration(-ns if text.startswith("-") else ns)
    inner = text[1:-1]
    if re.search(r"(?<!\\)(?:\\\\)*\$\{", inner):
        raise FluxError("string interpolation is none of ours")

    def plain(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        if match[1] not in _ESCAPES:
            raise FluxError(f"invalid escape \\{match[1]}")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", plain, inner, flags=re.DOTALL)


# -- evaluating it ---------------------------------------------------------------------------------------------------


def run(text: str, buckets: Mapping[str, Series]) -> list[tuple[str, list[Table]]]:
    """What each statement yields, by name. Raises FluxError."""
    results = []
    for calls in Script(text).statements():
        (source, given), *rest = calls
        if source != "from" or set(given) != {"bucket"}:
            raise FluxError(f"compilation failed: undefined identifier {source}")
        if given["bucket"] not in buckets:
            raise FluxError(f'failed to initialize execute state: could not find bucket "{given["bucket"]}"')
        if not rest or rest[0][0] != "range":
            raise FluxError(f'cannot submit unbounded read to "{given["bucket"]}"; bound it with a call to range')
        name, tables = "_result", _from(buckets[given["bucket"]])
        for call, arguments in rest:
            if call == "yield":
                name = arguments["name"]
                continue
            tables = _apply(call, tables, arguments)
        if name in [known for known, _ in results]:
            raise FluxError(f"tried to produce more than one result with the name {name!r}")
        results.append((name, tables))
    return results


def _from(series: Series) -> list[Table]:
    tables = []
    for (measurement, tags, name), points in series.items():
        key = {"_measurement": measurement, "_field": name, **dict(tags)}
        tables.append(Table(key, [{**key, "_time": Time(t), "_value": points[t]} for t in sorted(points)]))
    return tables


def _apply(call: str, tables: list[Table], given: dict[str, Any]) -> list[Table]:
    try:
        change = {
            "range": _range, "filter": _filter, "window": _window, "keep": _keep, "limit": _limit, "count": _count,
            "sum": _sum, "min": _min, "max": _max, "first": _first, "last": _last, "drop": _drop,
            "mean": _mean, "group": _group, "distinct": _distinct, "aggregateWindow": _aggregate_window,
        }[call]  # fmt: skip
    except KeyError:
        raise FluxError(f"compilation failed: undefined identifier {call}") from None
    try:
        return [table for table in change(tables, **given) if table.rows]
    except TypeError as error:
        raise FluxError(f"compilation failed: {call}: {error}") from None


def _rekeyed(table: Table, more: Row, rows: list[Row]) -> Table:
    return Table({**table.key, **more}, [{**row, **more} for row in rows])


def _range(tables: list[Table], *, start: Time, stop: Time) -> list[Table]:
    if not (isinstance(start, Time) and isinstance(stop, Time)):
        raise FluxError("range: expected times")
    if start >= stop:
        raise FluxError("cannot query an empty range")
    more = {"_start": start, "_stop": stop}
    return [_rekeyed(one, more, [row for row in one.rows if start <= row["_time"] < stop]) for one in tables]


def _filter(tables: list[Table], *, fn: Callable[[Row], bool]) -> list[Table]:
    return [Table(one.key, [row for row in one.rows if fn(row)]) for one in tables]


def _window(tables: list[Table], *, every: Duration, offset: Duration = Duration(0)) -> list[Table]:  # noqa: B008
    if not isinstance(every, Duration) or every <= 0:
        raise FluxError("window: every must be a positive duration")
    found = []
    for one in tables:
        parts: dict[int, list[Row]] = {}
        for row in one.rows:
            parts.setdefault((row["_time"] - offset) // every * every + offset, []).append(row)
        for begin, rows in sorted(parts.items()):
            low, high = max(begin, one.key["_start"]), min(begin + every, one.key["_stop"])
            found.append(_rekeyed(one, {"_start": Time(low), "_stop": Time(high)}, rows))
    return found


def _keep(tables: list[Table], *, columns: list[str]) -> list[Table]:
    merged: dict[tuple[tuple[str, Any], ...], Table] = {}
    for one in tables:
        key = {name: value for name, value in one.key.items() if name in columns}
        into = merged.setdefault(tuple(sorted(key.items())), Table(key))
        into.rows += [{name: value for name, value in row.items() if name in columns} for row in one.rows]
    for one in merged.values():
        if len({type(row["_value"]) for row in one.rows if "_value" in row}) > 1:
            raise FluxError('schema collision: column "_value" has two types')
    return list(merged.values())


def _drop(tables: list[Table], *, columns: list[str]) -> list[Table]:
    named = {column for one in tables for row in one.rows for column in row}
    return _keep(tables, columns=sorted(named.difference(columns)))


def _group(tables: list[Table], *, columns: list[str] | None = None) -> list[Table]:
    grouped: dict[tuple[Any, ...], Table] = {}
    for row in (row for one in tables for row in one.rows):
        key = {name: row[name] for name in columns or () if name in row}
        grouped.setdefault(tuple(sorted(key.items())), Table(key)).rows.append(row)
    return list(grouped.values())


def _distinct(tables: list[Table], *, column: str) -> list[Table]:
    return [Table(one.key, [{**one.key, "_value": value} for value in dict.fromkeys(row[column] for row in one.rows)])
            for one in tables]  # fmt: skip


def _aggregate_window(
    tables: list[Table],
    *,
    every: Duration,
    fn: Function,
    createEmpty: bool,  # noqa: N803  # Flux's name
    period: Duration | None = None,
) -> list[Table]:
    """Windows [k every, k every + period), cut at the bounds of the table; each value at the end of its window."""
    statistic = {"sum": _sum, "min": _min, "max": _max, "count": _count, "last": _last, "mean": _mean}.get(fn)
    if statistic is None or createEmpty:
        raise FluxError(f"aggregateWindow: {fn}, createEmpty: {createEmpty} are none of ours")
    width = every if period is None else period
    found = []
    for one in tables:
        low, high = one.key["_start"], one.key["_stop"]
        rows = []
        for begin in range((low - width) // every * every, high, every):
            inside = [row for row in one.rows if begin <= row["_time"] < begin + width]
            if inside:
                (counted,) = statistic([Table(one.key, inside)])
                rows.append({**one.key, "_value": counted.rows[0]["_value"], "_time": Time(min(begin + width, high))})
        found.append(Table(one.key, rows))
    return found


def _limit(tables: list[Table], *, n: int) -> list[Table]:
    return [Table(one.key, one.rows[:n]) for one in tables]


def _count(tables: list[Table]) -> list[Table]:
    return [Table(one.key, [{**one.key, "_value": len(one.rows)}]) for one in tables if one.rows]


def _sum(tables: list[Table]) -> list[Table]:
    return [Table(one.key, [{**one.key, "_value": sum(row["_value"] for row in one.rows)}]) for one in tables]


def _min(tables: list[Table]) -> list[Table]:
    return [Table(one.key, [min(one.rows, key=lambda row: row["_value"])]) for one in tables if one.rows]


def _max(tables: list[Table]) -> list[Table]:
    return [Table(one.key, [max(one.rows, key=lambda row: row["_value"])]) for one in tables if one.rows]


def _mean(tables: list[Table]) -> list[Table]:
    return [Table(one.key, [{**one.key, "_value": sum(row["_value"] for row in one.rows) / len(one.rows)}])
            for one in tables if one.rows]  # fmt: skip


def _first(tables: list[Table]) -> list[Table]:
    return [Table(one.key, one.rows[:1]) for one in tables]


def _last(tables: list[Table]) -> list[Table]:
    return [Table(one.key, one.rows[-1:]) for one in tables]


# -- answering in CSV ------------------------------------------------------------------------------------------------


def annotated_csv(results: list[tuple[str, list[Table]]], *, annotated: bool) -> str:
    """As InfluxDB answers: a head wherever the columns change, lines that end in CRLF."""
    lines: list[str] = []
    for name, tables in results:
        head: list[str] = []
        for number, one in enumerate(tables):
            columns = list(dict.fromkeys(column for row in one.rows for column in row))
            kinds = [_kind(next(row[column] for row in one.rows if column in row)) for column in columns]
            groups = ["true" if column in one.key else "false" for column in columns]
            new = [",".join(("#datatype", "string", "long", *kinds)), ",".join(("#group", "false", "false", *groups)),
                   ",".join(("#default", name, "", *("" for _ in columns)))]  # fmt: skip
            title = ",".join(("", "result", "table", *columns))
            if [*new, title] != head:
                lines += ["", *(new if annotated else []), title] if lines else [*(new if annotated else []), title]
                head = [*new, title]
            given = "" if annotated else name
            lines += [",".join(("", given, str(number), *(_text(row.get(c)) for c in columns))) for row in one.rows]
    return "".join(line + "\r\n" for line in [*lines, ""])


def _kind(value: Any) -> str:
    if isinstance(value, Time):
        return "dateTime:RFC3339Nano"
    return {bool: "boolean", int: "long", float: "double", str: "string"}[type(value)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Time):
        part = f"{value % 10**9:09}".rstrip("0")
        return f"{datetime.fromtimestamp(value // 10**9, UTC):%Y-%m-%dT%H:%M:%S}{'.' * bool(part)}{part}Z"
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if re.search(r'[,"\r\n]', text) else text
