"""What incidents cost the spine while a storm raises every tower: a reading, a rise, a restart, by size of the city.

Towers stand two to a ward, wards 3 km apart; each rises to danger and is heard once a minute for ten minutes. The
floor is the same news put in order and thrown away. CPU time; the engine, the ledger and texts are not in it.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median
from zoneinfo import ZoneInfo

from alerts.incidents.heard import Heard, in_order
from alerts.incidents.life_cycle import Incidents
from ingest.city import Area, City, Sensor
from ingest.quantity import CATALOGUE
from processing.rules import Hazard, Judgement, Rule, Rules, Statistic
from processing.transitions import StepResult, Transition

MINUTE_MS, MINUTES, START = 60_000, 10, 1_665_734_400_000
LEVELS = (0.1, 0.2, 0.3, 1.2)
DEPTH = Judgement(Statistic.LAST, 0, True, LEVELS, (0.09, 0.18, 0.27, 1.08))
RULES = Rules((Rule("depth", "flood", "street_depth", DEPTH),), {"flood": Hazard("flood")})


def city(towers: int) -> City:
    wards = [Area(f"W{n:05}", f"Ward {n}") for n in range((towers + 1) // 2)]
    depth, side = CATALOGUE["street_depth"], int(len(wards) ** 0.5) + 1
    sensors = {}
    for n in range(towers):
        ward, row, column = wards[n // 2], n // 2 // side, n // 2 % side
        at = (10.0 + row * 0.027 + n % 2 * 0.009, 105.0 + column * 0.027)
        sensors[f"tower-{n}"] = Sensor(f"tower-{n}", depth, ward.code, (ward.code,), lat=at[0], lon=at[1],
                                       period_ms=MINUTE_MS)  # fmt: skip
    return City("City", ZoneInfo("Asia/Ho_Chi_Minh"), {ward.code: ward for ward in wards}, {}, sensors)


def storm(towers: int) -> list[tuple[int, StepResult, list[Heard]]]:
    """One step a minute: all towers heard once, and in the first minute risen."""
    steps = []
    for minute in range(MINUTES):
        t = START + minute * MINUTE_MS
        heard = [Heard(n, f"tower-{n}", t, 1, t, 0.35) for n in range(towers)]
        rises = [Transition(t, one.sensor, "depth", 0, 3, 0.35, t) for one in heard] if not minute else []
        steps.append((t, StepResult(tuple(rises), order=tuple(range(len(rises)))), heard))
    return steps


def play(town: City, steps: list[tuple[int, StepResult, list[Heard]]]) -> tuple[float, float, Incidents]:
    """CPU seconds of the minute of rises and of the others."""
    incidents, spent = Incidents(), []
    for t, result, heard in steps:
        began = time.process_time()
        incidents.step(result, t, town, RULES, heard=heard)
        spent.append(time.process_time() - began)
    return spent[0], sum(spent[1:]), incidents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towers", type=int, nargs="*", default=[56, 560, 5_600], help="by default 56 560 5600")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    arguments = parser.parse_args()
    for towers in arguments.towers:
        town, steps = city(towers), storm(towers)
        rises, readings, restarts, floors = [], [], [], []
        for _ in range(arguments.rounds):
            rise_s, heard_s, incidents = play(town, steps)
            rises.append(rise_s / towers * 1e6)
            readings.append(heard_s / towers / (MINUTES - 1) * 1e6)
            began = time.process_time()
            Incidents(incidents.open).step(StepResult(), steps[-1][0], town, RULES)
            restarts.append((time.process_time() - began) / towers * 1e6)
            began = time.process_time()
            for _, result, heard in steps:
                for _news in in_order(result, heard):
                    pass
            floors.append((time.process_time() - began) / towers / MINUTES * 1e6)
        floor = median(floors)
        for name, values in (("rise", rises), ("reading", readings), ("restart, a tower", restarts)):
            value = median(values)
            line = {"bench": f"incidents: a {name}", "towers": towers, "value": round(value, 2), "unit": "us CPU",
                    "floor": round(floor, 2), "ratio": round(value / floor, 1), "n": arguments.rounds}  # fmt: skip
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
