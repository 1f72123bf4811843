"""canhbao restore: a backup into an empty data folder; and, later, the word that lets delivery go on."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import msgspec

from alerts import settings
from alerts.backup import RESTORED, BackupError, restore
from alerts.commands.run import DEFAULT_FILE
from alerts.delivery.hold import read_hold, write_hold
from ingest.data_folder import FolderError

HELP = "put a backup into an empty data folder; nothing is sent until it is released"
EXAMPLE = """\
examples:
  canhbao restore /mnt/backup/canhbao-2026-11-22         into the data folder of the settings
  canhbao run                                            judges and shows, and sends nothing
  canhbao restore --release                              what waits is sent, under the keys it has always had
  canhbao restore --release --unsent                     what waits is given up; from now on warnings are sent

Release when nothing else sends for this city any more. The service may run or not. docs/how-to/backup.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", type=Path, help="what canhbao backup made")
    parser.add_argument("--release", action="store_true", help="delivery goes on")
    parser.add_argument("--unsent", action="store_true", help="with --release: what waits now is given up, not sent")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder (default: that of the settings)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if it is there)")


def run(arguments: argparse.Namespace) -> int:
    if arguments.release == (arguments.source is not None) or (arguments.unsent and not arguments.release):
        print("canhbao restore: either a backup, or --release (with or without --unsent)", file=sys.stderr)
        return 2
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    data = arguments.data or settings.load(file, os.environ, with_secrets=False).data_path
    try:
        if arguments.release:
            return _release(data, unsent=arguments.unsent)
        manifest = restore(arguments.source, data)
    except (BackupError, FolderError, OSError) as error:
        print(f"canhbao restore: {error}", file=sys.stderr)
        return 1
    print(f"{data}: {len(manifest.files)} files, decided up to {manifest.decided}, journal up to {manifest.journal}")
    print(f"city.toml and rules.toml as they stood then: {data / RESTORED}")
    print("nothing is sent until: canhbao restore --release / chưa gửi cảnh báo nào cho đến khi chạy lệnh này")
    return 0


def _release(data: Path, *, unsent: bool) -> int:
    hold = read_hold(data)
    if hold is None:
        print(f"canhbao restore: {data}: delivery is not held", file=sys.stderr)
        return 1
    if hold.restoring:
        raise BackupError(f"{data}: the restore did not come to its end; empty the folder and restore again")
    write_hold(data, msgspec.structs.replace(hold, released_at=time.time_ns() // 1_000_000, unsent=unsent))
    print("released: what waits is given up" if unsent else "released: what waits is sent")
    return 0
