"""Seven faults, each alone on one sensor during measured rain and floods: what flags it, and what reaches a level.

The table of docs/reference/quality.md is the expected one. Times ms UTC; a reading is (sensor, t, value, arrival).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graded import HOUR, MINUTE
from test_service import JUDGED, rules_for

from firmware_sim.tidy import read, tidy_city
from ingest.city import parse_city
from ingest.entries import Batch, Configuration
from ingest.quantity import convert
from ingest.readings import Flag
from ingest.tidy import read_tidy
from processing.acceptance import Acceptance, Acceptances
from processing.engine import Engine
from processing.plan import next_ids
from processing.quality import told
from processing.replay import Tally, replay_rows

DOCS = Path(__file__).parents[1] / "docs" / "reference" / "quality.md"
Reading = tuple[str, int, float, int]
Fault = Callable[[list[Reading]], list[Reading]]
RULES = """
[[rule]]
name = "rain"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "1h"
levels = { advisory = 20, warning = 30, danger = 50, emergency = 80 }
[[rule]]
name = "river"
hazard = "flood"
quantity = "water_level"
statistic = "last"
levels = { advisory = 1.0, warning = 1.3, danger = 1.6, emergency = 2.5 }
[[rule]]
name = "street"
hazard = "flood"
quantity = "street_depth"
statistic = "last"
levels = { advisory = 0.1, warning = 0.2, danger = 0.3, emergency = 1.2 }
"""


@dataclass(frozen=True)
class Event:
    """Measured readings of one file, the sensor that will be faulty, and what goes wrong with it from `at` on."""

    name: str
    file: str
    quantity: str
    measured: str  # the quantity's name in the file
    period: int
    sensor: str
    begin: datetime
    at: datetime
    until: datetime
    jump: float  # the height of a spike and of a plateau
    creep: float  # of a drift, an hour


EVENTS = (
    Event("rain", "rain_amsterdam_pws_2017", "rain", "rain_5min", 5 * MINUTE, "pws-ams70",
          datetime(2017, 7, 29, 14, tzinfo=UTC), datetime(2017, 7, 29, 17, tzinfo=UTC),
          datetime(2017, 7, 30, 0, tzinfo=UTC), 34.0, 1.2),
    Event("river", "river_dead_run_2018-06", "water_level", "river_stage", 5 * MINUTE, "usgs-01589330",
          datetime(2018, 6, 3, 12, tzinfo=UTC), datetime(2018, 6, 3, 17, 30, tzinfo=UTC),
          datetime(2018, 6, 4, 6, tzinfo=UTC), 2.0, 0.2),
    Event("street", "street_floodnet_nyc", "street_depth", "street_depth", MINUTE, "BK-carroll-st-4th-av",
          datetime(2023, 9, 29, 11, tzinfo=UTC), datetime(2023, 9, 29, 13, 10, tzinfo=UTC),
          datetime(2023, 9, 30, 0, tzinfo=UTC), 0.6, 0.2),
)  # fmt: skip


def ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def readings(folder: Path, event: Event) -> list[Reading]:
    unit = "mm" if event.quantity == "rain" else "m"
    rows = read_tidy([folder / f"{event.file}.csv.gz"])
    return [(row.sensor_id, row.t, convert(row.value, row.unit, unit), row.t) for row in rows
            if row.quantity == event.measured and ms(event.begin) <= row.t < ms(event.until)]  # fmt: skip


def faults(event: Event) -> dict[str, Fault]:
    """Each takes the readings of one sensor and gives back what it sends instead."""
    at = ms(event.at)
    factor = 10.0 if event.quantity == "rain" else 3.28084

    def instead(change: Callable[[int, float], float], hours: float = 100) -> Fault:
        end = at + hours * HOUR
        return lambda own: [(s, t, change(t, v), a) if at <= t < end else (s, t, v, a) for s, t, v, a in own]

    def once(own: list[Reading]) -> list[Reading]:
        first = next(n for n, row in enumerate(own) if row[1] >= at)
        s, t, v, a = own[first]
        return [*own[:first], (s, t, v + event.jump, a), *own[first + 1 :]]

    def stuck(own: list[Reading]) -> list[Reading]:
        value = 0.0 if event.quantity == "rain" else next(v for _, t, v, _ in own if t >= at)
        times = range(at, ms(event.until), event.period)
        return [row for row in own if row[1] < at] + [(own[0][0], t, value, t) for t in times]

    def behind(own: list[Reading]) -> list[Reading]:
        return [(s, t - 2 * HOUR + 17_000, v, a) if t >= at else (s, t, v, a) for s, t, v, a in own]

    def again(own: list[Reading]) -> list[Reading]:
        return own + [(s, t, v, t + 30 * MINUTE) for s, t, v, _ in own if at - HOUR <= t < at]

    return {
        "none": lambda own: own,
        "spike": once,
        "plateau": instead(lambda _t, _v: event.jump, 1),
        "unit jump": instead(lambda _t, v: v * factor),
        "drift": instead(lambda t, v: v + event.creep * (t - at) / HOUR),
        "stuck": stuck,
        "clock": behind,
        "replayed": again,
    }


def city_toml(event: Event, folder: Path, sensors: Sequence[str]) -> str:
    places = {}
    if event.quantity == "rain":
        with (folder / "rain_amsterdam_pws_stations.csv").open() as file:
            places = {row["sensor_id"]: (row["latitude"], row["longitude"]) for row in csv.DictReader(file)}
    text = '[city]\nname = "c"\n[[area]]\ncode = "a"\nname = "a"\n'
    for id_ in sensors:
        lat, lon = places.get(id_, ("52.3", "4.9"))
        text += (f'[[sensor]]\nid = "{id_}"\nquantity = "{event.quantity}"\narea = "a"\n'
                 f'period = "{event.period}ms"\nlat = {lat}\nlon = {lon}\n')  # fmt: skip
    return text


def line(event: Event, fault: str, sent: list[Reading], folder: Path, sensor: str) -> str:
    """One row of the table: the flags and findings of the faulty sensor from the fault on, and its highest levels."""
    toml = city_toml(event, folder, sorted({row[0] for row in sent}))
    ids = next_ids((), parse_city(toml))
    engine, acceptance = Engine(), Acceptance()
    engine.step(Configuration(ms(event.begin), toml, RULES, ids))
    acceptance.configure(engine.plan)
    number, flag, found, level, repeated = ids.index(sensor), Counter[int](), Counter[str](), 0, 0
    sent = sorted(sent, key=lambda row: row[3])
    for arrival, group in groupby(sent, key=lambda row: row[3]):
        rows = list(group)
        columns = (np.array([ids.index(s) for s, *_ in rows], np.int32), np.array([t for _, t, *_ in rows], np.int64),
                   np.array([v for _, _, v, _ in rows], np.float64))  # fmt: skip
        taken = acceptance.accept(*columns, np.full(len(rows), Flag.NOT_EVALUATED, np.uint8),
                                  np.full(len(rows), arrival, np.int64))  # fmt: skip
        for one in engine.step(Batch(taken.readings)).transitions:
            level = max(level, one.to) if one.sensor == sensor and arrival >= ms(event.at) else level
        own = taken.readings.sensor == number
        if arrival >= ms(event.at):
            repeated += len(taken.duplicates) + len(taken.conflicts)
            flag.update(taken.readings.flag[own].tolist())
            found.update(test for test, _ in told(taken.found[own]).elements())
    tests = ", ".join(f"{test} {n}" for test, n in sorted(found.items())) or "–"
    kept = " ".join(f"{name} {flag[code]}" for name, code in (("good", 1), ("suspect", 3), ("fail", 4)) if flag[code])
    kept += f" (repeated {repeated})" if repeated else ""
    return f"| {event.name} | {fault} | {kept} | {tests} | {level} |"


@pytest.mark.slow
def test_seven_faults_are_flagged_and_reach_levels_as_the_docs_say(shared_data: Path) -> None:
    lines = []
    for event in EVENTS:
        rows = readings(shared_data, event)
        sensor = next(s for s in dict.fromkeys(row[0] for row in rows) if s.startswith(event.sensor))
        others = [row for row in rows if row[0] != sensor and event.quantity == "rain"]
        for fault, change in faults(event).items():
            sent = change([row for row in rows if row[0] == sensor])
            lines.append(line(event, fault, others + sent, shared_data, sensor))
    table = "\n".join(lines)
    print(table)

    assert table in DOCS.read_text("utf-8")


OURS = {  # what the files call by names of their own, and one file's thresholds, which are feet
    "rain_5min": "rain", "river_stage": "water_level",
    "advisory = 3, warning = 5": "advisory = 0.9144, warning = 1.524",
    "advisory = 2, warning = 4": "advisory = 0.6096, warning = 1.2192",
}  # fmt: skip


def ours(text: str) -> str:
    for theirs, name in OURS.items():
        text = text.replace(theirs, name)
    return text


def levels_told(folder: Path, name: str, *, graded: bool) -> tuple[list[str], int]:
    """The transitions of a measured file under the rules of test_service.py, and how many readings fail."""
    toml = re.sub(r'\[\[quantity\]\]\nname = "(rain|water_level)"\n(.+\n)+', "",
                  ours(tidy_city(read([folder / f"{name}.csv.gz"]), "gw-1")))  # fmt: skip
    toml = toml if graded else toml.replace("[[sensor]]\n", '[[sensor]]\nquality.off = "all"\n')
    failed: list[int] = []
    accept = Acceptance.accept

    def noted(self: Acceptance, *columns: Any) -> Acceptances:
        found = accept(self, *columns)
        failed.append(int((found.readings.flag == Flag.FAIL).sum()))
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Acceptance, "accept", noted)
        rows = [row._replace(quantity=ours(row.quantity)) for row in read_tidy([folder / f"{name}.csv.gz"])]
        told = [one.to_json() for one in replay_rows(rows, toml, ours(rules_for(name)), Tally())]
        return told, sum(failed)


@pytest.mark.slow
@pytest.mark.parametrize("name", JUDGED)
def test_no_measured_reading_fails_and_the_levels_are_those_without_quality_tests(name: str, shared_data: Path) -> None:
    graded, failed = levels_told(shared_data, name, graded=True)
    plain, none = levels_told(shared_data, name, graded=False)

    assert plain
    assert (failed, none) == (0, 0)
    assert graded == plain
