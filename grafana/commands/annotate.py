"""python -m grafana annotate: the service's warnings into Grafana."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Final

from grafana.annotate import annotate
from grafana.commands.arguments import add_grafana, add_langs, add_service_url, grafana, url
from grafana.public_api import ServiceError, alerts
from ingest.city import duration_ms

HELP: Final = "write the service's warnings into Grafana as annotations; run again, only what has changed is written"
EXAMPLE: Final = """\
examples:
  GRAFANA_TOKEN=… python -m grafana annotate --url http://127.0.0.1:3000
  python -m grafana annotate --token-file /run/secrets/grafana --since 30d      by a timer, every minute
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_grafana(parser)
    add_service_url(parser)
    add_langs(parser, both=False)
    parser.add_argument("--api-url", type=url, metavar="URL",
                        help="where this machine reaches the service, if not at --service-url")  # fmt: skip
    parser.add_argument("--since", default="7d", metavar="SPAN|TIME", help=(
        "warnings that changed within 12h, 30d … or since 2022-10-14T00:00:00+07:00 (default 7d)"))  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    target = grafana(arguments)
    since = arguments.since
    if "T" not in since:
        since = (datetime.now(UTC) - timedelta(milliseconds=duration_ms(since, "--since"))).isoformat()
    service = arguments.service_url
    found = alerts(arguments.api_url or service, since)
    try:
        done = annotate(target, found, arguments.lang, service)
    except (KeyError, ValueError, TypeError) as error:
        raise ServiceError(f"{service}: a warning that is none: {error!r}") from None
    counts = f"{len(done.new)} new, {len(done.changed)} changed, {done.unchanged} unchanged"
    print(f"{counts}, {len(done.surplus)} doubles removed")
    return 0
