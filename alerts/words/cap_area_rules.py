"""What is wrong with a place in a CAP document: polygons and circles that no map can draw, or far away ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from alerts.words.cap_in import CapArea
from alerts.words.cap_place import Box, crosses_itself

CIRCLE_KM_MOST: Final = 200.0  # wider than the city: a radius in metres, or a slip
_POINTS_LEAST: Final = 4  # the last is the first again
_NUMBER: Final = re.compile(r"-?\d{1,3}(?:\.(\d+))?\Z")
_DECIMALS_MOST: Final = 6


def area_faults(area: CapArea, box: Box | None) -> Iterator[str]:
    if not area.desc.strip():
        yield "no areaDesc"
    for text in area.polygons:
        yield from _polygon(text, box)
    for text in area.circles:
        yield from _circle(text, box)


def _polygon(text: str, box: Box | None) -> Iterator[str]:
    points, wrong = [], []
    for pair in text.split():
        point = _point(pair)
        if isinstance(point, str):
            wrong.append(point)
        else:
            points.append(point)
            wrong += _outside(point, box)
    if wrong:
        yield f"polygon: {wrong[0]}"
    elif len(points) < _POINTS_LEAST:
        yield f"polygon of {len(points)} points"
    elif points[0] != points[-1]:
        yield "polygon not closed"
    elif crosses_itself(tuple(points)):
        yield "polygon crosses itself"


def _circle(text: str, box: Box | None) -> Iterator[str]:
    centre, _, radius = text.partition(" ")
    point = _point(centre)
    if isinstance(point, str):
        yield f"circle: {point}"
        return
    yield from (f"circle: {fault}" for fault in _outside(point, box))
    if not _NUMBER.match(radius) or not 0 < float(radius) <= CIRCLE_KM_MOST:
        yield f"circle with the radius {radius!r}, more than 0 and at most {CIRCLE_KM_MOST:g} km"


def _point(pair: str) -> tuple[float, float] | str:
    """(lat, lon), or what is wrong with it."""
    parts = pair.split(",")
    numbers = [_NUMBER.match(part) for part in parts]
    if len(parts) != 2 or not all(numbers):
        return f"{pair!r} is no lat,lon"
    if any(len(number[1] or "") > _DECIMALS_MOST for number in numbers if number):
        return f"{pair!r} has more than {_DECIMALS_MOST} decimals"
    return float(parts[0]), float(parts[1])


def _outside(point: tuple[float, float], box: Box | None) -> list[str]:
    lat, lon = point
    if box is None:
        return [] if -90 <= lat <= 90 and -180 <= lon <= 180 else [f"{lat},{lon} is nowhere"]
    south, west, north, east = box
    inside = south <= lat <= north and west <= lon <= east
    return [] if inside else [f"{lat},{lon} is outside the city; is it lat,lon?"]
