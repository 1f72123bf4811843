"""The panels that several dashboards share: readings beside their thresholds, flags, areas. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grafana.asks import Ask, Match, Service
from grafana.board import Scene, path
from grafana.judged import Chart, charts
from grafana.kinds import figures, lines, listing, peak, states
from grafana.levels import COLOURS, FLAG_MAPPING, ON_OFF, legend, steps, words_of
from grafana.panels import SENSOR_NAME, SERIES_MAX, Panel, heading, linked, override, text
from grafana.units import unit_id
from grafana.words import LEVELS, Tree, Words, joined, same, statistic
from ingest.quantity import Quantity
from processing.rules import Judgement

# Where no rule says which statistic matters.
_PLAIN = {"rain": "sum"}
_UNITS = ((3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms"))


def quantity_words(quantity: Quantity) -> Words:
    return Words(quantity.name_vi or quantity.name, quantity.name_en or quantity.name)


def duration(ms: int) -> str:
    """As both query languages write it: "1h", "10m", "90s"."""
    return next(f"{ms // size}{unit}" for size, unit in _UNITS if ms % size == 0)


def to_sensor() -> Tree:
    return linked(Words("Xem cảm biến này", "This sensor"), path("sensor", "var-sensor=${__field.labels.sensor}"))


def judged_charts(scene: Scene, hazard: str, where: Sequence[Match]) -> list[Panel]:
    """Every chart that the rules of a hazard call for."""
    quantities = dict.fromkeys(rule.quantity for rule in scene.rules.rules if rule.hazard == hazard)
    return [panel for quantity in quantities for panel in quantity_charts(scene, quantity, where)]


def quantity_charts(scene: Scene, name: str, where: Sequence[Match]) -> list[Panel]:
    quantity = scene.city.quantities.get(name)
    if quantity is None or not scene.sensors(name):
        return []
    if is_switch(quantity):
        return [on_and_off(scene, quantity, where)]
    found = charts(scene.city, scene.rules, name)
    return [_chart(scene, quantity, chart, where) for chart in found] or [plain_chart(scene, quantity, where)]


def shared_charts(scene: Scene, name: str, where: Sequence[Match]) -> list[Panel]:
    """As quantity_charts, but one chart for all stations: beside thresholds only where they are the same everywhere."""
    quantity = scene.city.quantities[name]
    found = [replace(chart, but=()) for chart in charts(scene.city, scene.rules, name) if chart.judgements]
    shared = [chart for chart in found if not chart.only]
    if shared and not is_switch(quantity):
        return [_chart(scene, quantity, chart, where) for chart in shared]
    return [on_and_off(scene, quantity, where) if is_switch(quantity) else plain_chart(scene, quantity, where)]


def is_switch(quantity: Quantity) -> bool:
    """Whether it is 0 or 1 and has no unit, such as power."""
    return quantity.unit == "" and (quantity.low, quantity.high) == (0.0, 1.0)


def _chart(scene: Scene, quantity: Quantity, chart: Chart, where: Sequence[Match]) -> Panel:
    named = [scene.city.sensors[id_].place for id_ in chart.only]
    title = joined(quantity_words(quantity), statistic(chart.statistic, chart.window_ms))
    if len(named) == 1:
        title = joined(same(named[0]), title if chart.window_ms else quantity_words(quantity), by=": ")
    elif named and not chart.judgements:
        title = joined(title, Words("các trạm khác", "other stations"))
    elif named:
        title = joined(
            title, Words(f"{len(named)} trạm cùng ngưỡng", f"{len(named)} stations with the same thresholds")
        )
    asked = Ask(
        quantity.name, chart.statistic, duration(chart.window_ms) if chart.window_ms else "", (*where, *_these(chart))
    )
    return lines(
        title,
        [asked],
        "none" if chart.statistic == "count" else unit_id(quantity),
        steps=steps(chart.judgements),
        decimals=quantity.decimals,
        name=SENSOR_NAME,
        about=_thresholds(chart.judgements, quantity),
        interval=scene.interval(quantity.name, window_ms=chart.window_ms),
        links=[to_sensor()],
    )


def _these(chart: Chart) -> tuple[Match, ...]:
    ids, operator = (chart.only, "=~") if chart.only else (chart.but, "!~")
    return (Match("sensor", operator, "|".join(id_.replace(".", r"\.") for id_ in ids)),) if ids else ()


def plain_chart(scene: Scene, quantity: Quantity, where: Sequence[Match]) -> Panel:
    """Of a quantity that no rule judges."""
    return lines(
        quantity_words(quantity),
        [Ask(quantity.name, _PLAIN.get(quantity.name, "mean"), "", tuple(where))],
        unit_id(quantity),
        decimals=quantity.decimals,
        name=SENSOR_NAME,
        interval=scene.interval(quantity.name),
        links=[to_sensor()],
    )


def on_and_off(scene: Scene, quantity: Quantity, where: Sequence[Match]) -> Panel:
    return states(
        quantity_words(quantity),
        [Ask(quantity.name, "min", "", tuple(where))],
        ON_OFF,
        name=SENSOR_NAME,
        interval=scene.interval(quantity.name),
        links=[to_sensor()],
    )


def flags(scene: Scene, quantities: Sequence[str], where: Sequence[Match]) -> list[Panel]:
    """QARTOD flags over time, under a heading; a failed or missing reading is in no other chart."""
    measured = [name for name in quantities if scene.sensors(name)]
    if not measured:
        return []
    asked = [Ask(name, where=tuple(where), flag=True) for name in measured[:SERIES_MAX]]
    return [
        heading(Words("Chất lượng", "Quality")),
        states(
            Words("Chất lượng số đo (cờ QARTOD)", "Quality of the readings (QARTOD flags)"),
            asked,
            FLAG_MAPPING,
            name=SENSOR_NAME,
            interval=scene.interval(*measured),
            links=[to_sensor()],
            about=Words(
                "Số đo có cờ 4 hoặc 9 không có trong các biểu đồ khác và không tham gia cảnh báo.",
                "Readings of flag 4 or 9 are in no other chart and take no part in warnings.",
            ),
        ),
    ]


def nobody(scene: Scene, *quantities: str) -> list[Panel]:
    """Says why a dashboard is empty; nothing where somebody measures."""
    if scene.sensors(*quantities):
        return []
    return [
        text(
            Words("Chưa có cảm biến", "No sensors"),
            Words(
                "Danh bạ (city.toml) chưa có cảm biến loại này. Thêm vào, rồi chạy lại `python -m grafana`.",
                "The registry (city.toml) has no sensor of this kind. Add it, then run `python -m grafana` again.",
            ),
            width=24,
        )
    ]


def area_table(scene: Scene, name: str, stat: str, window_ms: int) -> list[Panel]:
    """The wards by the greatest present value of one quantity, with its level; nothing where nobody measures it."""
    found = _now(scene, name, stat, window_ms)
    if found is None:
        return []
    quantity, asked, judgements = found
    highest = Words("cao nhất theo phường, xã", "highest by ward")
    return [
        listing(
            joined(quantity_words(quantity), statistic(stat, window_ms), highest),
            asked,
            unit_id(quantity),
            {"area": Words("Phường, xã", "Ward")},
            levels=words_of(judgements) if judgements else (),
            decimals=quantity.decimals,
            number=quantity_words(quantity),
            overrides=[area_names(scene)],
            about=_thresholds(judgements, quantity),
        )
    ]


def highest(scene: Scene, name: str, stat: str, window_ms: int) -> list[Panel]:
    """The greatest present value in the whole city, with its level; nothing where nobody measures it."""
    found = _now(scene, name, stat, window_ms)
    if found is None:
        return []
    quantity, asked, judgements = found
    title = joined(quantity_words(quantity), statistic(stat, window_ms), Words("cao nhất", "highest"))
    return [
        peak(
            title,
            asked,
            unit_id(quantity),
            words_of(judgements) if judgements else (),
            decimals=quantity.decimals,
            about=_thresholds(judgements, quantity),
        )
    ]


def _now(scene: Scene, name: str, stat: str, window_ms: int) -> tuple[Quantity, Ask, tuple[Judgement, ...]] | None:
    quantity = scene.city.quantities.get(name)
    if quantity is None or not scene.sensors(name):
        return None
    window = duration(window_ms) if window_ms else scene.silence(name)
    shared = [
        chart.judgements
        for chart in charts(scene.city, scene.rules, name)
        if (chart.statistic, chart.window_ms) == (stat, window_ms) and not chart.only
    ]
    return quantity, Ask(name, stat, window, across="max", by=("area",), now=True), shared[0] if shared else ()


def _thresholds(judgements: Sequence[Judgement], quantity: Quantity) -> Words | None:
    return joined(Words("Ngưỡng: ", "Thresholds: "), legend(judgements, quantity.unit), by="") if judgements else None


def level_key(*, width: int = 24) -> Panel:
    """How many sensors stand at each level: also the key to the colours."""
    asked = [Service("canhbao_sensors_at_level", (Match("level", "=", str(k)),), word) for k, word in enumerate(LEVELS)]
    colours = [
        override("byFrameRefID", ref, {"color": {"mode": "fixed", "fixedColor": COLOURS[k]}, "displayName": LEVELS[k]})
        for k, ref in enumerate("ABCDE")
    ]
    return figures(Words("Số cảm biến theo mức", "Sensors by level"), asked, "none", overrides=colours, width=width)


def area_names(scene: Scene) -> Tree:
    """Codes of areas become names that lead to the area's dashboard."""
    options = {
        area.code: {"text": Words(area.name, area.name_en or area.name), "index": n}
        for n, area in enumerate(scene.city.areas.values())
    }
    link = linked(Words("Xem phường, xã này", "This ward"), path("area", "var-area=${__value.raw}"))
    return override("byType", "string", {"mappings": [{"type": "value", "options": options}], "links": [link]})
