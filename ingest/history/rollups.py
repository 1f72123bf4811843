"""The statements that make buckets of readings, and buckets of buckets (DuckDB's SQL).

`minute`, `hour` and `day` hold the buckets of a series before a time that the state names (`rolled`, `days_to`); what
was measured later is answered from the readings. A new reading from before it is put beside its closed bucket, as a
further part of it, in the step that stores the reading. Readings are never replaced, so adding the parts up is all that
it takes, also where the readings are gone; and every step does nothing but append.
"""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np

from ingest.history.store import HOUR_MS, MINUTE_MS, WORST_FIRST
from ingest.readings import Flag, Int64

TABLES: Final = ("minute", "hour", "day")
COLUMNS: Final = (
    "series INTEGER, start BIGINT, count BIGINT, sum DOUBLE, min DOUBLE, max DOUBLE, last_t BIGINT, last DOUBLE,"
    " worst UTINYINT"
)
_COUNTS: Final = f"CASE WHEN flag NOT IN ({Flag.FAIL:d}, {Flag.MISSING:d}) THEN value END"  # an empty value is NULL
_WORST: Final = (
    "max(CASE flag "
    + " ".join(f"WHEN {flag:d} THEN {len(WORST_FIRST) - at}" for at, flag in enumerate(WORST_FIRST))
    + " ELSE 0 END)::UTINYINT"
)
_OF_READINGS: Final = f"""count(v) AS count, coalesce(fsum(v), 0) AS sum, min(v) AS min, max(v) AS max,
    max(t) FILTER (v IS NOT NULL) AS last_t, arg_max(v, t) AS last, {_WORST} AS worst"""
_OF_BUCKETS: Final = """sum(count)::BIGINT AS count, fsum(sum) AS sum, min(min) AS min, max(max) AS max,
    max(last_t) AS last_t, arg_max(last, last_t) AS last, max(worst) AS worst"""

# How a bucket's start is computed of the column {0}; days have no arithmetic, they are joined to their midnights.
START: Final = {"minute": f"{{0}} - {{0}} % {MINUTE_MS}", "hour": f"{{0}} - {{0}} % {HOUR_MS}"}


def of_readings(source: str, start: str) -> str:
    """A query: the rows of `source` (series, t, value, flag) in buckets; `start`: an expression of t."""
    return (
        f"SELECT series, {start} AS start, {_OF_READINGS}"
        f" FROM (SELECT series, t, flag, {_COUNTS} AS v FROM ({source})) GROUP BY ALL"
    )


def of_buckets(source: str, start: str, by: str = "series") -> str:
    """A query: the buckets of `source` in coarser ones; `start`: an expression of start."""
    return f"SELECT {by}, {start} AS start, {_OF_BUCKETS} FROM ({source}) GROUP BY ALL"


def of_days(source: str, by: str = "series") -> str:
    """Like `of_buckets`, for the days that begin at `midnight.begins`."""
    return of_buckets(
        f"SELECT b.* REPLACE (m.begins AS start) FROM ({source}) b ASOF JOIN midnight m ON b.start >= m.begins",
        "start", by,
    )  # fmt: skip


def close(db: duckdb.DuckDBPyConnection, rolled: int, to: int) -> None:
    """Minutes and hours of the readings with rolled <= t < to, whole hours both."""
    minutes = of_readings("SELECT * FROM reading WHERE t >= $1 AND t < $2", START["minute"].format("t"))
    db.execute(f"INSERT INTO minute {minutes} ORDER BY start, series", [rolled, to])
    db.execute(
        f"INSERT INTO hour {of_buckets(_RANGE.format('minute'), START['hour'].format('start'))} ORDER BY start, series",
        [rolled, to],
    )


def close_days(db: duckdb.DuckDBPyConnection, midnights: Int64) -> None:
    """The days between the first and the last of `midnights`, of their minutes."""
    db.register("midnight", {"begins": midnights})
    db.execute(
        f"INSERT INTO day {of_days(_RANGE.format('minute'))} ORDER BY start, series",
        [int(midnights[0]), int(midnights[-1])],
    )
    db.unregister("midnight")


def days_anew(db: duckdb.DuckDBPyConnection, midnights: Int64) -> None:
    """The days of another time zone, of the hours that are kept: an hour counts to the day that it begins in."""
    db.register("midnight", {"begins": midnights})
    db.execute("DELETE FROM day")
    db.execute(
        f"INSERT INTO day {of_days(_RANGE.format('hour'))} ORDER BY start, series",
        [int(midnights[0]), int(midnights[-1])],
    )
    db.unregister("midnight")


def add(db: duckdb.DuckDBPyConnection, table: str, source: str, midnights: Int64) -> None:
    """The readings of `source`, which come late, to the closed buckets of `table`: as further parts of them."""
    minutes = of_readings(source, START["minute"].format("t"))
    if table == "day":
        db.register("midnight", {"begins": midnights})
        db.execute(f"INSERT INTO day {of_days(minutes)}")
        db.unregister("midnight")
    else:
        db.execute(f"INSERT INTO {table} {of_buckets(minutes, START[table].format('start'))}")


def kept_from(db: duckdb.DuckDBPyConnection, wanted: int, forgotten: int) -> int:
    """`wanted`, where what was before `forgotten` is gone; later, where buckets hold some of that: it must not come
    again and be counted twice.
    """
    if wanted >= forgotten:
        return wanted
    last = db.execute("SELECT max(start) FROM hour WHERE start < $1", [forgotten]).fetchall()[0][0]
    return wanted if last is None else max(wanted, min(last + HOUR_MS, forgotten))


def clusters(t: Int64, gap_ms: int) -> list[tuple[int, int]]:
    """The stretches (first, last) of times that no gap longer than `gap_ms` parts."""
    if not len(t):
        return []
    rising = np.unique(t)
    ends = np.flatnonzero(np.diff(rising) > gap_ms)
    firsts, lasts = rising[np.r_[0, ends + 1]], rising[np.r_[ends, len(rising) - 1]]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


_RANGE: Final = "SELECT * FROM {} WHERE start >= $1 AND start < $2"
