"""Power: which nodes are on, and their voltage."""

from __future__ import annotations

from grafana.asks import Ask
from grafana.board import AREAS, Board, Scene, area_variable
from grafana.charts import area_names, flags, level_key, nobody, quantity_charts
from grafana.kinds import listing
from grafana.levels import ON_OFF
from grafana.panels import Panel, heading
from grafana.words import Words

_POWER = ("power", "voltage")


def board(scene: Scene) -> Board:
    return Board(
        "power",
        Words("Điện", "Power"),
        Words(
            "Nút nào có điện, nút nào mất điện; điện áp cạnh ngưỡng.",
            "Which nodes are on and which are off; voltage beside its thresholds.",
        ),
        (
            *nobody(scene, *_POWER),
            level_key(),
            *_off(scene),
            *quantity_charts(scene, "voltage", (AREAS,)),
            heading(Words("Có điện, mất điện", "On and off")),
            *quantity_charts(scene, "power", (AREAS,)),
            *flags(scene, _POWER, (AREAS,)),
        ),
        (area_variable(scene, *_POWER),),
        ("power",),
    )


def _off(scene: Scene) -> list[Panel]:
    if not scene.sensors("power"):
        return []
    asked = Ask("power", "last", scene.silence("power"), (AREAS,), across="min", by=("area",), now=True)
    return [
        listing(
            Words("Phường, xã: nút kém nhất", "Wards: the worst node"),
            asked,
            "none",
            {"area": Words("Phường, xã", "Ward")},
            levels=[ON_OFF],
            number=Words("Nguồn điện", "Power"),
            overrides=[area_names(scene)],
            falling=False,
        )
    ]
