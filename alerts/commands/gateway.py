"""canhbao gateway: who may connect to the city's Mosquitto."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alerts import settings
from alerts.commands import certificates
from alerts.commands.certificates import say
from alerts.commands.run import DEFAULT_FILE
from alerts.settings import read_text
from ingest.broker.authority import Authority
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import BY_CERTIFICATE, LOOPBACK, NETWORK
from ingest.broker.reload import Reload, put_out, reload
from ingest.city import City, ConfigError, is_gateway_id, parse_city
from ingest.data_folder import FolderError
from ingest.networks import topic_filters
from ingest.tls import SOON

HELP = "give gateways their passwords or certificates for the city's Mosquitto, take them away"
EXAMPLE = """\
examples:
  canhbao gateway add gw-hai-chau-1            prints its password, once
  canhbao gateway add gw-hai-chau-1 > gw-hai-chau-1.password
  canhbao gateway list                         every gateway of the city: has it a password, until when a certificate?
  canhbao gateway rotate gw-hai-chau-1         a new password; the old one ends, with its connection
  canhbao gateway revoke gw-hai-chau-1         no password and no certificate any more, its connection ends
with certificates instead of passwords (mutual TLS):
  canhbao gateway ca --host broker.example     a small authority, the broker's certificate, those of our own users
  canhbao gateway ca                           the same again: renews what ends within 30 days
  canhbao gateway add gw-hai-chau-1 --certificate DIR       writes DIR/gw-hai-chau-1.crt and .key
  canhbao gateway rotate gw-hai-chau-1 --certificate DIR    a new one; the old ones end, with their connection

The first use makes the broker's folder (<data>/mosquitto): its configuration, the users and what each may do.
Start the broker in it: mosquitto -c mosquitto.conf. The bundled broker needs none of this.

