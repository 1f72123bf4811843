"""python -m grafana check: are the dashboards right?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from grafana.asks import KINDS
from grafana.boards import boards
from grafana.commands.arguments import add_scene, scene
from grafana.queries import dashboards, queries
from grafana.validate import problems, untranslated
from ingest.city import ConfigError

HELP: Final = "check the dashboards before Grafana sees them; exit 2 says what is wrong"
EXAMPLE: Final = """\
examples:
  python -m grafana check                       what write and push would bring, for both kinds of data source
  python -m grafana check --city city.toml --rules rules.toml
  python -m grafana check DIR/dashboards/vi/*.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="dashboards as JSON, instead")
    add_scene(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.files:
        return _told([_read(file) for file in arguments.files], "files")
    worst = 0
    for kind in KINDS:
        chosen = scene(arguments, kind)
        missing = [line for board in boards(chosen) for line in untranslated(board)]
        worst = max(worst, _told(dashboards(chosen), kind, missing))
    return worst


def _told(made: list[Any], what: str, found: list[str] | None = None) -> int:
    found = [*(found or []), *problems(made)]
    for line in found:
        print(f"{what}: {line}")
    panels = sum(len(tree["panels"]) for tree in made)
    print(f"{what}: {len(made)} dashboards, {panels} panels, {len(queries(made))} queries, {len(found)} problems")
    return 2 if found else 0


def _read(file: Path) -> Any:
    try:
        tree = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("the file", str(error), "a dashboard as JSON", str(file)) from None
    if not isinstance(tree, dict) or not {"panels", "templating"} <= tree.keys():
        raise ConfigError("the file", "other JSON", "a dashboard with panels and templating", str(file))
    return tree
