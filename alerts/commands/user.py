"""canhbao user: who works with warnings, with which rights; their tokens; whether the audit holds."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from alerts import settings
from alerts.commands.caller import CallError
from alerts.commands.run import DEFAULT_FILE
from alerts.commands.user_client import Kept, Running, office
from alerts.ledger.store import LedgerError
from alerts.people.user import Centre, Role
from alerts.settings import read_text
from alerts.words.names import LANGS
from ingest.city import ConfigError, parse_city
from ingest.data_folder import FolderError

HELP = "who works with warnings: users, their rights and tokens, and the audit"
EXAMPLE = """\
examples:
  canhbao user add tran.lan --role admin                     prints her token, once
  canhbao user add ward-hai-chau --role operator --area 20242 --centre ward > ward-hai-chau.token
  canhbao user add evn --role operator --hazard power --centre power
  canhbao user list
  canhbao user token tran.lan                                another token; the others stay
  canhbao user revoke tran.lan 1f2e3d4c5b6a                  this token ends
  canhbao user revoke tran.lan                               she is no longer a user, and every token ends
  canhbao user scope ward-hai-chau --role approver --area 20242 --area 20260
  canhbao user contact tran.lan sms < number                 calls reach her by SMS; --none: no more
  canhbao user audit --head 17:9f3c…                         does the chain hold, and was 17 its end once?

Roles, each with the rights of those before it: viewer, operator, approver, admin. No --area: the whole city; no
--hazard: all of them. Works with the running service, and without one. docs/how-to/operators.md says who may what.
Exit code 1: it cannot be done as things stand, or the audit does not hold.
"""
_TEXTS: Final = {
    "add": "a new user, and a token",
    "list": "every user, and the ids of the tokens in force",
    "token": "a new token for a user",
    "revoke": "end one token; without its id all of them, and the user",
    "contact": "by which channel a user is called; the address comes on standard input",
    "scope": "change role, areas and hazards; what is not named stays",
    "audit": "check the chain of what people did",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="|".join(_TEXTS), required=True)
    made = {name: _verb(verbs, name, text) for name, text in _TEXTS.items()}
    for name in ("add", "token", "revoke", "contact", "scope"):
        made[name].add_argument("name", help="of the user: 1 to 32 of a-z 0-9 . _ -")
    made["revoke"].add_argument("id", nargs="?", default="", help="of the token, as canhbao user list shows it")
    how = made["contact"].add_mutually_exclusive_group(required=True)
    how.add_argument("channel", nargs="?", help="one of those to residents that are set up")
    how.add_argument("--none", action="store_true", help="calls reach this user on the console alone")
    made["contact"].add_argument("--lang", choices=LANGS, default="vi", help="of what is written (default: vi)")
    made["list"].add_argument("--json", action="store_true", help="one JSON object a line")
    made["audit"].add_argument("--head", default="", help="number:hash of a row, kept from elsewhere (log, API)")
    _add_scope(made["add"], required=True)
    _add_scope(made["scope"], required=False)
    scope = made["scope"]
    scope.add_argument("--whole-city", action="store_true", help="no limit of areas any more")
    scope.add_argument("--all-hazards", action="store_true", help="no limit of hazards any more")
    scope.add_argument("--active", action="store_true", help="a user again; old tokens stay ended")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    chosen = settings.load(file, os.environ, with_secrets=False)
    verbs = {"add": _add, "list": _list, "token": _token, "revoke": _revoke, "contact": _contact, "scope": _scope,
             "audit": _audit}  # fmt: skip

    def city() -> Any:
        return parse_city(read_text(chosen.city_file), str(chosen.city_file))

    try:
        with office(chosen.data_path, city) as users:
            return verbs[arguments.verb](users, arguments)
    except (CallError, FolderError, LedgerError) as error:
        _say(f"canhbao user {arguments.verb}: {error}")
        return 1


def _add(users: Running | Kept, arguments: argparse.Namespace) -> int:
    user = {"name": arguments.name, "role": arguments.role, "areas": arguments.area, "hazards": arguments.hazard,
            "centre": arguments.centre or Centre.OTHER.value}  # fmt: skip
    users.add(user)
    return _token(users, arguments)


def _list(users: Running | Kept, arguments: argparse.Namespace) -> int:
    for user in users.listed()["users"]:
        print(json.dumps(user, ensure_ascii=False) if arguments.json else _row(user))
    return 0


def _token(users: Running | Kept, arguments: argparse.Namespace) -> int:
    print(users.token(arguments.name), flush=True)
    _say(f"{arguments.name}: this token is shown once and kept nowhere; it goes into Authorization: Bearer")
    return 0


def _revoke(users: Running | Kept, arguments: argparse.Namespace) -> int:
    ended = users.revoke(arguments.name, arguments.id)
    if not arguments.id:
        users.change(arguments.name, {"active": False})
    print(f"{arguments.name}: {len(ended)} {'token has' if len(ended) == 1 else 'tokens have'} ended")
    return 0


def _contact(users: Running | Kept, arguments: argparse.Namespace) -> int:
    contact = None
    if not arguments.none:  # not on the command line, where every user of the machine could read it
        contact = {"channel": arguments.channel, "address": sys.stdin.readline().strip(), "lang": arguments.lang}
    by = users.reach(arguments.name, contact)
    print(f"{arguments.name}: called by {by}" if by else f"{arguments.name}: called on the console alone")
    return 0


def _scope(users: Running | Kept, arguments: argparse.Namespace) -> int:
    for limit, none, words in (("area", "whole_city", "--whole-city"), ("hazard", "all_hazards", "--all-hazards")):
        if getattr(arguments, limit) and getattr(arguments, none):
            raise ConfigError("the call", f"--{limit} and {words}", "one of them")
    given: dict[str, Any] = {
        "role": arguments.role, "centre": arguments.centre, "active": arguments.active or None,
        "areas": [] if arguments.whole_city else arguments.area or None,
        "hazards": [] if arguments.all_hazards else arguments.hazard or None,
    }  # fmt: skip
    change = {name: value for name, value in given.items() if value is not None}
    if not change:
        raise ConfigError("the call", "nothing to change", "--role, --area, --hazard, --centre …; canhbao user --help")
    print(_row({**users.change(arguments.name, change), "tokens": []}).rpartition("\t")[0])
    return 0


def _audit(users: Running | Kept, arguments: argparse.Namespace) -> int:
    found = users.verified(arguments.head)
    if found["whole"]:
        print(f"the audit holds up to {found['head']}")
        return 0
    _say(f"canhbao user audit: row {found['broken']}: {found['why']}; it holds up to {found['head']}")
    return 1


def _row(user: dict[str, Any]) -> str:
    in_force = [token["id"] for token in user["tokens"] if token["revoked_at"] is None]
    scope = (" ".join(user["areas"]) or "whole city", " ".join(user["hazards"]) or "all hazards")
    active = "active" if user["active"] else "not active"
    return "\t".join([user["name"], user["role"], *scope, user["centre"], active, " ".join(in_force)])


def _add_scope(verb: argparse.ArgumentParser, *, required: bool) -> None:
    verb.add_argument("--role", choices=[role.value for role in Role], required=required)
    verb.add_argument("--area", action="append", default=[], metavar="CODE", help="with all that is part of it")
    verb.add_argument("--hazard", action="append", default=[], metavar="NAME", help="such as flood, rain, power")
    verb.add_argument("--centre", choices=[centre.value for centre in Centre], help="whose person it is: a label")


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verb.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")
    return verb


def _say(text: str) -> None:
    print(text, file=sys.stderr)
