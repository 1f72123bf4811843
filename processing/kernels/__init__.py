"""Every compiled function and nothing else: arrays and numbers in, arrays and numbers out.

A batch is worked through in the order of its readings. Each kernel returns the index of the reading at which it
stopped: len(batch) when done, earlier when Python has to make room or to run a tick first; calling again from that
index goes on as if nothing had happened.

The smallest of those that grade a reading are inlined by numba: a call counts references to each array in what it is
handed, which costs more than they do.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ingest.readings import Float64, Int32, Int64, UInt8
from processing.kernels.compiled import kernel

Records: TypeAlias = NDArray[np.void]

# Codes of Statistic, in the order of the enum.
LAST: Final = 0
SUM: Final = 1
MEAN: Final = 2
MAX: Final = 3
MIN: Final = 4
RISE: Final = 5
COUNT: Final = 6

NEVER: Final = -(2**62)  # a moment before every other: "unset" for timers, T and bases

GOOD: Final = 1
NOT_EVALUATED: Final = 2
SUSPECT: Final = 3
FAIL: Final = 4
MISSING: Final = 9

# Quality tests as bits: what found a reading suspect; shifted by FAILED, what found that it fails.
GROSS: Final = 1
RATE: Final = 2
FLAT: Final = 4
GAP: Final = 8
SPIKE: Final = 16
BLIP: Final = 32
PLATEAU: Final = 64
UNIT: Final = 128
CLOGGED: Final = 256
FAILED: Final = 16
# Of the pause or of the reading before: told, and never in the flag.
TOLD_ONLY: Final = (GAP | SPIKE | BLIP) << FAILED | GAP | SPIKE | BLIP
PASSED_OVER_MAX: Final = 8  # missing or impossible readings between two neighbours in time; more, and there is none
UNIT_MS: Final = 6 * 3_600_000  # for so long values on the other side of a unit jump stay suspect
UNIT_TOLERANCE: Final = 0.02  # of the factor: the water itself moves meanwhile
DRY_MS: Final = 3_600_000  # DOMAIN section 8, clogged: no rain for 60 min while
BUCKET_MS: Final = 300_000  # (neighbours' rain is summed in whole 5 min, the running one and the 11 before)
BUCKETS: Final = 12
CLOGGED_MM: Final = 15.0  # the median of
NEIGHBOURS_LEAST: Final = 3  # gauges nearby has reached this

ACCEPTED: Final = 0
DUPLICATE: Final = 1
CONFLICT: Final = 2

FRESH_MS: Final = 900_000  # with twice the period the bound of freshness (CONTRACTS section 4, Evaluation)
LATE_BREACH_MS: Final = 6 * 3_600_000
DANGER: Final = 3
PARTIALS: Final = (
    80  # a double's exponents span 2098 bits: at most 40 non-overlapping partials of 53, twice that is safe
)


# Records, not columns: a kernel that hands dozens of arrays on to another counts references to each of them, which
# costs more than the tests do. NaN (whole numbers: 0) where a test does not run (processing/quality.py).
LIMITS: Final = np.dtype([
    ("mount", np.float64),  # m above the datum, NaN where no distance is measured
    ("gap", np.int64),  # G in ms, 0 without a known period
    ("compares", np.int64),  # 0: no test looks at the readings before
    ("off", np.int64),  # bits of tests that are not told
    ("fail_low", np.float64), ("fail_high", np.float64),  # NaN: no gross range test
    ("suspect_low", np.float64), ("suspect_high", np.float64),
    ("harmless", np.float64),  # the one value outside of the suspect range that is none
    ("rate_suspect", np.float64), ("rate_fail", np.float64),  # per second
    ("spike_suspect", np.float64), ("spike_fail", np.float64),
    ("jump", np.float64),  # from here on a change is one, for the tests of plateaus and units
    ("flat", np.int64), ("flat_within", np.float64), ("flat_above", np.float64), ("flat_below", np.float64),
    ("dry", np.float64),  # noise floor of a street's depth
    ("plateau", np.int64),
    ("unit", np.int64),
    ("gauge", np.int64),  # the row of a rain gauge in Memory, -1 for others
    ("clogged", np.int64),
])  # fmt: skip
# Since when all values have lain within `flat_within` of each other, and where; whether that run began with a jump out
# of the dry; the unit jump on whose other side values still are.
MEMORY: Final = np.dtype([
    ("run_since", np.int64), ("run_low", np.float64), ("run_high", np.float64), ("run_jumped", np.int64),
    ("unit_at", np.int64), ("unit_before", np.float64), ("unit_after", np.float64),
])  # fmt: skip


class Held(NamedTuple):
    """What sensors hold, sorted by t: row n is t[offset[n] + head[n]] … with size[n] items in capacity[n] places.

    `doubted`: of what is judged, those with flag SUSPECT; of identities, those with flag FAIL.
    """

    t: Int64
    value: Float64
    span: Int64
    doubted: UInt8
    offset: Int64
    capacity: Int64
    head: Int64
    size: Int64


class Sensors(NamedTuple):
    """Per sensor number. `gap` is G in ms, 0 without a known period; `longest` is L; `newest` is T (NEVER at first)."""

    gap: Int64
    fresh: Int64
    longest: Int64
    newest: Int64


class Judges(NamedTuple):
    """Rows (sensor, rule), sensor n's from first[n] to first[n + 1] in the order of the rules; levels 1-4 on axis 1."""

    first: Int64
    statistic: UInt8
    window: Int64
    above: UInt8
    threshold: Float64
    clear: Float64
    hold: Int64
    hold_clear: Int64
    min_readings: Int64
    schedule: Int32  # -1: always
    skips_suspect: UInt8
    level: UInt8
    hold_since: Int64
    clear_since: Int64
    evaluated: Int64  # T of the last evaluation with a defined statistic


