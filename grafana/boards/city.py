"""The city at a glance: levels, what is heard, where it is worst."""

from __future__ import annotations

from grafana.asks import Match, Service
from grafana.board import TAG, Board, Scene
from grafana.charts import area_table, highest, level_key
from grafana.kinds import figures, lines
from grafana.levels import CLOCK, PLAIN, TROUBLE
from grafana.panels import Panel, news, override
from grafana.units import NONE
from grafana.words import LEVELS, STATUSES, Words

_HOUR_MS = 3_600_000


def board(scene: Scene) -> Board:
    return Board(
        "city",
        Words(f"{scene.city.name}: toàn thành phố", f"{scene.city.name}: the whole city"),
        Words(
            "Mức cảnh báo, cảm biến có tín hiệu, nơi đáng lo nhất.",
            "Levels, which sensors are heard, where it is worst.",
        ),
        (
            figures(Words("Đồng hồ", "Clock"), [Service("canhbao_clock_simulated")], NONE, mapping=CLOCK, width=4),
            level_key(width=12),
            _heard(),
            *highest(scene, "rain", "sum", _HOUR_MS),
            *highest(scene, "rain", "sum", 24 * _HOUR_MS),
            *highest(scene, "street_depth", "mean", 180_000),
            *highest(scene, "temperature", "mean", 900_000),
            news(Words("Cảnh báo", "Warnings"), (TAG,)),
            lines(
                Words("Cảm biến ở từng mức", "Sensors at each level"),
                [Service("canhbao_sensors_at_level", (Match("level", "=", str(k)),), LEVELS[k]) for k in range(1, 5)],
                NONE,
            ),
            *area_table(scene, "rain", "sum", _HOUR_MS),
            *area_table(scene, "street_depth", "mean", 180_000),
        ),
    )


def _heard() -> Panel:
    asked = [Service("canhbao_sensors", (Match("status", "=", status),), word) for status, word in STATUSES.items()]
    colours = [
        override(
            "byFrameRefID",
            ref,
            {"color": {"mode": "fixed", "fixedColor": PLAIN if status == "ok" else TROUBLE}, "displayName": word},
        )
        for ref, (status, word) in zip("ABCD", STATUSES.items(), strict=True)
    ]
    return figures(
        Words("Cảm biến theo tín hiệu", "Sensors by how they are heard"), asked, NONE, overrides=colours, width=8
    )
