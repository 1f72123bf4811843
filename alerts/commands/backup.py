"""canhbao backup: all state in one folder or file, while the service runs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from alerts import settings
from alerts.backup import BackupError, take
from alerts.commands.run import DEFAULT_FILE

HELP = "copy all state into a new folder or .tar file; the service may run"
EXAMPLE = """\
examples:
  canhbao backup /mnt/backup/canhbao-2026-11-22
  canhbao backup /mnt/backup/canhbao-2026-11-22.tar

It holds journal, ledger, snapshots, residents with sealed addresses, client ids, and of <data>/mosquitto all but what
the broker itself keeps: passwords and keys are among it, store it as you store those. The key of the addresses
(residents.key_file) is not: keep it elsewhere, without it nobody is reached.
docs/how-to/backup.md says what is left out, and why.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", type=Path, help="a folder or .tar file that is not there yet")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if it is there)")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    data = settings.load(file, os.environ, with_secrets=False).data_path
    try:
        manifest = take(data, arguments.target, time.time_ns() // 1_000_000)
    except (BackupError, OSError) as error:
        print(f"canhbao backup: {error}", file=sys.stderr)
        return 1
    size = sum(copied.bytes for copied in manifest.files.values())
    print(f"{arguments.target}: {len(manifest.files)} files, {size:,} bytes, decided up to {manifest.decided}, "
          f"journal up to {manifest.journal}")  # fmt: skip
    return 0
