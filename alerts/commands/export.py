"""canhbao export: what was measured, as tidy CSV or Parquet."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from tqdm import tqdm

from alerts import settings
from alerts.commands.caller import Caller, CallError, WrongCallError
from alerts.commands.run import DEFAULT_FILE
from alerts.exporting import selection
from alerts.settings import Settings
from ingest.city import ConfigError, parse_city
from ingest.data_folder import FolderError, announced
from ingest.history.store import Rows, StoreError
from ingest.history.stores import EMBEDDED, embedded_file, store_at
from ingest.history.tidy_files import KINDS, CsvSink, Files
from ingest.journal import Journal, JournalError

HELP = "what was measured, as tidy CSV or Parquet, out of the history"
EXAMPLE = """\
examples:
  canhbao export --from 2022-10-14 --to 2022-10-15 --out storm.csv.gz
  canhbao export --quantity rain --area 20242 --format parquet --by day --out open-data
  canhbao export --sensor rain-hai-chau-1 | head

Columns: sensor_id,time_utc,quantity,value,unit,quality (missing fail suspect good not_evaluated); by time, then sensor.
A counter's value is what it rose by, a distance sensor's is the depth; both as they were when they were measured.
Public or not: whoever may read the data folder exports everything. A file has its name when it is whole.
"""
_STDOUT: Final = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    day = "RFC 3339 with a zone, or a date: its beginning in the city"
    parser.add_argument("--from", dest="since", metavar="T", help=f"measured at or after ({day})")
    parser.add_argument("--to", dest="until", metavar="T", help="measured before")
    parser.add_argument("--area", action="append", default=[], metavar="CODE", help="in this area and those within it")
    parser.add_argument("--quantity", action="append", default=[], metavar="NAME", help="such as rain")
    parser.add_argument("--sensor", action="append", default=[], metavar="ID", help="each may be given several times")
    parser.add_argument("--by", choices=["day"], help="a file for each of the city's days; --out is a folder")
    parser.add_argument("--format", choices=KINDS, help="default: what --out ends in, else csv")
    parser.add_argument("--out", default=_STDOUT, metavar="FILE|DIR|-", help="default: - (the standard output)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")


def run(arguments: argparse.Namespace) -> int:
    kind = _kind(arguments)
    if arguments.out == _STDOUT and (arguments.by or kind == "parquet"):
        raise ConfigError("--out", _STDOUT, "a folder" if arguments.by else "a file: Parquet is not written in one go")
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    folder = settings.load(file, os.environ, with_secrets=False).data_path
    try:
        url = announced(folder)
        source = _Kept(settings.load(file, os.environ), arguments) if url is None else _Running(url, folder, arguments)
        with closing(source.rows()) as rows:
            _write(rows, source, arguments, kind)
    except (CallError, FolderError, JournalError, StoreError) as error:
        print(f"canhbao export: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"canhbao export: {error.filename or arguments.out}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


class _Running:
    """The history of a service that runs, asked over HTTP. `zone`: known when the first rows are."""

    def __init__(self, url: str, folder: Path, arguments: argparse.Namespace) -> None:
        self._caller, self._arguments = Caller(url, folder, "export"), arguments
        self.zone = ZoneInfo("UTC")

    def rows(self) -> Generator[Rows, None, None]:
        given = self._arguments
        query = {"from": given.since, "to": given.until, "area": given.area, "quantity": given.quantity,
                 "sensor": given.sensor}  # fmt: skip
        said = urlencode({name: value for name, value in query.items() if value}, doseq=True)
        return self._caller.rows(f"/api/v1/export?{said}", self._know)

    def _know(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)


class _Kept:
    """The history of a service that does not run. Nothing is written; what it had not followed yet is not in it."""

    def __init__(self, given: Settings, arguments: argparse.Namespace) -> None:
        folder = given.data_path
        self._journal = Journal.open(folder / "journal", read_only=True)
        if self._journal.configuration is None or (
            given.history_url == EMBEDDED and not embedded_file(folder).exists()
        ):
            raise ConfigError("data.path", str(folder), "the data folder of a service that has run")
        city = parse_city(self._journal.configuration.city_toml)
        try:
            self._asked = selection(
                city, self._journal.configuration.sensor_ids, since=arguments.since, until=arguments.until,
                sensors=arguments.sensor, areas=arguments.area, quantities=arguments.quantity,
            )  # fmt: skip
        except ValueError as error:
            raise WrongCallError(str(error), "canhbao export --help") from None
        self.zone = city.timezone
        token = given.history_token.reveal() if given.history_token else ""
        self._store = store_at(given.history_url, folder, city.timezone, token)

    def rows(self) -> Generator[Rows, None, None]:
        with closing(self._store):
            behind = self._journal.last - self._store.position()
            if behind > 0:
                print(f"canhbao export: the newest {behind} entries are not in the history yet: the service has to run "
                      "for that", file=sys.stderr)  # fmt: skip
            for rows in self._store.scan(self._asked.start, self._asked.end, self._asked.sensors):
                yield self._asked.wanted.of(rows)


def _write(rows: Iterator[Rows], source: _Running | _Kept, arguments: argparse.Namespace, kind: str) -> None:
    first = next(rows, None)
    if arguments.out == _STDOUT:
        sink = CsvSink(open(1, "wb", closefd=False), compressed=kind == "csv.gz")  # noqa: SIM115  # the sink ends it
        for part in _progress(first, rows):
            sink.write(part)
        sink.end()
        return
    out = Path(arguments.out)
    name_of = (lambda day: out / f"{day}.{kind}") if arguments.by else (lambda _: out)
    with Files(name_of, kind, source.zone if arguments.by else None) as files:
        for part in _progress(first, rows):
            files.write(part)
        files.end()
    count = sum(files.written.values())
    print(f"{count} readings in {len(files.written)} files" if arguments.by else f"{count} readings", file=sys.stderr)


def _progress(first: Rows | None, rest: Iterator[Rows]) -> Iterator[Rows]:
    with tqdm(unit=" readings", unit_scale=True, disable=not sys.stderr.isatty()) as progress:
        part = first
        while part is not None:
            yield part
            progress.update(len(part.t))
            part = next(rest, None)


def _kind(arguments: argparse.Namespace) -> Any:
    if arguments.format:
        return arguments.format
    if arguments.by or arguments.out == _STDOUT:
        return "csv"
    for kind in KINDS:
        if arguments.out.endswith(f".{kind}"):
            return kind
    raise ConfigError(
        "--out", arguments.out, f"a name that ends in {' '.join(f'.{kind}' for kind in KINDS)}; or --format"
    )
