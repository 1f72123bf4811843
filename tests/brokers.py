"""Real brokers and plain MQTT clients for the tests of whatever speaks MQTT."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from ingest.broker.authority import Authority
from ingest.broker.knock import lets_in
from ingest.broker.mosquitto import MosquittoFolder
from ingest.broker.mosquitto_conf import Listener
from ingest.broker.nats import NatsBroker

WAIT_S = 10.0


def until(true: Callable[[], Any], what: str = "", wait_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < deadline, what or "it never came about"
        time.sleep(0.01)


class Mosquitto:
    """Open to everybody and without persistence: killed, it has lost every session."""

    username, password = "collector", "any"

    def __init__(self, program: str, folder: Path, port: int, more: str = "") -> None:
        self.port, self.url = port, f"mqtt://127.0.0.1:{port}"
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 2000\n"
            f"max_queued_messages 0\nuser root\n{more}"  # else it may not read its files
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until(lambda: _port_open(self.port), "mosquitto does not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    stop = kill


class CityMosquitto:
    """As a city runs it: the generated configuration with persistence, passwords and rights, on loopback.

    Users: collector, collector-backfill, collector-out, collector-listener and `gateways`; `mend` may change the
    generated mosquitto.conf before the broker is started. `tls_port`: there as well, once tls/ has a certificate.
    `certificate_port`: there by certificates of an authority of its own, `ca_file`.
    """

    username = "collector"

    def __init__(
        self, program: str, folder: Path, port: int, gateways: Iterable[str] = (), mend: Callable[[str], str] = str,
        tls_port: int = 0, certificate_port: int = 0, foreign: Sequence[str] = (),
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)  # ours, and so the broker stays who we are
        self.folder, self.port, self.url = MosquittoFolder(folder, foreign), port, f"mqtt://127.0.0.1:{port}"
        self._passwords: dict[str, str] = {}
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        secured = [Listener("127.0.0.1", tls_port, tls=True)] if tls_port else []
        if certificate_port:
            secured.append(Listener("127.0.0.1", certificate_port, tls=True, by_certificate=True))
        self.certificate_url = f"mqtts://127.0.0.1:{certificate_port}"
        self.authority, self.ca_file = Authority(self.folder), folder / "ca" / "ca.crt"
        with self.folder.changing(Listener("127.0.0.1", port), *secured):
            if certificate_port:
                self.authority.complete(["127.0.0.1"], datetime.now(UTC))
            for gateway in gateways:
                self._passwords[gateway] = self.folder.set_password(gateway)
        conf = folder / "mosquitto.conf"
        conf.write_text(mend(conf.read_text()))

    @property
    def password(self) -> str:
        return self.password_of("collector")

    def password_of(self, user: str) -> str:
        kept = self.folder.password_file(user)
        return kept.read_text() if kept.exists() else self._passwords[user]

    @property
    def settings(self) -> dict[str, str]:
        """For `service(folder, **broker.settings)`."""
        return {
            "CANHBAO_MQTT__URL": self.url,
            "CANHBAO_MQTT__PASSWORD_FILE": str(self.folder.password_file("collector")),
            "CANHBAO_MQTT__BACKFILL_PASSWORD_FILE": str(self.folder.password_file("collector-backfill")),
            "CANHBAO_MQTT__OUT_PASSWORD_FILE": str(self.folder.password_file("collector-out")),
        }

    @property
    def log(self) -> str:
        """All that it said since the first start."""
        file = self.folder.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with (self.folder.folder / "log").open("ab") as log:
            command = [self._program, "-c", "mosquitto.conf"]
            self._process = subprocess.Popen(command, cwd=self.folder.folder, stdout=log, stderr=log)
        process = self._process
        until(lambda: _port_open(self.port) or process.poll() is not None, "mosquitto does not start")
        assert process.poll() is None, self.log

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        """A clean end: everything is saved."""
        self._end(signal.SIGTERM)

    stop = terminate

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)


class Nats:
    """The bundled broker behind the same face."""

    def __init__(self, data: Path) -> None:
        self._broker = NatsBroker.start(data, 0)
        self.url, self.port = self._broker.url, self._broker.address[1]
        self.username, self.password = self._broker.collector.username, self._broker.collector.password

    def start(self) -> None:
        until(lambda: lets_in(self._broker.address, self.username, self.password))

    def kill(self) -> None:
        assert self._broker._process is not None
        before = self._broker.restarts
        self._broker._process.kill()
        until(lambda: self._broker.restarts > before)

    def stop(self) -> None:
        self._broker.stop()


def _port_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Client:
    """A gateway or a listener: anonymous unless told otherwise; remembers what it heard and what was refused."""

    def __init__(self, port: int, *topics: str, username: str = "", password: str = "", will: str = "") -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.granted: list[bool] = []
        self.reason = ""
        self.client = paho.Client(CallbackAPIVersion.VERSION2, clean_session=True)
        if username:
            self.client.username_pw_set(username, password)
        if will:
            self.client.will_set(will, b"offline", qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, m: self.heard.append((m.topic, m.payload, m.retain))
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(not c.is_failure for c in codes)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(lambda: self.reason, "no answer to CONNECT")
        if topics:
            self.client.subscribe([(topic, 1) for topic in topics])
            until(lambda: self.granted, "no answer to SUBSCRIBE")

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.reason = str(reason)

    def publish(self, topic: str, *payloads: bytes, qos: int = 1, retain: bool = False) -> None:
        """Returns when the broker has acknowledged all of them."""
        for info in [self.client.publish(topic, payload, qos, retain) for payload in payloads]:
            info.wait_for_publish(WAIT_S)
            assert info.is_published()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.client._reset_sockets()  # paho closes them when it is forgotten, which may be after they are

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
