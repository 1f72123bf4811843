"""What Mosquitto is told: its configuration, and who may what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ROOT: Final = "canhbao/v1"
PROBE_USER: Final = "collector-probe"  # may do nothing; see MosquittoFolder.probe
NETWORKS_USER: Final = "collector-networks"

_OUT: Final = (f"{ROOT}/alerts/+/+", f"{ROOT}/cap/+", f"{ROOT}/speak/+", f"{ROOT}/drill/#")
_TO_GATEWAYS: Final = (f"{ROOT}/+/receipt", f"{ROOT}/+/command")


@dataclass(frozen=True, slots=True)
class Rights:
    """Topic filters of one user of ours."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


# Their names begin with `collector`, which no gateway's may.
SERVICE_USERS: Final[Mapping[str, Rights]] = {
    "collector": Rights((f"{ROOT}/+/readings", f"{ROOT}/+/readings/+", f"{ROOT}/+/status"), _TO_GATEWAYS),
    "collector-backfill": Rights((f"{ROOT}/+/backfill", f"{ROOT}/+/backfill/+"), _TO_GATEWAYS),
    "collector-out": Rights(_OUT, _OUT),
    NETWORKS_USER: Rights(),  # brings what other networks say: the topics that the settings name
    "collector-listener": Rights(_OUT),  # what is told: for an operations centre or a bridge to loudspeakers
}
GATEWAY: Final = Rights(
    (f"{ROOT}/%u/receipt", f"{ROOT}/%u/command"),
    tuple(f"{ROOT}/%u/{kind}" for kind in ("readings", "readings/+", "backfill", "backfill/+", "status")),
)


@dataclass(frozen=True, slots=True)
class Listener:
    """Where clients connect. With `tls`, by the certificate tls/server.crt and the key tls/server.key of the folder.

    `by_certificate` (with `tls` alone): they log in by one that ca/ca.crt signed and ca/crl.pem does not name.
    """

    host: str
    port: int
    tls: bool = False
    by_certificate: bool = False


LOOPBACK: Final = Listener("127.0.0.1", 1883)
NETWORK: Final = Listener("0.0.0.0", 8883, tls=True)
BY_CERTIFICATE: Final = Listener("0.0.0.0", 8884, tls=True, by_certificate=True)

_CONFIGURATION: Final = """\
# Mosquitto 2.0 for canhbao. Written once and then left alone: yours to change; delete it to have it written anew.
# Start it in this folder: mosquitto -c mosquitto.conf. Paths are relative to it.

# Started by root it becomes this user, the owner of this folder; it has to read and write here.
{user}pid_file state/mosquitto.pid
log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S

# Nobody without a password, and everybody only where `acl` lets him. Both are written by `canhbao gateway` and read
# again on SIGHUP, which also ends the connections of users that are no longer in `passwords`.
allow_anonymous false
password_file passwords
acl_file acl

# What waits for a client that is away or slow: any number of messages, up to this many bytes of payload a client.
# At the limit the newest are dropped, one line in the log says so ("Outgoing messages are being dropped"), and their
# senders are told that all is well: gateways without receipts lose them. It waits in memory, some {overhead} bytes a
# message above its payload, and in state/mosquitto.db: leave room for four times this, in memory and on disk.
# Stay below 2147483648: Mosquitto 2.0 reads 32 bits of it.
max_queued_messages 0
max_queued_bytes {queued_bytes}
# Sent to a client and not yet acknowledged; what is beyond waits.
max_inflight_messages 2000
# In bytes, from clients. A larger packet costs its sender the connection; the log says "oversize packet".
max_packet_size 65536

# Sessions and retained messages survive a restart. A clean end saves everything. Killed, or without power, the broker
# forgets what came since the last save, although it was acknowledged: some {autosave_s} seconds of what the collector
# had not fetched. Gateways with receipts send it again. A save stops the broker for as long as it takes.
persistence true
persistence_location state
autosave_interval {autosave_s}
# A session whose client has been away for so long is given up with what waits for it, the collector's too (its queue
# is full long before): old commands do more harm than good, and masts that are gone must not fill the disk.
persistent_client_expiration 3m

# Each listener needs `use_username_as_clientid true`: without it any gateway can connect with the collector's client id
# and so end its connection, and with a clean session its queue.
{listeners}"""
_OVERHEAD_BYTES: Final = 400
_QUEUED_BYTES: Final = 1024**3
_AUTOSAVE_S: Final = 60