class Hours(NamedTuple):
    """Opening hours of schedule s as [open, close) ms UTC, rows first[s] to first[s + 1], sorted."""

    first: Int64
    open: Int64
    close: Int64


class Totals(NamedTuple):
    """Counters per sensor: wrap NaN where unknown, the base (NEVER at first), and what an increment can be at most.

    The bound of sensor n over a span is linear between the points bound_first[n] to bound_first[n + 1].
    """

    counter: UInt8
    wrap: Float64
    base_t: Int64
    base: Float64
    bound_first: Int64
    bound_span: Int64
    bound_most: Float64


class Accepted(NamedTuple):
    """What acceptance says of each reading of a batch."""

    kind: UInt8  # ACCEPTED, DUPLICATE or CONFLICT; the others are set where it is ACCEPTED
    value: Float64
    flag: UInt8
    span: Int64
    late: UInt8
    found: Int32  # bits of the quality tests


class Limits(NamedTuple):
    """What the quality tests hold against the sensors: a record of LIMITS each, and what differs in length.

    The greatest amount of rain that is no suspect is linear between points, as the bound of Totals is; `nearby` are
    the gauges near a sensor, as rows of Memory.
    """

    of: Records
    amount_first: Int64
    amount_span: Int64
    amount_most: Float64
    factors: Float64  # of units that are taken for each other, shape (k,)
    nearby_first: Int64
    nearby: Int64


class Memory(NamedTuple):
    """What the quality tests remember: of each sensor a record of MEMORY; of each gauge since when it has been dry
    (NEVER: it is not), when it was last heard, and its rain by 5 min, shape (gauges, BUCKETS).
    """

    of: Records
    dry_since: Int64
    heard: Int64
    bucket: Int64
    rain: Float64


class Silence(NamedTuple):
    """References of the silence rules per sensor, ms; `status` 0 ok; `due[0]` the next tick that has to look."""

    heard: Int64
    usable: Int64
    fresh: Int64
    status: UInt8
    due: Int64


