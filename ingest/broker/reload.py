"""Mosquitto reads its passwords and rights again when it is told to, and ends the connections they no longer allow."""

from __future__ import annotations

import os
import signal
import time
from enum import StrEnum
from pathlib import Path
from typing import Final

from ingest.broker.knock import lets_in
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import PROBE_USER

_SEEN_S: Final = 10.0  # a save of a full queue takes some 6 s, and the broker does nothing else meanwhile
_STEP_S: Final = 0.1


class Reload(StrEnum):
    """What came of it."""

    SEEN = "seen"  # the broker goes by what was written last
    UNSEEN = "unseen"  # it was told, and did not show within some 10 s that it does
    NOT_HERE = "not here"  # no broker of this folder runs where we could see it
    NOT_OURS = "not ours"  # it runs, as a user whose processes we may not tell anything


def reload(folder: MosquittoFolder) -> Reload:
    """Tell the broker of `folder`, and wait until it lets in the probe of what `folder` wrote last."""
    pid = broker_pid(folder.folder)
    if pid is None:
        return Reload.NOT_HERE
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        return Reload.NOT_OURS
    except ProcessLookupError:
        return Reload.NOT_HERE
    port = _plain_port(folder.folder / "mosquitto.conf")
    deadline = time.monotonic() + _SEEN_S
    while port is not None and time.monotonic() < deadline:
        if lets_in(("127.0.0.1", port), PROBE_USER, folder.probe):
            return Reload.SEEN
        time.sleep(_STEP_S)
    return Reload.UNSEEN


def put_out(folder: MosquittoFolder, gateway: str) -> Reload:
    """Reload, and end the connection of `gateway`, with what waits for it: Mosquitto by itself ends only those whose
    password has changed, and lets one that a certificate opened go on for ever.

    We take its place under its own name, by a password that ends with us.
    """
    with folder.lent_password(gateway) as password:
        came = reload(folder)
        if came is not Reload.SEEN:
            return came
        port = _plain_port(folder.folder / "mosquitto.conf")
        ended = port is not None and lets_in(("127.0.0.1", port), gateway, password)
    came = reload(folder)
    return came if ended else Reload.UNSEEN


def broker_pid(folder: Path) -> int | None:
    """The mosquitto that works in `folder`. The number alone may be another container's, or of a program since then."""
    try:
        pid = int((folder / "state" / "mosquitto.pid").read_text("ascii"))
        process = Path("/proc") / str(pid)
        ours = (process / "comm").read_text().strip() == "mosquitto" and (process / "cwd").samefile(folder)
    except (OSError, ValueError):
        return None
    return pid if ours else None


def _plain_port(conf: Path) -> int | None:
    """The first port without TLS that can be reached from this machine."""
    for block in f"\n{conf.read_text('utf-8')}".split("\nlistener ")[1:]:
        port, *host = block.partition("\n")[0].split()
        if "\ncertfile " not in block and (not host or host[0] in ("127.0.0.1", "0.0.0.0", "localhost")):
            return int(port)
    return None
