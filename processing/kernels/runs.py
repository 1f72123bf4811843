"""What the quality tests remember of a run of readings: a flat line, a plateau, another unit."""

from __future__ import annotations

import numpy as np

from processing.kernels.codes import NEVER, UNIT_MS, UNIT_TOLERANCE
from processing.kernels.compiled import kernel
from processing.kernels.neighbours import is_possible, measured, neighbour
from processing.kernels.records import Held, Limits, Memory


@kernel()
def is_unit_jump(limits: Limits, n: int, before: float, value: float) -> bool:
    """Whether one of two values in a row is the other times the factor between two units, and they lie far apart."""
    small, large = min(before, value), max(before, value)
    if small <= 0.0 or small <= limits.of[n].dry or not large - small > limits.of[n].jump:
        return False
    return bool(np.any(np.abs(large / small - limits.factors) <= UNIT_TOLERANCE * limits.factors))


@kernel()
def is_still_changed(memory: Memory, n: int, value: float) -> bool:
    """Whether a value is nearer, as a ratio, to what came after the unit jump than to what was before it."""
    if value <= 0.0:
        return False
    before, after = memory.of[n].unit_before, memory.of[n].unit_after
    return value * value > before * after if after > before else value * value < before * after


@kernel()
def follow(limits: Limits, memory: Memory, identities: Held, n: int, at: int, t: int, value: float) -> None:
    """Remember the newest reading of sensor n, item `at` of its row, for the tests that look at a run of them."""
    if limits.of[n].flat == 0 and limits.of[n].unit == 0:  # there are none, as for rain
        return
    if not limits.of[n].compares or at != identities.size[n] - 1 or not is_possible(limits, n, value):
        return
    base = identities.offset[n] + identities.head[n]
    i = neighbour(limits, identities, n, at)
    near = i >= 0 and (limits.of[n].gap == 0 or t - identities.t[base + i] <= limits.of[n].gap)
    before = measured(limits, n, identities.value[base + i]) if near else np.nan
    low, high = min(memory.of[n].run_low, value), max(memory.of[n].run_high, value)
    if near and memory.of[n].run_since != NEVER and high - low < limits.of[n].flat_within:
        memory.of[n].run_low, memory.of[n].run_high = low, high
    else:
        memory.of[n].run_since = t
        memory.of[n].run_low = memory.of[n].run_high = value
        memory.of[n].run_jumped = near and before <= limits.of[n].dry and value - before > limits.of[n].jump
    if memory.of[n].unit_at != NEVER:
        if not near or t - memory.of[n].unit_at > UNIT_MS or not is_still_changed(memory, n, value):
            memory.of[n].unit_at = NEVER
    elif limits.of[n].unit and near and is_unit_jump(limits, n, before, value):
        memory.of[n].unit_at, memory.of[n].unit_before, memory.of[n].unit_after = t, before, value
