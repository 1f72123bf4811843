"""Which level a rule has: thresholds, opening hours, and the timers of hold and clear (CONTRACTS section 4)."""

from __future__ import annotations

import numpy as np

from processing.kernels.codes import NEVER
from processing.kernels.compiled import kernel
from processing.kernels.records import Hours, Judges


@kernel()
def reaches(s: float, x: float, above: int) -> bool:
    """Whether s reaches x, with the tolerance of CONTRACTS section 4."""
    tolerance = 1e-9 * max(1.0, abs(x))
    return s >= x - tolerance if above else s <= x + tolerance


@kernel()
def breached(judges: Judges, j: int, s: float) -> int:
    """The highest level whose threshold s reaches."""
    for k in range(4, 0, -1):
        x = judges.threshold[j, k - 1]
        if not np.isnan(x) and reaches(s, x, judges.above[j]):
            return k
    return 0


@kernel()
def opening_of(judges: Judges, hours: Hours, j: int, t: int, tick: int) -> int:
    """The opening of the hours t lies in; NEVER + 1 without a schedule; NEVER outside, or once they have closed."""
    schedule = judges.schedule[j]
    if schedule < 0:
        return NEVER + 1
    low, high = hours.first[schedule], hours.first[schedule + 1]
    start = low
    while low < high:
        middle = (low + high) // 2
        if hours.open[middle] <= t:
            low = middle + 1
        else:
            high = middle
    if low == start or t >= hours.close[low - 1]:
        return NEVER
    last = low - 1
    while last >= start and hours.close[last] > t:  # at a change to summer time the night before may still be open
        if hours.close[last] <= tick:
            return NEVER
        last -= 1
    return hours.open[low - 1]


@kernel()
def next_level(judges: Judges, j: int, t: int, s: float, gap: int, filled: bool) -> int:
    """The level of row j after an evaluation at t with statistic s; moves its timers. `filled`: gaps forbid easing."""
    if gap > 0 and judges.evaluated[j] != NEVER and t - judges.evaluated[j] > gap:
        judges.hold_since[j, :] = NEVER
        judges.clear_since[j, :] = NEVER
    judges.evaluated[j] = t
    b = breached(judges, j, s)
    for k in range(4):
        if np.isnan(judges.threshold[j, k]):
            continue
        if b < k + 1:
            judges.hold_since[j, k] = NEVER
        elif judges.hold_since[j, k] == NEVER:
            judges.hold_since[j, k] = t
        if reaches(s, judges.clear[j, k], judges.above[j]):
            judges.clear_since[j, k] = NEVER
        elif judges.clear_since[j, k] == NEVER:
            judges.clear_since[j, k] = t
    current = judges.level[j]
    if b > current:
        for k in range(b, current, -1):
            since = judges.hold_since[j, k - 1]  # may be set for a level that only a former station had
            if not np.isnan(judges.threshold[j, k - 1]) and since != NEVER and t - since >= judges.hold[j]:
                return k
        return current
    if filled:
        return current
    for k in range(current, 0, -1):
        if np.isnan(judges.threshold[j, k - 1]):
            continue
        since = judges.clear_since[j, k - 1]
        if since == NEVER or t - since < judges.hold_clear[j]:
            return k
    return 0
