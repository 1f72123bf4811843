"""python -m grafana write: everything that Grafana reads from files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from grafana.commands.arguments import add_langs, add_scene, add_sources, langs, scene
from grafana.files import write
from grafana.provisioning import INFLUX, READER, Sources, files

HELP: Final = "write dashboards and data sources as files, which Grafana reads when it starts and every 30 s after"
EXAMPLE: Final = """\
examples:
  python -m grafana write /etc/canhbao/grafana
  python -m grafana write out --source influxdb --influx-url http://influxdb:8086 --lang both
then start Grafana with GF_PATHS_PROVISIONING=DIR/provisioning
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="made where it is missing")
    add_scene(parser)
    add_langs(parser, both=True)
    add_sources(parser)
    parser.add_argument("--dashboards-path", metavar="PATH", help=(
        "where Grafana sees DIR/dashboards, if elsewhere: in a container (default: where it is here)"))  # fmt: skip
    parser.add_argument("--reader-token-file", default="", metavar="FILE", help=(
        f"as Grafana sees it: the service's operator_token (default: Grafana's variable {READER})"))  # fmt: skip
    parser.add_argument("--influx-token-file", default="", metavar="FILE", help=(
        f"as Grafana sees it: a token that reads the bucket (default: Grafana's variable {INFLUX})"))  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    folder: Path = arguments.folder
    sources = Sources(
        arguments.source_url or arguments.service_url, arguments.reader_token_file,
        arguments.influx_url if arguments.source == "influxdb" else "", arguments.influx_org, arguments.influx_bucket,
        arguments.influx_token_file,
    )  # fmt: skip
    path = arguments.dashboards_path or str((folder / "dashboards").resolve())
    came = write(folder, files(scene(arguments, arguments.source), langs(arguments), sources, path))
    print(f"{folder}: {len(came.written)} written, {len(came.unchanged)} unchanged, {len(came.removed)} removed")
    return 0
