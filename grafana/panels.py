"""A panel: what it asks and how it is shown, its place and its plainest kinds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from grafana.asks import ANNOTATIONS, Ask, Kind, Service, target
from grafana.words import Tree, Words

GRID_COLUMNS: Final = 24
_REFS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SERIES_MAX: Final = len(_REFS)  # queries of one panel
SENSOR_NAME: Final = "${__field.labels.sensor}"  # Flux names a series by all its tags


@dataclass(frozen=True, slots=True)
class Panel:
    """`type`: Grafana's name of the kind. Sizes in cells of the grid: 24 columns, 30 pixels a row."""

    type: str
    title: Words
    asks: tuple[Ask | Service, ...] = ()
    width: int = 12
    height: int = 8
    about: Words | None = None
    defaults: Tree = field(default_factory=dict)  # of every field: unit, thresholds, mappings, custom
    overrides: tuple[Tree, ...] = ()
    options: Tree = field(default_factory=dict)
    transformations: tuple[Tree, ...] = ()
    interval: str = ""  # no shorter than the sensors' period
    table: bool = False

    def __post_init__(self) -> None:
        assert len(self.asks) <= SERIES_MAX, f"{len(self.asks)} queries in one panel"


def rendered(panel: Panel, kind: Kind, number: int, place: tuple[int, int]) -> Tree:
    """The panel in a dashboard whose readings are kept in `kind`; `place`: column and row of its upper left cell."""
    x, y = place
    tree: Tree = {
        "id": number,
        "type": panel.type,
        "title": panel.title,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
    }
    if panel.type == "row":
        return {**tree, "collapsed": False, "panels": []}
    tree |= {"transparent": False, "options": panel.options, "transformations": list(panel.transformations)}
    if panel.about is not None:
        tree["description"] = panel.about
    if panel.asks:
        targets = [target(asked, ref, kind, table=panel.table) for asked, ref in zip(panel.asks, _REFS, strict=False)]
        tree |= {"datasource": targets[0]["datasource"], "targets": targets}
    elif panel.type == "annolist":
        tree["datasource"] = ANNOTATIONS
    if panel.interval:
        tree["interval"] = panel.interval
    return tree | {"fieldConfig": {"defaults": panel.defaults, "overrides": list(panel.overrides)}}


def override(matcher: str, what: str | Words, properties: Mapping[str, object]) -> Tree:
    """Other properties for some fields; `matcher` as Grafana names it: byName, byType, byFrameRefID."""
    return {
        "matcher": {"id": matcher, "options": what},
        "properties": [{"id": id_, "value": value} for id_, value in properties.items()],
    }


def news(title: Words, tags: Sequence[str], *, width: int = 12, height: int = 9) -> Panel:
    """The newest warnings: annotations with all these tags."""
    options: Tree = {
        "tags": list(tags),
        "limit": 50,
        "onlyFromThisDashboard": False,
        "onlyInTimeRange": False,
        "showUser": False,
        "showTime": True,
        "showTags": True,
        "navigateToPanel": False,
        "navigateBefore": "30m",
        "navigateAfter": "30m",
    }
    return Panel("annolist", title, (), width, height, options=options)


def text(title: Words, content: Words, *, width: int = 12, height: int = 4) -> Panel:
    return Panel("text", title, (), width, height, options={"mode": "markdown", "content": content})


def heading(title: Words) -> Panel:
    return Panel("row", title, (), GRID_COLUMNS, 1)


def linked(title: Words, url: Words) -> Tree:
    """A link of a series or a cell."""
    return {"title": title, "url": url, "targetBlank": False}


def places(panels: Sequence[Panel]) -> list[tuple[int, int]]:
    """Left to right, a new row of panels where no room is left: column and row of each."""
    found, x, y, deepest = [], 0, 0, 0
    for panel in panels:
        if x + panel.width > GRID_COLUMNS:
            x, y = 0, deepest
        found.append((x, y))
        x, deepest = x + panel.width, max(deepest, y + panel.height)
    return found
