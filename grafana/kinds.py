"""The kinds of panels that show numbers: lines, figures, states, lists. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from grafana.asks import Ask, Service
from grafana.levels import PLAIN, PLAIN_STEPS
from grafana.panels import Panel, override
from grafana.units import NONE
from grafana.words import Tree, Words


def lines(
    title: Words,
    asks: Sequence[Ask | Service],
    unit: str,
    *,
    steps: list[Tree] | None = None,
    decimals: int | None = None,
    name: str = "",
    about: Words | None = None,
    interval: str = "",
    links: Sequence[Tree] = (),
    bars: bool = False,
    width: int = 12,
    height: int = 9,
    overrides: Sequence[Tree] = (),
    transformations: Sequence[Tree] = (),
    joined_ms: int = 0,
) -> Panel:
    """A chart over time. With `steps` each line has the colour of the level where it runs; the thresholds are drawn.

    `joined_ms`: gaps up to this long are drawn over.
    """
    judged = steps is not None and len(steps) > 1
    custom: Tree = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1 if bars else 2,
        "fillOpacity": 60 if bars else 0,
        "showPoints": "never" if bars else "auto",
        "pointSize": 4,
        "spanNulls": joined_ms or False,
        "lineInterpolation": "linear",
        "gradientMode": "scheme" if judged else "none",
        "thresholdsStyle": {"mode": "dashed" if judged else "off"},
    }
    defaults = _field(unit, steps, decimals, name, links) | {"custom": custom}
    defaults["color"] = {"mode": "thresholds"} if judged else {"mode": "shades", "fixedColor": PLAIN}
    legend = {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]}
    options: Tree = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return Panel(
        "timeseries",
        title,
        tuple(asks),
        width,
        height,
        about,
        defaults,
        tuple(overrides),
        options,
        tuple(transformations),
        interval,
    )


def figures(
    title: Words,
    asks: Sequence[Ask | Service],
    unit: str,
    *,
    calc: str = "lastNotNull",
    steps: list[Tree] | None = None,
    mapping: Tree | None = None,
    decimals: int | None = None,
    name: str = "",
    about: Words | None = None,
    overrides: Sequence[Tree] = (),
    links: Sequence[Tree] = (),
    width: int = 6,
    height: int = 4,
    interval: str = "",
    transformations: Sequence[Tree] = (),
) -> Panel:
    """Big numbers. `calc`: how a line becomes one: lastNotNull, max, or delta (what a counter has risen by)."""
    defaults = _field(unit, steps or PLAIN_STEPS, decimals, name, links)
    defaults["color"] = {"mode": "thresholds"}
    if mapping is not None:
        defaults["mappings"] = [mapping]
    options: Tree = {
        "reduceOptions": {"calcs": [calc], "fields": "", "values": False},
        "orientation": "auto",
        "graphMode": "area" if calc == "delta" else "none",
        "justifyMode": "auto",
        "colorMode": "value",
        "textMode": "auto" if len(asks) == 1 else "value_and_name",
    }
    return Panel(
        "stat",
        title,
        tuple(asks),
        width,
        height,
        about,
        defaults,
        tuple(overrides),
        options,
        tuple(transformations),
        interval,
    )


def states(
    title: Words,
    asks: Sequence[Ask | Service],
    mapping: Tree,
    *,
    name: str = "",
    about: Words | None = None,
    interval: str = "",
    links: Sequence[Tree] = (),
    width: int = 24,
    height: int = 8,
) -> Panel:
    """A bar over time a series, in words: flags, on and off."""
    defaults = _field(NONE, PLAIN_STEPS, None, name, links) | {
        "mappings": [mapping],
        "color": {"mode": "thresholds"},
        "custom": {"lineWidth": 0, "fillOpacity": 80},
    }
    options: Tree = {
        "showValue": "auto",
        "rowHeight": 0.8,
        "mergeValues": True,
        "alignValue": "left",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return Panel("state-timeline", title, tuple(asks), width, height, about, defaults, (), options, (), interval)


def listing(
    title: Words,
    asked: Ask | Service,
    unit: str,
    columns: Mapping[str, Words],
    *,
    levels: Sequence[Tree] = (),
    decimals: int | None = None,
    about: Words | None = None,
    overrides: Sequence[Tree] = (),
    number: Words | None = None,
    transformations: Sequence[Tree] = (),
    width: int = 12,
    height: int = 9,
    falling: bool = True,
) -> Panel:
    """A table of one query, the greatest number first (`falling`) or the least.

    `columns`: the labels that it shows; `number`: what is measured; `levels`: mappings that say the number's level in a
    column of its own.
    """
    value = number or Words("Giá trị", "Value")
    shown = {**columns, "Value": value, "_value": value}  # as Prometheus and as InfluxDB name the number
    hidden = {name: True for name in _LABELS if name not in columns}
    organize: Tree = {
        "id": "organize",
        "options": {
            "excludeByName": hidden,
            "indexByName": {name: n for n, name in enumerate(shown)},
            "renameByName": shown,
        },
    }
    defaults = _field(unit, PLAIN_STEPS, decimals, "", ()) | {"color": {"mode": "thresholds"}}
    options: Tree = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": value, "desc": falling}]}
    words = [_said_as_level(levels, {"custom.cellOptions": _COLOURED})] if levels else []
    return Panel(
        "table",
        title,
        (asked,),
        width,
        height,
        about,
        defaults,
        (*words, *overrides),
        options,
        (*transformations, *([_LEVEL_COLUMN] if levels else []), organize),
        table=True,
    )


def peak(
    title: Words,
    asked: Ask,
    unit: str,
    levels: Sequence[Tree],
    *,
    decimals: int | None = None,
    about: Words | None = None,
    width: int = 6,
    height: int = 4,
) -> Panel:
    """The greatest of many numbers, and the word of its level beside it."""
    panel = figures(title, [asked], unit, calc="max", decimals=decimals, about=about, width=width, height=height)
    if not levels:
        return replace(panel, table=True)
    named = override("byType", "number", {"displayName": " "})
    return replace(
        panel,
        table=True,
        transformations=(_LEVEL_COLUMN,),
        overrides=(named, _said_as_level(levels, {"displayName": _LEVEL})),
    )


_LABELS: Final = ("Time", "__name__", "sensor", "area", "gateway", "unit", "instance", "job")
_COLOURED: Final[Tree] = {"type": "color-background", "mode": "basic"}
_LEVEL: Final = Words("Mức", "Level")
_LEVEL_COLUMN: Final[Tree] = {
    "id": "calculateField",
    "options": {"mode": "reduceRow", "reduce": {"reducer": "max"}, "alias": _LEVEL, "replaceFields": False},
}


def _said_as_level(levels: Sequence[Tree], more: Tree) -> Tree:
    return override("byName", _LEVEL, {"mappings": list(levels), **more})


def _field(unit: str, steps: list[Tree] | None, decimals: int | None, name: str, links: Sequence[Tree]) -> Tree:
    tree: Tree = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps or PLAIN_STEPS}, "mappings": []}
    if decimals is not None:
        tree["decimals"] = decimals
    if name:
        tree["displayName"] = name
    if links:
        tree["links"] = list(links)
    return tree
