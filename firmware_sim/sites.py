"""Where devices stand: dealt out over a city's areas, dense where people live."""

from __future__ import annotations

import math
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from firmware_sim.storm import distance_km
from ingest.city import Area

# Da Nang, Hội An, Tam Kỳ (lat, lon, share of the people). An engineering choice.
_CENTRES: Final = ((16.055, 108.205, 1.0), (15.88, 108.33, 0.25), (15.57, 108.48, 0.25))
_URBAN_KM: Final = 7.0
_STORM_KM_MAX: Final = 200.0  # an area farther from the storm (Hoàng Sa) has no devices
_JITTER_DEGREES: Final = 0.006  # devices stand within some 600 m of their area's point


@dataclass(frozen=True, slots=True)
class Site:
    """A device's id and where it stands; `place` is what people are told."""

    id: str
    area: Area
    lat: float
    lon: float
    place: str


def within_reach(areas: Sequence[Area]) -> list[Area]:
    """The areas that the storm can reach, in their order."""
    return [area for area in areas if distance_km(area.lat, area.lon, *_CENTRES[0][:2]) <= _STORM_KM_MAX]


def density(area: Area) -> float:
    """How many people live about here, on no particular scale."""
    return sum(w * math.exp(-distance_km(area.lat, area.lon, lat, lon) / _URBAN_KM) for lat, lon, w in _CENTRES)


def apportion(weights: Sequence[float], seats: int) -> list[int]:
    """`seats` dealt out in proportion to `weights` (Sainte-Laguë); equal claims go to the earlier."""
    dealt = [0] * len(weights)
    for _ in range(seats):
        best = max(range(len(weights)), key=lambda i: (weights[i] / (2 * dealt[i] + 1), -i))
        dealt[best] += 1
    return dealt


def nearest(areas: Sequence[Area], lat: float, lon: float) -> Area:
    return min(areas, key=lambda area: distance_km(lat, lon, area.lat, area.lon))


def slugs(areas: Sequence[Area]) -> dict[str, str]:
    """A short ASCII name for each area, by code; the code joins it where two would be the same."""
    found: dict[str, str] = {}
    for area in areas:
        plain = unicodedata.normalize("NFD", (area.name_en or area.name).lower().replace("đ", "d"))
        slug = re.sub(r"[^a-z0-9]+", "-", plain.encode("ascii", "ignore").decode()).strip("-")[:18].strip("-")
        if not slug or slug in found.values():
            slug = f"{slug}-{re.sub(r'[^a-z0-9]', '', area.code.lower())[:8]}".strip("-")
        found[area.code] = slug
    return found


def sites(
    kind: str, what: str, areas: Sequence[Area], count: int, *, seed: int, weight: Callable[[float], float]
) -> list[Site]:
    """`count` places for devices of a kind, called `what` in texts; `weight` of an area's density decides how many."""
    names = slugs(areas)
    found: list[Site] = []
    for area, seats in zip(areas, apportion([weight(density(a)) for a in areas], count), strict=True):
        draw = random.Random(f"{seed}/{kind}/{area.code}")
        for n in range(1, seats + 1):
            lat = round(area.lat + draw.uniform(-_JITTER_DEGREES, _JITTER_DEGREES), 5)
            lon = round(area.lon + draw.uniform(-_JITTER_DEGREES, _JITTER_DEGREES), 5)
            found.append(Site(f"{kind}-{names[area.code]}-{n}", area, lat, lon, f"{what} {area.name} {n}"))
    return found
