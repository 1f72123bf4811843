"""A dashboard: its panels in their places, its variables, links and annotations. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana.asks import ANNOTATIONS, Kind, Match, sensors_query, source
from grafana.levels import TROUBLE
from grafana.panels import Panel, places, rendered
from grafana.words import LANGS, Lang, Tree, Words, said
from ingest.city import City, Sensor
from processing.rules import Rules

SCHEMA_VERSION: Final = 38  # of Grafana 10.1; later ones bring older dashboards up to date as they read them
TAG: Final = "canhbao"
_EVERYTHING: Final = ".*"
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z]\w*)(?::\w+)?\}|([A-Za-z]\w*))")
NAMES_MAX: Final = 2000  # sensors whose names stand in a dashboard; beyond it an id is typed
PERIOD_S_MAX: Final = 3600

AREAS: Final = Match("area", "=~", "$area")
SENSORS: Final = Match("sensor", "=~", "$sensor")
ONE_SENSOR: Final = Match("sensor", "=", "$sensor")


@dataclass(frozen=True, slots=True)
class Scene:
    """What dashboards are made of. `service_url`: where people reach the service; "" without a slash at its end."""

    city: City
    rules: Rules
    kind: Kind
    service_url: str

    def sensors(self, *quantities: str) -> list[Sensor]:
        return [sensor for sensor in self.city.sensors.values() if sensor.quantity.name in quantities]

    def interval(self, *quantities: str, window_ms: int = 0) -> str:
        """No chart asks for shorter steps than its sensors speak at: the longest period, 1 min to 1 h.

        Nor for more than 120 in each window, of which every step reads all: a day's sum of a city's gauges at each
        minute would be hundreds of millions of readings.
        """
        longest_ms = max((sensor.period_ms or 0 for sensor in self.sensors(*quantities)), default=0)
        return f"{min(max(longest_ms // 1000, window_ms // 120_000, 60), PERIOD_S_MAX)}s"

    def silence(self, *quantities: str) -> str:
        """How old a value may be and still be the present one: G of CONTRACTS section 4."""
        longest_ms = max((sensor.period_ms or 0 for sensor in self.sensors(*quantities)), default=0)
        return f"{min(max(3 * longest_ms // 1000, 180), 3 * PERIOD_S_MAX)}s"


@dataclass(frozen=True, slots=True)
class Board:
    """`name`: of the uid and the file. `tags`: which warnings it shows as annotations: those with all of them."""

    name: str
    title: Words
    about: Words
    panels: tuple[Panel, ...]
    variables: tuple[Tree, ...] = ()
    tags: tuple[str, ...] = ()


def uid(name: str, lang: Lang) -> str:
    return f"{TAG}-{name}-{lang}"


def path(name: str, query: str) -> Words:
    """The address of a dashboard in Grafana, with the time range kept."""
    vi, en = (f"/d/{uid(name, lang)}?{query}&${{__url_time_range}}" for lang in LANGS)
    return Words(vi, en)


def dashboard(board: Board, scene: Scene, lang: Lang) -> Tree:
    """The dashboard as Grafana's JSON, in one language."""
    rows = zip(board.panels, places(board.panels), strict=True)
    tree: Tree = {
        "uid": uid(board.name, lang),
        "title": board.title,
        "description": board.about,
        "tags": [TAG, lang],
        "timezone": scene.city.timezone.key,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "30s",
        "weekStart": "monday",
        "fiscalYearStartMonth": 0,
        "schemaVersion": SCHEMA_VERSION,
        "panels": [rendered(panel, scene.kind, n, place) for n, (panel, place) in enumerate(rows, start=1)],
        "templating": {"list": list(board.variables)},
        "annotations": {"list": [_warnings((TAG, *board.tags))]},
        "links": _links(scene, lang),
    }
    plain: Tree = said(tree, lang)
    plain["templating"]["list"] = _needed(plain)
    return plain


def _needed(tree: Tree) -> list[Tree]:
    """Variables that a panel uses, or a needed variable does: where nobody measures there is nothing to choose."""
    rows: list[Tree] = tree["templating"]["list"]
    needed = used_variables({**tree, "templating": {}})
    while more := {name for row in rows if row["name"] in needed for name in used_variables(row)} - needed:
        needed |= more
    return [row for row in rows if row["name"] in needed]


