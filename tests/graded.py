"""Readings of a small city put through acceptance: which flags they are written down with, and what found them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.city import parse_city
from ingest.entries import Configuration
from ingest.readings import Flag, Readings
from processing import quality
from processing.acceptance import Acceptance, Acceptances
from processing.plan import Plan, compile_plan, next_ids

T0 = 1_665_720_000_000  # 2022-10-14T04:00:00Z
MINUTE, HOUR = 60_000, 3_600_000
HEAD = '[city]\nname = "c"\n[[area]]\ncode = "a"\nname = "a"\nlat = 16.0\nlon = 108.0\n'
Flags = NDArray[np.uint8]


def sensor_toml(id_: str, quantity: str, *lines: str, period: str = "60s") -> str:
    stated = f'period = "{period}"\n' if period else ""
    return f'[[sensor]]\nid = "{id_}"\nquantity = "{quantity}"\narea = "a"\n{stated}' + "".join(f"{x}\n" for x in lines)


def plan_of(city_toml: str, rules_toml: str = "") -> Plan:
    return compile_plan(Configuration(T0, city_toml, rules_toml, next_ids((), parse_city(city_toml))))


class Graded:
    """Sensors of a city, offered readings as (sensor number, t, value as sent, arrival)."""

    def __init__(self, *sensors: str, rules: str = "", head: str = HEAD) -> None:
        self.plan = plan_of(head + "".join(sensors), rules)
        self.acceptance = Acceptance()
        self.acceptance.configure(self.plan)
        self.last = Acceptances(Readings.empty(), np.empty(0, np.int32), *(np.empty(0, np.int64),) * 3)

    def offer(
        self, values: Sequence[float | None], *, number: int = 0, begin: int = T0, every: int = MINUTE,
        times: Sequence[int] | None = None, given: int = Flag.NOT_EVALUATED,
    ) -> Flags:  # fmt: skip
        """The flags of one sensor's readings, in the order in which they arrive."""
        raw = np.array([np.nan if value is None else value for value in values], np.float64)
        t = np.array(times if times is not None else [begin + n * every for n in range(len(raw))], np.int64)
        sensor = np.full(len(raw), number, np.int32)
        self.last = self.acceptance.accept(sensor, t, raw, np.full(len(raw), given, np.uint8), np.maximum.accumulate(t))
        return self.last.readings.flag

    @property
    def told(self) -> dict[tuple[str, int], int]:
        """(test, flag) -> how often, of the last offer."""
        return dict(quality.told(self.last.found))


def flags(values: Sequence[float | None], quantity: str, *lines: str, every: int = MINUTE) -> list[int]:
    """The flags of one sensor's readings in their order, `every` ms one."""
    graded = Graded(sensor_toml("s", quantity, *lines, period=f"{every}ms"))
    return [int(flag) for flag in graded.offer(values, every=every)]
