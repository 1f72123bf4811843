"""canhbao drill: exercises, told on topics and feeds of their own, with DIỄN TẬP / EXERCISE as their first word."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from alerts import settings
from alerts.commands.caller import Caller, CallError, WrongCallError
from alerts.commands.run import DEFAULT_FILE
from alerts.words.names import LEVELS
from ingest.city import ConfigError, duration_ms
from ingest.data_folder import FolderError, announced

HELP = "exercises: begin one, end it, list those that run"
EXAMPLE = """\
examples:
  canhbao drill start --area 20242 --area 20260 --hazard flood --level danger --for 30m \\
      --where "chợ Hàn" --what "school evacuation, first term"
  canhbao drill start --area 20260 --template reservoir --level 3 --for 1h --field name="A Vương" \\
      --field river="Vu Gia" --field where="Đại Lộc" --field from=2026-10-14T18:00:00+07:00
  canhbao drill list
  canhbao drill stop drill.flood.20242.20261014T0200Z
  canhbao drill stop --all

A drill ends by itself, and at once where a real warning of any hazard is published in its area. It goes to
canhbao/v1/drill/… and /api/v1/events?drill=true alone; pages and maps of warnings never show it.
"""
TEMPLATE: Final = "seen"  # of the hazards that are measured
LASTS_MS_MOST: Final = 7 * 86_400_000  # as the service has it of every warning by hand
_ALERTS: Final = "/api/v1/alerts"
_DRILLS: Final = f"{_ALERTS}?drill=true&active=true&unpublished=true&limit=500"
_LEVELS: Final = {name.lower(): n for n, name in enumerate(LEVELS["en"]) if name}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="start|stop|list", required=True)
    start = _verb(verbs, "start", "begin a drill")
    start.add_argument(
        "--area", action="append", required=True, metavar="CODE", help="once or more; with all within it"
    )
    start.add_argument("--level", type=_level, required=True, help="1-4 or " + ", ".join(_LEVELS))
    start.add_argument("--for", dest="lasts", required=True, metavar="TIME", help="then it is over: 30m, 2h")
    start.add_argument("--hazard", default="", help="rain, flood, power …; where the template leaves it open")
    start.add_argument("--template", default=TEMPLATE, help=f"of warnings by hand ({TEMPLATE})")
    start.add_argument("--where", metavar="TEXT", help="the place that the texts name")
    start.add_argument("--field", action="append", default=[], metavar="NAME=TEXT", help="what the template asks for")
    start.add_argument("--what", default="", metavar="TEXT", help="what is exercised, for the audit")
    stop = _verb(verbs, "stop", "end drills; never a real warning")
    stop.add_argument("ids", nargs="*", metavar="ID", help="as list shows them")
    stop.add_argument("--all", action="store_true", help="every drill that runs")
    _verb(verbs, "list", "the drills that run")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    folder = settings.load(file, os.environ, with_secrets=False).data_path
    verbs = {"start": _start, "stop": _stop, "list": _list}
    try:
        return verbs[arguments.verb](_caller(folder), arguments)
    except (CallError, FolderError) as error:
        print(f"canhbao drill {arguments.verb}: {error}", file=sys.stderr)
        return 1


def _caller(folder: Path) -> Caller:
    url = announced(folder)
    if url is None:
        raise CallError("the service does not run, and it alone tells people: canhbao run")
    return Caller(url, folder, "drill")


def drill_body(arguments: argparse.Namespace, now_s: float) -> dict[str, Any]:
    """What POST /api/v1/alerts is sent. Raises ConfigError."""
    lasts_ms = duration_ms(arguments.lasts, "--for")
    if not 0 < lasts_ms <= LASTS_MS_MOST:
        raise ConfigError("--for", arguments.lasts, "more than nothing, at most 7 days (168h)")
    until = datetime.fromtimestamp(now_s).astimezone() + timedelta(milliseconds=lasts_ms)
    return {
        "template": arguments.template, "hazard": arguments.hazard, "areas": arguments.area, "level": arguments.level,
        "until": until.isoformat(timespec="seconds"), "fields": _fields(arguments), "drill": True,
    } | ({"why": arguments.what} if arguments.what else {})  # fmt: skip


def _start(caller: Caller, arguments: argparse.Namespace) -> int:
    body = drill_body(arguments, time.time())
    for incident in caller.ask("POST", _ALERTS, body)["incidents"]:
        print(f"{incident}  until {body['until']}")
    return 0


def _stop(caller: Caller, arguments: argparse.Namespace) -> int:
    if bool(arguments.ids) is arguments.all:
        raise ConfigError("the call", "which drills?", "their ids, as canhbao drill list shows them, or --all")
    run = [drill["id"] for drill in caller.ask("GET", _DRILLS)["alerts"]]
    for id_ in arguments.ids:
        if id_ not in run:  # what is no drill may be a warning that people trust in
            raise WrongCallError(f"no drill {id_!r} runs", "canhbao drill list")
    for id_ in arguments.ids or run:
        caller.ask("POST", f"{_ALERTS}/{quote(id_, safe='')}/close", {})
        print(f"{id_}  stopped")
    return 0


def _list(caller: Caller, _arguments: argparse.Namespace) -> int:
    for drill in caller.ask("GET", _DRILLS)["alerts"]:
        print(f"{drill['id']}  {drill['hazard']}  {drill['area']} {drill['area_name']}  {drill['level_name']}  "
              f"since {drill['opened_at']}")  # fmt: skip
    return 0


def _fields(arguments: argparse.Namespace) -> dict[str, str]:
    fields = {} if arguments.where is None else {"where": arguments.where}
    for given in arguments.field:
        name, equals, text = given.partition("=")
        if not name or not equals:
            raise ConfigError("--field", given, "NAME=TEXT")
        fields[name] = text
    return fields


def _level(text: str) -> int:
    level = _LEVELS.get(text.lower(), int(text) if text in ("1", "2", "3", "4") else 0)
    if not level:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1-4 or {', '.join(_LEVELS)}")
    return level


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verb.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")
    return verb
