"""What it costs until readings are on disk: Journal.append of one batch, beside writing as many bytes and fdatasync.

Batches of 1, 100 and 10,000 readings; the floor appends the batch's own encoding, and nothing else, to a file in the
same folder and waits until the disk has it. Ours and the floor take turns, one append each, so that both see the same
disk. The mean is told beside the median because the write-ahead log goes into its file once every thousand pages.

One JSON line a figure; `ratio` = value / floor. Name a folder on the disk that matters: a folder in memory proves
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import fmean, median, quantiles

import numpy as np

from ingest.entries import Batch, Configuration
from ingest.entry_bytes import encode
from ingest.journal import Journal
from ingest.readings import Readings

SENSORS = 2_000
BEGIN_MS = 1_665_720_000_000
APPENDS = {1: 400, 100: 400, 10_000: 100}  # readings of a batch -> pairs of appends
CITY_TOML = '[city]\nname = "bench"\n'


def _batch(size: int, arrival: int, random: np.random.Generator) -> Batch:
    sensor = np.arange(size) % SENSORS
    t = arrival - random.integers(200, 60_000, size)
    value = np.round(random.gamma(1.0, 2.0, size), 1)
    return Batch(Readings.of(sensor=sensor, t=t, value=value, arrival=np.full(size, arrival)))


def _pairs(folder: Path, size: int, count: int) -> list[tuple[float, float]]:
    """Seconds of our append and of the floor's, of the same batch."""
    random = np.random.default_rng(size)
    folder.mkdir()
    journal = Journal.open(folder / "journal")
    journal.append(Configuration(BEGIN_MS, CITY_TOML, "", tuple(f"s{n}" for n in range(SENSORS))))
    file = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pairs = []
    try:
        for n in range(count):
            batch = _batch(size, BEGIN_MS + n * 20, random)
            body = encode(batch)
            began = time.perf_counter()
            journal.append(batch)
            appended = time.perf_counter()
            os.write(file, body)
            os.fdatasync(file)
            pairs.append((appended - began, time.perf_counter() - appended))
    finally:
        os.close(file)
        journal.close()
    return pairs


def _tell(figure: str, value: float, floor: float, n: int) -> None:
    line = {"bench": "commit", "figure": figure, "value": round(value * 1e3, 3), "unit": "ms",
            "floor": round(floor * 1e3, 3), "ratio": round(value / floor, 2), "n": n}  # fmt: skip
    print(json.dumps(line), flush=True)


def _worst_of_hundred(seconds: tuple[float, ...]) -> float:
    return quantiles(seconds, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="more or fewer pairs; 5 (default) are 400, 400 and 100")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on which disk (default: /var/tmp)")  # noqa: S108  # a folder of our own is made in it
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-commit-", dir=arguments.folder) as folder:
        for size, pairs_of_five in APPENDS.items():
            count = max(2, pairs_of_five * arguments.rounds // 5)
            ours, floor = zip(*_pairs(Path(folder) / str(size), size, count), strict=True)
            readings = f"{size} reading{'s' if size > 1 else ''}"
            _tell(f"append {readings}, median", median(ours), median(floor), count)
            _tell(f"append {readings}, mean", fmean(ours), fmean(floor), count)
            _tell(f"append {readings}, p99", _worst_of_hundred(ours), _worst_of_hundred(floor), count)


if __name__ == "__main__":
    main()
