"""Acceptance: which readings are new, what a counter's total has added, and with which flag a reading is written down.

It comes before the journal and stands here, not in ingest, because identities are checked as far back as the longest
window of a sensor reaches. `recall` brings it to where it was from what the journal holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ingest.city import Sensor
from ingest.readings import Float64, Int32, Int64, Readings, UInt8
from processing import quality
from processing.kernels.accepting import accept_readings, recall_readings
from processing.kernels.codes import ACCEPTED, CONFLICT, DUPLICATE, FAILED, GROSS, LATE_BREACH_MS, NEVER
from processing.kernels.records import Accepted, Totals
from processing.plan import HORIZON_MS_MIN, Plan, goes_on
from processing.windows import Pool

# Of one sensor: five weeks of minutes, 1.3 MB. Beyond, the oldest are forgotten, and what is as old counts as late.
IDENTITIES_MOST: Final = 50_000


@dataclass(frozen=True, slots=True)
class Acceptances:
    """`readings`: the new ones, in order, and what the quality tests `found` of each (processing/quality.py).

    The others, and those kept but refused, as row numbers of the offer.
    """

    readings: Readings
    found: Int32
    duplicates: Int64
    conflicts: Int64
    out_of_bounds: Int64  # counters' increments: flagged FAIL, and dead letters besides


class Acceptance:
    """What has to be remembered of each sensor to tell a new reading from a repeated one, and a total's increment."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._identities = Pool(0)
        self._newest: Int64 = np.empty(0, np.int64)
        self._floor: Int64 = np.empty(0, np.int64)  # what was measured before it cannot be told from a repeated one
        self._longest = self._horizon = self._reach = self._period = np.empty(0, np.int64)
        self._totals = _totals([])
        self._limits = quality.no_limits()
        self._memory = quality.new_memory(self._limits)

    def configure(self, plan: Plan) -> None:
        """Take over a configuration; sensors that go on keep what is remembered of them."""
        n, old = len(plan.sensors), self._totals
        self._identities.resize(n)
        newest, floor = np.full(n, NEVER, np.int64), np.full(n, NEVER, np.int64)
        totals = _totals(plan.sensors)
        limits = quality.limits_of(plan)
        memory = quality.new_memory(limits)
        for number in range(n):
            if goes_on(self._plan, plan, number):
                quality.carry_over(self._limits, self._memory, limits, memory, number)
                newest[number], floor[number] = self._newest[number], self._floor[number]
                totals.base_t[number], totals.base[number] = old.base_t[number], old.base[number]
            else:
                self._identities.clear(number)
        self._plan, self._newest, self._floor, self._totals = plan, newest, floor, totals
        self._limits, self._memory = limits, memory
        self._longest = plan.per_sensor.longest
        self._horizon = np.maximum(self._longest, HORIZON_MS_MIN)
        self._reach = np.maximum(np.maximum(self._horizon, LATE_BREACH_MS), plan.per_sensor.fresh)
        self._period = np.array([(sensor.period_ms or 0) if sensor else 0 for sensor in plan.sensors], np.int64)

    def accept(self, sensor: Int32, t: Int64, raw: Float64, graded: UInt8, arrival: Int64) -> Acceptances:
        """Readings as they were sent, columns of shape (n,) in order of arrival; raw in the quantity's unit or NaN.

        `graded`: the flag that a reading brings along (a tilted sensor's 3), NOT_EVALUATED where it brings none. It
        makes ours worse, never better. Raises IndexError for a sensor that the configuration in force does not know:
        the kernels look at no bounds, they would read and write elsewhere.
        """
        n = len(sensor)
        if n and not 0 <= sensor.min() <= sensor.max() < len(self._newest):
            raise IndexError(f"sensors {sensor.min()} to {sensor.max()}, of {len(self._newest)}")
        out = Accepted(
            np.empty(n, np.uint8), np.empty(n), np.empty(n, np.uint8), np.empty(n, np.int64), np.empty(n, np.uint8),
            np.zeros(n, np.int32),
        )  # fmt: skip
        i = 0
        while True:
            i = accept_readings(
                i, sensor, t, raw, graded, self._identities.held, self._newest, self._floor, self._longest,
                self._horizon, self._reach, IDENTITIES_MOST, self._period, self._totals, self._limits, self._memory,
                out,
            )  # fmt: skip
            if i == n:
                break
            self._identities.widen(int(sensor[i]))
        new = out.kind == ACCEPTED
        impossible = (self._totals.counter[sensor] == 1) & (out.found & (GROSS << FAILED) != 0)
        return Acceptances(
            Readings(sensor[new], t[new], out.value[new], raw[new], out.flag[new], out.span[new], arrival[new],
                     out.late[new]),
            out.found[new],
            np.flatnonzero(out.kind == DUPLICATE),
            np.flatnonzero(out.kind == CONFLICT),
            np.flatnonzero(new & impossible),
        )  # fmt: skip

    def recall(self, readings: Readings) -> None:
        """What accepting `readings` left behind; they stand in the journal already."""
        i = 0
        while True:
            i = recall_readings(
                i, readings.sensor, readings.t, readings.value, readings.raw, readings.flag, readings.late,
                self._identities.held, self._newest, self._floor, self._horizon, self._reach, IDENTITIES_MOST,
                self._totals, self._limits, self._memory,
            )  # fmt: skip
            if i == len(readings):
                return
            self._identities.widen(int(readings.sensor[i]))

    def to_state(self) -> dict[str, Any]:
        return {
            "identities": self._identities.to_state(),
            "newest": self._newest.tobytes(),
            "floor": self._floor.tobytes(),
            "base_t": self._totals.base_t.tobytes(),
            "base": self._totals.base.tobytes(),
            "quality": {name: column.tobytes() for name, column in self._memory._asdict().items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], plan: Plan) -> Acceptance:
        """`plan`: of the configuration that was in force when the state was taken."""
        acceptance = cls()
        acceptance.configure(plan)
        acceptance._identities = Pool.from_state(state["identities"])
        acceptance._newest = np.frombuffer(state["newest"], np.int64).copy()
        if "floor" in state:  # a snapshot of before there was one has none
            acceptance._floor = np.frombuffer(state["floor"], np.int64).copy()
        acceptance._totals.base_t[:] = np.frombuffer(state["base_t"], np.int64)
        acceptance._totals.base[:] = np.frombuffer(state["base"], np.float64)
        for name, column in acceptance._memory._asdict().items():
            column[:] = np.frombuffer(state["quality"][name], column.dtype).reshape(column.shape)
        return acceptance


def _totals(sensors: Sequence[Sensor | None]) -> Totals:
    """Counters that have seen no total yet."""
    counters = [sensor if sensor is not None and sensor.counter else None for sensor in sensors]
    bounds = [_bounds(sensor) if sensor else () for sensor in counters]
    return Totals(
        counter=np.array([sensor is not None for sensor in counters], np.uint8),
        wrap=np.array([np.nan if sensor is None or sensor.wrap is None else sensor.wrap for sensor in counters]),
        base_t=np.full(len(counters), NEVER, np.int64),
        base=np.full(len(counters), np.nan),
        bound_first=np.cumsum([0, *map(len, bounds)]).astype(np.int64),
        bound_span=np.array([span for one in bounds for span, _ in one], np.int64),
        bound_most=np.array([most for one in bounds for _, most in one], np.float64),
    )


def _bounds(sensor: Sensor) -> tuple[tuple[int, float], ...]:
    """The quantity's records; without any, its upper bound per period (no bound where no period is known)."""
    if sensor.quantity.records:
        return tuple(sensor.quantity.records)
    return ((sensor.period_ms, sensor.quantity.high),) if sensor.period_ms else ()
