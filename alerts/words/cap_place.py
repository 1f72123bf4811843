"""Where a warning holds, as CAP says it: a circle around the places that measured it, and the ward's outline.

Only what somebody measured or drew: an area that nobody has a place or an outline of is named by its code alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, shape

from ingest.city import City, ConfigError

PLACE_KM: Final = 1.0  # what one sensor speaks for, at least: our choice; streets differ within a kilometre
BLURRED_DECIMALS: Final = 2  # about a kilometre: a meter in somebody's house is not to be found by its warning
BOX_MARGIN_DEG: Final = 0.3  # some 33 km around everything registered: a swapped pair or a wrong sign is far outside
RINGS_MOST: Final = 8  # of one area, the largest first; what is left out is islands that the code still names
POINTS_MOST: Final = 100  # of one ring: the outline is made coarser until it has no more
DECIMALS: Final = 5  # about a metre
_COARSENESS_DEG: Final = tuple(0.0002 * 2**k for k in range(12))  # 22 m and coarser
_EARTH_KM: Final = 6371.0088  # mean radius, IUGG

Ring: TypeAlias = tuple[tuple[float, float], ...]  # (lat, lon), closed
Box: TypeAlias = tuple[float, float, float, float]  # south, west, north, east


@dataclass(frozen=True, slots=True)
class Circle:
    """Degrees and kilometres."""

    lat: float
    lon: float
    km: float


def circle_of(sensors: Iterable[str], area: str, city: City) -> Circle | None:
    """Around the places of those of these sensors that stand in the area; None where none of them does.

    A river gauge that speaks for wards downstream is no place in them: a circle around it would warn the wrong ones.
    Where one of the sensors is not public, centre and radius are blurred.
    """
    known = [city.sensors[name] for name in sensors if name in city.sensors]
    here = [sensor for sensor in known if sensor.area == area and (sensor.lat, sensor.lon) != (0.0, 0.0)]
    if not here:
        return None
    public = all(sensor.public for sensor in here)
    decimals, steps_a_km = (DECIMALS, 10) if public else (BLURRED_DECIMALS, 1)
    lats, lons = [sensor.lat for sensor in here], [sensor.lon for sensor in here]
    lat, lon = round((min(lats) + max(lats)) / 2, decimals), round((min(lons) + max(lons)) / 2, decimals)
    reach_km = max(distance_km(lat, lon, sensor.lat, sensor.lon) for sensor in here)
    return Circle(lat, lon, math.ceil((reach_km + PLACE_KM) * steps_a_km) / steps_a_km)


def distance_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Along the great circle (haversine formula)."""
    phi, other_phi = math.radians(lat), math.radians(other_lat)
    half = math.sin((other_phi - phi) / 2) ** 2
    half += math.cos(phi) * math.cos(other_phi) * math.sin(math.radians(other_lon - lon) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def outlines(geojson: str, file: str = "areas_geojson") -> dict[str, tuple[Ring, ...]]:
    """Code -> rings, of a FeatureCollection of (multi)polygons with the property `code` (RFC 7946).

    Raises ConfigError naming the file, for what is none and for an outline that cannot be drawn without crossing.
    """
    try:
        features = json.loads(geojson)["features"]
        return {str(one["properties"]["code"]): _rings(shape(one["geometry"])) for one in features}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ShapelyError) as error:
        expected = "a GeoJSON FeatureCollection of polygons, each with properties.code"
        raise ConfigError("areas_geojson", f"{type(error).__name__}: {error}", expected, file) from None


def box_of(city: City, rings: Mapping[str, tuple[Ring, ...]]) -> Box | None:
    """What everything registered lies in, with a margin; None where nothing has a place."""
    points = {(a.lat, a.lon) for a in city.areas.values()} | {(s.lat, s.lon) for s in city.sensors.values()}
    points |= {point for of_area in rings.values() for ring in of_area for point in ring}
    points.discard((0.0, 0.0))  # the registry's word for nowhere
    if not points:
        return None
    lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
    south, west, north, east = min(lats), min(lons), max(lats), max(lons)
    return south - BOX_MARGIN_DEG, west - BOX_MARGIN_DEG, north + BOX_MARGIN_DEG, east + BOX_MARGIN_DEG


def crosses_itself(ring: Ring) -> bool:
    return not Polygon([(lon, lat) for lat, lon in ring]).is_valid


def _rings(outline: object) -> tuple[Ring, ...]:
    parts: Iterable[Polygon]
    if isinstance(outline, MultiPolygon):
        parts = outline.geoms
    elif isinstance(outline, Polygon):
        parts = (outline,)
    else:
        raise TypeError(f"{type(outline).__name__}, no polygon")
    largest = sorted(parts, key=lambda part: part.area, reverse=True)[:RINGS_MOST]
    return tuple(_ring(part) for part in largest)


def _ring(part: Polygon) -> Ring:
    """Its outer border, coarse enough; CAP's polygons have no holes."""
    for coarseness in _COARSENESS_DEG:
        points = list(Polygon(part.exterior).simplify(coarseness).exterior.coords)
        ring = tuple((round(lat, DECIMALS), round(lon, DECIMALS)) for lon, lat, *_ in reversed(points))
        if len(ring) <= POINTS_MOST and not crosses_itself(ring):
            return ring
    raise ValueError("an outline that crosses itself, or cannot be made coarser without")