class Found(NamedTuple):
    """Room for what a step finds; used[0] transitions, used[1] late breaches so far."""

    used: Int64
    reading: Int64
    judge: Int64
    at: Int64
    before: UInt8
    after: UInt8
    value: Float64
    late_reading: Int64
    late_judge: Int64
    late_t: Int64
    late_value: Float64


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
def position_of(held: Held, n: int, t: int) -> int:
    """How many items of row n have a time <= t."""
    base = held.offset[n] + held.head[n]
    low, high = 0, held.size[n]
    if high > 0 and held.t[base + high - 1] <= t:
        return high
    while low < high:
        middle = (low + high) // 2
        if held.t[base + middle] <= t:
            low = middle + 1
        else:
            high = middle
    return low


@kernel()
def has_room(held: Held, n: int) -> bool:
    """Whether row n takes one more item, after moving it to the front of its places if that is needed."""
    if held.head[n] + held.size[n] < held.capacity[n]:
        return True
    if held.head[n] == 0 or held.head[n] < held.capacity[n] // 4:
        return False  # growing is cheaper than moving everything for a few places
    base = held.offset[n]
    for i in range(held.size[n]):
        held.t[base + i] = held.t[base + held.head[n] + i]
        held.value[base + i] = held.value[base + held.head[n] + i]
        held.span[base + i] = held.span[base + held.head[n] + i]
        held.doubted[base + i] = held.doubted[base + held.head[n] + i]
    held.head[n] = 0
    return True


@kernel()
def insert(held: Held, n: int, at: int, t: int, value: float, span: int, doubted: bool) -> None:
    """Put an item at place `at` of row n, which has room."""
    base = held.offset[n] + held.head[n]
    i = base + held.size[n]
    while i > base + at:
        held.t[i] = held.t[i - 1]
        held.value[i] = held.value[i - 1]
        held.span[i] = held.span[i - 1]
        held.doubted[i] = held.doubted[i - 1]
        i -= 1
    held.t[i] = t
    held.value[i] = value
    held.span[i] = span
    held.doubted[i] = doubted
    held.size[n] += 1


@kernel()
def sift(held: Held, n: int, sieve: Held) -> None:
    """Row 0 of `sieve`, which has room, becomes row n without its doubted items."""
    base, count = held.offset[n] + held.head[n], 0
    for i in range(base, base + held.size[n]):
        if not held.doubted[i]:
            sieve.t[count], sieve.value[count], sieve.span[count] = held.t[i], held.value[i], held.span[i]
            count += 1
    sieve.size[0] = count


@kernel()
def forget(held: Held, n: int, count: int) -> None:
    held.head[n] += count
    held.size[n] -= count
    if held.size[n] == 0:
        held.head[n] = 0


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


@kernel()
def _late_breach(found: Found, i: int, j: int, t: int, s: float) -> None:
    c = found.used[1]
    found.late_reading[c] = i
    found.late_judge[c] = j
    found.late_t[c] = t
    found.late_value[c] = s
    found.used[1] = c + 1


