"""canhbao gateway: who may connect to the city's Mosquitto."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from alerts import settings
from alerts.commands.run import DEFAULT_FILE
from alerts.settings import read_text
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.reload import Reload, reload
from ingest.city import City, ConfigError, is_gateway_id, parse_city
from ingest.data_folder import FolderError
from ingest.networks import topic_filters

HELP = "give gateways their passwords for the city's Mosquitto, take them away"
EXAMPLE = """\
examples:
  canhbao gateway add gw-hai-chau-1            prints its password, once
  canhbao gateway add gw-hai-chau-1 > gw-hai-chau-1.password
  canhbao gateway list                         every gateway of the city: has it a password?
  canhbao gateway rotate gw-hai-chau-1         a new password; the old one ends, with its connection
  canhbao gateway revoke gw-hai-chau-1         no password any more, its connection ends

The first use makes the broker's folder (<data>/mosquitto): its configuration, the users and what each may do.
Start the broker in it: mosquitto -c mosquitto.conf. The bundled broker needs none of this.
"""
_VERBS: Final = {
    "add": "a password for a gateway of the city",
    "rotate": "a new password instead of the present one",
    "revoke": "take the password away and end the connection",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="add|list|revoke|rotate", required=True)
    for name, text in [*_VERBS.items(), ("list", "which gateways have a password")]:
        verb = verbs.add_parser(name, help=text, description=text, epilog=EXAMPLE,
                                formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        if name in _VERBS:
            verb.add_argument("id", help="of the gateway: its [[gateway]] id in city.toml")
        verb.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")
        verb.add_argument("--folder", type=Path, help="the broker's (default: mosquitto in the data folder)")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    chosen = settings.load(file, os.environ, with_secrets=False)  # they are made here
    city = parse_city(read_text(chosen.city_file), str(chosen.city_file))
    folder = MosquittoFolder(arguments.folder or chosen.data_path / "mosquitto", topic_filters(chosen.networks))
    if chosen.mqtt.embedded_port is not None:
        _say("mqtt.url is the bundled broker: it listens on this machine alone and asks no gateway for a password; "
             "these are for Mosquitto")  # fmt: skip
    try:
        if arguments.verb == "list":
            return _list(folder, city)
        _check_id(arguments.verb, arguments.id, city, str(chosen.city_file))
        with folder.changing():
            return _change(folder, arguments.verb, arguments.id)
    except (FolderError, OSError) as error:
        _say(f"canhbao gateway {arguments.verb}: {error}")
        return 1


def _list(folder: MosquittoFolder, city: City) -> int:
    known = folder.gateways
    for gateway in city.gateways:
        print(f"{gateway}\t{'has a password' if gateway in known else 'no password'}")
    for gateway in known:
        if gateway not in city.gateways:
            print(f"{gateway}\thas a password, and the city knows no such gateway: canhbao gateway revoke {gateway}")
    return 0


def _check_id(verb: str, id_: str, city: City, city_file: str) -> None:
    """Raises ConfigError for whom no gateway may be. One that the city has given up can still be revoked."""
    if not is_gateway_id(id_):
        raise ConfigError("gateway", id_, "[a-z0-9-]{1,32}, not alerts, cap, drill, speak, collector…")
    if verb != "revoke" and id_ not in city.gateways:
        raise ConfigError("gateway", id_, f'a gateway of the city; add it there: [[gateway]] id = "{id_}"', city_file)


def _change(folder: MosquittoFolder, verb: str, id_: str) -> int:
    known = id_ in folder.gateways
    if verb == "add" and known:
        raise ConfigError("gateway", id_, f"one without a password; for a new one: canhbao gateway rotate {id_}")
    if verb != "add" and not known:
        raise ConfigError("gateway", id_, "one with a password; canhbao gateway list shows them")
    if verb == "revoke":
        folder.remove(id_)
    else:
        print(folder.set_password(id_), flush=True)
        _say(f"{id_}: this password is shown once and kept nowhere; the MQTT user name is {id_}")
    came = reload(folder)
    _say(_NEWS[came].format(folder=folder.folder))
    return 1 if came is Reload.UNSEEN else 0


_NEWS: Final = {
    Reload.SEEN: "the broker goes by it from now on",
    Reload.UNSEEN: "the broker was told to read its files again and did not show that it did: its log says why",
    Reload.NOT_HERE: "no broker of {folder} runs on this machine. It reads its files when it starts; where it runs "
                     "elsewhere, tell it: kill -HUP its process, or docker compose kill -s HUP mosquitto",
    Reload.NOT_OURS: "the broker goes on as before until it is told: "
                     "sudo kill -HUP $(cat {folder}/state/mosquitto.pid)",
}  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr)
