"""14 October 2022 over the fleet of the simulator, from noon to the next morning: rain gauges, towers, transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from timeline.world import Sent

from firmware_sim.devices import MINUTES, TippingBucket, Tower, TransformerNode
from firmware_sim.fleet import Fleet, city_toml, fleet
from firmware_sim.storm import BEGIN_MS, HOUR_MS, MINUTE_MS, NOON_MS
from ingest.city import DEFAULT_CITY_FILE, parse_city

BEGIN: Final = NOON_MS
END: Final = BEGIN_MS + 42 * HOUR_MS  # 19:00 of the next day: eighteen hours after the last rain
_PLAYED: Final = (TippingBucket, Tower, TransformerNode)  # schools tell residents nothing


@dataclass(frozen=True, slots=True)
class Town:
    """The city file, what arrives, and the truth of each street."""

    city_toml: str
    areas: tuple[str, ...]
    sent: Sent
    towers_of: dict[str, list[Tower]]

    def deepest(self, area: str, at: int) -> float:
        """The deepest water in the streets of an area, m; NaN where it has no tower."""
        minute = min(max((at - int(MINUTES[0])) // MINUTE_MS, 0), len(MINUTES) - 1)
        return max((float(tower.depth_m[minute]) for tower in self.towers_of.get(area, ())), default=math.nan)


def town(seed: int) -> Town:
    base = parse_city(DEFAULT_CITY_FILE.read_text("utf-8"))
    whole = fleet(base, seed)
    devices = tuple(device for device in whole.devices if isinstance(device, _PLAYED))
    known = {series.sensor for device in devices for series in device.series(BEGIN, BEGIN + HOUR_MS)}
    made = Fleet(whole.gateways, tuple(row for row in whole.rows if row.id in known), devices, whole.areas)
    out = made.readings(BEGIN, END)
    area_of = {row.id: row.area for row in made.rows}
    towers_of: dict[str, list[Tower]] = {}
    for device in devices:
        if isinstance(device, Tower):
            towers_of.setdefault(area_of[device.sensor], []).append(device)
    arrival = np.maximum.accumulate(out.sent)
    sent = Sent(out.sensor, out.t, out.value, arrival)
    return Town(city_toml(made, base), tuple(base.areas), sent, towers_of)
