"""Seeded random worlds: a registry, rules, and a journal's worth of steps, full of the edges of section 4.

Same seed and size, same world. Times are milliseconds UTC; steps stand in the order of their arrival.
"""

import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from world_rules import (
    HOUR,
    KINDS,
    MINUTE,
    SECOND,
    Table,
    a_rule,
    a_sensor,
    changed_city,
    changed_rules,
    city_toml,
    endings_toml,
    milliseconds,
    rules_toml,
)

TICK = 10 * SECOND
Step = tuple[Any, ...]
RANK = {"start": 0, "tick": 1, "configure": 2, "offer": 3, "refused": 3}
ARRIVAL = {"offer": 5, "refused": 2}  # where it stands in such a step; in the others at 1
CITIES = (
    ("Asia/Ho_Chi_Minh", "2022-10-14"),
    ("Asia/Ho_Chi_Minh", "2022-10-16"),
    ("Europe/Berlin", "2025-10-26"),
    ("Europe/Berlin", "2026-03-29"),
)
NUDGES = (0.0, 0.0, 0.0, 1e-10, -1e-10, 1e-8, -1e-8, 0.01, -0.01)


@dataclass(frozen=True)
class World:
    """A first configuration and the steps that follow it, as the methods of the twin take them:

    ("offer", sensor, t, value | None, flag, arrival), ("refused", sensor, arrival), ("tick", at), ("start", at),
    ("configure", at, city_toml, rules_toml)
    """

    at: int
    city_toml: str
    rules_toml: str
    steps: tuple[Step, ...]


def play(world: World, target: Any) -> None:
    """Hand the whole world to anything that has the methods of the twin."""
    target.configure(world.at, world.city_toml, world.rules_toml)
    for what, *rest in world.steps:
        if what == "offer":
            sensor, t, value, flag, arrival = rest
            target.offer(sensor, t, value, arrival, flag)
        else:
            getattr(target, what)(*rest)


def marks(rules: list[Table], quantity: str) -> list[float]:
    """Thresholds and clear values of a quantity: values to stand on exactly."""
    found = [0.0]
    for rule in (rule for rule in rules if rule["quantity"] == quantity):
        for x in (x for own in (rule, *rule.get("station", {}).values()) for x in own.get("levels", {}).values()):
            sign = 1 if rule.get("direction") == "below" else -1
            by = sign * rule.get("clear_by", 0.1 * abs(x))
            found += [x, x * rule["clear"] if "clear" in rule else x + by]
    low, high, _ = KINDS[quantity]
    return [x for x in found if low <= x <= high] or [low]


def some_values(r: Random, row: Table, rules: list[Table], n: int) -> list[float]:
    """A walk over the quantity's range, mostly on its grid, often on a threshold or a hair beside it."""
    low, high, grid = KINDS[row["quantity"]]
    exact, where, values = marks(rules, row["quantity"]), r.random(), []
    for _ in range(n):
        where = min(1.0, max(0.0, where + r.choice([0.0, 0.0, r.uniform(-0.2, 0.2), r.uniform(-1, 1)])))
        value = low + where * (high - low)
        value = r.choice([value, round(round(value / grid) * grid, 6), max(low, r.choice(exact) + r.choice(NUDGES))])
        values.append(value)
    return totals(r, values, row.get("wrap")) if row.get("counter") else values


def totals(r: Random, increments: list[float], wrap: float | None) -> list[float]:
    """A running total that wraps, is reset, and now and then jumps out of all bounds."""
    total, found = r.choice([0.0, 10.0, 40.0]), []
    for step in increments:
        total += r.choice([step] * 20 + [500.0, 38.0, 0.0])
        total = total % wrap if wrap else total
        total = 0.0 if r.random() < 0.03 else total
        found.append(total)
    return found


def a_stretch(r: Random, period: int) -> tuple[int, int]:
    """(how many readings come late, by how much): on the edges of 15 min, 2 periods and 6 h."""
    edge = r.choice([15 * MINUTE, 15 * MINUTE, max(2 * period, 15 * MINUTE), HOUR, 6 * HOUR, 2 * HOUR])
    return r.randint(1, 12), edge + r.choice([0, 0, 1, -1, 30 * SECOND])