_LISTENER: Final = "listener {port} {host}\nuse_username_as_clientid true\n"
_TLS: Final = "certfile tls/server.crt\nkeyfile tls/server.key\n"
_IDENTITY: Final = "use_identity_as_username true"
# Mosquitto 2.0 refuses everybody while the list of revoked certificates has ended or has not begun, and goes without
# one that it cannot read on SIGHUP, in silence.
_CERTIFICATES: Final = f"""\
# Nobody without a certificate that ca/ca.crt signed and ca/crl.pem, read again on SIGHUP, does not name (a connection
# that is there already it does not end). The CN is the user name; no password is asked for.
cafile ca/ca.crt
crlfile ca/crl.pem
require_certificate true
{_IDENTITY}
"""
_NO_TLS: Final = """\
# For gateways on a network: put tls/server.crt (with its chain) and tls/server.key here, and take away the marks.
"""
_NO_CERTIFICATES: Final = """\
# For gateways with certificates: `canhbao gateway ca --host NAME` makes the files; then take away the marks.
"""


def configuration(listeners: tuple[Listener, ...], user: str) -> str:
    """mosquitto.conf. `user` "": the broker's user has no name here, and it is started as that user."""
    blocks = [_block(each) for each in listeners]
    if not any(each.tls for each in listeners):
        blocks.append(_NO_TLS + _marked(_block(NETWORK)))
    if not any(each.by_certificate for each in listeners):
        blocks.append(_NO_CERTIFICATES + _marked(_block(BY_CERTIFICATE)))
    return _CONFIGURATION.format(
        user=f"user {user}\n" if user else "",
        overhead=_OVERHEAD_BYTES,
        queued_bytes=_QUEUED_BYTES,
        autosave_s=_AUTOSAVE_S,
        listeners="\n".join(blocks),
    )


def takes_certificates(configuration: str) -> bool:
    return f"\n{_IDENTITY}" in configuration


def listener_by_certificate() -> str:
    """The lines that a configuration without it needs."""
    return _block(BY_CERTIFICATE)


def _block(listener: Listener) -> str:
    lines = _LISTENER.format(port=listener.port, host=listener.host)
    return lines + (_TLS if listener.tls else "") + (_CERTIFICATES if listener.by_certificate else "")


def _marked(block: str) -> str:
    return "".join(line if line.startswith("#") else f"#{line}" for line in block.splitlines(keepends=True))


def access(foreign: Sequence[str] = ()) -> str:
    """Mosquitto's ACL: what stands nowhere is refused. It judges what is delivered, and lets everybody subscribe.

    `foreign`: filters of other networks' topics, which one user of theirs may write and the collector read.
    """
    collector = SERVICE_USERS["collector"]
    users = {**SERVICE_USERS, PROBE_USER: Rights(), NETWORKS_USER: Rights(write=tuple(foreign)),
             "collector": Rights((*collector.read, *foreign), collector.write)}  # fmt: skip
    lines = ["# Who may what. Written by `canhbao gateway`, which replaces changes made here.",
             "# A gateway: its own topics; %u is its name.", *_rules("pattern", GATEWAY)]  # fmt: skip
    for user, rights in users.items():
        # Patterns hold for every user: ours are no gateways.
        lines += ["", f"user {user}", f"topic deny {ROOT}/{user}/#", *_rules("topic", rights)]
    return "\n".join(lines) + "\n"


def _rules(kind: str, rights: Rights) -> list[str]:
    return [f"{kind} {way} {topic}" for way in ("read", "write") for topic in getattr(rights, way)]
