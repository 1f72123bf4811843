"""Readings that have been accepted, judged by every rule of their sensor."""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.readings import Float64, Int32, Int64, UInt8
from processing.kernels.codes import DANGER, FAIL, LAST, LATE_BREACH_MS, MAX, MEAN, MIN, MISSING, NEVER, SUSPECT
from processing.kernels.compiled import kernel
from processing.kernels.held import forget, has_room, insert, position_of, sift
from processing.kernels.levels import breached, next_level, opening_of
from processing.kernels.records import Found, Held, Hours, Judges, Sensors, Silence
from processing.kernels.statistic import gaps_within, statistic_of

# Those that are the value itself where it stands alone: all a late reading has, since it lies in no window.
_OF_ALONE: Final = (LAST, MEAN, MAX, MIN)


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
    start: int, sensor: Int32, t: Int64, value: Float64, flag: UInt8, span: Int64, arrival: Int64, late: UInt8,
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
        # late[i] alone: acceptance no longer knows what of so old a time it has had
        if late[i] or (sensors.newest[n] != NEVER and t[i] < sensors.newest[n] - sensors.longest[n]):
            if recent:
                for j in range(first, last):
                    if judges.statistic[j] not in _OF_ALONE:
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
