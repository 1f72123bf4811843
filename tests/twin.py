"""The slow twin: CONTRACTS section 4 written a second time, plainly, from the page and not from the engine.

Lists, dictionaries and fsum. Where it and the engine differ, one of the two has misread the page.
Times are milliseconds UTC; numbers in brackets are the points of our reading of the contract.
"""

import json
import math
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from twin_rules import (
    DAY,
    HOUR,
    MINUTE,
    TICK,
    Held,
    Judge,
    State,
    Table,
    breached,
    closes_at,
    endings,
    gaps,
    judge_of,
    level_after,
    low_of,
    milliseconds,
    reaches,
    run_timer,
    statistic,
)

HIGH_BY_SPAN: dict[str, list[tuple[int, float]]] = {
    "rain": [(MINUTE, 38.0), (10 * MINUTE, 150.0), (15 * MINUTE, 198.0), (HOUR, 401.0), (DAY, 1825.0)],
}


@dataclass
class Sensor:
    """One sensor: what the registry says, what it holds, and when it was last heard."""

    label: str
    quantity: str
    heard: int
    usable: int
    fresh: int
    period: int | None = None
    counter: bool = False
    wrap: float | None = None
    station: str | None = None
    status: str = "ok"
    newest: int | None = None  # T
    floor: int | None = None  # what is older cannot be told from a repeated reading [2]
    base: tuple[int, float] | None = None
    seen: dict[int, float | None] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    judges: dict[str, Judge] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)

    @property
    def longest(self) -> int:
        """L, the longest window over the rules that judge it [1]."""
        return max((judge.window for judge in self.judges.values()), default=0)

    @property
    def horizon(self) -> int:
        """H, how far back identities are checked: the longest window, at least an hour [1]."""
        return max(self.longest, HOUR)

    @property
    def reach(self) -> int:
        """How far before the newest identity others are remembered at all [2]."""
        return max(self.horizon, 6 * HOUR, self.patience)

    @property
    def quiet(self) -> int | None:
        """G = max(3 x period, 3 min); None without a known period."""
        return None if self.period is None else max(3 * self.period, 3 * MINUTE)

    @property
    def patience(self) -> int:
        """How old T may be at arrival and still be fresh: max(15 min, 2 x period) [6]."""
        return max(15 * MINUTE, 2 * (self.period or 0))


def high(quantity: str, span: int) -> float:
    """The upper bound of an increment over a span: straight lines between points, 0 at span 0 [5]."""
    points = HIGH_BY_SPAN.get(quantity)
    if points is None:
        return math.inf
    for (x0, y0), (x1, y1) in pairwise([(0, 0.0), *points]):
        if span <= x1:
            return y0 + (y1 - y0) * (span - x0) / (x1 - x0)
    return points[-1][1] * span / points[-1][0]


def increment(sensor: Sensor, t: int, total: float, flag: int) -> tuple[float | None, int, int]:
    """(value, flag, span) that a total books against the base, which it becomes unless older [5]."""
    base = sensor.base
    if base is not None and t < base[0]:
        return None, 9, 0
    sensor.base = (t, total)
    if base is None:
        return None, 9, 0
    value, span = total - base[1], t - base[0]
    bound = high(sensor.quantity, span)
    if value < 0.0:
        wrapped = math.inf if sensor.wrap is None else value + sensor.wrap
        return (wrapped, flag, span) if sensor.wrap and 0.0 <= wrapped <= bound else (None, 9, 0)
    return value, (flag if value <= bound else 4), span


IDENTITIES_MOST = 50_000  # of one sensor [2]
SETTLED = 9 * 24 * HOUR  # longer than a week of schedules and than any gap


