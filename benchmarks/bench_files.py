"""Files out of the history and into the service, and lines for InfluxDB; each beside what does the least of it.

Export: readings a second of processor, from the embedded history to a file; the floor is DuckDB's own COPY of a bare
table with the same columns. Lines: readings as line protocol; the peer is influxdb-client, a Point a reading. Import: a
CSV into a running service, readings a second of the wall until each is in the journal; no floor: its pace is set so
that what is measured now comes first. One JSON line a figure; `ratio` = value / floor.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from influxdb_client.client.write.point import Point
from surroundings import service, tell

from ingest.entries import Position
from ingest.history.duckdb import DuckStore
from ingest.history.lines import lines
from ingest.history.store import Named
from ingest.history.stores import embedded_file
from ingest.history.tidy_files import KINDS, Files
from ingest.readings import Readings

BEGIN_MS: Final = 1_665_680_400_000  # midnight in Đà Nẵng
ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
CITY: Final = '[city]\nname = "A"\ntimezone = "Asia/Ho_Chi_Minh"\n[[area]]\ncode = "1"\nname = "B"\n'
SENSOR: Final = (
    '[[sensor]]\nid = "sensor-{}"\nquantity = "temperature"\narea = "1"\nperiod = "60s"\nquality.off = "all"\n'
)
COPY: Final = {"csv": "FORMAT csv, HEADER", "csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip",
               "parquet": "FORMAT parquet, COMPRESSION zstd"}  # fmt: skip


def _columns(sensors: int, minutes: int) -> Readings:
    random = np.random.default_rng(7)
    sensor = np.tile(np.arange(sensors), minutes)
    t = BEGIN_MS + 60_000 * np.repeat(np.arange(minutes), sensors)
    return Readings.of(sensor=sensor, t=t, value=np.round(20 + 8 * random.random(len(t)), 1), flag=np.ones(len(t)))


def _timed(work: Callable[[], object]) -> float:
    """Seconds of processor, of all threads of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _export(store: DuckStore, file: Path, kind: str) -> None:
    with Files(lambda _: file, kind, None) as files:
        for rows in store.scan(0, 2**60):
            files.write(rows)
        files.end()


def _exports(folder: Path, readings: Readings, names: dict[int, Named]) -> None:
    bare = duckdb.connect()
    bare.execute("SET threads = 1")
    with closing(DuckStore(embedded_file(folder), ZONE)) as store:
        for number, begin in enumerate(range(0, len(readings), 50_000), 1):
            store.append(readings[begin : begin + 50_000], names, Position(number))
        bare.register("given", {"sensor": readings.sensor, "t": readings.t, "value": readings.value})
        bare.execute(
            "CREATE TABLE tidy AS SELECT 'sensor-' || sensor AS sensor_id, make_timestamp(t * 1000) AS time_utc,"
            " 'temperature' AS quantity, value, '°C' AS unit, 'good' AS quality FROM given"
        )
        for kind in KINDS:
            took_s = _timed(lambda kind=kind: _export(store, folder / f"out.{kind}", kind))
            copy = f"COPY tidy TO '{folder / f'bare.{kind}'}' ({COPY[kind]})"
            floor_s = _timed(lambda copy=copy: bare.execute(copy))
            rate, floor = len(readings) / took_s, len(readings) / floor_s
            tell("files", f"export {kind}", rate, "readings/cpu-s", floor, len(readings))


def _lines(readings: Readings, names: dict[int, Named]) -> None:
    few = readings[:100_000]
    took_s = _timed(lambda: lines(few, names, range(len(few))))

    def peer() -> None:
        for number, t, value in zip(few.sensor.tolist(), few.t.tolist(), few.value.tolist(), strict=True):
            point = Point("temperature").tag("sensor", names[number].id).tag("area", "1").tag("unit", "°C")
            point.field("value", value).field("raw", value).field("flag", 1).time(t, "ms").to_line_protocol()

    tell("files", "lines for InfluxDB", len(few) / took_s, "readings/cpu-s", len(few) / _timed(peer), len(few))


def _import(folder: Path, file: Path, sensors: int, minutes: int) -> None:
    city = CITY + "".join(SENSOR.format(n) for n in range(sensors))
    os.environ |= {"CANHBAO_HISTORY__KEEP_RAW_DAYS": "36500", "CANHBAO_HISTORY__KEEP_MINUTES_DAYS": "36500"}
    with service(folder, city, ""):
        began = time.perf_counter()
        environ = {**os.environ, "CANHBAO_DATA__PATH": str(folder / "data")}
        subprocess.run([sys.executable, "-m", "alerts", "import", str(file)], env=environ, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        took_s = time.perf_counter() - began
    tell("files", "import csv", sensors * minutes / took_s, "readings/s", None, sensors * minutes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sensors", type=int, default=2_000)
    parser.add_argument("--minutes", type=int, default=300, help="of readings that are exported")
    parser.add_argument("--imported", type=int, default=30, help="minutes of readings that are imported")
    given = parser.parse_args()
    names = {n: Named(f"sensor-{n}", "temperature", "°C", "1", "") for n in range(given.sensors)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readings = _columns(given.sensors, given.minutes)
        _exports(folder, readings, names)
        _lines(readings, names)
        few = folder / "few.csv"
        lines_kept = 1 + given.sensors * given.imported
        few.write_text("".join((folder / "out.csv").read_text().splitlines(keepends=True)[:lines_kept]))
        _import(folder, few, given.sensors, given.imported)


if __name__ == "__main__":
    main()
