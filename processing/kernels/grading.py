"""The quality tests: which flag a measured value gets, and what found it so."""

from __future__ import annotations

import numpy as np

from processing.kernels.codes import (
    BLIP,
    CLOGGED,
    CLOGGED_MM,
    FAIL,
    FAILED,
    FLAT,
    GAP,
    GOOD,
    GROSS,
    NEVER,
    NOT_EVALUATED,
    PASSED_OVER_MAX,
    PLATEAU,
    RATE,
    SPIKE,
    SUSPECT,
    TOLD_ONLY,
    UNIT,
)
from processing.kernels.compiled import kernel
from processing.kernels.neighbours import is_possible, measured, neighbour
from processing.kernels.rain import is_dry, rain_nearby
from processing.kernels.records import Held, Limits, Memory
from processing.kernels.runs import follow


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


@kernel(inline="always")
def is_steep(change: float, seconds: float, rate: float, least: float) -> bool:
    """Whether a change is faster than `rate` and more than `least`, both strictly; a `least` of NaN asks nothing."""
    return change / seconds > rate and not change <= least


@kernel()
def rate_found(limits: Limits, identities: Held, n: int, i: int, t: int, value: float) -> int:
    """What the rate of change per second from item i of row n, the one before, has found.

    A change that would be nothing as a spike is nothing, and one that would not fail as a spike does not fail: over a
    few seconds waves are faster than any flood.

    It fails only if it does so from the last before that one too which did not fail itself, over the time since the
    newest that did not. By the one before alone, each spike would take the good reading after it along, and every
    second one a whole flood. Nor does it fail where the one before rose as steeply: what climbs twice is water.
    """
    base, suspect, most = identities.offset[n] + identities.head[n], limits.of[n].spike_suspect, limits.of[n].rate_fail
    least = limits.of[n].spike_fail
    seconds = (t - identities.t[base + i]) / 1000.0
    before = measured(limits, n, identities.value[base + i])
    if not is_steep(abs(value - before), seconds, limits.of[n].rate_suspect, suspect):
        return 0
    if not is_steep(abs(value - before), seconds, most, least):
        return RATE
    j = neighbour(limits, identities, n, i)
    if j >= 0 and value > before:
        rise = before - measured(limits, n, identities.value[base + j])
        if is_steep(rise, (identities.t[base + i] - identities.t[base + j]) / 1000.0, most, least):
            return RATE
    for _ in range(PASSED_OVER_MAX):
        if j < 0:
            break
        if not identities.doubted[base + j]:
            if identities.doubted[base + i]:
                seconds = (t - identities.t[base + j]) / 1000.0
            change = abs(value - measured(limits, n, identities.value[base + j]))
            return RATE << FAILED if is_steep(change, seconds, most, least) else RATE
        j = neighbour(limits, identities, n, j)
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
