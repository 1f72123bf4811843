"""The process of the history, a child of the service: `python -m ingest.history --help`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from ingest.history.follow import Follower
from ingest.history.serve import Control, start_answering
from ingest.history.store import Keep, StoreError
from ingest.history.stores import store_at
from ingest.priority import stand_back

TOKEN: Final = "CANHBAO_HISTORY__TOKEN"  # noqa: S105  # the variable of settings: arguments are seen by everybody
NICE: Final = 5  # whatever else wants the processor comes first: warnings are made of it


def main() -> int:
    given = _arguments()
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.INFO)
    stand_back(NICE)
    line, *lines = (Connection(fd) for fd in given.lines)
    try:
        store = store_at(given.url, given.data, given.zone, os.environ.get(TOKEN, ""))
    except StoreError as error:
        logging.error("%s", error)  # noqa: LOG015, TRY400  # no fault of the code, and its own log is the program's
        return 1
    control = Control(line)
    follower = Follower(
        given.data / "journal", store, Keep(given.keep_raw_days, given.keep_minutes_days), lambda: control.until,
        Random(),
    )  # fmt: skip
    start_answering(lines, store)
    follower.run(control.wait, lambda: control.tell(follower))
    store.close()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ingest.history",
        description="Follows the journal of a data folder into a history store, and answers for it. The service starts"
        " it and hands it one end of some pairs of sockets: the first to be told how far it may follow, the others for"
        " questions. It ends with the service.",
        epilog="example: python -m ingest.history --data ./data --zone Asia/Ho_Chi_Minh --lines 5 6 7",
    )
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--url", default="duckdb", help="which store ([history] url)")
    parser.add_argument("--zone", type=ZoneInfo, required=True, help="whose days are days")
    parser.add_argument("--keep-raw-days", type=int, default=400, help="how long readings are kept")
    parser.add_argument("--keep-minutes-days", type=int, default=800, help="how long buckets of minutes are kept")
    parser.add_argument("--lines", type=int, nargs="+", required=True, help="file descriptors of the sockets")
    return parser.parse_args()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # threads that answer are in the midst of DuckDB's code; there is nothing left to be put in order
