"""The dashboards, one file each, and their table. A new one is a file here and a line below. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from grafana.board import Board, Scene
from grafana.boards import area, city, flood, gateways, power, rain, schools, sensor, system, warnings

BOARDS: Final[tuple[Callable[[Scene], Board], ...]] = (
    city.board,
    rain.board,
    flood.board,
    power.board,
    schools.board,
    area.board,
    sensor.board,
    gateways.board,
    warnings.board,
    system.board,
)


def boards(scene: Scene) -> list[Board]:
    return [make(scene) for make in BOARDS]
