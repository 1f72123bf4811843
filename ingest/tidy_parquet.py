"""Tidy readings in Parquet: the columns of the CSV (CONTRACTS section 2), `time_utc` as a time with zone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingest.city import ConfigError
from ingest.formats.times import rfc3339_ms
from ingest.tidy import COLUMNS, Numbered, TidyRow

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS: Final = 10_000  # held at a time
_MOMENTS: Final = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ", "VARCHAR")


def numbered_rows(path: Path) -> Iterator[Numbered]:
    """In the order of the file. Raises ConfigError naming file, and row or column."""
    import duckdb  # noqa: PLC0415  # 20 MB that only who reads Parquet needs

    try:
        with closing(duckdb.connect()) as db:
            db.execute("SET threads = 1; SET memory_limit = '256MB'; SET TimeZone = 'UTC'")
            yield from _read(db, path)
    except duckdb.Error as error:
        said = str(error).splitlines()[0][:200]
        raise ConfigError("the file", said, "readable Parquet with the columns of tidy readings", str(path)) from None


def _read(db: DuckDBPyConnection, path: Path) -> Iterator[Numbered]:
    plain = _plain(path)
    described = db.execute("SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet([$1]))", [plain])
    kinds = dict(described.fetchall())
    missing = [name for name in COLUMNS if name not in kinds]
    if missing:
        raise ConfigError("the columns", " ".join(kinds), f"{' '.join(COLUMNS)}; there is no {missing[0]}", str(path))
    if kinds["time_utc"] not in _MOMENTS:
        raise ConfigError("time_utc", kinds["time_utc"], "a timestamp with time zone, or text with a zone", str(path))
    moment = "time_utc" if kinds["time_utc"] == "VARCHAR" else "epoch_ms(time_utc)"
    quality = "quality::VARCHAR" if "quality" in kinds else "''"
    columns = f"sensor_id::VARCHAR, {moment}, quantity::VARCHAR, value::DOUBLE, unit::VARCHAR, {quality}"
    rows = db.execute(f"SELECT {columns} FROM read_parquet([$1])", [plain])  # noqa: S608  # the words are all ours
    line = 0
    while some := rows.fetchmany(_ROWS):
        for sensor, time_utc, quantity, value, unit, grade in some:
            line += 1
            yield _numbered(line, (sensor, time_utc, quantity, value, unit, grade), str(path))


def _numbered(
    line: int, columns: tuple[str, int | str | None, str, float | None, str, str | None], name: str
) -> Numbered:
    sensor, moment, quantity, value, unit, grade = columns
    try:
        t = rfc3339_ms(moment) if isinstance(moment, str) else moment
    except ValueError:
        t = None
    if t is None or sensor is None:
        raise ConfigError(f"row {line}", (sensor, moment), "a sensor and a time with a zone", name)
    if value is not None and math.isinf(value):
        raise ConfigError(f"row {line} value", value, "a finite number, or nothing where it is missing", name)
    missing = value is None or grade == "missing"
    return Numbered(line, TidyRow(t, sensor, quantity or "", math.nan if missing else float(value or 0.0), unit or ""),
                    grade or "")  # fmt: skip


def _plain(path: Path) -> str:
    """Without a meaning of its own for what stands in brackets or stars."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path))
