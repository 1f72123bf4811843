"""canhbao dead-letters: what was refused, and driving it again."""

from __future__ import annotations

import argparse
import json
import os
import sys
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from alerts import settings
from alerts.commands.caller import CallError
from alerts.commands.letter_client import Kept, Running, office
from alerts.commands.letter_text import outcome, page, row
from alerts.commands.run import DEFAULT_FILE
from alerts.ledger.store import LedgerError
from alerts.letters import SOME_MOST
from alerts.web.letters import PAGE_MOST
from ingest.city import ConfigError
from ingest.data_folder import FolderError
from ingest.formats import OBJECT_BYTES_MAX, REASONS
from ingest.formats.native import renamed
from ingest.journal import JournalError

HELP = "what was refused: list it, look at it, correct it, drive it again"
EXAMPLE = """\
examples:
  canhbao dead-letters list --reason unknown_sensor --since 2026-10-14T18:00:00+07:00
  canhbao dead-letters show 17
  canhbao dead-letters drive 17                 again, as it came: after the registry was mended
  canhbao dead-letters drive --reason unknown_sensor --gateway gw-hai-chau-1
  canhbao dead-letters fix 17 --map rain-old=rain-hai-chau-1
  canhbao dead-letters show 17 --raw > 17.json  then edit it, then
  canhbao dead-letters fix 17 --payload 17.json

Driven readings are stored with the time at which they were measured: what is older than 15 minutes fills windows and
raises no warning. What was accepted before is known already. fix and drive need the running service.
Exit code 1: not all of it could be driven, or some was refused again; the letter stays open and says why.
"""
LIST_DEFAULT: Final = 50
DRIVE_DEFAULT: Final = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="list|show|fix|drive", required=True)
    listing = _verb(verbs, "list", "the newest first")
    _add_filter(listing)
    listing.add_argument("--limit", type=_count, default=LIST_DEFAULT, help=f"at most so many ({LIST_DEFAULT})")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    show = _verb(verbs, "show", "one letter with its payload, and what became of it")
    show.add_argument("id", type=_count)
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as the API gives it")
    form.add_argument("--raw", action="store_true", help="the payload alone, byte by byte, to be edited")
    fix = _verb(verbs, "fix", "drive a letter again with another payload or topic; the letter keeps what came")
    fix.add_argument("id", type=_count)
    fix.add_argument("--payload", type=Path, metavar="FILE", help="send these bytes instead")
    fix.add_argument("--map", action="append", default=[], metavar="OLD=NEW", help="rename a sensor (JSON payloads)")
    fix.add_argument("--topic", help="as if it had come on this topic")
    drive = _verb(verbs, "drive", "drive letters again as they came: some by their ids, or all that fit")
    drive.add_argument("ids", type=_count, nargs="*", metavar="ID")
    _add_filter(drive)
    drive.add_argument("--all", action="store_true", help="whatever the reason, gateway and time")
    drive.add_argument("--limit", type=_count, default=DRIVE_DEFAULT, help=f"look at no more ({DRIVE_DEFAULT})")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    folder = settings.load(file, os.environ, with_secrets=False).data_path
    verbs = {"list": _list, "show": _show, "fix": _fix, "drive": _drive}
    try:
        with office(folder) as letters:
            return verbs[arguments.verb](letters, arguments)
    except (CallError, FolderError, JournalError, LedgerError) as error:
        _say(f"canhbao dead-letters {arguments.verb}: {error}")
        return 1


def _list(letters: Running | Kept, arguments: argparse.Namespace) -> int:
    shown = 0
    for letter in _pages(letters, arguments):
        print(json.dumps(letter) if arguments.json else row(letter))
        shown += 1
    if shown == arguments.limit and sys.stderr.isatty():
        _say(f"the newest {shown}; --limit for more")
    return 0


