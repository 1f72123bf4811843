"""What kernels are handed: arrays by name. Made in plan.py, windows.py, acceptance.py, quality.py and engine.py."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ingest.readings import Float64, Int32, Int64, UInt8

Records: TypeAlias = NDArray[np.void]

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
