"""The engine: journal entries in, transitions out. A pure fold; what it says depends on the journal's order alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ingest.entries import TICK_MS, Batch, Configuration, Entry, Start, Tick
from ingest.readings import Float64, Int32, Int64, Readings, Signs, UInt8
from processing.kernels.codes import LATE_BREACH_MS, NEVER, PARTIALS
from processing.kernels.held import has_room
from processing.kernels.judging import step_readings
from processing.kernels.records import Found, Silence
from processing.plan import Plan, compile_plan, goes_on
from processing.transitions import HealthEvent, LateBreach, Status, StepResult, Transition
from processing.windows import Pool, one_row

_FOUND: Final = 4096  # transitions collected before Python takes them; more only costs another round
_NO_TICK: Final = 2**62
_STATUSES: Final = tuple(Status)
_JUDGED: Final = ("level", "hold_since", "clear_since", "evaluated")  # what time has made of a judge's row


class NotConfiguredError(RuntimeError):
    """A journal has to begin with a Configuration."""


class Engine:
    """Windows and levels of all sensors. `step` is the only way in; `to_state` and `from_state` are the recovery."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._pool = Pool(0)
        self._silence = Silence(*(np.empty(0, np.int64),) * 3, np.empty(0, np.uint8), np.array([_NO_TICK], np.int64))
        self._last_flag: UInt8 = np.empty(0, np.uint8)
        self._arrived = np.empty(0, np.int64)  # of the last reading; 0: none yet
        self._tick = 0  # the last tick that has run
        self._alive = 0  # the time of the last thing the journal had
        self._scratch: Float64 = np.empty(64)
        self._sieve = one_row(64)
        self._partials: Float64 = np.empty(PARTIALS)
        self._found = _room(_FOUND)

    @property
    def plan(self) -> Plan:
        if self._plan is None:
            raise NotConfiguredError("the journal does not begin with a configuration")
        return self._plan

    @property
    def alive(self) -> int:
        """The time of the last thing the journal had, ms UTC; 0 before the first."""
        return self._alive

    @property
    def heard(self) -> Int64:
        """By sensor number, shape (n,): when it was heard last, ms UTC, of any kind; not to be written to."""
        return self._silence.heard

    def step(self, entry: Entry) -> StepResult:
        """What `entry` changes. Raises ConfigError for a Configuration with a wrong text (nothing has changed then)."""
        out = _Out()
        match entry:
            case Configuration():
                self._configure(entry, out)
            case Start():
                self._start(entry.arrival, out)
            case Tick():
                self._run_ticks(entry.arrival, out)
            case Batch():
                self._take(entry.readings, entry.signs, out)
                self._run_ticks(entry.arrival, out)
        self._alive = max(self._alive, entry.arrival)
        return out.result()

    # -- readings ------------------------------------------------------------------------------------------------

    def _take(self, readings: Readings, signs: Signs, out: _Out) -> None:
        """A sign says that its sensor was there from the tick before it on, so nothing hangs on its place in a tick."""
        begun = 0
        ticks = signs.arrival // TICK_MS * TICK_MS
        for tick in np.unique(ticks).tolist():
            before = int(np.searchsorted(readings.arrival, tick))
            self._judge(readings[begun:before], begun, out)
            self._run_ticks(tick, out)
            self._hear(signs.sensor[ticks == tick], tick)
            begun = before
        self._judge(readings[begun:], begun, out)

    def _hear(self, sensors: Int32, tick: int) -> None:
        silence = self._silence
        silence.heard[sensors] = np.maximum(silence.heard[sensors], tick)
        if silence.status[sensors].any():
            silence.due[0] = min(silence.due[0], tick + TICK_MS)

    def _judge(self, readings: Readings, place: int, out: _Out) -> None:
        """Of readings that lie together in their batch, the first of them at `place`."""
        if not len(readings):
            return
        plan, arrival = self.plan, readings.arrival
        plan.timetable.cover(int(arrival[0]) - LATE_BREACH_MS, int(arrival[-1]))
        i = 0
        while i < len(readings):
            i = step_readings(
                i, readings.sensor, readings.t, readings.value, readings.flag, readings.span, arrival,
                readings.late, self._pool.held, plan.per_sensor, plan.judges, plan.timetable.hours, self._silence,
                self._found, self._sieve, self._scratch, self._partials,
            )  # fmt: skip
            self._collect(readings, place, out)
            out.next = place + i
            if i == len(readings):
                break
            if arrival[i] >= self._silence.due[0]:
                self._run_ticks(int(arrival[i]), out)
            else:
                self._make_room(int(readings.sensor[i]))
        np.maximum.at(self._arrived, readings.sensor, arrival)
        newest = readings.t == plan.per_sensor.newest[readings.sensor]
        self._last_flag[readings.sensor[newest]] = readings.flag[newest]

    def _make_room(self, number: int) -> None:
        if not has_room(self._pool.held, number):
            self._pool.widen(number)
        if len(self._scratch) <= self._pool.widest:
            self._scratch = np.empty(2 * self._pool.widest)
            self._sieve = one_row(2 * self._pool.widest)

    def _collect(self, readings: Readings, place: int, out: _Out) -> None:
        found, plan = self._found, self.plan
        for c in range(found.used[0]):
            i = int(found.reading[c])
            number, rule = plan.rows[found.judge[c]]
            at = int(found.at[c])
            out.transitions.append(Transition(
                at, self._id(number), rule.name, int(found.before[c]), int(found.after[c]),
                float(found.value[c]), int(readings.arrival[i]),
            ))  # fmt: skip
            out.order.append(place + i)
        for c in range(found.used[1]):
            number, rule = plan.rows[found.late_judge[c]]
            arrival = int(readings.arrival[found.late_reading[c]])
            late = LateBreach(self._id(number), rule.name, int(found.late_t[c]), float(found.late_value[c]), arrival)
            out.late_breaches.append(late)
        found.used[:] = 0

    def _id(self, number: int) -> str:
        return self.plan.configuration.sensor_ids[number]

    # -- time ----------------------------------------------------------------------------------------------------

    def _start(self, at: int, out: _Out) -> None:
        """The collector was down since the last thing the journal had: that time is no silence of a sensor."""
        down = at - self._alive
        for reference in (self._silence.heard, self._silence.usable, self._silence.fresh):
            np.add(reference, down, out=reference)
        self._run_closings(at, out)
        self._tick = max(self._tick, at // TICK_MS * TICK_MS)
        self._set_due()

    def _run_ticks(self, until: int, out: _Out) -> None:
        """All ticks up to `until` that have not run. Only those at which something can happen are looked at."""
        while (due := int(self._silence.due[0])) <= until:
            self._run_closings(due, out)
            self._judge_silence(due, out)
            self._tick = max(self._tick, due)
            self._set_due()
        self._tick = max(self._tick, until // TICK_MS * TICK_MS)

    def _set_due(self) -> None:
        """The next tick that has to look: a closing, or the first moment at which a status can change by itself."""
        silence, gap = self._silence, self.plan.per_sensor.gap
        following = self._tick + TICK_MS
        if (self._status_at(following) != silence.status).any():
            silence.due[0] = following
            return
        watched = gap > 0
        moments = np.concatenate([r[watched] + gap[watched] for r in (silence.heard, silence.usable, silence.fresh)])
        moments = moments[moments > self._tick]
        close, _ = self.plan.timetable.next_close(self._tick)
        nearest = min(int(moments.min(initial=_NO_TICK)), close)
        silence.due[0] = -(-nearest // TICK_MS) * TICK_MS

    def _run_closings(self, until: int, out: _Out) -> None:
        plan = self.plan
        after = self._tick
        while True:
            close, schedules = plan.timetable.next_close(after)
            tick = -(-close // TICK_MS) * TICK_MS
            if tick > until:
                return
            for j in np.flatnonzero(np.isin(plan.judges.schedule, schedules)):
                self._to_zero(int(j), tick, out)
            after = close

    def _to_zero(self, j: int, at: int, out: _Out) -> None:
        judges, (number, rule) = self.plan.judges, self.plan.rows[j]
        if judges.level[j]:
            out.transitions.append(Transition(at, self._id(number), rule.name, int(judges.level[j]), 0, None, at))
            out.order.append(out.next)
        judges.level[j] = 0
        judges.hold_since[j] = judges.clear_since[j] = judges.evaluated[j] = NEVER

    def _judge_silence(self, tick: int, out: _Out) -> None:
        status, was = self._status_at(tick), self._silence.status
        for number in np.flatnonzero(status != was):
            from_, to = _STATUSES[was[number]], _STATUSES[status[number]]
            out.health.append(HealthEvent(tick, self._id(int(number)), from_, to))
            out.health_order.append(out.next)
        was[:] = status

    def _status_at(self, tick: int) -> UInt8:
        """The status of every sensor at `tick` if nothing more arrives; 0 without a known period."""
        silence, gap = self._silence, self.plan.per_sensor.gap
        quiet = [tick - reference >= gap for reference in (silence.heard, silence.usable, silence.fresh)]
        return np.select([gap == 0, *quiet], [0, 1, 2, 3], 0).astype(np.uint8)

    # -- change of rules or registry -----------------------------------------------------------------------------

    def _configure(self, entry: Configuration, out: _Out) -> None:
        old = self._plan
        if old is None:
            self._tick = entry.arrival // TICK_MS * TICK_MS
        else:
            self._run_ticks(entry.arrival, out)
            was = old.configuration
            if (was.city_toml, was.rules_toml, was.sensor_ids) == (entry.city_toml, entry.rules_toml, entry.sensor_ids):
                return
        new = compile_plan(entry)
        self._grow(len(new.sensors), entry.arrival)
        kept = [goes_on(old, new, number) for number in range(len(new.sensors))]
        if old is not None:
            self._carry_over(old, new, kept, entry.arrival, out)
        for number in np.flatnonzero(~np.array(kept, bool)):
            self._pool.clear(int(number))
            for reference in (self._silence.heard, self._silence.usable, self._silence.fresh):
                reference[number] = entry.arrival
            self._silence.status[number] = 0
            self._arrived[number] = 0
        self._plan = new
        self._set_due()

    def _grow(self, sensors: int, arrival: int) -> None:
        self._pool.resize(sensors)
        silence, more = self._silence, sensors - len(self._silence.status)
        begun = np.full(more, arrival, np.int64)
        self._silence = Silence(
            np.append(silence.heard, begun), np.append(silence.usable, begun), np.append(silence.fresh, begun),
            np.append(silence.status, np.zeros(more, np.uint8)), silence.due,
        )  # fmt: skip
        self._last_flag = np.append(self._last_flag, np.zeros(more, np.uint8))
        self._arrived = np.append(self._arrived, np.zeros(more, np.int64))

    def _carry_over(self, old: Plan, new: Plan, kept: list[bool], at: int, out: _Out) -> None:
        """Levels, timers and T of what goes on; level 0 for what ends (CONTRACTS section 4, a changed rule)."""
        for number in range(len(old.sensors)):
            if kept[number]:
                new.per_sensor.newest[number] = old.per_sensor.newest[number]
        rows = {(number, rule.name): j for j, (number, rule) in enumerate(new.rows)}
        for j, (number, rule) in enumerate(old.rows):
            to = rows.get((number, rule.name)) if kept[number] else None
            if to is None:
                self._to_zero(j, at, out)
                continue
            same = new.rows[to][1].written == rule.written
            for name in _JUDGED if same else ("level",):
                getattr(new.judges, name)[to] = getattr(old.judges, name)[j]

    # -- what others see ---------------------------------------------------------------------------------------

    def latest(self) -> tuple[Int64, Float64, UInt8, Int64, UInt8, tuple[Status, ...]]:
        """Per sensor, shape (n,): T (0: none), the value at T (NaN), its flag, last arrival, highest level, status.

        The level is that of people's rules: what `ends_when` makes of a sensor is no warning.
        """
        held, n = self._pool.held, self._pool.rows
        some = held.size > 0
        last = (held.offset + held.head + held.size - 1)[some]
        t, value, level = np.zeros(n, np.int64), np.full(n, np.nan), np.zeros(n, np.uint8)
        t[some], value[some] = held.t[last], held.value[last]
        judges = self.plan.judges
        shown = np.where(self.plan.ending, 0, judges.level).astype(np.uint8)
        np.maximum.at(level, np.repeat(np.arange(n), np.diff(judges.first)), shown)
        status = tuple(_STATUSES[code] for code in self._silence.status)
        return t, value, self._last_flag.copy(), self._arrived.copy(), level, status

    def endings(self) -> frozenset[tuple[str, str]]:
        """(sensor, hazard) whose `ends_when` statistic is at its limit or above now: they hold their incident open.

        A pair that is not in it is calm only where Rules.ends says that `ends_when` watches it.
        """
        plan = self.plan
        high = np.flatnonzero(plan.ending & (plan.judges.level > 0))
        return frozenset((self._id(plan.rows[j][0]), plan.rows[j][1].hazard) for j in high.tolist())

    def asleep(self) -> frozenset[str]:
        """The sensors that are silent, without usable data or delayed, as of the last tick."""
        return frozenset(self._id(int(number)) for number in np.flatnonzero(self._silence.status))

    # -- snapshots ---------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All that the future depends on, in types that msgpack knows."""
        plan, silence = self.plan, self._silence
        was = plan.configuration
        return {
            "configuration": [was.arrival, was.city_toml, was.rules_toml, list(was.sensor_ids), was.clock, was.schema],
            "pool": self._pool.to_state(),
            "newest": plan.per_sensor.newest.tobytes(),
            "judges": {name: getattr(plan.judges, name).tobytes() for name in _JUDGED},
            "silence": {name: getattr(silence, name).tobytes() for name in silence._fields},
            "last_flag": self._last_flag.tobytes(),
            "arrived": self._arrived.tobytes(),
            "tick": self._tick,
            "alive": self._alive,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Engine:
        arrival, city_toml, rules_toml, ids, clock, schema = state["configuration"]
        engine = cls()
        plan = compile_plan(Configuration(arrival, city_toml, rules_toml, tuple(ids), clock, schema))
        plan.per_sensor.newest[:] = np.frombuffer(state["newest"], np.int64)
        for name in _JUDGED:
            column = getattr(plan.judges, name)
            column[:] = np.frombuffer(state["judges"][name], column.dtype).reshape(column.shape)
        engine._plan, engine._pool = plan, Pool.from_state(state["pool"])
        heard, usable, fresh, due = (
            np.frombuffer(state["silence"][name], np.int64).copy() for name in ("heard", "usable", "fresh", "due")
        )
        status = np.frombuffer(state["silence"]["status"], np.uint8).copy()
        engine._silence = Silence(heard, usable, fresh, status, due)
        engine._last_flag = np.frombuffer(state["last_flag"], np.uint8).copy()
        engine._arrived = np.frombuffer(state["arrived"], np.int64).copy()
        engine._tick, engine._alive = state["tick"], state["alive"]
        engine._scratch = np.empty(max(64, 2 * engine._pool.widest))
        engine._sieve = one_row(len(engine._scratch))
        return engine


class _Out:
    """What one step found, in order."""

    def __init__(self) -> None:
        self.transitions: list[Transition] = []
        self.health: list[HealthEvent] = []
        self.late_breaches: list[LateBreach] = []
        self.order: list[int] = []  # of each transition, and of each health event: its place between the readings
        self.health_order: list[int] = []
        self.next = 0  # the place of the reading that comes next

    def result(self) -> StepResult:
        return StepResult(
            tuple(self.transitions), tuple(self.health), tuple(self.late_breaches),
            tuple(self.order), tuple(self.health_order),
        )  # fmt: skip


def _room(size: int) -> Found:
    return Found(
        np.zeros(2, np.int64), np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64),
        np.empty(size, np.uint8), np.empty(size, np.uint8), np.empty(size), np.empty(size, np.int64),
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size),
    )  # fmt: skip
