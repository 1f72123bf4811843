"""The history in InfluxDB 2. Reached as any client reaches it: nothing is asked of its machine but the API.

Rows and position are one step although the server knows no transactions: the position is written when the server has
acknowledged every row before it, in a request of its own (within one request its shards are written side by side, the
position might be there and a row not). What was written before a crash is found when it is asked again.

How long readings are kept is the bucket's own retention rule, set where the bucket is made.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from ingest.entries import ORIGIN, Position
from ingest.history import flux
from ingest.history.answers import Answer, Statistics, ms, rows_of, to_buckets, to_points
from ingest.history.asked import check_buckets, check_limit
from ingest.history.influx_client import InfluxClient
from ingest.history.lines import MARK_FIELD, NEWEST_MS, POSITION_FIELD, UNMARKED, lines, position_line
from ingest.history.store import (
    DAY_MS,
    MINUTE_MS,
    READINGS_MAX,
    Buckets,
    Keep,
    Named,
    Points,
    Rows,
)
from ingest.history.windows import Grid, runs
from ingest.readings import Int64, Readings

SLICE_MAX_MS: Final = 32 * DAY_MS  # of a scan
SLICE_ROWS: Final = READINGS_MAX // 4  # what a slice should hold: it grows and shrinks with what it finds
UNKNOWN: Final = -1


class InfluxStore:
    """One bucket of one server (ingest.history.store.Store). `zone`: whose days a day is."""

    def __init__(self, client: InfluxClient, zone: ZoneInfo) -> None:
        self._client, self._zone = client, zone
        self._position: Position | None = None
        self._mark: int | None = None
        self._position_t = 0
        self._newest: dict[str, int] = {}  # sensor id -> the newest t that is in the store, UNKNOWN where none is

    @property
    def refused(self) -> int:
        """Those whose lines the server does not take."""
        return self._client.refused

    def position(self) -> Position:
        if self._position is None:
            found = {row["_field"]: row for row in self._rows(flux.position(self._client.bucket))}
            at, mark = found.get(POSITION_FIELD), found.get(MARK_FIELD)
            self._mark = None if mark is None or mark["_value"] == str(UNMARKED) else int(mark["_value"])
            self._position_t = 0 if at is None else ms(at["_time"])
            self._position = ORIGIN if at is None else Position(int(at["_value"]))
        return self._position

    def mark(self) -> int | None:
        self.position()
        return self._mark

    def append(
        self, readings: Readings, sensors: Mapping[int, Named], position: Position, mark: int | None = None
    ) -> int:
        if position <= self.position():
            return 0
        rows = self._new(readings, sensors)
        self._client.write(lines(readings, sensors, rows.tolist()))
        self._position_t = max([self._position_t, *readings.arrival[-1:].tolist()])
        self._client.write([position_line(position, mark, self._position_t)])
        self._position, self._mark = position, mark
        for number, t in zip(readings.sensor[rows].tolist(), readings.t[rows].tolist(), strict=True):
            id_ = sensors[number].id
            self._newest[id_] = max(self._newest[id_], t)
        return len(rows)

    def readings(
        self, sensor: str, start: int, end: int, limit: int = READINGS_MAX, quantity: str | None = None
    ) -> Points:
        check_limit(limit)
        if start >= min(end, NEWEST_MS):
            return to_points([], limit)
        return to_points(self._rows(flux.readings(self._client.bucket, [sensor], start, end, limit, quantity)), limit)

    def buckets(
        self, sensors: Sequence[str], start: int, end: int, every_ms: int, quantity: str | None = None
    ) -> Buckets:
        check_buckets(len(sensors), start, end, every_ms)
        grid = Grid.of(start, end, every_ms, self._zone)
        statistics = Statistics(sensors)
        for few in _some(sensors) if grid.first < min(grid.last, NEWEST_MS) else ():
            for row in self._rows(flux.statistics(self._client.bucket, few, grid, quantity)):
                statistics.add(row, grid.bucket(ms(row["_start"])))
        return to_buckets(statistics)

    def scan(self, start: int, end: int, sensors: Collection[str] | None = None) -> Generator[Rows, None, None]:
        span = self.span() if end - start > SLICE_MAX_MS else (start, end - 1)
        at, end = (end, end) if span is None else (max(start, span[0]), min(end, span[1] + 1))
        slice_ms = MINUTE_MS
        while at < end:
            answer = self._slice(at, min(at + slice_ms, end), sensors)
            at += slice_ms
            found = rows_of(answer)
            yield from found
            slice_ms = _next_slice_ms(slice_ms, sum(len(part.t) for part in found))

    def span(self) -> tuple[int, int] | None:
        found = [ms(row["_time"]) for row in self._rows(flux.ends(self._client.bucket))]
        return (min(found), max(found)) if found else None

    def retain(self, keep: Keep, now_ms: int) -> None:
        """The bucket's own rule does it."""

    def close(self) -> None:
        self._client.close()

    def _rows(self, question: str) -> Iterator[Mapping[str, str]]:
        return self._client.rows(question)

    def _slice(self, start: int, end: int, sensors: Collection[str] | None) -> Answer:
        answer = Answer()
        for few in [[]] if sensors is None else _some(sorted(sensors)):
            for row in self._rows(flux.readings(self._client.bucket, few, start, end)):
                answer.add(row)
        return answer

    # -- what is new -------------------------------------------------------------------------------------------------

    def _new(self, readings: Readings, sensors: Mapping[int, Named]) -> Int64:
        """Row numbers, in order, of those whose (sensor, t) is neither in the store nor before them in `readings`."""
        order = np.lexsort((readings.t, readings.sensor))  # stable: of equal ones the first stays the first
        sensor, t = readings.sensor[order], readings.t[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = (sensor[1:] != sensor[:-1]) | (t[1:] != t[:-1])
        rows = np.sort(order[first])
        self._learn_newest({sensors[number].id for number in np.unique(readings.sensor).tolist()})
        newest = {number: self._newest[sensors[number].id] for number in np.unique(readings.sensor).tolist()}
        beyond = readings.t[rows] > np.array([newest[number] for number in readings.sensor[rows].tolist()], np.int64)
        behind = rows[~beyond]
        known = self._known([sensors[number].id for number in readings.sensor[behind].tolist()], readings.t[behind])
        return np.sort(np.concatenate([rows[beyond], behind[~known]]))

    def _learn_newest(self, ids: set[str]) -> None:
        """Of sensors that this process has not met yet: the server's answer, once."""
        unmet = sorted(ids - self._newest.keys())
        for few in _some(unmet):
            found = dict.fromkeys(few, UNKNOWN)
            for row in self._rows(flux.newest(self._client.bucket, few)):
                found[row["sensor"]] = max(found[row["sensor"]], ms(row["_time"]))
            self._newest |= found

    def _known(self, ids: Sequence[str], t: Int64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of these readings, none beyond the newest of its sensor, are in the store."""
        known: set[tuple[str, int]] = set()
        for begin, end in runs(t[t < NEWEST_MS]):
            asked = sorted({id_ for id_, at in zip(ids, t.tolist(), strict=True) if begin <= at < end})
            for few in _some(asked):
                for row in self._rows(flux.known(self._client.bucket, few, begin, end)):
                    known.add((row["sensor"], ms(row["_time"])))
        return np.array([(id_, at) in known for id_, at in zip(ids, t.tolist(), strict=True)], np.bool_)


def _some(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many as one question may name, each time."""
    return (ids[first : first + flux.SENSORS_MAX] for first in range(0, len(ids), flux.SENSORS_MAX))


def _next_slice_ms(slice_ms: int, rows: int) -> int:
    if rows > SLICE_ROWS:
        return max(MINUTE_MS, slice_ms // 2)
    return min(SLICE_MAX_MS, slice_ms * 2) if rows < SLICE_ROWS // 2 else slice_ms
