"""The half of the slow twin without memory: what CONTRACTS section 4 says of one rule and one window.

Times are milliseconds UTC; numbers in brackets are the points of our reading of the contract.
"""

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
TICK = 10 * SECOND
LEVELS = {"advisory": 1, "warning": 2, "danger": 3, "emergency": 4}
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Table = dict[str, Any]


class Held(NamedTuple):
    """A reading that took part, with the span its value covers."""

    t: int
    value: float
    span: int
    suspect: bool = False


class Schedule(NamedTuple):
    """When a rule judges: days of the week (0 = Monday) and local times of the city."""

    days: frozenset[int]
    opens: str
    closes: str
    zone: str


@dataclass(frozen=True)
class Judge:
    """One rule as it judges one sensor: the rule's keys with those of the sensor's station laid over."""

    statistic: str
    window: int
    levels: dict[int, float]
    clears: dict[int, float]
    above: bool
    hold: int
    hold_clear: int
    min_readings: int
    schedule: Schedule | None
    skips: bool = False  # readings of flag 3


@dataclass
class State:
    """What one rule remembers of one sensor: level, timers by level, T of the last evaluation."""

    level: int = 0
    hold: dict[int, int] = field(default_factory=dict)
    clear: dict[int, int] = field(default_factory=dict)
    judged: int | None = None


