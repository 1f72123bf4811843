"""Kernels are compiled (or read from numba's cache) before the first reading waits for them."""

from __future__ import annotations

from ingest.entries import Batch, Configuration
from ingest.readings import Readings
from processing.acceptance import Acceptance
from processing.engine import Engine

_CITY = """
[city]
name = "warm"
[[area]]
code = "a"
name = "a"
[[sensor]]
id = "s"
quantity = "rain"
area = "a"
period = "60s"
"""
_RULES = """
[[rule]]
name = "r"
hazard = "rain"
quantity = "rain"
statistic = "sum"
window = "10m"
levels = { advisory = 1 }
"""


def warm_up() -> None:
    """Two readings through every kernel."""
    engine, acceptance = Engine(), Acceptance()
    engine.step(Configuration(0, _CITY, _RULES, ("s",)))
    acceptance.configure(engine.plan)
    offered = Readings.of(sensor=[0, 0], t=[60_000, 120_000], value=[2.0, 0.0])
    found = acceptance.accept(offered.sensor, offered.t, offered.raw, offered.flag, offered.arrival)
    acceptance.recall(Readings.empty())
    engine.step(Batch(found.readings))
