"""Tidy readings in CSV or CSV.gz: `sensor_id,time_utc,quantity,value,unit[,quality]` (CONTRACTS section 2)."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from ingest.city import ConfigError
from ingest.formats.times import rfc3339_ms

COLUMNS: Final = ("sensor_id", "time_utc", "quantity", "value", "unit")

_time_ms = lru_cache(4096)(rfc3339_ms)  # many sensors measure at one moment


class TidyRow(NamedTuple):
    """One line. `t` ms UTC, floored; `value` NaN where it stands empty or `quality` says missing."""

    t: int
    sensor_id: str
    quantity: str
    value: float
    unit: str


class Numbered(NamedTuple):
    """A row and where it stands in its file: the line, or in Parquet the row, from 1; `quality` "" where none is."""

    line: int
    row: TidyRow
    quality: str


def read_tidy(paths: Sequence[Path]) -> list[TidyRow]:
    """All rows of the files in time order; rows of one moment in the order of the files.

    Everything is held in memory, some 200 bytes a row. Raises ConfigError naming file and line.
    """
    rows = [numbered.row for path in paths for numbered in numbered_rows(path)]
    rows.sort(key=lambda row: row.t)
    return rows


def numbered_rows(path: Path) -> Iterator[Numbered]:
    """In the order of the file, one at a time. Raises ConfigError naming file and line."""
    try:
        with _open(path) as file:
            yield from _parsed(file, str(path))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise ConfigError("the file", str(error), "a readable CSV or CSV.gz in UTF-8", str(path)) from None


def _open(path: Path) -> TextIO:
    """Whatever wrote it: with or without the mark that spreadsheets put before UTF-8."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parsed(file: TextIO, name: str) -> Iterator[Numbered]:
    lines = csv.reader(file)
    header = next(lines, [])
    if tuple(header[:5]) != COLUMNS or header[5:] not in ([], ["quality"]):
        raise ConfigError("line 1", ",".join(header), ",".join(COLUMNS) + "[,quality]", name)
    for line in lines:
        if len(line) != len(header):
            raise ConfigError(f"line {lines.line_num}", f"{len(line)} columns", f"{len(header)} columns", name)
        sensor_id, time_utc, quantity, value, unit = line[:5]
        try:
            t = _time_ms(time_utc)
        except ValueError:
            expected = "a time with a zone such as 2017-09-08T07:05:00Z"
            raise ConfigError(f"line {lines.line_num} time_utc", time_utc, expected, name) from None
        missing = not value or line[5:] == ["missing"]
        number = math.nan if missing else _number(value, lines.line_num, name)
        yield Numbered(lines.line_num, TidyRow(t, sensor_id, quantity, number, unit), "".join(line[5:]))


def _number(text: str, line: int, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"line {line} value", text, "a finite number, or nothing where it is missing", name)
    return value
