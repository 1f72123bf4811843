"""Operators' way does not depend on residents': their provider hangs, the post is killed, and the desk has it all."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_server
from threading import Thread

import pytest
from brokers import Client, until
from post.town import KEY, Contact, Person, Residents
from test_run import reading
from test_service import RUN, _addresses
from test_spine import CITY, RULES

pytestmark = pytest.mark.slow
PEOPLE = 30


@contextmanager
def provider_that_hangs() -> Iterator[tuple[int, list[bytes]]]:
    """It takes every connection and the beginning of what comes, and never answers."""
    came: list[bytes] = []
    held = []
    with create_server(("127.0.0.1", 0)) as server:

        def hang() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    held.append(connection)
                    came.append(connection.recv(65_536))
                except OSError:
                    return

        Thread(target=hang, daemon=True).start()
        try:
            yield server.getsockname()[1], came
        finally:
            server.shutdown(2)
            for connection in held:
                connection.close()


def posts_of(pid: int) -> list[int]:
    said = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False)
    return [int(found) for found in re.findall(r"^ *(\d+) .*-m alerts\.post", said.stdout, re.MULTILINE)]


def asked(file: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as db:
        return db.execute(statement).fetchall()


def test_the_desk_hears_at_once_while_residents_providers_hang_and_their_post_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    residents = Residents(data)
    wants = {("20242", "flood"): 1}
    residents.add(
        [Person(n, "vi", "", 9, wants, (Contact(n, "sms", f"+8490{n:07}"),)) for n in range(1, PEOPLE + 1)], 0
    )
    residents.close()
    desk = "SELECT n.version, m.channel, m.status, m.attempts FROM message m JOIN notice n USING (seq) ORDER BY m.id"

    def at_the_desk() -> list[tuple[object, ...]]:
        rows = asked(data / "ledger.sqlite", desk)
        return sorted(row for row in rows if row[1] in ("console", "mqtt") and row[2] == "sent")

    with provider_that_hangs() as (port, came), (tmp_path / "log").open("w") as log:
        environ = {
            **os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_MQTT__URL": "embedded:0",
            "CANHBAO_CITY__FILE": str(tmp_path / "city.toml"), "CANHBAO_RULES__FILE": str(tmp_path / "rules.toml"),
            "CANHBAO_DATA__PATH": str(data), "CANHBAO_RESIDENTS__KEY": KEY,
            "CANHBAO_SMS__URL": f"http://127.0.0.1:{port}/send",
            "CANHBAO_SMS__BODY": '{"to": "{to}", "text": "{text}", "key": "{key}"}',
        }  # fmt: skip
        with subprocess.Popen(RUN, env=environ, stdout=log, stderr=log) as process:
            try:
                _, gateways = _addresses(tmp_path / "log", process)
                gateway = Client(int(gateways.rpartition(":")[2]))
                tell(gateway, 1.2)
                until(lambda: came, "residents' provider heard nothing", 30)
                until(
                    lambda: at_the_desk() == [(1, "console", "sent", 1), (1, "mqtt", "sent", 1)], "the desk, at first"
                )
                first = posts_of(process.pid)
                assert len(first) == 1
                os.kill(first[0], signal.SIGKILL)
                tell(gateway, 2.6)
                both = [(version, channel, "sent", 1) for version in (1, 2) for channel in ("console", "mqtt")]
                until(lambda: at_the_desk() == both, "the desk, with the post dead")
                assert asked(data / "post.sqlite", "SELECT count(*) FROM message WHERE status = 'sent'") == [(0,)]
                until(lambda: posts_of(process.pid) not in ([], first), "the post came back", 30)
            finally:
                process.send_signal(signal.SIGTERM)
                code = process.wait(60)
    assert code == 0, (tmp_path / "log").read_text()[-2000:]
    for file in (tmp_path / "log", *data.rglob("*")):
        assert not file.is_file() or b"8490000000" not in file.read_bytes(), file


def tell(gateway: Client, level_m: float) -> None:
    gateway.publish("canhbao/v1/gw-1/readings", json.dumps({"readings": [json.loads(reading(level_m))]}).encode())
