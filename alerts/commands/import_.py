"""canhbao import: tidy files into the running service, as backfill."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from alerts import settings
from alerts.brought import ROWS_MOST, SENSOR_HOURS_MOST
from alerts.commands.caller import Caller, CallError
from alerts.commands.run import DEFAULT_FILE
from ingest import tidy, tidy_parquet
from ingest.city import ConfigError
from ingest.data_folder import FolderError, announced
from ingest.readings import Flag
from ingest.tidy import Numbered

HELP = "tidy CSV or Parquet into the running service, as backfill"
EXAMPLE = """\
examples:
  canhbao import storm.csv.gz
  canhbao import open-data/2022-10-*.parquet

Readings go the way of any reading that comes late: into the journal, graded, each (sensor, time) once. What is older
than 15 minutes fills windows and raises no warning. What is measured now comes first: files take their time. Called
again with the same files it goes on where it was: what is known is passed over. Give files in the order of time.
Sensors that send totals or distances take no readings from files: those cannot be made of what they mean. What is
older than the history keeps (history.keep_raw_days) is refused: set it higher first.
Exit code 1: some readings were refused (which and why stands on stderr), or the service could not be asked.
"""
SERIES_MOST: Final = 300  # in one call; each stands in it once
TRIES: Final = 30  # of one call while the service is busy or its history away
WAIT_MIN_S: Final = 1.0
SHOWN_MOST: Final = 5  # refused readings of one reason that are shown; all are counted
_HOUR_MS: Final = 3_600_000
_FLAGS: Final = {"suspect": Flag.SUSPECT, "fail": Flag.FAIL}  # what else a file says of itself is graded anew


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    folder = settings.load(file, os.environ, with_secrets=False).data_path
    report = Report()
    try:
        caller = _service(folder)
        with tqdm(unit=" readings", unit_scale=True, disable=not sys.stderr.isatty()) as progress:
            for call in calls(located(arguments.files)):
                report.add(call, _brought(caller, columns(call)))
                progress.update(len(call))
    except (CallError, FolderError) as error:
        print(f"canhbao import: {error}; call it again, what is known is passed over", file=sys.stderr)
        report.tell()
        return 1
    except ConfigError:
        report.tell()
        raise
    report.tell()
    return 1 if report.refused else 0


def _service(folder: Path) -> Caller:
    url = announced(folder)
    if url is None:
        raise CallError("the service does not run, and it alone writes: canhbao run")
    return Caller(url, folder, "import")


@dataclass(frozen=True, slots=True)
class Located:
    """A reading and its file."""

    file: Path
    numbered: Numbered


@dataclass(slots=True)
class Report:
    """What became of everything so far."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, call: Sequence[Located], brought: dict[str, Any]) -> None:
        for name in ("accepted", "duplicates", "conflicts"):
            self.counts[name] += brought[name]
        for one in brought["refused"]:
            reason, at = one["reason"], call[one["row"]]
            if self.refused[reason] < SHOWN_MOST:
                print(f"{at.file}:{at.numbered.line}: {reason}: {one['detail']}", file=sys.stderr)
            self.refused[reason] += 1

    def tell(self) -> None:
        known = f"{self.counts['duplicates']} known already, {self.counts['conflicts']} known with another value"
        print(f"{self.counts['accepted']} new, {known}, {self.refused.total()} refused")
        for reason, count in self.refused.most_common():
            print(f"  {reason}: {count}")


def located(files: Sequence[Path]) -> Iterator[Located]:
    """Raises ConfigError naming file and line."""
    for file in files:
        rows = (tidy_parquet if file.suffix == ".parquet" else tidy).numbered_rows(file)
        yield from (Located(file, numbered) for numbered in rows)


def calls(readings: Iterable[Located]) -> Iterator[list[Located]]:
    """As many at a time as the service takes, and not so far apart that it had to look up too much."""
    call: list[Located] = []
    series: set[tuple[str, str, str]] = set()
    sensors: set[str] = set()
    first, last = math.inf, -math.inf
    for one in readings:
        row = one.numbered.row
        key = (row.sensor_id, row.quantity, row.unit)
        first, last = min(first, row.t), max(last, row.t)
        hours = len(sensors | {row.sensor_id}) * (last - first) / _HOUR_MS
        if len(call) == ROWS_MOST or len(series | {key}) > SERIES_MOST or hours > SENSOR_HOURS_MOST:
            yield call
            call, series, sensors, first, last = [], set(), set(), row.t, row.t
        call.append(one)
        series.add(key)
        sensors.add(row.sensor_id)
    if call:
        yield call


def columns(call: Sequence[Located]) -> dict[str, Any]:
    """The body of a call (alerts/web/imports.py)."""
    rows = [one.numbered.row for one in call]
    keys = {key: n for n, key in enumerate(dict.fromkeys((row.sensor_id, row.quantity, row.unit) for row in rows))}
    return {
        "series": [{"sensor": sensor, "quantity": quantity, "unit": unit} for sensor, quantity, unit in keys],
        "i": [keys[row.sensor_id, row.quantity, row.unit] for row in rows],
        "t": [row.t for row in rows],
        "value": [None if math.isnan(row.value) else row.value for row in rows],
        "flag": [_FLAGS.get(one.numbered.quality, Flag.NOT_EVALUATED) for one in call],
    }


def _brought(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Tried again while the service says that it is busy."""
    for left in range(TRIES - 1, -1, -1):
        try:
            return caller.ask("POST", "/api/v1/import", body)
        except CallError as error:
            if not error.again_s or not left:
                raise
            time.sleep(max(WAIT_MIN_S, error.again_s))
    raise AssertionError
