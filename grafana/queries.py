"""Every query of the dashboards, with the data source that it is asked of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grafana.board import Scene, dashboard
from grafana.boards import boards
from grafana.words import LANGS, Lang, Tree


@dataclass(frozen=True, slots=True)
class Query:
    """`text` as Grafana keeps it: variables and macros are put in before it is asked. `source`: prometheus or influxdb.

    `now`: asked for one moment, not for a range. `variable`: it lists the values of one, for the boxes above.
    """

    board: str
    panel: str
    ref: str
    source: str
    text: str
    now: bool = False
    variable: bool = False


def dashboards(scene: Scene, langs: Sequence[Lang] = LANGS) -> list[Tree]:
    return [dashboard(board, scene, lang) for board in boards(scene) for lang in langs]


def queries(made: Iterable[Tree]) -> list[Query]:
    """Of dashboards as Grafana's JSON, in their order."""
    return [query for tree in made for query in _of(tree)]


def _of(tree: Tree) -> Iterator[Query]:
    for variable in tree["templating"]["list"]:
        if variable["type"] == "query":
            asked = variable["query"]
            text = asked["query"] if isinstance(asked, dict) else asked  # Flux stands there by itself
            yield Query(tree["uid"], "", variable["name"], variable["datasource"]["type"], text, variable=True)
    for panel in tree["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"] if "expr" in target else target["query"]
            now = target.get("instant", "v.windowPeriod" not in text)
            yield Query(tree["uid"], panel["title"], target["refId"], target["datasource"]["type"], text, now)
