"""canhbao zalo: the tokens of the city's Zalo account, and which templates of ZNS are missing."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alerts import settings
from alerts.commands.run import DEFAULT_FILE
from alerts.delivery import zalo_account as account
from alerts.delivery.channels.channel import ChannelError, Means
from alerts.delivery.zalo_token import TO_DO, Kept, ZaloToken, read_kept, token_file
from alerts.given import Section
from alerts.settings import Settings, read_text
from ingest.city import ConfigError
from processing.rules import parse_rules

HELP = "allow the service to send by the city's Zalo account, see how long it may, and which templates are missing"
EXAMPLE = """\
examples:
  canhbao zalo authorize           asks for a refresh token (developers.zalo.me: Tools, API Explorer, OA Access Token)
  canhbao zalo authorize < token   the same from a file; it works while the service runs
  canhbao zalo status              until when the tokens are good; exit 1 where somebody has to authorize again
  canhbao zalo templates           what could be told and has no approved template; exit 1 where there is any

A refresh token is good for one use: give each to one place only.
"""
_VERBS: Final = {
    "authorize": "begin, or begin again after tokens were lost, with a refresh token from standard input",
    "status": "until when the tokens are good",
    "templates": "what could be told by ZNS and has no approved template",
}
_TOKEN_MOST: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="|".join(_VERBS), required=True)
    for name, text in _VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text, epilog=EXAMPLE,
                                formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        verb.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    given = settings.load(file, os.environ, with_secrets=arguments.verb == "authorize")
    match arguments.verb:
        case "authorize":
            return _authorize(given)
        case "status":
            return _status(given)
    return _templates(given)


def _authorize(given: Settings) -> int:
    section = _section(given)
    refresh = (getpass.getpass("refresh token: ") if sys.stdin.isatty() else sys.stdin.read(_TOKEN_MOST + 1)).strip()
    if not refresh or len(refresh) > _TOKEN_MOST or not refresh.isprintable():
        raise ConfigError("the refresh token", "nothing of that kind", "one line on standard input")
    given.data_path.mkdir(parents=True, exist_ok=True)
    token = account.token(section, Means(given.data_path, "", _now_ms))
    try:
        kept = asyncio.run(_begin(token, refresh))
    except ChannelError as error:
        print(f"canhbao zalo authorize: {error}", file=sys.stderr)
        return 1
    print(f"authorized: {_until(kept)}")
    return 0


async def _begin(token: ZaloToken, refresh: str) -> Kept:
    try:
        return await token.authorize(refresh)
    finally:
        await token.close()


def _status(given: Settings) -> int:
    kept = read_kept(token_file(given.data_path, account.app_id(_section(given))))
    if kept is None:
        print(f"no token: {TO_DO}")
        return 1
    print(_until(kept))
    if kept.refused:
        print(f"{'lost on its way to the disk' if kept.lost else 'refused by Zalo'} ({kept.refused}): {TO_DO}")
    return 1 if kept.refused or _now_ms() >= kept.refresh_until else 0


def _templates(given: Settings) -> int:
    rules = parse_rules(read_text(given.rules_file), str(given.rules_file))
    lines = missing_templates(given, list(rules.hazards))
    print("\n".join(lines) or "nothing is missing")
    return 1 if lines else 0


def missing_templates(given: Settings, hazards: list[str]) -> list[str]:
    """One line for each message that could be called for and has no approved template. Raises ConfigError."""
    return [
        f"{name}: no approved template for {cell}"
        for name in ("zalo", "zns")
        if given.channels[name]["templates_file"].text
        for cell in account.templates(given.channels[name]).missing(hazards)
    ]


def _section(given: Settings) -> Section:
    for name in ("zalo", "zns"):
        if given.channels[name]["app_id"].text:
            return given.channels[name]
    raise given.channels["zalo"]["app_id"].wrong("the number of the app: neither zalo.app_id nor zns.app_id is set")


def _until(kept: Kept) -> str:
    return f"access until {_moment(kept.access_until)}, renewable until {_moment(kept.refresh_until)}"


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
