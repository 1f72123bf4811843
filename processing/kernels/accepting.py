"""Identity, counters and flags of readings, as they come in or as the journal holds them."""

from __future__ import annotations

import numpy as np

from ingest.readings import Float64, Int32, Int64, UInt8
from processing.kernels.codes import (
    ACCEPTED,
    CONFLICT,
    DUPLICATE,
    FAIL,
    FAILED,
    GROSS,
    MISSING,
    NEVER,
    NOT_EVALUATED,
    SUSPECT,
)
from processing.kernels.compiled import kernel
from processing.kernels.counters import book
from processing.kernels.grading import grade
from processing.kernels.held import forget, has_room, insert, position_of
from processing.kernels.neighbours import measured
from processing.kernels.rain import gauge_rain
from processing.kernels.records import Accepted, Held, Limits, Memory, Totals
from processing.kernels.runs import follow


@kernel()
def _advance(identities: Held, newest: Int64, horizon: Int64, n: int, t: int) -> None:
    if t > newest[n]:
        newest[n] = t
        forget(identities, n, position_of(identities, n, t - horizon[n] - 1))


@kernel()
def _bound(identities: Held, floor: Int64, n: int, reach: int, most: int) -> None:
    """Forget what is older than `reach` before the newest identity, and all but the newest `most`; then also what has
    the times of those can no longer be told from a repeated one, and lies below the floor.
    """
    base, size = identities.offset[n] + identities.head[n], identities.size[n]
    if size == 0:
        return
    oldest = identities.t[base + size - 1] - reach
    if identities.t[base] >= oldest and size <= most:
        return
    count = max(position_of(identities, n, oldest - 1), size - most)
    floor[n] = max(floor[n], identities.t[base + count - 1] + 1)
    forget(identities, n, count)


@kernel(nogil=True)
def accept_readings(
    start: int, sensor: Int32, t: Int64, raw: Float64, graded: UInt8,
    identities: Held, newest: Int64, floor: Int64, longest: Int64, horizon: Int64, reach: Int64, most: int,
    period: Int64, totals: Totals, limits: Limits, memory: Memory, out: Accepted,
) -> int:  # fmt: skip
    """Identity, counters and flags of readings start … of a batch; stops before one that needs room.

    `graded`: the flag that a reading brings along. Only SUSPECT and FAIL say anything: a device can make it worse.
    """
    for i in range(start, len(sensor)):
        n = sensor[i]
        known, below = newest[n] != NEVER, t[i] < floor[n]
        at = -1
        if not below and (not known or t[i] >= newest[n] - horizon[n]):
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
        out.late[i] = below or (known and t[i] < newest[n] - longest[n])
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
        if at >= 0:
            _bound(identities, floor, n, reach[n], most)
    return len(sensor)


@kernel(nogil=True)
def recall_readings(
    start: int, sensor: Int32, t: Int64, value: Float64, raw: Float64, flag: UInt8, late: UInt8,
    identities: Held, newest: Int64, floor: Int64, horizon: Int64, reach: Int64, most: int,
    totals: Totals, limits: Limits, memory: Memory,
) -> int:  # fmt: skip
    """The state after readings that the journal holds already: what accept_readings left behind for them."""
    for i in range(start, len(sensor)):
        n = sensor[i]
        inserted = t[i] >= floor[n] and (newest[n] == NEVER or t[i] >= newest[n] - horizon[n])
        if inserted:
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
        if inserted:
            _bound(identities, floor, n, reach[n], most)
    return len(sensor)
