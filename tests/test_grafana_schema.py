"""The dashboards beside Grafana's own types: its SDK for Python loses nothing of ours, its types for TypeScript fit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import scene
from conftest import CI
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from servers import SERVERS

from grafana.asks import KINDS
from grafana.queries import dashboards

# Exactly these, of the Grafana of docker-compose.yml; they lie outside the tree, and are brought once a run.
PACKAGES = {"@grafana/schema": "11.6.0", "typescript": "5.9.3"}
NPM = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline")
TSC = ("--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022")
KINDS_OF_PANELS = {  # Grafana's name -> where its options' types lie, whether its fields have some of their own
    "timeseries": ("timeseries/panelcfg/x/TimeSeries", True),
    "state-timeline": ("statetimeline/panelcfg/x/StateTimeline", True),
    "table": ("table/panelcfg/x/Table", True),
    "stat": ("stat/panelcfg/x/Stat", False),
    "annolist": ("annotationslist/panelcfg/x/AnnotationsList", False),
    "text": ("text/panelcfg/x/Text", False),
}
# JSON has no enums: a member of one is its text. Grafana fills in the options that a panel leaves out.
HEAD = """\
import type { AnnotationQuery, AnnotationTarget, Dashboard } from '@grafana/schema';
import type { FieldConfigSource, Panel, RowPanel } from '@grafana/schema';
type Plain<T> = T extends string ? `${T}` : T extends readonly (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Bare = Omit<Panel, 'options' | 'fieldConfig'>;
type Of<O, F> = Plain<Bare & { options: Partial<O>; fieldConfig: FieldConfigSource<F> }>;
type Annotation = Omit<AnnotationQuery, 'target'> & { target: AnnotationTarget };
type Ours = Plain<Omit<Dashboard, 'panels' | 'annotations'> & { panels: []; annotations: { list: Annotation[] } }>;
type row = Plain<RowPanel>;
"""


def typed(trees: Iterable[Any]) -> str:
    """A program that compiles where every dashboard and each of its panels has Grafana's type."""
    lines = [HEAD]
    for kind, (path, has_fields) in KINDS_OF_PANELS.items():
        name = kind.replace("-", "")
        lines.append(
            f"import type * as {name}_ from '@grafana/schema/dist/esm/raw/composable/{path}PanelCfg_types.gen.js';"
        )
        lines.append(f"type {name} = Of<{name}_.Options, {f'{name}_.FieldConfig' if has_fields else '{}'}>;")
    for n, tree in enumerate(trees):
        lines.append(f"export const d{n}: Ours = {json.dumps({**tree, 'panels': []})};")
        lines += [f"export const d{n}_{panel['id']}: {panel['type'].replace('-', '')} = {json.dumps(panel)};"
                  for panel in tree["panels"]]  # fmt: skip
    return "\n".join(lines)


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where a value of ours is not in theirs."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            if not isinstance(theirs, dict) or (key not in theirs and value is not None):
                yield f"{path}.{key}"
            else:
                yield from lost(value, theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for n, (mine, their) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(mine, their, f"{path}[{n}]")
    elif ours != theirs:
        yield f"{path}: {ours!r} became {theirs!r}"


@pytest.mark.parametrize("kind", KINDS)
def test_grafanas_sdk_reads_every_dashboard_and_loses_nothing_of_it(kind: Any) -> None:
    register_default_plugins()

    for tree in dashboards(scene(kind)):
        again = json.loads(json.dumps(Dashboard.from_json(json.loads(json.dumps(tree))), cls=JSONEncoder))
        assert list(lost(tree, again)) == []


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """What TypeScript says of a program that imports Grafana's types."""
    npm = SERVERS["npm"].program()
    folder = tmp_path_factory.mktemp("grafana-schema")
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": PACKAGES}))
    assert npm is not None
    came = subprocess.run([npm, *NPM], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if came.returncode:
        said = f"npm could not bring {', '.join(PACKAGES)}: {came.stderr.strip()[-200:]}"
        if CI:
            pytest.fail(said, pytrace=False)
        pytest.skip(said)

    def compile_(program: str) -> list[str]:
        (folder / "boards.ts").write_text(program, "utf-8")
        tsc = [*Path(npm).parent.glob("node"), folder / "node_modules/typescript/bin/tsc", *TSC, "boards.ts"]
        done = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        return [line for line in done.stdout.splitlines() if "error" in line]

    return compile_


@pytest.mark.server("npm")
def test_every_dashboard_and_panel_has_grafanas_type(compiled: Callable[[str], list[str]]) -> None:
    """Both kinds in one language; one panel more that is wrong, so that a compiler that reads nothing is seen."""
    trees = [tree for kind in KINDS for tree in dashboards(scene(kind), ["vi"])]
    assert {panel["type"] for tree in trees for panel in tree["panels"]} == {*KINDS_OF_PANELS, "row"}
    chart = next(panel for tree in trees for panel in tree["panels"] if panel["type"] == "timeseries")
    wrong = json.loads(json.dumps(chart))
    wrong["fieldConfig"]["defaults"]["custom"]["drawStyle"] = "scribble"
    unknown = {**chart, "colour": "blue"}

    spoiled = [f"const s{n}: timeseries = {json.dumps(panel)};" for n, panel in enumerate((wrong, unknown))]
    said = compiled("\n".join([typed(trees), *spoiled]))

    assert len(said) == 2, said
    assert "'\"scribble\"' is not assignable" in said[0]
    assert "'\"colour\"' does not exist" in said[1]
