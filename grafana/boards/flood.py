"""Flood: water in streets, and rivers beside the levels of each station."""

from __future__ import annotations

from grafana.board import AREAS, SENSORS, Board, Scene, area_variable, sensor_variable
from grafana.charts import area_table, flags, highest, level_key, nobody, quantity_charts
from grafana.panels import heading
from grafana.words import Words

_WATER = ("street_depth", "water_level")
_MEAN_MS = 180_000  # the default rule's window


def board(scene: Scene) -> Board:
    return Board(
        "flood",
        Words("Ngập và mực nước sông", "Flood"),
        Words(
            "Độ sâu ngập đường; mực nước sông cạnh ngưỡng của từng trạm.",
            "Street depth; river levels beside each station's own thresholds.",
        ),
        (
            *nobody(scene, *_WATER),
            level_key(width=12),
            *highest(scene, "street_depth", "mean", _MEAN_MS),
            *highest(scene, "rain", "sum", 3_600_000),
            *area_table(scene, "street_depth", "mean", _MEAN_MS),
            heading(Words("Ngập đường", "Streets")),
            *quantity_charts(scene, "street_depth", (AREAS, SENSORS)),
            heading(Words("Sông", "Rivers")),
            *quantity_charts(scene, "water_level", (AREAS,)),
            *flags(scene, _WATER, (AREAS,)),
        ),
        (area_variable(scene, *_WATER), sensor_variable(scene, "street_depth")),
        ("flood",),
    )
