"""Statistics of a rule's window (CONTRACTS section 4)."""

from __future__ import annotations

import numpy as np

from ingest.readings import Float64
from processing.kernels.codes import COUNT, LAST, MAX, MEAN, MIN, SUM
from processing.kernels.compiled import kernel
from processing.kernels.held import position_of
from processing.kernels.records import Held


@kernel()
def fsum(values: Float64, partials: Float64) -> float:
    """The correctly rounded sum of `values` (Shewchuk 1997), equal to Python's math.fsum. `partials`: scratch."""
    n = 0
    for start in values:
        x = start
        i = 0
        for j in range(n):
            y = partials[j]
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                partials[i] = low
                i += 1
            x = high
        n = i
        if x != 0.0:
            partials[n] = x
            n += 1
    if n == 0:
        return 0.0
    n -= 1
    high = partials[n]
    low = 0.0
    while n > 0:
        x = high
        n -= 1
        y = partials[n]
        high = x + y
        low = y - (high - x)
        if low != 0.0:
            break
    if n > 0 and ((low < 0.0 and partials[n - 1] < 0.0) or (low > 0.0 and partials[n - 1] > 0.0)):
        y = low * 2.0
        x = high + y
        if y == x - high:
            high = x
    return high


@kernel()
def statistic_of(
    held: Held, n: int, code: int, lo: int, window: int, least: int, scratch: Float64, partials: Float64
) -> float:
    """The statistic of row n over its items with lo < t, the last at T; NaN where undefined (CONTRACTS section 4)."""
    base = held.offset[n] + held.head[n]
    size = held.size[n]
    newest = held.t[base + size - 1]
    if code == LAST:
        return held.value[base + size - 1] if least <= 1 else np.nan
    start = base + position_of(held, n, lo)
    stop = base + size
    count = stop - start
    if code == SUM:
        count = 0
        for i in range(start, stop):
            if held.span[i] <= window:
                scratch[count] = held.value[i]
                count += 1
        if count == 0 or count < least:
            return np.nan
        return fsum(scratch[:count], partials)
    if count == 0 or count < least:
        return np.nan
    values = held.value[start:stop]
    if code == MEAN:
        return fsum(values, partials) / count
    if code == MAX:
        return values.max()
    if code == MIN:
        return values.min()
    if code == COUNT:
        return float(count)
    if count < 3 or 2 * (newest - held.t[start]) < window:
        return np.nan
    for i in range(count):
        scratch[i] = float(held.t[start + i] - newest)
    mean_x = fsum(scratch[:count], partials) / count
    mean_v = fsum(values, partials) / count
    for i in range(count):
        x = float(held.t[start + i] - newest) - mean_x
        scratch[i] = x * (values[i] - mean_v)
    above = fsum(scratch[:count], partials)
    for i in range(count):
        x = float(held.t[start + i] - newest) - mean_x
        scratch[i] = x * x
    return above / fsum(scratch[:count], partials) * 3_600_000


@kernel()
def gaps_within(held: Held, n: int, lo: int, gap: int) -> int:
    """Milliseconds of (lo, T] that lie in gaps longer than `gap`; everything before the first reading is one."""
    base = held.offset[n] + held.head[n]
    start = position_of(held, n, lo)
    total = 0
    if start == 0:
        total += max(0, held.t[base] - lo)
        start = 1
    for i in range(start, held.size[n]):
        before, after = held.t[base + i - 1], held.t[base + i]
        if after - before > gap:
            total += after - max(before, lo)
    return total
