"""The DuckDB file of the history: its tables, its limits, how it is made and opened. Everything raises duckdb.Error."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb

from ingest.entries import Position
from ingest.history import known, rollups
from ingest.history.known import State
from ingest.history.local_days import midnights

_SCHEMA: Final = 2
_TABLES: Final = (
    (
        "CREATE TABLE state (schema INTEGER, zone VARCHAR, position BIGINT, rolled BIGINT, days_to BIGINT,"
        " raw_from BIGINT, minutes_from BIGINT, mark BIGINT)"
    ),
    *known.TABLES,
    *(f"CREATE TABLE {table} ({rollups.COLUMNS})" for table in rollups.TABLES),
)
_LIMITS: Final[dict[str, str | int | float | list[str]]] = {
    "threads": 2,
    "memory_limit": "512MB",  # beyond it DuckDB writes to a folder beside its file, and beyond that it refuses
    "max_temp_directory_size": "2GB",
    "autoinstall_known_extensions": False,  # nothing is fetched from anywhere
    "autoload_known_extensions": False,
}


def opened(file: Path) -> duckdb.DuckDBPyConnection:
    """Made where it is not there. Raises OSError as well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _make(file)
    return _connect(file)


def state_of(db: duckdb.DuckDBPyConnection, zone: ZoneInfo) -> State:
    """What the file says of itself; its days are those of `zone` from here on."""
    [(schema, key, *numbers)] = db.execute("SELECT * FROM state").fetchall()
    if schema != _SCHEMA:
        raise duckdb.DataError(
            f"written in schema {schema}, and this program reads schema {_SCHEMA}. Move the history away, it is filled"
            " anew from the journal"
        )
    state = State(Position(numbers[0]), *numbers[1:])
    if key != zone.key:
        db.begin()
        state = _days_of(db, zone, state)
        db.execute("UPDATE state SET zone = $1, days_to = $2", [zone.key, state.days_to])
        db.commit()
    return state


def write(db: duckdb.DuckDBPyConnection, state: State) -> None:
    db.execute(
        "UPDATE state SET position = $1, rolled = $2, days_to = $3, raw_from = $4, minutes_from = $5, mark = $6",
        list(astuple(state)),
    )


def _connect(file: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(file), config={**_LIMITS, "temp_directory": str(file.with_suffix(".spill"))})


def _make(file: Path) -> None:
    """Under another name until it has its tables: a file that was begun and not ended can never be opened again."""
    new = file.with_name(f".{file.name}.new")
    for leftover in (new, Path(f"{new}.wal"), Path(f"{file}.wal")):  # the last: of a file that somebody has taken away
        leftover.unlink(missing_ok=True)
    db = _connect(new)
    try:
        for table in _TABLES:
            db.execute(table)
        db.execute("INSERT INTO state VALUES ($1, '', $2, $3, $4, $5, $6, $7)", [_SCHEMA, *astuple(State())])
        db.execute("CHECKPOINT")
    finally:
        db.close()
    new.rename(file)


def _days_of(db: duckdb.DuckDBPyConnection, zone: ZoneInfo, state: State) -> State:
    """The closed days anew, in a zone that the city did not have before."""
    first = db.execute("SELECT min(start) FROM hour").fetchall()[0][0]
    if first is None:
        return state
    days = midnights(zone, first, state.rolled)
    days = days[days <= state.rolled]
    rollups.days_anew(db, days)
    return replace(state, days_to=int(days[-1]))