def _pages(letters: Running | Kept, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    left, query = arguments.limit, _filter(arguments)
    while left > 0:
        got = letters.page({**query, "limit": min(left, PAGE_MOST)})
        yield from got["letters"]
        left -= len(got["letters"])
        if got["next"] is None:
            return
        query["cursor"] = got["next"]


def _show(letters: Running | Kept, arguments: argparse.Namespace) -> int:
    letter = letters.one(arguments.id)
    payload = b64decode(letter["payload_base64"])
    if arguments.raw:
        sys.stdout.buffer.write(payload)
        sys.stdout.buffer.flush()
    else:
        print(json.dumps(letter) if arguments.json else page(letter, payload))
    return 0


def _fix(letters: Running | Kept, arguments: argparse.Namespace) -> int:
    names = _names(arguments.map)
    if not (names or arguments.payload or arguments.topic):
        raise ConfigError("the call", "nothing to correct", "--payload, --map or --topic; as it is: drive")
    sent: dict[str, Any] = {} if arguments.topic is None else {"topic": arguments.topic}
    if names or arguments.payload:
        payload = _read(arguments.payload) if arguments.payload else _kept_payload(letters, arguments.id)
        sent["payload_base64"] = b64encode(_renamed(payload, names) if names else payload).decode()
    return _told({arguments.id: letters.drive(arguments.id, sent)})


def _drive(letters: Running | Kept, arguments: argparse.Namespace) -> int:
    query = _filter(arguments)
    if bool(arguments.ids) + bool(query) + arguments.all != 1:
        raise ConfigError("the call", "which letters?", "ids, or --reason, --gateway and --since, or --all")
    if arguments.ids:
        return _told({id_: letters.drive(id_, {}) for id_ in _progress(arguments.ids)})
    return _drive_all(letters, query, arguments.limit)


def _drive_all(letters: Running | Kept, query: dict[str, Any], limit: int) -> int:
    total: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    left: int = limit
    with _progress(None) as progress:
        while left > 0:
            tour = letters.drive_some({**query, "limit": min(left, SOME_MOST)})
            refused.update(tour.pop("refused"))
            after = tour.pop("next")
            total.update(tour)
            looked_at = tour["driven"] + tour["skipped"] + tour["cut"]
            left -= looked_at
            progress.update(looked_at)
            if after is None:
                break
            query["cursor"] = after
        else:
            _say(f"{limit} letters looked at; call it again with a higher --limit for more")
    print(f"{total['driven']} letters driven: {outcome({**_ZERO, **total, 'refused': refused})}")
    if total["skipped"]:
        print(f"{total['skipped']} were settled before")
    if total["cut"]:
        _say(f"{total['cut']} were too large to be kept whole: fix each with --payload")
    return 1 if refused or total["cut"] else 0


_ZERO: Final = {"accepted": 0, "duplicates": 0, "conflicts": 0}


def _told(driven: dict[int, dict[str, Any]]) -> int:
    for id_, one in driven.items():
        print(f"{id_}: {outcome(one)}")
    return 1 if any(one["refused"] for one in driven.values()) else 0


def _kept_payload(letters: Running | Kept, id_: int) -> bytes:
    letter = letters.one(id_)
    if letter["cut"]:
        raise ConfigError("the call", "a letter too large to be kept whole", "its whole payload: --payload FILE")
    return b64decode(letter["payload_base64"])


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            payload = opened.read(OBJECT_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError("--payload", str(file), f"a file that can be read ({error.strerror})") from None
    if len(payload) > OBJECT_BYTES_MAX:
        raise ConfigError("--payload", f"more than {OBJECT_BYTES_MAX} bytes", "a message that somebody could send")
    return payload


def _names(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for (old, _, new), text in zip(pairs, given, strict=True):
        if not old or not new:
            raise ConfigError("--map", text, "OLD=NEW, ids of sensors")
    return {old: new for old, _, new in pairs}


def _renamed(payload: bytes, names: dict[str, str]) -> bytes:
    try:
        return renamed(payload, names)
    except ValueError as error:
        raise ConfigError("--map", str(error), "one of our JSON messages with such a sensor; else --payload") from None


def _filter(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {"reason": arguments.reason, "gateway": arguments.gateway, "since": arguments.since}
    return {key: value for key, value in given.items() if value is not None}


def _add_filter(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--reason", choices=REASONS, metavar="REASON", help="one of: " + " ".join(REASONS))
    verb.add_argument("--gateway", metavar="ID", help='from this gateway; "" for topics that name none')
    verb.add_argument("--since", metavar="T", help="arrived at or after this time (RFC 3339, with a zone)")


def _verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=text, description=text, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verb.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")
    return verb


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**63 - 1):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number above 0")
    return int(text)


def _progress(items: Any) -> Any:
    return tqdm(items, unit=" letters", disable=not sys.stderr.isatty())


def _say(text: str) -> None:
    print(text, file=sys.stderr)
