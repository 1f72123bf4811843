"""canhbao replay: what any readings, or a journal, would have called for under any rules."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from alerts.settings import read_text
from ingest.city import ConfigError
from ingest.entries import ORIGIN, Entry
from ingest.formats.times import rfc3339_ms
from ingest.journal import Journal, JournalError
from ingest.tidy import read_tidy
from processing.replay import Tally, replay_journal, replay_rows
from processing.rules import DEFAULT_RULES_FILE
from processing.transitions import Transition

HELP = "run tidy CSV files, or a journal, through the rules: one JSON line a transition"
EXAMPLE = """\
examples:
  canhbao replay storm.csv.gz --rules rules.toml --city city.toml --out transitions.jsonl
  canhbao replay --journal ./data/journal --since 2026-10-14T00:00:00+07:00
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="tidy readings, .csv or .csv.gz")
    parser.add_argument("--journal", type=Path, metavar="DIR", help="a journal's folder instead of files")
    parser.add_argument("--city", type=Path, help="city.toml; without it every series is a sensor of its own")
    parser.add_argument("--rules", type=Path, help="rules.toml (default: Da Nang's)")
    parser.add_argument("--since", type=_moment, metavar="T", help="write only from this time on (with a zone)")
    parser.add_argument("--until", type=_moment, metavar="T", help="write only before this time")
    parser.add_argument("--out", type=Path, help="write to this file instead of the standard output")


def run(arguments: argparse.Namespace) -> int:
    if bool(arguments.files) == bool(arguments.journal):
        raise ConfigError("the call", "files and --journal" if arguments.files else "nothing to read",
                          "FILE… or --journal DIR")  # fmt: skip
    if arguments.out is not None and any(file.resolve() == arguments.out.resolve() for file in arguments.files):
        raise ConfigError("--out", str(arguments.out), "another file than those that are read")
    began = time.perf_counter()
    tally = Tally()
    if arguments.journal and (arguments.city or arguments.rules):
        raise ConfigError("the call", "--city or --rules beside --journal", "neither: the journal holds its own")
    if arguments.journal:
        transitions = replay_journal(_progress(_entries(arguments.journal), "entries"), tally)
    else:
        city = None if arguments.city is None else read_text(arguments.city)
        rules = read_text(arguments.rules or DEFAULT_RULES_FILE)
        rows = read_tidy(arguments.files)
        transitions = replay_rows(rows, city, rules, tally)
    written = _write(transitions, arguments)
    refused = "".join(f", {n} {reason}" for reason, n in sorted(tally.refused.items()) if n)
    print(
        f"{tally.readings} readings, {tally.duplicates} duplicates, {tally.conflicts} conflicts{refused}; "
        f"{written} transitions written in {time.perf_counter() - began:.1f} s",
        file=sys.stderr,
    )
    return 0


def _write(transitions: Iterable[Transition], arguments: argparse.Namespace) -> int:
    since, until = arguments.since, arguments.until
    written = 0
    with nullcontext(sys.stdout) if arguments.out is None else _opened(arguments.out) as out:
        for transition in transitions:
            if (since is None or transition.at >= since) and (until is None or transition.at < until):
                print(transition.to_json(), file=out)
                written += 1
    return written


def _opened(file: Path) -> TextIO:
    try:
        return file.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError("--out", str(file), f"a file that can be written ({error.strerror})") from None


def _entries(folder: Path) -> Iterator[Entry]:
    if (folder / "journal").is_dir():
        folder /= "journal"  # the data folder was named
    try:
        journal = Journal.open(folder, read_only=True) if folder.is_dir() else None
        if journal is None or journal.last == ORIGIN:
            raise ConfigError("--journal", str(folder), "the folder of a journal, such as ./data/journal")
        for _, entry in journal.read(ORIGIN):
            yield entry
    except JournalError as error:
        raise ConfigError("--journal", str(error), "a readable journal", str(folder)) from None


def _progress(what: Iterable[Any], unit: str) -> Iterable[Any]:
    return tqdm(what, unit=f" {unit}", disable=not sys.stderr.isatty(), file=sys.stderr, leave=False)


def _moment(text: str) -> int:
    try:
        return rfc3339_ms(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time with a zone such as 2022-10-14T12:00:00+07:00") from None
