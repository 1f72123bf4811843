"""Seeded random registries and rules, as city.toml and rules.toml say them, and changes of both.

All valid by CONTRACTS sections 2 and 4; many stand on an edge (equal thresholds, thresholds under zero).
"""

import copy
import json
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
Table = dict[str, Any]


class Kind(NamedTuple):
    """The values a quantity takes here: lowest, highest, and the grid its thresholds lie on."""

    low: float
    high: float
    grid: float


KINDS = {
    "rain": Kind(0.0, 5.0, 0.5),
    "water_level": Kind(-2.0, 4.0, 0.25),
    "street_depth": Kind(0.0, 1.5, 0.1),
    "temperature": Kind(-5.0, 6.0, 1.0),
    "battery": Kind(0.0, 20.0, 1.0),
    "voltage": Kind(200.0, 240.0, 5.0),
}
HAZARDS = {"rain": "rain", "water_level": "flood", "street_depth": "flood", "voltage": "power"}
PERIODS: tuple[str | None, ...] = ("2s", "5s", "10s", "60s", "60s", "60s", "5m", "10m", "15m", None)
STATISTICS = ("last", "last", "sum", "sum", "mean", "max", "min", "rise", "rise", "count")
DAYS = ("mon-sun", "mon-sat", "sat-sun", "mon", "wed", "fri", "sat", "sun")
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR}


def milliseconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def span(ms: int) -> str:
    """A length as people write it: 3600000 is "1h", "60m" or "3600s"; here the shortest."""
    return next(f"{ms // size}{unit}" for unit, size in reversed(UNITS.items()) if ms % size == 0)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(x)}" for key, x in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def city_toml(zone: str, sensors: list[Table]) -> str:
    head = f'[city]\nname = "Đà Nẵng"\ntimezone = "{zone}"\nareas_geojson = ""\n\n'
    area = '[[area]]\ncode = "20242"\nname = "Hải Châu"\nname_en = "Hai Chau"\nlat = 16.06\nlon = 108.22\n'
    return head + area + "".join(f"\n[[sensor]]\n{keys(row)}" for row in sensors)


def rules_toml(rules: list[Table]) -> str:
    text = ""
    for rule in rules:
        text += "\n[[rule]]\n" + keys({key: x for key, x in rule.items() if key != "station"})
        for station, own in rule.get("station", {}).items():
            text += f"[rule.station.{station}]\n" + keys(own)
    return text


def endings_toml(rules: list[Table]) -> str:
    text = ""
    for hazard in sorted({rule["hazard"] for rule in rules}):
        ends = some_ending(hazard, [rule for rule in rules if rule["hazard"] == hazard])
        text += f"\n[hazard.{hazard}]\nends_when = {toml(ends)}\n" if ends else ""
    return text


def some_ending(hazard: str, rules: list[Table]) -> Table:
    """Now and then when a hazard ends: at a threshold of its rules or on their grid, over windows as they have.

    A chance of its own: the worlds of older seeds keep all else that they had. It changes with the first rule's name
    and the number of rules, so that most changes of rules leave it as it was.
    """
    r = Random(repr((hazard, rules[0]["name"], len(rules))))
    if r.random() < 0.5:
        return {}
    like = r.choice(rules)
    statistic = r.choice(STATISTICS)
    windows = [rule["window"] for rule in rules if "window" in rule] + ["30s", "10m", "1h", "24h"]
    marks = [x for rule in rules for x in rule.get("levels", {}).values()]
    low, high, grid = KINDS[like["quantity"]]
    below = r.choice([*marks, grid * r.randint(round(low / grid), round(high / grid)), 0.0])
    return (
        {"statistic": statistic}
        | ({} if statistic == "last" else {"window": r.choice(windows)})
        | {"below": below, "for": r.choice(["1s", "2h"])}
    )


def keys(row: Table) -> str:
    return "".join(f"{key} = {toml(x)}\n" for key, x in row.items())


