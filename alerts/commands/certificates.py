"""The certificates that `canhbao gateway` makes: what it says of them, and the files that go to a gateway."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ingest.broker.authority import HOSTS_MOST, Authority, Credential, Standing
from ingest.broker.certificates import is_host
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import listener_by_certificate
from ingest.city import ConfigError
from ingest.data_folder import write_private
from ingest.disk import LOCAL
from ingest.tls import SOON


def check_hosts(hosts: Sequence[str]) -> None:
    """Raises ConfigError."""
    for host in hosts:
        if not is_host(host):
            raise ConfigError("--host", host, "an address, or a name in small letters, without scheme and port")
    if len(hosts) > HOSTS_MOST:
        raise ConfigError("--host", f"{len(hosts)} of them", f"at most {HOSTS_MOST}")


def complete(folder: MosquittoFolder, hosts: Sequence[str], now: datetime) -> bool:
    """Make what is missing and renew what ends soon, one line each on stdout; whether the broker has news to read."""
    standings = Authority(folder).complete(hosts, now)
    for each in standings:
        what = "made" if each.made else "as it was" if each.ours else "of another authority: left alone"
        print(f"{each.file}\tuntil {each.ends:%Y-%m-%d}\t{what}")
    say_listener(folder)
    return any(each.made for each in standings)


def say_listener(folder: MosquittoFolder) -> None:
    if not folder.takes_certificates:
        say(f"{folder.folder / 'mosquitto.conf'} lets nobody in by a certificate yet; add these lines, or take away "
            f"their marks, and restart the broker:\n\n{listener_by_certificate()}")  # fmt: skip


def check_room(to: Path, gateway: str, authority: Authority, *, replaced: bool) -> None:
    """Whether the files may be put there. `replaced`: over those that the gateway has had. Raises ConfigError."""
    for name in () if replaced else (f"{gateway}.key", f"{gateway}.crt"):
        if (to / name).exists():
            raise ConfigError("--certificate", str(to / name), "a folder where this is not yet; no key is written over")
    ca = to / "ca.crt"
    if authority.present and ca.exists() and ca.read_bytes() != authority.certificate_file.read_bytes():
        raise ConfigError("--certificate", str(ca), "a folder without the certificate of another authority")


def hand_over(credential: Credential, to: Path, gateway: str, authority: Authority) -> None:
    """Into files that we alone may read. Raises OSError."""
    if not to.exists():
        LOCAL.make_folder(to.parent)
        to.mkdir(mode=0o700)
    write_private(to / f"{gateway}.key", credential.key)
    write_private(to / f"{gateway}.crt", credential.certificate)
    write_private(to / "ca.crt", authority.certificate_file.read_text("ascii"))
    say(f"{gateway}: {to / gateway}.crt and .key are the gateway's, ca.crt is whom it believes; delete the key here "
        "once the gateway has it")  # fmt: skip


def standing(ends: datetime | None, now: datetime, gateway: str) -> str:
    """Of a gateway's certificate, for the list."""
    if ends is None:
        return "no certificate"
    anew = f": canhbao gateway add {gateway} --certificate DIR"
    if ends < now:
        return f"its certificate ended on {ends:%Y-%m-%d}{anew}"
    if ends < now + SOON:
        return f"certificate until {ends:%Y-%m-%d}, {(ends - now).days} days{anew}"
    return f"certificate until {ends:%Y-%m-%d}"


def say_ending(standings: Sequence[Standing], now: datetime) -> None:
    for each in standings:
        if each.ends < now + SOON:
            when = "ended" if each.ends < now else "ends"
            say(f"{each.file} {when} on {each.ends:%Y-%m-%d}; make it anew: canhbao gateway ca")


def say(text: str) -> None:
    print(text, file=sys.stderr)
