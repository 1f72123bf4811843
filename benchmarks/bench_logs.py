"""What a line of the log costs whoever says it: of our logs the speaker's part alone, beside the standard handler.

The floor is `logging.StreamHandler` to the same file: the speaker writes by itself, and waits where nobody reads.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path
from statistics import median

from structlog.contextvars import bound_contextvars

from alerts.watch.logs import Logs

LINES = 2_000  # a round; fewer than may wait, so that none is left out
log = logging.getLogger("bench")
EXTRA = {"incident": "flood-20242-1", "version": 2, "reason": "worse", "level": 3, "sensor": "river", "rule": "river"}


def _round_us() -> float:
    began = time.perf_counter()
    for entry in range(LINES):
        with bound_contextvars(entry=entry):
            log.info("decided", extra=EXTRA)
    return (time.perf_counter() - began) / LINES * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="of each kind, in turn (default 9)")
    arguments = parser.parse_args()
    ours, floor = [], []
    with tempfile.TemporaryDirectory(prefix="bench-logs-") as folder, (Path(folder) / "log").open("w") as stream:
        for _ in range(arguments.rounds):
            logs = Logs(stream, "json", "INFO")
            ours.append(_round_us())
            logs.close()
            handler = logging.StreamHandler(stream)
            logging.getLogger().addHandler(handler)
            floor.append(_round_us())
            logging.getLogger().removeHandler(handler)
    value, floor_us = median(ours), median(floor)
    line = {"bench": "a line of the log, to its speaker, median", "value": round(value, 2), "unit": "us",
            "floor": round(floor_us, 2), "ratio": round(value / floor_us, 2),
            "n": arguments.rounds * LINES}  # fmt: skip
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