def a_sensor(r: Random, name: str, quantities: list[str]) -> Table:
    quantity = r.choice(quantities)
    row: Table = {
        "id": name,
        "quantity": quantity,
        "area": "20242",
        "lat": 16.061,
        "lon": 108.221,
        "place": "Hồ",
        "quality": {"off": "all"},  # the world gives the flags; tests of quality take this out
    }
    period = r.choice(PERIODS)
    if period:
        row["period"] = period
    if quantity == "rain" and r.random() < 0.5:
        row["counter"] = True
        if r.random() < 0.5:
            row["wrap"] = r.choice([50.0, 655.35])
    if r.random() < 0.5:
        row["station"] = r.choice(["cam_le", "ai_nghia"])
    return row


def is_valid(levels: list[float], keys_of_clear: Table, quantity: str, *, above: bool) -> bool:
    """Whether the contract lets these thresholds stand beside this way of clearing."""
    if not keys_of_clear:
        return 0.0 not in levels and quantity != "voltage"
    clears = [x * keys_of_clear.get("clear", 1.0) for x in levels]
    return all(c <= x if above else c >= x for x, c in zip(levels, clears, strict=True))


def some_levels(r: Random, rule: Table, clear: Table, members: int) -> Table:
    """Any part of the four levels, monotone, often equal, on the grid of what the statistic yields."""
    low, high, grid = KINDS[rule["quantity"]]
    scale = {"sum": members, "rise": 10}.get(rule["statistic"], 1)
    if rule["statistic"] == "count":
        low, high, grid = 0.0, members + 1.0, 1.0
    names = [name for name in ("advisory", "warning", "danger", "emergency") if r.random() < 0.7] or ["danger"]
    above = rule.get("direction") != "below"
    while True:
        points = [grid * scale * r.randint(round(low / grid), round(high / grid)) for _ in names]
        if rule["statistic"] == "rise" and low == 0.0:
            points = [x * r.choice([1, 1, -1]) for x in points]
        if is_valid(points, clear, rule["quantity"], above=above):
            points = [round(x, 6) for x in sorted(points, reverse=not above)]
            return dict(zip(names, (int(x) if x == int(x) and r.random() < 0.5 else x for x in points), strict=True))


def some_clear(r: Random, rule: Table) -> Table:
    """A factor, a distance, or neither, as the contract allows for the quantity and the direction."""
    low, _, grid = KINDS[rule["quantity"]]
    clear = r.choice([{}, {"clear": r.choice([0.9, 0.5, 1.0, 1.1])}, {"clear_by": r.choice([0.0, grid, 2 * grid])}])
    if rule["quantity"] == "voltage" and not clear:
        return {"clear_by": grid}
    eases = (clear.get("clear", 1.0) <= 1.0) == (rule.get("direction") != "below")
    if "clear" in clear and not eases and (low >= 0.0 or rule["statistic"] == "count"):
        return {"clear_by": grid}  # such a factor would need thresholds under zero
    return clear


def some_stations(r: Random, rule: Table, clear: Table, period: int, members: int) -> Table:
    """Own levels and own keys of stations, for some of the two stations."""
    own: Table = {}
    for station in (name for name in ("cam_le", "ai_nghia") if r.random() < 0.25):
        own[station] = r.choice([{}, {"hold": span(2 * period)}, {"hold_clear": span(period)}])
        if "window" in rule and r.random() < 0.3:
            own[station]["window"] = span(period * 6)
        if "clear_by" in clear and r.random() < 0.5:
            own[station]["clear_by"] = 3 * clear["clear_by"]
        if r.random() < 0.6 or not own[station]:
            own[station]["levels"] = some_levels(r, rule, clear, members)
    return own


