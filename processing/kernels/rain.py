"""Rain of the gauges nearby, against which a clogged one is found."""

from __future__ import annotations

import numpy as np

from processing.kernels.codes import BUCKET_MS, BUCKETS, DRY_MS, FAIL, NEIGHBOURS_LEAST, NEVER
from processing.kernels.compiled import kernel
from processing.kernels.records import Limits, Memory


@kernel()
def rain_nearby(limits: Limits, memory: Memory, n: int, t: int) -> float:
    """Median of the rain of the gauges near sensor n in the hour up to t; NaN with too few that were heard in it."""
    newest = t // BUCKET_MS
    sums = np.empty(limits.nearby_first[n + 1] - limits.nearby_first[n])
    count = 0
    for i in range(limits.nearby_first[n], limits.nearby_first[n + 1]):
        g = limits.nearby[i]
        total, heard = 0.0, False
        for k in range(BUCKETS):
            if newest - BUCKETS < memory.bucket[g, k] <= newest:
                total += memory.rain[g, k]
                heard = True
        if heard:
            sums[count] = total
            count += 1
    return np.median(sums[:count]) if count >= NEIGHBOURS_LEAST else np.nan


@kernel()
def is_dry(limits: Limits, memory: Memory, n: int, t: int, value: float) -> bool:
    """Whether gauge n has said "no rain" without a gap for DRY_MS, this reading included."""
    g = limits.of[n].gauge
    if value > 0.0 or memory.dry_since[g] == NEVER or t < memory.heard[g] or t - memory.dry_since[g] < DRY_MS:
        return False
    return limits.of[n].gap == 0 or t - memory.heard[g] <= limits.of[n].gap


@kernel()
def gauge_rain(limits: Limits, memory: Memory, n: int, t: int, value: float, flag: int) -> None:
    """Remember an amount of rain for the gauge's neighbours and itself."""
    g = limits.of[n].gauge
    if g < 0 or np.isnan(value) or flag == FAIL:
        return
    bucket = t // BUCKET_MS
    k = bucket % BUCKETS
    if memory.bucket[g, k] < bucket:
        memory.bucket[g, k], memory.rain[g, k] = bucket, 0.0
    if memory.bucket[g, k] == bucket:  # else it is older than what is remembered
        memory.rain[g, k] += value
    newest = t > memory.heard[g]
    if value > 0.0:
        if newest or t > memory.dry_since[g]:
            memory.dry_since[g] = NEVER
    elif newest:
        paused = limits.of[n].gap > 0 and t - memory.heard[g] > limits.of[n].gap
        if memory.dry_since[g] == NEVER or paused:
            memory.dry_since[g] = t
    if newest:
        memory.heard[g] = t