def used_variables(tree: Any) -> set[str]:
    """The names of Grafana's variables that any text in `tree` uses, without its own (__interval and the like)."""
    if isinstance(tree, str):
        return {found[1] or found[2] for found in _VARIABLE.finditer(tree)}
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return {name for item in items for name in used_variables(item)}


def _warnings(tags: Sequence[str]) -> Tree:
    return {
        "name": Words("Cảnh báo", "Warnings"),
        "datasource": ANNOTATIONS,
        "enable": True,
        "hide": False,
        "iconColor": TROUBLE,
        "type": "tags",
        "target": {"type": "tags", "tags": list(tags), "matchAny": False, "limit": 200},
    }


def _links(scene: Scene, lang: Lang) -> list[Tree]:
    others: Tree = _link(Words("Các bảng khác", "Other dashboards"), same="dashboards")
    others |= {"tags": [TAG, lang], "asDropdown": True, "keepTime": True, "includeVars": False}
    warnings = _link(
        Words("Cảnh báo đang có hiệu lực", "Warnings in force"), f"{scene.service_url}/api/v1/alerts?active=true"
    )
    page = _link(Words("Trang cho người dân", "Residents' page"), f"{scene.service_url}/")
    return [others, warnings, page]


def _link(title: Words, url: str = "", *, same: str = "link") -> Tree:
    return {
        "title": title,
        "type": same,
        "icon": "external link",
        "tooltip": "",
        "url": url,
        "tags": [],
        "asDropdown": False,
        "targetBlank": same == "link",
        "includeVars": False,
        "keepTime": False,
    }


# ---- variables
def area_variable(scene: Scene, *quantities: str, several: bool = True) -> Tree:
    """The areas that have sensors of these quantities, by name."""
    codes = {sensor.area for sensor in scene.sensors(*quantities)}
    areas = [area for area in scene.city.areas.values() if area.code in codes]
    listed = Words(
        *(
            ",".join(
                f"{_in_list(name)} : {area.code}"
                for area in areas
                for name in [(area.name_en or area.name) if lang == "en" else area.name]
            )
            for lang in LANGS
        )
    )
    tree: Tree = {
        "type": "custom",
        "name": "area",
        "label": Words("Phường, xã", "Ward"),
        "query": listed,
        "hide": 0,
        "skipUrlSync": False,
        "multi": several,
        "includeAll": several,
    }
    if several:
        return tree | {"allValue": _EVERYTHING, "current": _ALL}
    return tree


def sensor_variable(scene: Scene, quantity: str) -> Tree:
    """The sensors of one quantity in the areas chosen: the data source lists them."""
    query = sensors_query(quantity, (AREAS,), scene.kind)
    asked: object = query if scene.kind == "influxdb" else {"query": query, "refId": "sensors"}
    return {
        "type": "query",
        "name": "sensor",
        "label": Words("Cảm biến", "Sensor"),
        "query": asked,
        "datasource": source(scene.kind),
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "skipUrlSync": False,
        "multi": True,
        "includeAll": True,
        "allValue": _EVERYTHING,
        "current": _ALL,
    }


def one_sensor_variable(scene: Scene) -> Tree:
    """Any sensor, by its place and what it measures; where there are too many for a list, its id is typed."""
    tree: Tree = {"name": "sensor", "label": Words("Cảm biến", "Sensor"), "hide": 0, "skipUrlSync": False}
    sensors = scene.city.sensors.values()
    if len(sensors) > NAMES_MAX:
        return tree | {"type": "textbox", "query": next(iter(scene.city.sensors))}
    names = {
        lang: [
            f"{_in_list(s.place)} · {(s.quantity.name_en if lang == 'en' else s.quantity.name_vi) or s.quantity.name}"
            f" ({s.id}) : {s.id}"
            for s in sensors
        ]
        for lang in LANGS
    }
    listed = Words(*(",".join(names[lang]) for lang in LANGS))
    return tree | {"type": "custom", "query": listed, "multi": False, "includeAll": False}


_ALL: Final[Tree] = {"selected": True, "text": ["All"], "value": ["$__all"]}


def _in_list(name: str) -> str:
    """A name in a list that Grafana splits at commas, and at colons between spaces."""
    return name.replace(" : ", ": ").replace(",", "\\,")
