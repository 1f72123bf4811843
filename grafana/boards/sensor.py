"""One sensor: its readings with thresholds, their flags, how many come."""

from __future__ import annotations

from grafana.asks import Ask
from grafana.board import ONE_SENSOR, Board, Scene, one_sensor_variable
from grafana.charts import flags, quantity_words
from grafana.judged import charts
from grafana.kinds import lines
from grafana.levels import PLAIN_STEPS, steps
from grafana.panels import SERIES_MAX, Panel, override
from grafana.units import unit_id
from grafana.words import Tree, Words
from ingest.quantity import Quantity

_REFS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HOUR_MS = 3_600_000
_AMOUNT = ("rain",)  # per reading, so an interval adds up


def board(scene: Scene) -> Board:
    measured = list(dict.fromkeys(sensor.quantity.name for sensor in scene.city.sensors.values()))[:SERIES_MAX]
    quantities = [scene.city.quantities[name] for name in measured]
    return Board(
        "sensor",
        Words("Một cảm biến", "One sensor"),
        Words(
            "Số đo của một cảm biến, cờ chất lượng và số lần đo.",
            "One sensor: readings, quality flags, and how many come.",
        ),
        (_values(scene, quantities), *flags(scene, measured, (ONE_SENSOR,)), _heard(quantities)),
        (one_sensor_variable(scene),),
    )


def _values(scene: Scene, quantities: list[Quantity]) -> Panel:
    """A query a quantity, of which one answers: that is how the unit and the thresholds follow the sensor."""
    asked = [Ask(q.name, "sum" if q.name in _AMOUNT else "mean", "", (ONE_SENSOR,)) for q in quantities]
    own = [
        override("byFrameRefID", ref, _properties(scene, quantity))
        for ref, quantity in zip(_REFS, quantities, strict=False)
    ]
    return lines(
        Words("Số đo", "Readings"),
        asked,
        "none",
        overrides=own,
        width=24,
        height=12,
        interval="60s",
        joined_ms=3 * _HOUR_MS,
        about=Words(
            "Mưa: tổng mỗi khoảng; số đo khác: trung bình. Ngưỡng: của giá trị tức thời, nơi quy tắc có; "
            "ngưỡng của tổng và của từng trạm ở các bảng Mưa và Ngập.",
            "Rain: the sum of each interval; others: its mean. Thresholds: of rules on values, where they are the "
            "same everywhere; those of sums and of single stations stand on the dashboards Rain and Flood.",
        ),
    )


def _properties(scene: Scene, quantity: Quantity) -> Tree:
    shared = [
        chart.judgements
        for chart in charts(scene.city, scene.rules, quantity.name)
        if chart.statistic in ("mean", "last") and not chart.only
    ]
    rungs = steps(shared[0]) if shared else PLAIN_STEPS
    tree: Tree = {
        "unit": unit_id(quantity),
        "decimals": quantity.decimals,
        "displayName": quantity_words(quantity),
        "thresholds": {"mode": "absolute", "steps": rungs},
    }
    if len(rungs) > 1:
        tree |= {
            "color": {"mode": "thresholds"},
            "custom.gradientMode": "scheme",
            "custom.thresholdsStyle": {"mode": "dashed"},
        }
    return tree


def _heard(quantities: list[Quantity]) -> Panel:
    asked = [Ask(q.name, "count", "1h", (ONE_SENSOR,)) for q in quantities]
    names = [
        override("byFrameRefID", ref, {"displayName": quantity_words(quantity)})
        for ref, quantity in zip(_REFS, quantities, strict=False)
    ]
    return lines(
        Words("Số lần đo dùng được mỗi giờ", "Usable readings an hour"),
        asked,
        "none",
        decimals=0,
        overrides=names,
        width=24,
        interval="60s",
    )
