"""python -m grafana push: the dashboards into a running Grafana."""

from __future__ import annotations

import argparse
import os
from typing import Final

from grafana.asks import UIDS
from grafana.commands.arguments import add_grafana, add_langs, add_scene, add_sources, grafana, langs, scene
from grafana.provisioning import FOLDERS, INFLUX, READER, Sources, data_sources, folder_uid
from grafana.push import Came, push_dashboard, push_folder, push_source
from grafana.queries import dashboards

HELP: Final = "send the dashboards to a running Grafana; what is unchanged makes no new version"
EXAMPLE: Final = """\
examples:
  GRAFANA_TOKEN=… python -m grafana push --url http://127.0.0.1:3000
  python -m grafana push --url https://grafana.example/ops --token-file /run/secrets/grafana --sources
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_grafana(parser)
    add_scene(parser)
    add_langs(parser, both=True)
    add_sources(parser)
    parser.add_argument("--sources", action="store_true", help=(
        f"the data sources too (which takes the role Admin); their tokens from {READER} and {INFLUX}"))  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    target, chosen = grafana(arguments), scene(arguments, arguments.source)
    if arguments.sources:
        found = Sources(
            arguments.source_url or arguments.service_url, influx_org=arguments.influx_org,
            influx_url=arguments.influx_url if arguments.source == "influxdb" else "",
            influx_bucket=arguments.influx_bucket,
        )  # fmt: skip
        for row in data_sources(found):
            _say("data source", row["uid"], push_source(target, row, _secrets(row["uid"])))
    for lang in langs(arguments):
        _say("folder", folder_uid(lang), push_folder(target, folder_uid(lang), FOLDERS.said(lang)))
        for tree in dashboards(chosen, [lang]):
            _say("dashboard", tree["uid"], push_dashboard(target, tree, folder_uid(lang)))
    return 0


def _secrets(uid: str) -> dict[str, str]:
    """Those of a data source that are known here, by Grafana's name of them."""
    reader, influx = (os.environ.get(name, "").strip() for name in (READER, INFLUX))
    if uid == UIDS["influxdb"]:
        return {"token": influx} if influx else {}
    return {"httpHeaderValue1": f"Bearer {reader}"} if reader else {}


def _say(what: str, uid: str, came: Came) -> None:
    print(f"{what} {uid}: {came.value}")