The authority is for development, trials and a city's first gateways: its key lies unencrypted beside the broker, and
gateways' keys are made here and carried to them. Where more depends on it, use the city's own authority:
docs/how-to/gateway-credentials.md.
"""
_VERBS: Final = {
    "add": "a password, or with --certificate a certificate, for a gateway of the city",
    "rotate": "a new one instead of the present one",
    "revoke": "take password and certificates away and end the connection",
    "list": "which gateways have a password, which a certificate and until when",
    "ca": "a small authority for certificates (for development and trials), and what the broker needs of it; run "
          "again, it renews what ends within 30 days",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="|".join(_VERBS), required=True)
    for name, text in _VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text, epilog=EXAMPLE,
                                formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        if name == "ca":
            verb.add_argument(
                "--host",
                nargs="+",
                action="extend",
                default=[],
                metavar="NAME",
                help="what gateways reach the broker by, names and addresses (default: as before)",
            )
        elif name != "list":
            verb.add_argument("id", help="of the gateway: its [[gateway]] id in city.toml")
        if name in ("add", "rotate"):
            verb.add_argument("--certificate", type=Path, metavar="DIR",
                              help="a certificate instead of a password; it and its key are written there")  # fmt: skip
        verb.add_argument("--config", type=Path, metavar="FILE", help="settings (default: canhbao.toml, if there)")
        verb.add_argument("--folder", type=Path, help="the broker's (default: mosquitto in the data folder)")


def run(arguments: argparse.Namespace) -> int:
    file = arguments.config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    chosen = settings.load(file, os.environ, with_secrets=False)  # they are made here
    city = parse_city(read_text(chosen.city_file), str(chosen.city_file))
    folder = MosquittoFolder(arguments.folder or chosen.data_path / "mosquitto", topic_filters(chosen.networks))
    now = datetime.now(UTC)
    if chosen.mqtt.embedded_port is not None:
        say("mqtt.url is the bundled broker: it listens on this machine alone and asks no gateway for a password; "
            "these are for Mosquitto")  # fmt: skip
    try:
        if arguments.verb == "list":
            return _list(folder, city, now)
        if arguments.verb == "ca":
            return _authority(folder, arguments.host, now)
        _check_id(arguments.verb, arguments.id, city, str(chosen.city_file))
        with folder.changing():
            if arguments.verb == "revoke":
                return _revoke(folder, arguments.id, now)
            if arguments.certificate is not None:
                return _certify(folder, arguments.verb, arguments.id, arguments.certificate, now)
            return _give_password(folder, arguments.verb, arguments.id)
    except (FolderError, OSError) as error:
        say(f"canhbao gateway {arguments.verb}: {error}")
        return 1


def _list(folder: MosquittoFolder, city: City, now: datetime) -> int:
    authority = Authority(folder)
    known, certified = folder.gateways, authority.gateways
    for gateway in city.gateways:
        columns = [gateway, "has a password" if gateway in known else "no password"]
        if authority.present:
            columns.append(certificates.standing(certified.get(gateway), now, gateway))
        print("\t".join(columns))
    for gateway in dict.fromkeys([*known, *certified]):
        if gateway not in city.gateways:
            has = " and ".join(["a password"] * (gateway in known) + ["a certificate"] * (gateway in certified))
            print(f"{gateway}\thas {has}, and the city knows no such gateway: canhbao gateway revoke {gateway}")
    if authority.present:
        certificates.say_ending(authority.standings(), now)
    return 0


def _authority(folder: MosquittoFolder, hosts: list[str], now: datetime) -> int:
    certificates.check_hosts(hosts)
    authority = Authority(folder)
    if not hosts and not authority.present:
        raise ConfigError("--host", "none", "the names and addresses by which gateways reach the broker")
    with folder.changing(LOOPBACK, NETWORK, BY_CERTIFICATE):
        if not certificates.complete(folder, hosts, now):
            return 0
        return _told(folder, reload(folder), _NEWS)


def _check_id(verb: str, id_: str, city: City, city_file: str) -> None:
    """Raises ConfigError for whom no gateway may be. One that the city has given up can still be revoked."""
    if not is_gateway_id(id_):
        raise ConfigError("gateway", id_, "[a-z0-9-]{1,32}, not alerts, cap, drill, speak, collector…")
    if verb != "revoke" and id_ not in city.gateways:
        raise ConfigError("gateway", id_, f'a gateway of the city; add it there: [[gateway]] id = "{id_}"', city_file)


def _give_password(folder: MosquittoFolder, verb: str, id_: str) -> int:
    known = id_ in folder.gateways
    if verb == "add" and known:
        raise ConfigError("gateway", id_, f"one without a password; for a new one: canhbao gateway rotate {id_}")
    if verb == "rotate" and not known:
        raise ConfigError("gateway", id_, "one with a password; canhbao gateway list shows them")
    print(folder.set_password(id_), flush=True)
    say(f"{id_}: this password is shown once and kept nowhere; the MQTT user name is {id_}")
    return _told(folder, reload(folder), _NEWS)


def _certify(folder: MosquittoFolder, verb: str, id_: str, to: Path, now: datetime) -> int:
    """A gateway may have an older one beside the new one only while that ends soon: time to carry it there."""
    authority = Authority(folder)
    ends = authority.gateways.get(id_)
    anew = f"for a new one: canhbao gateway rotate {id_} --certificate DIR"
    if verb == "add" and ends is not None and ends >= now + SOON:
        raise ConfigError(
            "gateway", id_, f"one without a certificate, or one that ends within {SOON.days} days; {anew}"
        )
    if verb == "rotate" and ends is None:
        raise ConfigError("gateway", id_, "one with a certificate; canhbao gateway list shows them")
    certificates.check_room(to, id_, authority, replaced=ends is not None)
    ended = 0
    if verb == "rotate":  # the old one may be in wrong hands: it ends whatever becomes of the new one
        authority.revoke(id_, now)
        ended = _told(folder, put_out(folder, id_), _REVOKED)
    certificates.hand_over(authority.issue(id_, now), to, id_, authority)
    certificates.say_listener(folder)
    return ended


def _revoke(folder: MosquittoFolder, id_: str, now: datetime) -> int:
    authority = Authority(folder)
    known, certified = id_ in folder.gateways, id_ in authority.gateways
    if not known and not certified:
        raise ConfigError("gateway", id_, "one with a password or a certificate; canhbao gateway list shows them")
    if known:
        folder.remove(id_)
    if not certified:
        return _told(folder, reload(folder), _NEWS)
    authority.revoke(id_, now)
    return _told(folder, put_out(folder, id_), _REVOKED)


def _told(folder: MosquittoFolder, came: Reload, news: dict[Reload, str]) -> int:
    say(news[came].format(folder=folder.folder))
    return 1 if came is Reload.UNSEEN else 0


_NEWS: Final = {
    Reload.SEEN: "the broker goes by it from now on",
    Reload.UNSEEN: "the broker was told to read its files again and did not show that it did: its log says why",
    Reload.NOT_HERE: "no broker of {folder} runs on this machine. It reads its files when it starts; where it runs "
                     "elsewhere, tell it: kill -HUP its process, or docker compose kill -s HUP mosquitto",
    Reload.NOT_OURS: "the broker goes on as before until it is told: "
                     "sudo kill -HUP $(cat {folder}/state/mosquitto.pid)",
}  # fmt: skip
# Told to read its files, Mosquitto refuses a revoked certificate and leaves the connection that it has opened.
_REVOKED: Final = {
    Reload.SEEN: "the broker goes by it from now on, and the connection has ended",
    Reload.UNSEEN: "the broker was told and did not show that it has ended the connection: its log may say why. "
                   "Restart it: that ends it for certain",
    Reload.NOT_HERE: "no broker of {folder} runs on this machine. It reads its files when it starts; where it runs "
                     "elsewhere, restart it: until then the old certificate holds, and its connection lasts",
    Reload.NOT_OURS: "the broker goes on as before, and the connection lasts, until the broker is restarted",
}  # fmt: skip
