"""Schools: what the rules for classrooms judge, and humidity beside it."""

from __future__ import annotations

from grafana.board import AREAS, Board, Scene, area_variable
from grafana.charts import flags, highest, judged_charts, level_key, nobody, quantity_charts
from grafana.panels import heading
from grafana.words import Words

_ROOM = ("co2", "pm25", "pm10", "noise", "light", "temperature", "humidity")


def board(scene: Scene) -> Board:
    return Board(
        "schools",
        Words("Trường học", "Schools"),
        Words(
            "Không khí, tiếng ồn, ánh sáng và nhiệt độ lớp học; quy tắc chỉ xét giờ học.",
            "Air, noise, light and temperature of classrooms; the rules judge school hours only.",
        ),
        (
            *nobody(scene, *_ROOM),
            level_key(width=12),
            *highest(scene, "co2", "mean", 900_000),
            *highest(scene, "temperature", "mean", 900_000),
            heading(Words("Lớp học và ngưỡng", "Classrooms and thresholds")),
            *judged_charts(scene, "school", (AREAS,)),
            *quantity_charts(scene, "humidity", (AREAS,)),
            *flags(scene, _ROOM, (AREAS,)),
        ),
        (area_variable(scene, *_ROOM),),
        ("school",),
    )
