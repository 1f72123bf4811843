"""What several commands are told: registry and rules, languages, addresses, tokens."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from grafana.asks import KINDS, Kind
from grafana.board import Scene
from grafana.client import Grafana
from grafana.words import LANGS, Lang
from ingest.city import DEFAULT_CITY_FILE, ConfigError, parse_city
from processing.rules import DEFAULT_RULES_FILE, parse_rules

TOKEN: Final = "GRAFANA_TOKEN"  # noqa: S105  # the name of the variable
_SERVICE: Final = "http://127.0.0.1:8000"
_GRAFANA: Final = "http://127.0.0.1:3000"


def add_scene(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--city", type=Path, default=DEFAULT_CITY_FILE, help="city.toml (default: Da Nang's)")
    parser.add_argument("--rules", type=Path, default=DEFAULT_RULES_FILE, help="rules.toml (default: Da Nang's)")
    add_service_url(parser)


def add_service_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service-url", type=url, default=_SERVICE, metavar="URL",
                        help=f"where people reach the service, for links (default {_SERVICE})")  # fmt: skip


def add_langs(parser: argparse.ArgumentParser, *, both: bool) -> None:
    more = " (both: two sets in two folders)" if both else ""
    parser.add_argument("--lang", choices=(*LANGS, *(["both"] if both else [])), default="vi",
                        help=f"of all texts{more}, default vi")  # fmt: skip


def add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", choices=KINDS, default="prometheus", help=(
        "what is asked for the readings (default prometheus: the service, asked for its metrics anyway)"))  # fmt: skip
    parser.add_argument("--source-url", type=url, metavar="URL",
                        help="where Grafana reaches the service (default: --service-url)")  # fmt: skip
    parser.add_argument("--influx-url", type=url, default="http://127.0.0.1:8086", metavar="URL",
                        help="where Grafana reaches InfluxDB (default http://127.0.0.1:8086)")  # fmt: skip
    parser.add_argument("--influx-org", default="canhbao", metavar="NAME", help="default canhbao")
    parser.add_argument("--influx-bucket", default="canhbao", metavar="NAME", help="default canhbao")


def add_grafana(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", type=url, default=_GRAFANA, help=f"of Grafana (default {_GRAFANA})")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=(
        f"holds a token of a service account of Grafana (default: the variable {TOKEN})"))  # fmt: skip


def url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, or a port that is none
        is_one = False
    if not is_one:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected http://… or https://…")
    return text.rstrip("/")


def scene(arguments: argparse.Namespace, kind: Kind) -> Scene:
    """Raises ConfigError for the first thing that is wrong in the files."""
    city = parse_city(_read(arguments.city), str(arguments.city))
    rules = parse_rules(_read(arguments.rules), str(arguments.rules))
    return Scene(city, rules, kind, arguments.service_url)


def langs(arguments: argparse.Namespace) -> tuple[Lang, ...]:
    return LANGS if arguments.lang == "both" else (arguments.lang,)


def grafana(arguments: argparse.Namespace) -> Grafana:
    """Raises ConfigError where there is no token. The token itself stands in no message."""
    file: Path | None = arguments.token_file
    token = _read(file).strip() if file is not None else os.environ.get(TOKEN, "").strip()
    if not token:
        raise ConfigError(TOKEN if file is None else str(file), "nothing", "a token of a service account of Grafana")
    return Grafana(arguments.url, token)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigError("the file", why, "a readable text in UTF-8", str(path)) from None