@kernel(nogil=True)
def step_readings(
    start: int, sensor: Int32, t: Int64, value: Float64, flag: UInt8, span: Int64, arrival: Int64,
    held: Held, sensors: Sensors, judges: Judges, hours: Hours, silence: Silence, found: Found,
    sieve: Held, scratch: Float64, partials: Float64,
) -> int:  # fmt: skip
    """Judge readings start … of a batch; stops before a reading that needs room or that a due tick precedes."""
    for i in range(start, len(sensor)):
        n = sensor[i]
        first, last = judges.first[n], judges.first[n + 1]
        tick = arrival[i] // 10_000 * 10_000
        if arrival[i] >= silence.due[0]:
            return i
        if found.used[0] + last - first > len(found.reading) or found.used[1] + last - first > len(found.late_reading):
            return i
        if held.size[n] + 1 > len(scratch) or not has_room(held, n):
            return i
        silence.heard[n] = arrival[i]
        if silence.status[n] != 0:
            silence.due[0] = min(silence.due[0], tick + 10_000)
        if flag[i] == FAIL or flag[i] == MISSING:
            continue
        silence.usable[n] = arrival[i]
        if arrival[i] - t[i] <= sensors.fresh[n]:
            silence.fresh[n] = arrival[i]
        recent = arrival[i] - t[i] <= LATE_BREACH_MS
        if sensors.newest[n] != NEVER and t[i] < sensors.newest[n] - sensors.longest[n]:
            if recent:
                for j in range(first, last):
                    if judges.statistic[j] != LAST or judges.min_readings[j] > 1:
                        continue
                    if judges.skips_suspect[j] and flag[i] == SUSPECT:
                        continue
                    if opening_of(judges, hours, j, t[i], tick) != NEVER and breached(judges, j, value[i]) >= DANGER:
                        _late_breach(found, i, j, t[i], value[i])
            continue
        insert(held, n, position_of(held, n, t[i]), t[i], value[i], span[i], flag[i] == SUSPECT)
        if t[i] > sensors.newest[n]:
            sensors.newest[n] = t[i]
            # the newest one at or before T - L stays: it bounds the gap before the window
            forget(held, n, max(0, position_of(held, n, t[i] - sensors.longest[n]) - 1))
        now = sensors.newest[n]
        is_fresh = arrival[i] - now <= sensors.fresh[n]
        if not is_fresh and not recent:
            continue
        for j in range(first, last):
            opening = opening_of(judges, hours, j, now, tick)
            if opening == NEVER:
                continue
            lo = max(now - judges.window[j], opening - 1)
            items, row = held, n
            if judges.skips_suspect[j]:
                if held.doubted[held.offset[n] + held.head[n] + held.size[n] - 1]:
                    continue  # the reading at T: nothing has happened for this rule
                sift(held, n, sieve)
                items, row = sieve, 0
            s = statistic_of(
                items, row, judges.statistic[j], lo, judges.window[j], judges.min_readings[j], scratch, partials
            )
            if np.isnan(s):
                continue
            if not is_fresh:
                if breached(judges, j, s) >= DANGER:
                    _late_breach(found, i, j, now, s)
                continue
            filled = False
            if judges.level[j] > 0 and judges.statistic[j] != LAST and sensors.gap[n] > 0:
                filled = 10 * gaps_within(items, row, lo, sensors.gap[n]) > judges.window[j]
            level = next_level(judges, j, now, s, sensors.gap[n], filled)
            if level != judges.level[j]:
                c = found.used[0]
                found.reading[c] = i
                found.judge[c] = j
                found.at[c] = now
                found.before[c] = judges.level[j]
                found.after[c] = level
                found.value[c] = s
                found.used[0] = c + 1
                judges.level[j] = level
    return len(sensor)


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


@kernel()
def most_unsuspected(limits: Limits, n: int, span: int) -> float:
    """The greatest value over `span` ms that is no suspect; beyond the last point in proportion to it."""
    first, stop = limits.amount_first[n], limits.amount_first[n + 1]
    if first == stop or span == 0:
        return limits.of[n].suspect_high
    left_span, left = 0, 0.0
    for i in range(first, stop):
        if span <= limits.amount_span[i]:
            return left + (limits.amount_most[i] - left) * (span - left_span) / (limits.amount_span[i] - left_span)
        left_span, left = limits.amount_span[i], limits.amount_most[i]
    return left * span / left_span


@kernel(inline="always")
def beyond(x: float, suspect: float, fail: float, test: int) -> int:
    """The bit of `test` where x is more than its limits, strictly; NaN limits hold nothing against it."""
    if x > fail:
        return test << FAILED
    return test if x > suspect else 0


@kernel(inline="always")
def spike_height(before: float, value: float, after: float) -> float:
    """How far `value` stands out of both its neighbours on the same side (QARTOD spike, method differential)."""
    if (value - before) * (after - value) >= 0.0:
        return 0.0
    return min(abs(value - before), abs(after - value))


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


