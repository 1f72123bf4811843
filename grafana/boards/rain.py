"""Rain: every sum that a rule looks at, and what falls now."""

from __future__ import annotations

from grafana.asks import Ask
from grafana.board import AREAS, SENSORS, Board, Scene, area_variable, sensor_variable
from grafana.charts import area_table, flags, highest, judged_charts, level_key, nobody
from grafana.kinds import lines
from grafana.panels import SENSOR_NAME, Panel, heading
from grafana.units import unit_id
from grafana.words import Words

_HOUR_MS = 3_600_000


def board(scene: Scene) -> Board:
    return Board(
        "rain",
        Words("Mưa", "Rain"),
        Words(
            "Lượng mưa trong từng khoảng thời gian của quy tắc, theo trạm đo.",
            "Rain over every window of the rules, by gauge.",
        ),
        (
            *nobody(scene, "rain"),
            level_key(width=12),
            *highest(scene, "rain", "sum", _HOUR_MS),
            *highest(scene, "rain", "sum", 24 * _HOUR_MS),
            *area_table(scene, "rain", "sum", _HOUR_MS),
            *_falling(scene),
            heading(Words("Tổng lượng mưa và ngưỡng", "Sums and thresholds")),
            *judged_charts(scene, "rain", (AREAS, SENSORS)),
            *flags(scene, ["rain"], (AREAS, SENSORS)),
        ),
        (area_variable(scene, "rain"), sensor_variable(scene, "rain")),
        ("rain",),
    )


def _falling(scene: Scene) -> list[Panel]:
    if not scene.sensors("rain"):
        return []
    rain = scene.city.quantities["rain"]
    return [
        lines(
            Words("Mưa rơi trong từng khoảng của biểu đồ", "Rain in each interval of the chart"),
            [Ask("rain", "sum", "", (AREAS, SENSORS))],
            unit_id(rain),
            decimals=rain.decimals,
            name=SENSOR_NAME,
            bars=True,
            interval=scene.interval("rain"),
        )
    ]