class Twin:
    """The whole of section 4 between the door and the incidents: feed it entries, read its lists."""

    def __init__(self) -> None:
        self.transitions: list[dict[str, Any]] = []
        self.health: list[tuple[int, str, str, str]] = []
        self.late_breaches: list[tuple[str, str, int, float, int]] = []
        self.accepted: list[tuple[str, int, float | None, int, int, int, bool]] = []
        self.sensors: dict[str, Sensor] = {}
        self.numbers: list[str] = []  # the id table: append-only
        self.rules: dict[str, Table] = {}
        self.zone = "UTC"
        self.ticked: int | None = None  # the last tick that ran
        self.now = 0  # the time of the last thing in the journal

    def configure(self, at: int, city_toml: str | None, rules_toml: str) -> None:
        """Registry and rules from here on; what no longer matches falls to 0 at the change [14, 16]."""
        self._pass_time(at)
        before, old_rules = self.sensors, self.rules
        told = tomllib.loads(rules_toml)
        self.rules = {rule["name"]: rule for rule in told.get("rule", [])}
        self.rules |= endings(list(self.rules.values()), told.get("hazard", {}))
        if city_toml is not None:
            city = tomllib.loads(city_toml)
            self.zone = city["city"]["timezone"]
            self.sensors = {row["id"]: self._registered(at, row) for row in city.get("sensor", [])}
            self.numbers += [key for key in self.sensors if key not in self.numbers]
        for key in self.numbers:
            old, new = before.get(key), self.sensors.get(key)
            if old:
                self._let_go(at, old, self._judges(old) if old is new else {})
            if new:
                self._take_up(new, old_rules)

    def series(self, sensor: str, quantity: str) -> None:
        """Without a city: a series is offered as "sensor|quantity" and its transitions name `sensor` [19]."""
        key = f"{sensor}|{quantity}"
        self.sensors[key] = Sensor(sensor, quantity, self.now, self.now, self.now)
        self.numbers.append(key)
        self._take_up(self.sensors[key], self.rules)

    def start(self, at: int) -> None:
        """The collector came up again: the time it was down is no silence, and its ticks judge none [15]."""
        for sensor in self.sensors.values():
            sensor.heard += at - self.now
            sensor.usable += at - self.now
            sensor.fresh += at - self.now
        self._pass_time(at, listen=False)

    def tick(self, at: int) -> None:
        """Time passed while nothing arrived."""
        self._pass_time(at)

    def offer(self, sensor: str, t: int, value: float | None, arrival: int, flag: int = 2) -> str:
        """What acceptance makes of a reading as sent; only "accepted" ones reach the journal [2, 3, 5]."""
        s = self.sensors[sensor]
        below = s.floor is not None and t < s.floor
        checked = not below and (s.newest is None or t >= s.newest - s.horizon)
        if checked and t in s.seen:
            self.refused(sensor, arrival)
            return "duplicate" if s.seen[t] == value else "conflict"
        if checked:
            s.seen[t] = value
        late = below or (s.newest is not None and t < s.newest - s.longest)
        span = 0 if s.counter else s.period or 0
        if value is None:
            flag = 9
        elif s.counter:
            late = late or (s.base is not None and t < s.base[0])
            value, flag, span = increment(s, t, value, flag)
        self.accepted.append((sensor, t, value, flag, span, arrival, late))
        self.reading(sensor, t, value, flag, span, arrival, below=below)
        if checked:
            self._bound(s)
        return "accepted"

    def refused(self, sensor: str, arrival: int) -> None:
        """A sensor that was there, though what came of it is no reading: heard from the tick before on [15]."""
        self._pass_time(arrival)
        self.sensors[sensor].heard = max(self.sensors[sensor].heard, arrival // TICK * TICK)

    def reading(
        self, sensor: str, t: int, value: float | None, flag: int, span: int, arrival: int, *, below: bool = False
    ) -> None:
        """A journalled reading: fill the windows and, if T is fresh, judge [3, 4, 6, 17]."""
        self._pass_time(arrival)
        s = self.sensors[sensor]
        s.heard = arrival
        if flag in (4, 9) or value is None:
            return
        s.usable = arrival
        s.fresh = arrival if arrival - t <= s.patience else s.fresh
        newest = t if s.newest is None else max(s.newest, t)
        if below or t < newest - s.longest:
            self._show_late(s, t, value, arrival, suspect=flag == 3)
            return
        s.held.append(Held(t, value, span, flag == 3))
        if newest != s.newest:
            s.newest = newest
            self._forget(s)
        for name, judge in s.judges.items():
            if arrival - newest <= s.patience:
                self._evaluate(s, name, judge)
            elif arrival - t <= 6 * HOUR:
                self._show_stale(s, name, judge, arrival)

    def lines(self) -> list[str]:
        """The transitions as the JSON lines of `canhbao replay` [18]."""
        return [json.dumps({**row, "at": iso(row["at"])}, separators=(",", ":"), ensure_ascii=False)
                for row in self.transitions]  # fmt: skip

    def _registered(self, at: int, row: Table) -> Sensor:
        """The sensor of a registry row: the one we have, unless its quantity or `counter` changed [16]."""
        have, counter = self.sensors.get(row["id"]), row.get("counter", False)
        if have is None or (have.quantity, have.counter) != (row["quantity"], counter):
            have = Sensor(row["id"], row["quantity"], at, at, at, counter=counter)
        have.period = milliseconds(row["period"]) if "period" in row else None
        have.wrap, have.station = row.get("wrap"), row.get("station")
        return have

    def _let_go(self, at: int, s: Sensor, judges: dict[str, Judge]) -> None:
        """What judged a sensor before a change and does so no more: level 0 at the change [16]."""
        for name in s.states:
            if name not in judges:
                self._move(s, name, at, 0, None)

    def _take_up(self, s: Sensor, old_rules: dict[str, Table]) -> None:
        """After a change the same rule keeps its state, a changed one only its level; a new one begins [16]."""
        before, s.judges, s.states = s.states, self._judges(s), {}
        for name in s.judges:
            state = before.get(name, State())
            s.states[name] = state if self.rules[name] == old_rules.get(name) else State(state.level)

    def _judges(self, s: Sensor) -> dict[str, Judge]:
        """The rules that judge a sensor, in the order of rules.toml [13], then the endings of their hazards [21]."""
        own = (s.quantity, s.station, s.period, self.zone)
        every = {name: judge_of(table, *own) for name, table in self.rules.items()}
        found = {name: judge for name, judge in every.items() if judge}
        concerned = {self.rules[name]["hazard"] for name in found if "." not in name}
        return {name: judge for name, judge in found.items() if self.rules[name]["hazard"] in concerned}

    def _pass_time(self, at: int, *, listen: bool = True) -> None:
        """Run every tick up to `at` that has not run; before the first configuration all are past [14].

        After SETTLED without an entry every sensor is silent and every schedule has closed: what is left is skipped.
        """
        self.ticked = at // TICK * TICK if self.ticked is None else self.ticked
        settled = self.ticked + SETTLED
        while self.ticked + TICK <= at:
            self.ticked += TICK
            if self.ticked > settled:
                self.ticked = at // TICK * TICK
                break
            for key in self.numbers:
                if key in self.sensors:
                    self._close(self.sensors[key], self.ticked)
                    if listen:
                        self._listen(self.sensors[key], self.ticked)
        self.now = max(self.now, at)

    def _close(self, s: Sensor, tick: int) -> None:
        """At its closing tick a scheduled rule goes to 0 and forgets its timers [12]."""
        for name, judge in s.judges.items():
            if judge.schedule and closes_at(judge.schedule, tick):
                self._move(s, name, tick, 0, None)
                s.states[name] = State()

    def _listen(self, s: Sensor, tick: int) -> None:
        """Silence, judged at ticks only; a sensor without a period is ok [15]."""
        quiet = math.inf if s.quiet is None else s.quiet
        since = {"silent": s.heard, "no_data": s.usable, "delayed": s.fresh}
        status = next((word for word, at in since.items() if tick - at >= quiet), "ok")
        if status != s.status:
            self.health.append((tick, s.label, s.status, status))
            s.status = status

    def _forget(self, s: Sensor) -> None:
        """After T moved: identities before T - H go, and all readings up to T - L but the newest [2, 4]."""
        newest = s.newest or 0
        s.seen = {t: value for t, value in s.seen.items() if t >= newest - s.horizon}
        edge = newest - s.longest
        before = sorted(r for r in s.held if r.t <= edge)
        s.held = before[-1:] + [r for r in s.held if r.t > edge]

    def _bound(self, s: Sensor) -> None:
        """After an identity was taken: what is far before the newest goes, then the oldest of too many [2]."""
        times = sorted(s.seen)
        gone = [t for t in times if t < times[-1] - s.reach] if times else []
        gone = max(gone, times[: max(0, len(times) - IDENTITIES_MOST)], key=len)
        if gone:
            s.floor = max(gone[-1] + 1, s.floor or 0)
            s.seen = {t: value for t, value in s.seen.items() if t > gone[-1]}

    def _value(self, s: Sensor, judge: Judge) -> float | None:
        """The s of a rule at T; None when undefined, or when the schedule forbids to judge [7, 8, 12]."""
        newest = s.newest or 0
        low = low_of(judge, newest, self.ticked or 0)
        skipped = judge.skips and any(r.suspect for r in s.held if r.t == newest)
        return None if low is None or skipped else statistic(judge, self._seen_by(judge, s), newest, low)

    def _seen_by(self, judge: Judge, s: Sensor) -> list[Held]:
        """What a rule sees of what a sensor holds: all of it, or all but the suspect ones [7]."""
        return [r for r in s.held if not (judge.skips and r.suspect)]

    def _evaluate(self, s: Sensor, name: str, judge: Judge) -> None:
        """One rule at T: timers first, then the level; an undefined s touches nothing [8, 9]."""
        newest, state, value = s.newest or 0, s.states[name], self._value(s, judge)
        if value is None:
            return
        if s.quiet and state.judged is not None and newest - state.judged > s.quiet:
            state.hold, state.clear = {}, {}
        state.judged = newest
        for k in judge.levels:
            run_timer(state.hold, k, newest, running=breached(judge, value) >= k)
            run_timer(state.clear, k, newest, running=not reaches(judge, value, judge.clears[k]))
        level = level_after(judge, state, value, newest, gappy=self._gappy(s, judge))
        self._move(s, name, newest, level, value)

    def _gappy(self, s: Sensor, judge: Judge) -> bool:
        """Whether gaps fill over a tenth of the window, so that the level may not ease [9, 10]."""
        newest = s.newest or 0
        low = low_of(judge, newest, self.ticked or 0)
        if judge.statistic == "last" or s.quiet is None or low is None:
            return False
        return 10 * gaps(self._seen_by(judge, s), newest, low, s.quiet) > judge.window

    def _move(self, s: Sensor, name: str, at: int, level: int, value: float | None) -> None:
        """A change of level is a transition."""
        was = s.states[name].level
        if level != was:
            row = {"at": at, "sensor": s.label, "rule": name, "from": was, "to": level, "value": value}
            self.transitions.append(row)
            s.states[name].level = level

    def _show_late(self, s: Sensor, t: int, value: float, arrival: int, *, suspect: bool) -> None:
        """A late reading up to 6 h old whose own value is at danger, by rules of these four statistics [17]."""
        for name, judge in s.judges.items():
            shown = judge.statistic in ("last", "mean", "max", "min") and arrival - t <= 6 * HOUR
            shown = shown and not (judge.skips and suspect)
            if shown and low_of(judge, t, self.ticked or 0) is not None and breached(judge, value) >= 3:
                self.late_breaches.append((s.label, name, t, value, arrival))

    def _show_stale(self, s: Sensor, name: str, judge: Judge, arrival: int) -> None:
        """A reading up to 6 h old, not judged because T was not fresh, though s at T is at danger [17]."""
        value = self._value(s, judge)
        if value is not None and breached(judge, value) >= 3:
            self.late_breaches.append((s.label, name, s.newest or 0, value, arrival))


def iso(at: int) -> str:
    """2017-09-08T07:05:00.000Z."""
    whole = datetime.fromtimestamp(at // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
