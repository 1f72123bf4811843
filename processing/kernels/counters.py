"""Totals of counters as increments (CONTRACTS, Counters)."""

from __future__ import annotations

import numpy as np

from processing.kernels.codes import FAIL, MISSING, NEVER, NOT_EVALUATED
from processing.kernels.compiled import kernel
from processing.kernels.records import Totals


@kernel()
def most_over(totals: Totals, n: int, span: int) -> float:
    """The greatest increment sensor n can have over `span` ms; beyond the last point in proportion to it."""
    first, stop = totals.bound_first[n], totals.bound_first[n + 1]
    left_span, left = 0, 0.0
    for i in range(first, stop):
        if span <= totals.bound_span[i]:
            return left + (totals.bound_most[i] - left) * (span - left_span) / (totals.bound_span[i] - left_span)
        left_span, left = totals.bound_span[i], totals.bound_most[i]
    return left * span / left_span if left_span > 0 else np.inf


@kernel()
def book(totals: Totals, n: int, t: int, total: float) -> tuple[float, int, int]:
    """A finite total as (increment, flag, span ms); NaN and MISSING where it books nothing (CONTRACTS, Counters)."""
    base_t, base = totals.base_t[n], totals.base[n]
    if base_t != NEVER and t < base_t:
        return np.nan, MISSING, 0
    totals.base_t[n] = t
    totals.base[n] = total
    if base_t == NEVER:
        return np.nan, MISSING, 0
    span = t - base_t
    increment = total - base
    most = most_over(totals, n, span)
    if increment < 0.0:
        increment += totals.wrap[n]
        if not 0.0 <= increment <= most:
            return np.nan, MISSING, 0  # a reset (also where no wrap is known: NaN compares false)
    return increment, FAIL if increment > most else NOT_EVALUATED, span
