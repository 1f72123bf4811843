"""Tidy files (`sensor_id,time_utc,quantity,value,unit[,quality]`, .csv or .csv.gz), and the city file for them."""

from __future__ import annotations

import csv
import gzip
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

import numpy as np

from firmware_sim.city_file import city_text
from ingest.city import Area, ConfigError, QuantityRow, SensorRow, parse_city
from ingest.formats.native import parse_time
from ingest.quantity import CATALOGUE, UnitError, convert
from ingest.readings import Float64, Int32, Int64

COLUMNS: Final = ("sensor_id", "time_utc", "quantity", "value", "unit")
_WIDE: Final = 1e12  # bounds of a quantity that nobody has described
_STEADY_SHARE: Final = 0.8  # of the steps must be within a tenth of the median for it to be a period
_STEADY_WITHIN: Final = 0.1

_time_ms = lru_cache(4096)(parse_time)  # many sensors measure at one moment


@dataclass(frozen=True, slots=True)
class Tidy:
    """The readings of some files in order of time, ties in order of the files. Columns of shape (n,).

    `series` indexes `ids` and `quantities`; `value` is NaN where missing; `unit` indexes `units`, which holds None
    where the unit is the quantity's own.
    """

    ids: list[str]
    quantities: list[str]
    own: dict[str, str]  # quantities that the catalogue does not have, and their unit
    units: list[str | None]
    series: Int32
    t: Int64
    value: Float64
    unit: Int32
    skipped: int  # rows without a time


@dataclass(slots=True)
class _Columns:
    """What the files have given so far."""

    keys: dict[tuple[str, str], int] = field(default_factory=dict)  # (sensor_id, quantity) -> series
    own: dict[str, str] = field(default_factory=dict)
    units: dict[str | None, int] = field(default_factory=dict)
    series: array[int] = field(default_factory=lambda: array("i"))
    t: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    unit: array[int] = field(default_factory=lambda: array("i"))
    skipped: int = 0


def read_tidy(files: Sequence[Path]) -> Tidy:
    """All of `files`. Raises ConfigError with file and line for what is wrong, OSError for a file that is not there."""
    columns = _Columns()
    for path in files:
        _read(path, columns)
    if not columns.t:
        raise ConfigError("the file", "no reading", "readings under the header", ", ".join(map(str, files)))
    several = Counter(sensor for sensor, _ in columns.keys)
    ids = [f"{sensor}:{quantity}" if several[sensor] > 1 else sensor for sensor, quantity in columns.keys]
    order = np.argsort(np.frombuffer(columns.t, np.int64), kind="stable")
    return Tidy(
        ids,
        [quantity for _, quantity in columns.keys],
        columns.own,
        list(columns.units),
        np.frombuffer(columns.series, np.int32)[order],
        np.frombuffer(columns.t, np.int64)[order],
        np.frombuffer(columns.value, np.float64)[order],
        np.frombuffer(columns.unit, np.int32)[order],
        columns.skipped,
    )


def tidy_city(tidy: Tidy, gateway: str, *, periods: bool = True, file: str = "") -> str:
    """The city file for these series: one area, one gateway. Raises ConfigError for an id that no registry takes."""
    rows = [
        SensorRow(id=id_, quantity=quantity, area="1", gateway=gateway, place=id_,
                  period=_period(tidy.t[tidy.series == i]) if periods else None)
        for i, (id_, quantity) in enumerate(zip(tidy.ids, tidy.quantities, strict=True))
    ]  # fmt: skip
    own = [QuantityRow(name, unit=unit, bounds=(-_WIDE, _WIDE), decimals=3) for name, unit in tidy.own.items()]
    text = city_text("CSV", "UTC", areas=[Area("1", "CSV")], gateways=[gateway], sensors=rows, quantities=own)
    parse_city(text, file)
    return text


def batches(tidy: Tidy, size: int) -> Iterator[tuple[list[str], list[int], list[float], list[str | None]]]:
    """The readings in their order, up to `size` at a time: sensors, t, values, units."""
    for begin in range(0, len(tidy.t), size):
        part = slice(begin, begin + size)
        yield (
            [tidy.ids[i] for i in tidy.series[part].tolist()],
            tidy.t[part].tolist(),
            tidy.value[part].tolist(),
            [tidy.units[i] for i in tidy.unit[part].tolist()],
        )


def _period(t_ms: Int64) -> str | None:
    """The median step, where most steps agree with it."""
    steps = np.diff(np.unique(t_ms)).astype(np.float64)
    if not len(steps):
        return None
    median = float(np.median(steps))
    if (np.abs(steps - median) <= _STEADY_WITHIN * median).mean() < _STEADY_SHARE:
        return None
    return f"{int(median) // 1000}s" if median % 1000 == 0 else f"{int(median)}ms"


def _read(path: Path, columns: _Columns) -> None:
    line = 0
    try:
        with _opened(path) as text:
            rows = csv.reader(text)
            at = _header(next(rows, []), path)
            for row in rows:
                line = rows.line_num
                if row:
                    _add(row, at, columns)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise ConfigError(f"after line {line}", str(error), "UTF-8 CSV, or the same in gzip", str(path)) from None
    except ConfigError as error:
        key = error.key if error.file else f"line {line}: {error.key}"
        raise ConfigError(key, error.found, error.expected, str(path)) from None


def _opened(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _header(names: list[str], path: Path) -> tuple[int, ...]:
    """Where the columns stand, `quality` last (-1: not there)."""
    if any(name not in names for name in COLUMNS):
        raise ConfigError("line 1", ",".join(names), ",".join(COLUMNS) + "[,quality]", str(path))
    return (*(names.index(name) for name in COLUMNS), names.index("quality") if "quality" in names else -1)


def _add(row: list[str], at: tuple[int, ...], columns: _Columns) -> None:
    if len(row) <= max(at):
        raise ConfigError("columns", len(row), f"{max(at) + 1}")
    sensor, time, quantity, value, unit = (row[i] for i in at[:5])
    if not time:
        columns.skipped += 1
        return
    try:
        t_ms = _time_ms(time)
    except ValueError:
        raise ConfigError("time_utc", time, "a time with zone, such as 2022-10-14T12:00:00Z") from None
    number = math.nan if not value or (at[5] >= 0 and row[at[5]] == "missing") else _number(value)
    given = _unit(quantity, unit, columns.own)
    columns.series.append(columns.keys.setdefault((sensor, quantity), len(columns.keys)))
    columns.t.append(t_ms)
    columns.value.append(number)
    columns.unit.append(columns.units.setdefault(given, len(columns.units)))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError("value", text, "a number, or nothing where it is missing")
    return number


def _unit(quantity: str, unit: str, own: dict[str, str]) -> str | None:
    """The unit to send along, None for the quantity's own."""
    expected = CATALOGUE[quantity].unit if quantity in CATALOGUE else own.setdefault(quantity, unit)
    if unit in ("", expected):
        return None
    try:
        convert(0.0, unit, expected)
    except UnitError:
        raise ConfigError("unit", unit, f"{expected!r} or a multiple of it, the unit of {quantity}") from None
    return unit