@kernel()
def rate_found(limits: Limits, identities: Held, n: int, i: int, t: int, value: float) -> int:
    """What the rate of change per second from item i of row n, the one before, has found.

    It fails only if it does so from the last before that one too which did not fail itself, over the time since the
    newest that did not. By the one before alone, each spike would take the good reading after it along, and every
    second one a whole flood.
    """
    base, most = identities.offset[n] + identities.head[n], limits.of[n].rate_fail
    seconds = (t - identities.t[base + i]) / 1000.0
    rate = abs(value - measured(limits, n, identities.value[base + i])) / seconds
    if not rate > most:
        return RATE if rate > limits.of[n].rate_suspect else 0
    j = i
    for _ in range(PASSED_OVER_MAX):
        j = neighbour(limits, identities, n, j)
        if j < 0:
            break
        if not identities.doubted[base + j]:
            if identities.doubted[base + i]:
                seconds = (t - identities.t[base + j]) / 1000.0
            rate = abs(value - measured(limits, n, identities.value[base + j])) / seconds
            return RATE << FAILED if rate > most else RATE
    return RATE << FAILED


@kernel()
def compare(limits: Limits, memory: Memory, identities: Held, n: int, at: int, t: int, value: float) -> tuple[int, int]:
    """(NOT_EVALUATED or GOOD, found) of a reading, item `at` of its row, against those before it."""
    base = identities.offset[n] + identities.head[n]
    i = neighbour(limits, identities, n, at)
    if i < 0:
        return NOT_EVALUATED, 0
    t_before, before = identities.t[base + i], measured(limits, n, identities.value[base + i])
    flag, found = NOT_EVALUATED, 0
    if not np.isnan(limits.of[n].rate_suspect):
        flag, found = GOOD, rate_found(limits, identities, n, i, t, value)
    if at != identities.size[n] - 1:
        return flag, found  # the tests below follow the newest reading
    run = t - memory.of[n].run_since
    if limits.of[n].flat and run >= limits.of[n].flat and limits.of[n].flat_above < value < limits.of[n].flat_below:
        found |= FLAT
    if limits.of[n].plateau and memory.of[n].run_jumped and run >= limits.of[n].plateau:
        found |= PLATEAU
    if memory.of[n].unit_at != NEVER:
        found |= UNIT
    gap = limits.of[n].gap
    if gap and t - t_before > gap:
        return flag, found | GAP
    j = neighbour(limits, identities, n, i)
    if j >= 0 and (gap == 0 or t_before - identities.t[base + j] <= gap):
        earlier = measured(limits, n, identities.value[base + j])
        height = spike_height(earlier, before, value)
        found |= beyond(height, limits.of[n].spike_suspect, limits.of[n].spike_fail, SPIKE)
        if earlier <= limits.of[n].dry and before > limits.of[n].dry and value <= limits.of[n].dry:
            found |= BLIP
    return flag, found


@kernel()
def grade(
    limits: Limits, memory: Memory, identities: Held, n: int, at: int, t: int, value: float, span: int
) -> tuple[int, int]:
    """(flag, found) of a measured value, item `at` of its row; -1 where its identity is too old to be there."""
    flag, found = NOT_EVALUATED, 0
    if not np.isnan(limits.of[n].fail_low):
        if not is_possible(limits, n, value):
            return FAIL, GROSS << FAILED
        flag = GOOD
        if value != limits.of[n].harmless and (
            value < limits.of[n].suspect_low or value > most_unsuspected(limits, n, span)
        ):
            found |= GROSS
    if limits.of[n].compares and at >= 0:
        follow(limits, memory, identities, n, at, t, value)
        ran, more = compare(limits, memory, identities, n, at, t, value)
        flag, found = min(flag, ran), found | more
    if limits.of[n].clogged and is_dry(limits, memory, n, t, value):
        median = rain_nearby(limits, memory, n, t)
        if not np.isnan(median):
            flag = GOOD
        if median >= CLOGGED_MM:
            found |= CLOGGED
    found &= ~limits.of[n].off
    counted = found & ~TOLD_ONLY
    if counted >> FAILED:
        return FAIL, found
    return SUSPECT if counted else flag, found


