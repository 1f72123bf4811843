"""canhbao verify: whether a saved message is ours, by its signature, offline."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alerts import settings
from alerts.commands.run import DEFAULT_FILE
from alerts.proof.keys import SIGNING_FILE, signing_key
from alerts.proof.public_keys import KEY_PATH, keys_in
from alerts.proof.signature import NotSignedError, WrongSignatureError, key_id, verify
from ingest.city import ConfigError
from ingest.data_folder import FolderError

HELP = "whether a saved message is ours and unchanged, by its signature"
EXAMPLE = """\
examples:
  canhbao verify message.json                              by the key in this machine's data folder
  canhbao verify message.json --key canhbao-key.json       by a key that was fetched before; a PEM will do as well
  canhbao verify message.json --key https://canhbao.example.vn
  mosquitto_sub -C 1 -t canhbao/v1/alerts/20242/flood | canhbao verify - --key canhbao-key.json

FILE: a message from MQTT or a webhook, or an answer of /api/v1/v/{code}. Exit code 0: ours, as it was sent. 1: not
ours, or changed. 2: no signed message, or no key. Whether it still holds no signature knows: ask the code in it.
"""
BYTES_MOST: Final = 1_048_576  # a message has some thousands
TIMEOUT_S: Final = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the message as JSON; - reads standard input")
    parser.add_argument("--key", metavar="FILE|URL", help="the public key (default: that of the data folder)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")


def run(arguments: argparse.Namespace) -> int:
    message = _message(arguments.file)
    keys = _own_key(arguments.config) if arguments.key is None else _given_keys(arguments.key)
    try:
        named = verify(message, keys)
    except NotSignedError as error:
        raise ConfigError(arguments.file, str(error), "a message of ours, with its signature") from None
    except WrongSignatureError as error:
        print(f"NOT GENUINE: {error}")
        return 1
    print(f"genuine: signed with the key {named}")
    for field in ("incident", "version", "reason", "level", "sent", "code", "check"):
        if message.get(field) not in (None, ""):
            print(f"  {field}: {message[field]}")
    if message.get("exercise"):
        print("  DIỄN TẬP / EXERCISE: nothing of it is real")
    return 0


def _message(name: str) -> Mapping[str, Any]:
    try:
        if name == "-":
            data = sys.stdin.buffer.read(BYTES_MOST + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(BYTES_MOST + 1)
    except OSError as error:
        raise ConfigError("FILE", name, f"a file that can be read ({error.strerror})") from None
    if len(data) > BYTES_MOST:
        raise ConfigError("FILE", f"more than {BYTES_MOST} bytes", "one message")
    try:
        found = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ConfigError(name, str(error) or "too deep", "a message as JSON") from None
    answered = isinstance(found, dict) and "signature" not in found and "message" in found
    inner = found["message"] if answered else found
    if not isinstance(inner, dict):
        raise ConfigError(name, "no message", "one from MQTT or a webhook, or an answer of /api/v1/v/{code}")
    return inner


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A field that stands twice is read differently by different programs: one of them would be deceived."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands in it twice")
    return found


def _own_key(config: Path | None) -> dict[str, Ed25519PublicKey]:
    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    folder = settings.load(file, os.environ, with_secrets=False).data_path
    try:
        public = signing_key(folder).public_key()
    except (OSError, FolderError) as error:
        found = f"none that can be read in {folder / SIGNING_FILE}"
        raise ConfigError("the key", found, "--key FILE or --key URL") from error
    return {key_id(public): public}


def _given_keys(given: str) -> dict[str, Ed25519PublicKey]:
    try:
        text = _fetched(given) if given.startswith(("http://", "https://")) else Path(given).read_text("utf-8")
        return keys_in(text)
    except OSError as error:  # URLError is one
        reason = getattr(error, "reason", None) or error.strerror or error
        raise ConfigError("--key", given, f"a file or an address that can be read ({reason})") from None
    except ValueError as error:
        raise ConfigError("--key", given, f"a public key; this is {error}") from None


def _fetched(url: str) -> str:
    """The document of keys; `url` is the city's address, or already the document's."""
    where = url if url.endswith(KEY_PATH) else url.rstrip("/") + KEY_PATH
    with urllib.request.urlopen(where, timeout=TIMEOUT_S) as answer:  # noqa: S310  # http or https, checked above
        return bytes(answer.read(BYTES_MOST)).decode()
