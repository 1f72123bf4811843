"""What is wrong with dashboards, before Grafana sees them. Pure: JSON in, sentences out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import Any, Final

from grafana import flux, promql
from grafana.asks import UIDS
from grafana.board import Board, used_variables
from grafana.panels import GRID_COLUMNS
from grafana.promql import QueryError
from grafana.queries import Query, queries
from grafana.units import is_unit
from grafana.words import Tree, spoken

UID_MOST: Final = 40  # Grafana's limit
SOURCES: Final = frozenset({*UIDS.values(), "-- Grafana --"})
_UID: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


def problems(made: Sequence[Tree], sources: Collection[str] = SOURCES) -> list[str]:
    """Of all dashboards together; [] if they can go to Grafana."""
    found = [
        f"{value}: {key} of {count} dashboards"
        for key in ("uid", "title")
        for value, count in Counter(tree.get(key, "") for tree in made).items()
        if count > 1
    ]
    return found + [f"{tree.get('uid', '?')}: {problem}" for tree in made for problem in _of_dashboard(tree, sources)]


def untranslated(board: Board) -> list[str]:
    """Texts of a board that lack one of the languages."""
    return [
        f"{board.name}: {words} lacks a language"
        for words in spoken(_texts(board))
        if not (words.vi.strip() and words.en.strip())
    ]


def _texts(board: Board) -> list[Any]:
    return [
        board.title,
        board.about,
        *(variable["label"] for variable in board.variables),
        *([panel.title, panel.defaults, panel.options] for panel in board.panels),
        *(panel.about for panel in board.panels if panel.about is not None),
    ]


def _of_dashboard(tree: Tree, sources: Collection[str]) -> Iterator[str]:
    uid = tree.get("uid", "")
    if not _UID.match(uid) or len(uid) > UID_MOST:
        yield f"uid {uid!r} is none of 1 to {UID_MOST} letters, digits, - and _"
    if not str(tree.get("title", "")).strip():
        yield "no title"
    for panel in tree["panels"]:
        if not str(panel.get("title", "")).strip():
            yield f"panel {panel['id']} has no title"
    yield from _places(tree["panels"])
    yield from _sources(tree, sources)
    yield from _variables(tree)
    yield from (problem for query in queries([tree]) for problem in _query(query))
    yield from (f"unit {unit!r} is unknown" for unit in sorted({*_units(tree)}) if not is_unit(unit))


def _places(panels: Sequence[Tree]) -> Iterator[str]:
    ids = Counter(panel["id"] for panel in panels)
    yield from (f"id {id_} of {count} panels" for id_, count in ids.items() if count > 1)
    for panel in panels:
        x, y, w, h = _place(panel)
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > GRID_COLUMNS:
            yield f"panel {panel['title']!r} lies outside the grid"
        refs = Counter(target["refId"] for target in panel.get("targets", ()))
        yield from (f"query {ref} twice in {panel['title']!r}" for ref, count in refs.items() if count > 1)
    for one, other in combinations(panels, 2):
        (ax, ay, aw, ah), (bx, by, bw, bh) = _place(one), _place(other)
        if ax < bx + bw and bx < ax + aw and ay < by + bh and by < ay + ah:
            yield f"panels {one['title']!r} and {other['title']!r} overlap"


def _place(panel: Tree) -> tuple[int, int, int, int]:
    place = panel["gridPos"]
    return place["x"], place["y"], place["w"], place["h"]


def _sources(tree: Tree, sources: Collection[str]) -> Iterator[str]:
    named = {source.get("uid") for source in _values(tree, "datasource") if isinstance(source, dict)}
    yield from (f"data source {uid!r} does not exist" for uid in sorted(map(str, named)) if uid not in sources)


def _variables(tree: Tree) -> Iterator[str]:
    rows = tree["templating"]["list"]
    names = Counter(row["name"] for row in rows)
    yield from (f"variable {name!r} is defined {count} times" for name, count in names.items() if count > 1)
    used = used_variables(tree)
    yield from (f"variable {name!r} is used and not defined" for name in sorted(used - names.keys()))
    yield from (f"variable {name!r} is defined and not used" for name in sorted(names.keys() - used))


def _query(query: Query) -> Iterator[str]:
    where = f"query {query.ref} of {query.panel!r}" if not query.variable else f"variable {query.ref!r}"
    try:
        if query.source == "influxdb":
            flux.check(query.text)
        elif query.source == "prometheus" and query.variable:
            promql.check_variable(query.text)
        elif query.source == "prometheus":
            promql.check(query.text)
        else:
            yield f"{where} asks a source of an unknown kind {query.source!r}"
    except QueryError as error:
        yield f"{where}: {error}"


def _units(tree: Tree) -> Iterator[str]:
    yield from (unit for unit in _values(tree["panels"], "unit") if isinstance(unit, str))
    for row in _values(tree["panels"], "properties"):
        yield from (each["value"] for each in row if each["id"] == "unit")


def _values(tree: Any, key: str) -> Iterator[Any]:
    """Every value that stands under `key`, at any depth."""
    if isinstance(tree, dict):
        yield from ([tree[key]] if key in tree else ())
        for value in tree.values():
            yield from _values(value, key)
    elif isinstance(tree, list):
        for item in tree:
            yield from _values(item, key)