@kernel()
def _advance(identities: Held, newest: Int64, horizon: Int64, n: int, t: int) -> None:
    if t > newest[n]:
        newest[n] = t
        forget(identities, n, position_of(identities, n, t - horizon[n] - 1))


@kernel(nogil=True)
def accept_readings(
    start: int, sensor: Int32, t: Int64, raw: Float64, graded: UInt8,
    identities: Held, newest: Int64, longest: Int64, horizon: Int64, period: Int64, totals: Totals,
    limits: Limits, memory: Memory, out: Accepted,
) -> int:  # fmt: skip
    """Identity, counters and flags of readings start … of a batch; stops before one that needs room.

    `graded`: the flag that a reading brings along. Only SUSPECT and FAIL say anything: a device can make it worse.
    """
    for i in range(start, len(sensor)):
        n = sensor[i]
        known = newest[n] != NEVER
        at = -1
        if not known or t[i] >= newest[n] - horizon[n]:
            at = position_of(identities, n, t[i])
            before = identities.offset[n] + identities.head[n] + at - 1
            if at > 0 and identities.t[before] == t[i]:
                first = identities.value[before]
                same = first == raw[i] or (np.isnan(first) and np.isnan(raw[i]))
                out.kind[i] = DUPLICATE if same else CONFLICT
                continue
            if not has_room(identities, n):
                return i
            insert(identities, n, at, t[i], raw[i], 0, False)
        out.kind[i] = ACCEPTED
        out.late[i] = known and t[i] < newest[n] - longest[n]
        out.span[i] = period[n]
        out.found[i] = 0
        if np.isnan(raw[i]):
            value, flag = np.nan, MISSING
        elif totals.counter[n]:
            value, flag, out.span[i] = book(totals, n, t[i], raw[i])
        else:
            value, flag = measured(limits, n, raw[i]), NOT_EVALUATED
        if flag == FAIL:
            out.found[i] = GROSS << FAILED
        elif flag != MISSING:
            flag, out.found[i] = grade(limits, memory, identities, n, at, t[i], value, out.span[i])
            if graded[i] == FAIL:
                flag = FAIL
            elif graded[i] == SUSPECT and flag != FAIL:
                flag = SUSPECT
        if at >= 0:
            identities.doubted[identities.offset[n] + identities.head[n] + at] = flag == FAIL
        out.value[i], out.flag[i] = value, flag
        gauge_rain(limits, memory, n, t[i], value, flag)
        if flag not in (FAIL, MISSING) and not out.late[i]:
            _advance(identities, newest, horizon, n, t[i])
    return len(sensor)


@kernel(nogil=True)
def recall_readings(
    start: int, sensor: Int32, t: Int64, value: Float64, raw: Float64, flag: UInt8, late: UInt8,
    identities: Held, newest: Int64, horizon: Int64, totals: Totals, limits: Limits, memory: Memory,
) -> int:  # fmt: skip
    """The state after readings that the journal holds already: what accept_readings left behind for them."""
    for i in range(start, len(sensor)):
        n = sensor[i]
        if newest[n] == NEVER or t[i] >= newest[n] - horizon[n]:
            if not has_room(identities, n):
                return i
            at = position_of(identities, n, t[i])
            insert(identities, n, at, t[i], raw[i], 0, flag[i] == FAIL)
            if not np.isnan(value[i]):
                follow(limits, memory, identities, n, at, t[i], value[i])
        if totals.counter[n] and not np.isnan(raw[i]) and t[i] > totals.base_t[n]:
            totals.base_t[n] = t[i]
            totals.base[n] = raw[i]
        gauge_rain(limits, memory, n, t[i], value[i], flag[i])
        if flag[i] != FAIL and flag[i] != MISSING and not late[i]:
            _advance(identities, newest, horizon, n, t[i])
    return len(sensor)
