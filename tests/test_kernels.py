"""What numba keeps of a kernel is left aside as soon as any file of the kernels has changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Three kernels that need something of another file: a function, a constant, the order of a record's columns.
CALLS = """
import json
import numpy as np
from processing.kernels.counters import most_over
from processing.kernels.levels import opening_of
from processing.kernels.records import Held, Hours, Judges, Totals
from processing.kernels.statistic import gaps_within

one, none, real = np.array([3, 5]), np.zeros(1, np.int64), np.zeros(2)
held = Held(one, real, one, real.astype(np.uint8), none, none + 2, none, none + 2)
judges = Judges(**{name: none for name in Judges._fields} | {"schedule": none - 1})
totals = Totals(**{name: none for name in Totals._fields} | {
    "bound_first": np.array([0, 1]), "bound_span": np.array([10, 20]), "bound_most": np.array([7.0, 9.0])})
values = gaps_within(held, 0, 4, 1), opening_of(judges, Hours(none, none, none), 0, 0, 0), most_over(totals, 0, 5)
kept = [sum(kernel.stats.cache_hits.values()) for kernel in (gaps_within, opening_of, most_over)]
print(json.dumps([values, kept]))
"""
NEVER = -(2**62)


def alter(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{path.name} has changed: choose another line to alter"
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.slow
def test_no_kernel_goes_on_with_what_another_file_said_before(tmp_path: Path) -> None:
    for room in ("ingest", "processing"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    kernels = tmp_path / "processing" / "kernels"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}

    def called() -> object:
        # -B: Python's own cache takes a file of the same length, changed in the same second, for the same
        run = subprocess.run([sys.executable, "-B", "-c", CALLS], cwd=tmp_path, env=environment, check=True,
                             capture_output=True, text=True, timeout=240)  # fmt: skip
        return json.loads(run.stdout)

    assert called() == [[1, NEVER + 1, 3.5], [0, 0, 0]]
    assert called() == [[1, NEVER + 1, 3.5], [1, 1, 1]]
    alter(kernels / "held.py", "low = middle + 1", "low = middle + 2")
    alter(kernels / "codes.py", "NEVER: Final = -(2**62)", "NEVER: Final = -(2**61)")
    alter(kernels / "records.py", "    bound_first: Int64\n    bound_span: Int64\n",
          "    bound_span: Int64\n    bound_first: Int64\n")  # fmt: skip
    assert called() == [[0, NEVER // 2 + 1, 3.5], [0, 0, 0]]