def offers(r: Random, row: Table, rules: list[Table], begin: int, n: int) -> list[Step]:
    """One sensor's readings as they arrive: lost, late, out of order, twice, missing, failed."""
    period = milliseconds(row.get("period", "60s"))
    quiet, t, found = max(3 * period, 3 * MINUTE), begin + r.choice([0, r.randint(0, period)]), []
    late, behind, together, spool = 0, 0, False, 0
    doubts = Random(f"{row['id']} {begin}")  # of its own: the worlds of older seeds keep all else that they had
    hours = doubts.choice([0.5, 2, 8, 30]) if Random(f"{row['id']} {begin} barren").random() < 0.06 else 0
    barren = begin + int(hours * HOUR)  # until then nothing of it is usable
    for value in some_values(r, row, rules, min(n, 30 * HOUR // period)):
        odd = r.choice([period + r.randint(0, 900), 2 * period, quiet, quiet, quiet + 1, 2 * quiet, 2 * HOUR])
        t = t + odd if r.random() < 0.08 else (t + period) // SECOND * SECOND
        if late == 0 and r.random() < 0.04:
            late, behind = a_stretch(r, period)
            together, spool = r.random() < 0.5, t + behind
        arrival = t + r.choice([0, 0, r.randint(0, 3000), r.randint(0, 3 * period), -r.randint(0, MINUTE)])
        if late:
            late -= 1
            arrival = max(t, spool) if together else t + behind
            t += behind if late == 0 and r.random() < 0.7 else 0
        arrival = arrival if r.random() < 0.8 else -(-arrival // TICK) * TICK
        sent, flag = (None if r.random() < 0.04 else value), (4 if r.random() < 0.04 else 2)
        flag = 3 if flag == 2 and doubts.random() < 0.15 else flag
        flag = 4 if t < barren else flag
        found.append(("offer", row["id"], t, sent, flag, arrival))
        found += refusals(Random(f"{row['id']} {t} refused"), row["id"], arrival, quiet)
    sent_once = [step for step in found if step[0] == "offer"]
    for _, name, at, sent, flag, arrival in [step for step in sent_once if r.random() < 0.06]:
        again = arrival + r.choice([1, 5 * SECOND, 10 * MINUTE, HOUR, 3 * HOUR])
        found.append(("offer", name, at, r.choice([sent, sent, None, 1.5]), flag, again))
    return found


def refusals(r: Random, name: str, arrival: int, quiet: int) -> list[Step]:
    """Now and then a sensor sends what is refused, for longer than it may be silent; r: of its own, as `doubts`."""
    if r.random() > 0.03:
        return []
    at, found = arrival + r.choice([0, 1, quiet // 2, quiet]), []
    for _ in range(r.randint(1, 8)):
        at += r.choice([0, 1, r.randint(1, TICK), r.randint(TICK, quiet), quiet])
        found.append(("refused", name, -(-at // TICK) * TICK if r.random() < 0.3 else at))
    return found


def some_times(r: Random, begin: int, end: int, most: int) -> list[int]:
    """Up to `most` moments in order, some of them on a tick."""
    times = [r.randint(begin, end) for _ in range(r.randint(0, most))]
    return sorted(at // TICK * TICK if r.random() < 0.3 else at for at in times)


def changes(r: Random, local: datetime, sensors: list[Table], rules: list[Table], times: list[int]) -> list[Step]:
    """A configuration at each of these times, each a change of the one before."""
    found: list[Step] = []
    every = sensors
    for n, at in enumerate(times):
        if r.random() < 0.6:
            for again in range(r.choice([1, 1, 4])):
                rules = changed_rules(r, rules, sensors, local, f"{n}-{again}")
        else:
            sensors = changed_city(r, sensors, every)
        found.append(("configure", at, city_toml(str(local.tzinfo), sensors), all_rules(rules)))
    return found


def all_rules(rules: list[Table]) -> str:
    return rules_toml(rules) + endings_toml(rules)


def when(step: Step) -> int:
    """The time a step takes its place in the journal."""
    return int(step[ARRIVAL.get(step[0], 1)])


def moved(step: Step, at: int) -> Step:
    place = ARRIVAL.get(step[0], 1)
    return (*step[:place], at, *step[place + 1 :])


def in_order(steps: list[Step], begin: int, downs: list[tuple[int, int]]) -> list[Step]:
    """The steps by arrival: none before the beginning, and what falls into a downtime comes after it."""
    placed = []
    for step in sorted(steps, key=when):
        at = max(begin, when(step))
        for down, up in downs:
            at = up if down <= at < up else at
        if step[0] != "tick" or at == when(step):
            placed.append(moved(step, at))
    return sorted(placed, key=lambda step: (when(step), RANK[step[0]]))


def known(steps: list[Step], sensors: set[str]) -> list[Step]:
    """The steps without readings of sensors that the registry does not have at the time."""
    found = []
    for step in steps:
        if step[0] == "configure":
            sensors = {row["id"] for row in tomllib.loads(step[2]).get("sensor", [])}
        if step[0] not in ARRIVAL or step[1] in sensors:
            found.append(step)
    return found


def world(seed: int, size: int) -> World:
    """A world of about `size` offers."""
    r = Random(seed)
    zone, day = r.choice(CITIES)
    local = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)) + timedelta(
        minutes=r.choice([r.randint(-60, 300), r.randint(-720, 1440)])
    )
    begin = int(local.timestamp() * 1000) + r.choice([0, r.randint(0, TICK)])
    quantities = r.choice([list(KINDS), ["rain", "rain", "water_level"], r.sample(list(KINDS), 1)])
    sensors = [a_sensor(r, f"sensor-{n}", quantities) for n in range(1, r.randint(1, 6) + 1)]
    rules = [a_rule(r, f"rule-{n}", sensors, local) for n in range(1, r.randint(3, 12) + 1)]
    steps = [step for row in sensors for step in offers(r, row, rules, begin, max(1, size // len(sensors)))]
    end = max(begin, *(when(step) for step in steps))
    downs = [(at, at + r.choice([MINUTE, 10 * MINUTE, 3 * HOUR])) for at in some_times(r, begin, end, 2)]
    steps += [("start", up) for _, up in downs]
    steps += [("tick", at // TICK * TICK) for at in some_times(r, begin, end + HOUR, size // 10)]
    steps += changes(r, local, sensors, rules, some_times(r, begin, end, r.choice([2, 6, 20])))
    at = begin - r.choice([0, r.randint(0, MINUTE)])
    steps = known(in_order(steps, at, downs), {row["id"] for row in sensors})
    last = max((when(step) for step in steps), default=at) + 20 * MINUTE
    steps.append(("tick", last // TICK * TICK))
    return World(at, city_toml(zone, sensors), all_rules(rules), tuple(steps))
