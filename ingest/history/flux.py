"""What we ask InfluxDB, in Flux. Every text that comes from somebody stands in a literal that it cannot leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ingest.history.lines import FIELDS, NEWEST_MS, POSITION, UNNAMED
from ingest.history.windows import Grid

SENSORS_MAX: Final = 100  # in one question: each is a comparison
EVER: Final = (0, NEWEST_MS)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "$": r"\$"})
# How the readings that count come together in a bucket, and what tells the worst flag of all of them: 4 before 3 before
# the least of the others.
_STATISTICS: Final = ("count", "sum", "min", "max", "last")


def literal(text: str) -> str:
    """A string of Flux. `${` would be a part that is evaluated: its dollar is escaped as well."""
    return f'"{text.translate(_ESCAPES)}"'


def time_literal(ms: int) -> str:
    ms = min(max(ms, 0), NEWEST_MS)  # the ends of its time
    moment = _EPOCH + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def position(bucket: str) -> str:
    """The last of each of its fields."""
    return f"{_source(bucket, *EVER)} |> filter(fn: (r) => r._measurement == {literal(POSITION)}) |> last()"


def newest(bucket: str, sensors: Iterable[str]) -> str:
    """The last t of each sensor, once a series: every reading has a flag."""
    return f"{_source(bucket, *EVER)} |> {_filter(['flag'], sensors)} |> last() |> {_keep('_time', 'sensor')}"


def ends(bucket: str) -> str:
    """The first and the last t of each series."""
    flags = f"{_source(bucket, *EVER)} |> {_filter(['flag'])}"
    return "\n".join(
        f"{flags} |> {end}() |> {_keep('_time')} |> yield(name: {literal(end)})" for end in ("first", "last")
    )


def known(bucket: str, sensors: Iterable[str], start: int, end: int) -> str:
    """Which (sensor, t) there are."""
    return f"{_source(bucket, start, end)} |> {_filter(['flag'], sensors)} |> {_keep('_time', 'sensor')}"


def readings(
    bucket: str, sensors: Iterable[str], start: int, end: int, limit: int | None = None, quantity: str | None = None
) -> str:
    """Every field of its own, with the tags; of each series and field the first `limit`."""
    cut = "" if limit is None else f" |> limit(n: {limit})"
    found = f"{_source(bucket, start, end)} |> {_filter(FIELDS, sensors, quantity)}{cut}"
    return f'{found} |> drop(columns: ["_start", "_stop"])'


def statistics(bucket: str, sensors: Sequence[str], grid: Grid, quantity: str | None = None) -> str:
    """By series and window, each statistic a result of its own; of flags the greatest up to 4, and the least."""
    window = f"window(every: {grid.step_ms}ms, offset: {grid.offset_ms}ms)"
    source, kept = _source(bucket, grid.first, grid.last), _keep("_start", "_time", "_value", "sensor")
    value = f"{source} |> {_filter(['value'], sensors, quantity)} |> {window}"
    flag = f"{source} |> {_filter(['flag'], sensors, quantity)}"
    return "\n".join(
        [f"{value} |> {name}() |> {kept} |> yield(name: {literal(name)})" for name in _STATISTICS]
        + [
            f'{flag} |> filter(fn: (r) => r._value <= 4) |> {window} |> max() |> {kept} |> yield(name: "doubt")',
            f'{flag} |> {window} |> min() |> {kept} |> yield(name: "flag")',
        ]
    )


def _source(bucket: str, start: int, end: int) -> str:
    return f"from(bucket: {literal(bucket)}) |> range(start: {time_literal(start)}, stop: {time_literal(end)})"


def _filter(fields: Iterable[str], sensors: Iterable[str] = (), quantity: str | None = None) -> str:
    conditions = [
        " or ".join(f"r._field == {literal(name)}" for name in fields),
        " or ".join(f"r.sensor == {literal(id_)}" for id_ in sensors),
        "" if quantity is None else f"r._measurement == {literal(quantity or UNNAMED)}",
    ]
    return f"filter(fn: (r) => {' and '.join(f'({one})' for one in conditions if one)})"


def _keep(*columns: str) -> str:
    return f"keep(columns: [{', '.join(map(literal, columns))}])"