def milliseconds(text: str) -> int:
    """The length of "60s", "10m", "1h" or "500ms" in milliseconds."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}[unit]


def days_of(text: str) -> frozenset[int]:
    """The days in "mon-sat", "sun" or "mon,wed-fri"; "sat-mon" goes round the week."""
    days: set[int] = set()
    for part in text.split(","):
        first, last = (WEEK.index(day.strip()) for day in (part.split("-") * 2)[:2])
        days |= {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    return frozenset(days)


def instant(day: datetime, clock: str, zone: str) -> int:
    """A local time of a day in ms UTC (an hour told twice: the first; an hour skipped: the offset before)."""
    return int(datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone)).timestamp() * 1000)


@lru_cache(maxsize=4096)
def sessions(schedule: Schedule, utc_day: int) -> tuple[tuple[int, int], ...]:
    """Opening and close of every session around a UTC day; to <= from belongs to the day it starts [12]."""
    found = []
    for back in range(-2, 3):
        day = datetime.fromtimestamp((utc_day + back) * 86_400, UTC)
        if day.weekday() in schedule.days:
            ends = day + timedelta(days=int(schedule.closes <= schedule.opens))
            opening = instant(day, schedule.opens, schedule.zone)
            found.append((opening, instant(ends, schedule.closes, schedule.zone)))
    return tuple(found)


def tick_from(t: int) -> int:
    """The first tick at or after t."""
    return -(-t // TICK) * TICK


def closes_at(schedule: Schedule, tick: int) -> bool:
    """Whether a closing happens at this tick: it is the first at or after the close [12]."""
    return any(tick_from(closing) == tick for _, closing in sessions(schedule, tick // DAY))


def low_of(judge: Judge, t: int, ticked: int) -> int | None:
    """Where the window that ends at t begins (exclusive); None when t may not be judged [7, 12]."""
    if judge.schedule is None:
        return t - judge.window
    near = sessions(judge.schedule, t // DAY)
    openings = [opening for opening, closing in near if opening <= t < closing]
    if not openings or any(t < tick_from(closing) <= ticked for _, closing in near):
        return None
    return max(t - judge.window, max(openings) - 1)


def reaches(judge: Judge, s: float, x: float) -> bool:
    """Whether s >= x - eps (above) or s <= x + eps (below), with eps = 1e-9 max(1, |x|)."""
    slack = 1e-9 * max(1.0, abs(x))
    return s >= x - slack if judge.above else s <= x + slack


def breached(judge: Judge, s: float) -> int:
    """The highest level whose threshold s reaches, 0 if none."""
    return max((k for k, x in judge.levels.items() if reaches(judge, s, x)), default=0)


def clear_value(x: float, rule: Table, *, above: bool) -> float:
    """`clear_by` in the unit, or `clear` as a factor, else a tenth of |x| on the easy side of x [13]."""
    if "clear" in rule:
        return float(x * rule["clear"])
    by = float(rule.get("clear_by", 0.1 * abs(x)))
    return x - by if above else x + by


def judge_of(table: Table, quantity: str, station: str | None, period: int | None, zone: str) -> Judge | None:
    """The rule as it judges such a sensor, or None when it does not match or must skip it [13]."""
    rule = {**table, **table.get("station", {}).get(station, {})}
    if quantity != table["quantity"] or "levels" not in rule:
        return None
    levels = {LEVELS[name]: float(x) for name, x in rule["levels"].items()}
    above = rule.get("direction", "above") == "above"
    window = 0 if rule["statistic"] == "last" else milliseconds(rule["window"])
    if window < {"rise": 3, "sum": 1}.get(rule["statistic"], 0) * (period or 0):
        return None
    schedule = rule.get("schedule")
    return Judge(
        statistic=rule["statistic"],
        window=window,
        levels=levels,
        clears={k: clear_value(x, rule, above=above) for k, x in levels.items()},
        above=above,
        hold=milliseconds(rule.get("hold", "0s")),
        hold_clear=milliseconds(rule.get("hold_clear", "0s")),
        min_readings=rule.get("min_readings", 1),
        schedule=schedule and Schedule(days_of(schedule["days"]), schedule["from"], schedule["to"], zone),
        skips=rule.get("suspect") == "skip",
    )


def endings(rules: list[Table], hazards: Table) -> dict[str, Table]:
    """By name, the rules that each `ends_when` stands for: one for every quantity that its hazard is judged by [21]."""
    found = {}
    for rule in rules:
        ends, name = hazards.get(rule["hazard"], {}).get("ends_when"), f"ends_when.{rule['hazard']}.{rule['quantity']}"
        if ends is None or name in found:
            continue
        like = [r for r in rules if (r["hazard"], r["quantity"]) == (rule["hazard"], rule["quantity"])]
        found[name] = {key: x for key, x in ends.items() if key in ("statistic", "window")} | {
            "hazard": rule["hazard"],
            "quantity": rule["quantity"],
            "levels": {"advisory": ends["below"]},
            "clear_by": 0,
            "suspect": "skip" if all(skips_everywhere(r) for r in like) else "use",
        }
    return found


def skips_everywhere(rule: Table) -> bool:
    """Whether a rule leaves out suspect readings wherever it judges."""
    places = [{**rule, **own} for own in rule.get("station", {}).values()] + ([rule] if "levels" in rule else [])
    return all(place.get("suspect") == "skip" for place in places)


def rise(members: list[Held], newest: int, window: int) -> float | None:
    """Least-squares slope per hour; None with fewer than 3 readings or under half the window [7]."""
    times = [r.t for r in members]
    if len(members) < 3 or 2 * (max(times) - min(times)) < window:
        return None
    x = [float(t - newest) for t in times]
    mx, mv = math.fsum(x) / len(x), math.fsum(r.value for r in members) / len(x)
    across = math.fsum((a - mx) * (r.value - mv) for a, r in zip(x, members, strict=True))
    return across / math.fsum((a - mx) * (a - mx) for a in x) * 3_600_000


def members_of(judge: Judge, held: list[Held], newest: int, low: int) -> list[Held]:
    """The readings s is made of: low < t <= T; for `sum` none whose span is longer than its window [7]."""
    if judge.statistic == "last":
        return [r for r in held if r.t == newest]
    inside = [r for r in held if low < r.t <= newest]
    return [r for r in inside if judge.statistic != "sum" or r.span <= judge.window]


def statistic(judge: Judge, held: list[Held], newest: int, low: int) -> float | None:
    """The s of the contract at T = newest, or None when undefined [7]."""
    members = members_of(judge, held, newest, low)
    values = [r.value for r in members]
    if len(values) < max(1, judge.min_readings):
        return None
    if judge.statistic == "rise":
        return rise(members, newest, judge.window)
    return {
        "last": values[-1],
        "sum": math.fsum(values),
        "mean": math.fsum(values) / len(values),
        "max": max(values),
        "min": min(values),
        "count": float(len(values)),
    }[judge.statistic]


def gaps(held: list[Held], newest: int, low: int, quiet: int) -> int:
    """Milliseconds of (low, T] without readings; between readings only gaps longer than G as a whole [10]."""
    times = sorted(r.t for r in held)
    inside = (max(0, min(b, newest) - max(a, low)) for a, b in pairwise(times) if b - a > quiet)
    return max(0, times[0] - low) + sum(inside)


def run_timer(timers: dict[int, int], k: int, newest: int, *, running: bool) -> None:
    """Start k's timer if it is not running yet, or unset it [9]."""
    if running:
        timers.setdefault(k, newest)
    else:
        timers.pop(k, None)


def level_after(judge: Judge, state: State, s: float, newest: int, *, gappy: bool) -> int:
    """The level that follows an evaluation, its timers already run [9]."""
    b = breached(judge, s)
    if b > state.level:
        held = [k for k in judge.levels if state.level < k <= b and newest - state.hold[k] >= judge.hold]
        return max(held, default=state.level)
    if gappy:
        return state.level
    kept = [k for k in judge.levels if k not in state.clear or newest - state.clear[k] < judge.hold_clear]
    return max((k for k in kept if k <= state.level), default=0)
