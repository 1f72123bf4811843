"""Which readings a reading is compared with."""

from __future__ import annotations

import numpy as np

from processing.kernels.codes import PASSED_OVER_MAX
from processing.kernels.compiled import kernel
from processing.kernels.records import Held, Limits


@kernel(inline="always")
def measured(limits: Limits, n: int, raw: float) -> float:
    """What is judged of a value as it was sent: of a distance from above, the height of the water."""
    return raw if np.isnan(limits.of[n].mount) else limits.of[n].mount - raw


@kernel(inline="always")
def is_possible(limits: Limits, n: int, value: float) -> bool:
    """Within the gross range; a value that is not is no measurement, and nothing is compared with it."""
    return not (value < limits.of[n].fail_low or value > limits.of[n].fail_high)


@kernel()
def neighbour(limits: Limits, identities: Held, n: int, stop: int) -> int:
    """Which of the first `stop` items of row n was measured last, -1 where none of the last few was."""
    base = identities.offset[n] + identities.head[n]
    for i in range(stop - 1, max(0, stop - PASSED_OVER_MAX) - 1, -1):
        raw = identities.value[base + i]
        if not np.isnan(raw) and is_possible(limits, n, measured(limits, n, raw)):
            return i
    return -1
