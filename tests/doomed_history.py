"""A history whose process ends at the n-th line of a step, for each n given: `doomed_history.py FOLDER N…`.

Each life is a fork that has opened nothing yet; what the dead one left is looked at by another. One line a life.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

from ingest.entries import Position
from ingest.history.duckdb import DuckStore
from ingest.history.store import DAY_MS, HOUR_MS, Named
from ingest.readings import Readings

START = 1_665_700_000_000
NAMES = {n: Named(f"s-{n}", "rain", "mm", "1", "") for n in range(5)}
STEP = ("ingest/history/duckdb.py", "ingest/history/known.py", "ingest/history/rollups.py")


def readings(first_hour: int, last_hour: int) -> Readings:
    at = range(first_hour * 4, last_hour * 4)
    ones = [1] * len(at)
    return Readings.of(sensor=[n % 5 for n in at], t=[START + n * HOUR_MS // 4 for n in at], value=ones, flag=ones)


BEFORE = readings(10, 40)
STEP_2 = Readings.join([readings(0, 12), readings(38, 90)])  # late, known, new; hours and days are closed


def in_a_life(work: Callable[[], Any]) -> int:
    """Its exit code."""
    if (pid := os.fork()) == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  # told by the code
            print(repr(error), flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def doomed(file: Path, line: int) -> None:
    store = DuckStore(file, ZoneInfo("Asia/Ho_Chi_Minh"))
    store.append(BEFORE, NAMES, Position(1))
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(STEP):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os._exit(9)
        return trace

    sys.settrace(trace)
    store.append(STEP_2, NAMES, Position(2))
    sys.settrace(None)


def state(store: DuckStore) -> tuple[int, int, list[float]]:
    ids, around = [name.id for name in NAMES.values()], (START - DAY_MS, START + 9 * DAY_MS)
    counts = [float(store.buckets(ids, *around, every_ms).count.sum()) for every_ms in (HOUR_MS // 60, HOUR_MS, DAY_MS)]
    return store.position(), sum(len(rows.t) for rows in store.scan(0, 2**42)), counts


def checked(file: Path) -> None:
    store = DuckStore(file, ZoneInfo("Asia/Ho_Chi_Minh"))
    n = {1: len(BEFORE), 2: 90 * 4}
    position, rows, counts = state(store)
    assert (rows, counts) == (n[position], [n[position]] * 3), (position, rows, counts)
    store.append(STEP_2, NAMES, Position(2))
    assert state(store) == (2, n[2], [n[2]] * 3), state(store)


def main() -> None:
    folder = Path(sys.argv[1])
    for line in map(int, sys.argv[2:]):
        file = folder / f"{line}.duckdb"
        died = in_a_life(lambda file=file, line=line: doomed(file, line))
        print(line, {9: "died", 0: "lived"}.get(died, "failed"), in_a_life(lambda file=file: checked(file)), flush=True)


if __name__ == "__main__":
    main()
