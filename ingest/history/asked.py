"""The questions to the DuckDB file, as statements; their limits. Every one is asked within one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from ingest.history import rollups
from ingest.history.local_days import midnights
from ingest.history.rollups import START
from ingest.history.store import (
    BUCKETS_MAX,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    READINGS_MAX,
    WORST_FIRST,
    Buckets,
    Named,
    Points,
    Rows,
)  # fmt: skip
from ingest.readings import Int64

_WORST: Final = np.array([0, *reversed([int(flag) for flag in WORST_FIRST])], np.uint8)  # by rank


def check_limit(limit: int) -> None:
    if not 0 < limit <= READINGS_MAX:
        raise ValueError(f"{limit} readings at a time; 1 to {READINGS_MAX} can be asked for")


def check_buckets(sensors: int, start: int, end: int, every_ms: int) -> None:
    if every_ms <= 0:
        raise ValueError(f"buckets of {every_ms} ms; they last 1 ms or longer")
    if (most := sensors * (max(0, end - start) // every_ms + 1)) > BUCKETS_MAX:
        raise ValueError(f"{most} buckets at a time; {BUCKETS_MAX} can be asked for")


def readings(
    db: duckdb.DuckDBPyConnection, sensor: str, start: int, end: int, limit: int, quantity: str | None
) -> Points:
    among = _among(_series(db, [sensor], quantity)["series"])
    columns = db.execute(
        f"SELECT t, value, raw, flag FROM reading WHERE t >= $1 AND t < $2 AND {among} ORDER BY t LIMIT $3",
        [start, end, limit],
    ).fetchnumpy()
    return Points(columns["t"], _filled(columns["value"]), _filled(columns["raw"]), columns["flag"])


def buckets(
    db: duckdb.DuckDBPyConnection, sensors: Sequence[str], start: int, end: int, every_ms: int, zone: ZoneInfo,
    quantity: str | None,
) -> Buckets:  # fmt: skip
    end = max(start, end)
    days = midnights(zone, start, end) if every_ms == DAY_MS else None
    if days is None:
        first, last = (-(-edge // every_ms) * every_ms for edge in (start, end))
    else:
        first, last = (int(days[np.searchsorted(days, edge)]) for edge in (start, end))
        db.register("midnight", {"begins": days})
    series = _series(db, sensors, quantity)
    db.register("sensors", series)
    parts = _parts(db, _among(series["series"]), first, last, _finer(every_ms, days), every_ms)
    found = f"SELECT p.*, a.sensor FROM ({parts}) p JOIN sensors a USING (series)"
    summed = rollups.of_days(found, "sensor") if days is not None else \
        rollups.of_buckets(found, f"start - start % {every_ms}", "sensor")  # fmt: skip
    columns = db.execute(f"FROM ({summed}) ORDER BY sensor, start").fetchnumpy()
    count = columns["count"]
    return Buckets(
        columns["sensor"].astype(np.int32), columns["start"], count,
        np.divide(columns["sum"], count, out=np.full(len(count), np.nan), where=count > 0),
        _filled(columns["min"]), _filled(columns["max"]), columns["sum"], _filled(columns["last"]),
        _WORST[columns["worst"]],
    )  # fmt: skip


def stretches(
    db: duckdb.DuckDBPyConnection, start: int, end: int, sensors: Collection[str] | None
) -> list[tuple[int, int]]:
    """[start, end) cut at whole minutes into stretches of at most READINGS_MAX readings, or of one minute."""
    columns = db.execute(
        f"SELECT {START['minute'].format('t')} AS start, count(*) AS count FROM reading"
        f" WHERE t >= $1 AND t < $2 AND {_of(db, sensors)} GROUP BY ALL ORDER BY start",
        [start, end],
    ).fetchnumpy()
    edges = [start]
    room = READINGS_MAX
    for minute, count in zip(columns["start"].tolist(), columns["count"].tolist(), strict=True):
        if count > room and minute > edges[-1]:
            edges.append(minute)
            room = READINGS_MAX
        room -= count
    return list(zip(edges, [*edges[1:], end], strict=True)) if len(columns["start"]) else []


def rows(db: duckdb.DuckDBPyConnection, start: int, end: int, sensors: Collection[str] | None) -> Rows:
    columns = db.execute(
        "SELECT r.series, r.t, r.value, r.raw, r.flag FROM reading r JOIN series s ON s.number = r.series"
        f" WHERE r.t >= $1 AND r.t < $2 AND {_of(db, sensors)} ORDER BY r.t, s.id",
        [start, end],
    ).fetchnumpy()
    names = db.execute("SELECT id, quantity, unit, area, gateway FROM series ORDER BY number").fetchall()
    return Rows(tuple(Named(*name) for name in names), columns["series"], columns["t"], _filled(columns["value"]),
                _filled(columns["raw"]), columns["flag"])  # fmt: skip


def parts(whole: Rows) -> Iterator[Rows]:
    """`whole` in chunks of READINGS_MAX rows."""
    for first in range(0, len(whole.t), READINGS_MAX):
        cut = slice(first, first + READINGS_MAX)
        yield Rows(whole.names, whole.series[cut], whole.t[cut], whole.value[cut], whole.raw[cut], whole.flag[cut])


def _parts(
    db: duckdb.DuckDBPyConnection, among: str, first: int, last: int, tables: Sequence[str], every_ms: int
) -> str:
    """A query: what the buckets between `first` and `last` are made of: closed ones, and readings after those."""
    rolled, days_to = db.execute("SELECT rolled, days_to FROM state").fetchall()[0]
    found = []
    since = first
    for table in tables:
        if since < (until := min(days_to if table == "day" else rolled, last)):
            found.append(f"SELECT * FROM {table} WHERE start >= {since} AND start < {until} AND {among}")
            since = until
    start = START["minute"].format("t") if every_ms % MINUTE_MS == 0 else f"t - t % {every_ms}"
    raw = f"SELECT series, t, value, flag FROM reading WHERE t >= {since} AND t < {last} AND {among}"
    found.append(rollups.of_readings(raw, start))
    return " UNION ALL BY NAME ".join(f"({one})" for one in found)


def _finer(every_ms: int, days: Int64 | None) -> tuple[str, ...]:
    """The tables that buckets of `every_ms` can be made of, one after the other as far as each reaches."""
    if days is not None:
        return ("day", "hour" if (days % HOUR_MS == 0).all() else "minute")
    if every_ms % HOUR_MS == 0:
        return ("hour",)
    return ("minute",) if every_ms % MINUTE_MS == 0 else ()


def _series(db: duckdb.DuckDBPyConnection, sensors: Collection[str], quantity: str | None) -> dict[str, Any]:
    """The series of the sensors, and which of those asked for each belongs to."""
    return db.execute(
        "SELECT number AS series, a.nr AS sensor FROM series JOIN"
        " (SELECT unnest($1::VARCHAR[]) AS id, unnest(range($2)) AS nr) a USING (id)"
        " WHERE $3 IS NULL OR quantity = $3",
        [list(sensors), len(sensors), quantity],
    ).fetchnumpy()


def _of(db: duckdb.DuckDBPyConnection, sensors: Collection[str] | None) -> str:
    return "TRUE" if sensors is None else _among(_series(db, sensors, None)["series"])


def _among(series: Any) -> str:
    """A condition on `series`; made of numbers, since ids come from outside."""
    return f"series IN ({', '.join(map(str, series.tolist()))})" if len(series) else "FALSE"


def _filled(column: Any) -> Any:
    return np.ma.filled(column.astype(np.float64, copy=False), np.nan)
