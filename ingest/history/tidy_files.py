"""Readings as tidy files: CSV, CSV.gz or Parquet, one file or one a day. A file has its name when it is whole."""

from __future__ import annotations

import csv
import errno
import gzip
import io
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final, Protocol, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingest.history.local_days import midnights
from ingest.history.store import Rows
from ingest.readings import Flag
from ingest.tidy import COLUMNS

KINDS: Final = ("csv", "csv.gz", "parquet")
QUALITIES: Final = {int(flag): flag.name.lower() for flag in Flag}
_MEMORY: Final = "256MB"  # of the table that a Parquet file is made of; what is more lies on the disk beside it
_TABLE: Final = ("CREATE TABLE tidy (sensor_id VARCHAR, time_utc TIMESTAMPTZ, quantity VARCHAR, value DOUBLE,"
                 " unit VARCHAR, quality VARCHAR)")  # fmt: skip
_INSERT: Final = (
    "INSERT INTO tidy SELECT $1[series + 1], make_timestamptz(t * 1000), $2[series + 1],"
    " CASE WHEN isnan(value) THEN NULL ELSE value END, $3[series + 1], $4[flag + 1] FROM given"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was measured in one of these areas, and one of these quantities; None: in all."""

    areas: Collection[str] | None = None
    quantities: Collection[str] | None = None

    def of(self, rows: Rows) -> Rows:
        """As the registry had them when they were measured."""
        fits = [(self.areas is None or name.area in self.areas)
                and (self.quantities is None or name.quantity in self.quantities) for name in rows.names]  # fmt: skip
        return rows if all(fits) else _where(rows, np.array(fits, np.bool_)[rows.series])


class Sink(Protocol):
    """One file. `write` what is later in time than what was written; `end` when it is whole."""

    def write(self, rows: Rows) -> None: ...
    def end(self) -> None: ...


class CsvSink:
    """Tidy lines (CONTRACTS section 2) into an open file, which is closed with it."""

    def __init__(self, into: IO[bytes], *, compressed: bool) -> None:
        # No name and no time in its head: the same readings are the same bytes.
        self._gzip = gzip.GzipFile("", "wb", 6, into, mtime=0) if compressed else None
        self._file, self._into = into, self._gzip or into
        self._into.write((",".join((*COLUMNS, "quality")) + "\n").encode())

    def write(self, rows: Rows) -> None:
        names = [(name.id, name.quantity, name.unit) for name in rows.names]
        moments = np.datetime_as_string(rows.t.astype("datetime64[ms]"), unit="ms", timezone="UTC").tolist()
        values = [None if value != value else value for value in rows.value.tolist()]  # noqa: PLR0124  # NaN: missing
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            (names[series][0], moment, names[series][1], value, names[series][2], QUALITIES[flag])
            for series, moment, value, flag in zip(
                rows.series.tolist(), moments, values, rows.flag.tolist(), strict=True
            )
        )
        self._into.write(text.getvalue().encode())

    def end(self) -> None:
        if self._gzip is not None:
            self._gzip.close()
        self._file.close()


class ParquetSink:
    """The columns of the CSV; `time_utc` in µs of UTC. `folder`: for what does not fit into memory. Raises OSError."""

    def __init__(self, path: Path, folder: Path) -> None:
        import duckdb  # noqa: PLC0415  # 20 MB that only who writes Parquet needs

        self._path, self._fault = path, duckdb.Error
        with self._as_os_error():
            self._db = duckdb.connect(str(folder / "tidy.duckdb"))
            self._db.execute(f"SET memory_limit = '{_MEMORY}'; SET threads = 1; SET TimeZone = 'UTC'")
            self._db.execute(_TABLE)

    def write(self, rows: Rows) -> None:
        words = [[getattr(name, word) for name in rows.names] for word in ("id", "quantity", "unit")]
        with self._as_os_error():
            self._db.register("given", {"series": rows.series, "t": rows.t, "value": rows.value, "flag": rows.flag})
            self._db.execute(_INSERT, [*words, [QUALITIES.get(flag) for flag in range(max(QUALITIES) + 1)]])
            self._db.unregister("given")

    def end(self) -> None:
        with self._as_os_error():
            self._db.table("tidy").write_parquet(str(self._path), compression="zstd")
            self._db.close()

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        """A full disk, above all: DuckDB has an error of its own for each step at which it notices."""
        try:
            yield
        except self._fault as error:
            raise OSError(errno.EIO, str(error).splitlines()[0]) from None


class Files:
    """Whole files under their names, or none. Use it in a `with`: what is not ended is taken away. Raises OSError."""

    def __init__(self, name_of: Callable[[str], Path], kind: str, zone: ZoneInfo | None) -> None:
        """`name_of`: a day of `zone` (without one: "") -> its file."""
        self._name_of, self._kind, self._zone = name_of, kind, zone
        self.written: dict[Path, int] = {}
        self._day: str | None = None
        self._open: tuple[Sink, Path, Path] | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def write(self, rows: Rows) -> None:
        """What is later in time than what was written."""
        for day, part in _by_day(rows, self._zone):
            self._turn_to(day)
            assert self._open is not None
            sink, path, _ = self._open
            sink.write(part)
            self.written[path] += len(part.t)

    def end(self) -> None:
        """The last file is whole; without a reading, and not by day, there is one with its head alone."""
        if self._day is None and self._zone is None:
            self._turn_to("")
        self._finish()

    def _turn_to(self, day: str) -> None:
        if day == self._day:
            return
        self._finish()
        self._day = day
        path = self._name_of(day)
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(self._closing.enter_context(TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)))
        part = folder / path.name
        if self._kind == "parquet":
            sink: Sink = ParquetSink(part, folder)
        else:
            sink = CsvSink(self._closing.enter_context(part.open("wb")), compressed=self._kind == "csv.gz")
        self._open, self.written[path] = (sink, path, part), 0

    def _finish(self) -> None:
        if self._open is not None:
            sink, path, part = self._open
            sink.end()
            part.replace(path)
            self._open = None
        self._closing.close()


def _by_day(rows: Rows, zone: ZoneInfo | None) -> Iterator[tuple[str, Rows]]:
    if not len(rows.t):
        return
    if zone is None:
        yield "", rows
        return
    begins = midnights(zone, int(rows.t[0]), int(rows.t[-1]) + 1)
    for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        first, last = np.searchsorted(rows.t, (begin, end))
        if first < last:
            yield _date(begin, zone), _where(rows, np.s_[first:last])


def _date(ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(ms // 1000, zone).date().isoformat()


def _where(rows: Rows, kept: NDArray[np.bool_] | slice) -> Rows:
    return Rows(rows.names, rows.series[kept], rows.t[kept], rows.value[kept], rows.raw[kept], rows.flag[kept])
