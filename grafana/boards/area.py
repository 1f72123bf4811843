"""One ward: everything that is measured in it."""

from __future__ import annotations

from grafana.board import AREAS, Board, Scene, area_variable
from grafana.charts import flags, level_key, shared_charts
from grafana.panels import heading, news
from grafana.words import Words


def board(scene: Scene) -> Board:
    measured = list(dict.fromkeys(sensor.quantity.name for sensor in scene.city.sensors.values()))
    shown = [panel for name in measured for panel in shared_charts(scene, name, (AREAS,))]
    return Board(
        "area",
        Words("Một phường, xã", "One ward"),
        Words("Mọi số đo của một phường, xã.", "Everything that is measured in one ward."),
        (
            level_key(width=12),
            news(Words("Cảnh báo ở đây", "Warnings here"), ("canhbao", "area:${area}"), height=8),
            heading(Words("Số đo", "Readings")),
            *shown,
            *flags(scene, measured, (AREAS,)),
        ),
        (area_variable(scene, *measured, several=False),),
        ("area:${area}",),
    )