def some_schedule(r: Random, local: datetime) -> Table:
    """Opening and close around the world's local time: by day, over midnight, now and then the same."""
    near = r.choice([(-90, 240), (-2, 30), (1, 10)])
    begin, end = (local + timedelta(minutes=r.randint(*near)) for _ in range(2))
    end = begin if r.random() < 0.3 else end
    return {"days": r.choice(DAYS), "from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}


def a_rule(r: Random, name: str, sensors: list[Table], local: datetime) -> Table:
    """A rule for the quantity of one of the sensors, its window a few of that sensor's periods or hours."""
    like = r.choice(sensors)
    quantity, period = like["quantity"], milliseconds(like.get("period", "60s"))
    members = r.choice([1, 2, 3, 4, 5, 10, 30])
    rule: Table = {"name": name, "hazard": HAZARDS.get(quantity, "own"), "quantity": quantity}
    rule["statistic"] = r.choice(STATISTICS)
    if rule["statistic"] != "last":
        rule["window"] = r.choice([span(period * members), span(period * members), "30s", "10m", "1h", "3h", "24h"])
        members = min(30, max(1, milliseconds(rule["window"]) // period))
        rule |= r.choice([{}, {}, {"min_readings": r.randint(1, 5)}])
    rule |= r.choice([{}, {}, {"direction": "below"}, {"direction": "above"}])
    for key in ("hold", "hold_clear"):
        rule |= r.choice([{}, {key: span(period * r.choice([0, 1, 2, 5, 12]))}])
    rule |= r.choice([{}, {}, {"schedule": some_schedule(r, local)}])
    clear = some_clear(r, rule)
    own = some_stations(r, rule, clear, period, members)
    if not any("levels" in table for table in own.values()) or r.random() < 0.6:
        rule["levels"] = some_levels(r, rule, clear, members)
    else:
        own = {station: table for station, table in own.items() if "levels" in table}
    # A chance of its own: the worlds of older seeds keep all else that they had.
    rule |= Random(repr(rule)).choice([{}, {}, {"suspect": "skip"}, {"suspect": "use"}])
    return rule | clear | ({"station": own} if own else {})


def changed_rules(r: Random, rules: list[Table], sensors: list[Table], local: datetime, n: str) -> list[Table]:
    """Other thresholds, windows, names, order; one more, one fewer; or the same with its keys shuffled."""
    rules, fresh = copy.deepcopy(rules), a_rule(r, f"rule-{n}-new", sensors, local)
    rule = r.choice(rules)
    match r.choice(["threshold", "remove", "add", "rename", "grow", "shrink", "hold", "order", "replace", "keys"]):
        case "threshold" if "levels" in rule:
            clear = {key: x for key, x in rule.items() if key in ("clear", "clear_by")}
            rule["levels"] = some_levels(r, rule, clear, 3)
        case "remove" if len(rules) > 1:
            rules.remove(rule)
        case "add":
            rules.insert(r.randint(0, len(rules)), fresh)
        case "rename":
            rule["name"] += f"-{n}"
        case "grow" if "window" in rule:
            rule["window"] = span(min(milliseconds(rule["window"]) * r.choice([2, 6]), 31 * 24 * HOUR))
        case "shrink" if "window" in rule:
            rule["window"] = span(max(2 * SECOND, milliseconds(rule["window"]) // 2 // SECOND * SECOND))
        case "hold":
            rule[r.choice(["hold", "hold_clear"])] = r.choice(["0s", "1m", "2m", "5m", "1h"])
        case "order":
            r.shuffle(rules)
        case "replace":
            rules[rules.index(rule)] = fresh | {"name": rule["name"]}
        case _:
            rules = [dict(r.sample(list(row.items()), len(row))) for row in rules]
    return rules


def changed_city(r: Random, sensors: list[Table], all_sensors: list[Table]) -> list[Table]:
    """A sensor gone or back, another period, quantity, station or way of counting, another order."""
    sensors = copy.deepcopy(sensors)
    row, back = r.choice(sensors), r.choice(all_sensors)
    match r.choice(["remove", "return", "period", "quantity", "station", "counter", "order"]):
        case "remove" if len(sensors) > 1:
            sensors.remove(row)
        case "return" if all(have["id"] != back["id"] for have in sensors):
            sensors.append(back)
        case "period":
            row["period"] = r.choice(["5s", "60s", "5m"])
        case "quantity":
            sensors[sensors.index(row)] = a_sensor(r, row["id"], list(KINDS))
        case "station":
            row["station"] = "cam_le" if row.get("station") != "cam_le" else "ai_nghia"
        case "counter" if row["quantity"] == "rain":
            row["counter"] = not row.get("counter", False)
            row.pop("wrap", None)
        case _:
            r.shuffle(sensors)
    return sensors
