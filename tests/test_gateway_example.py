"""docs/examples/gateway.py as its reader would run it: killed, cut off and restarted, it loses nothing and no reading
is there twice.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
from brokers import CityMosquitto, until
from test_service import RUN, _addresses, service
from test_spine import CITY, RULES

from ingest.entries import ORIGIN, Batch
from ingest.journal import Journal

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "gateway.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


class Field:
    """The gateway's processes, one after the other on one spool; what it said is on its disk."""

    def __init__(self, folder: Path, port: int, password: str = "", resend_s: int = 2) -> None:
        self.kept: dict[int, int] = {}  # seq -> t
        text = EXAMPLE.read_text("utf-8")
        assert "RESEND_S, RESEND_MOST_S = 32, 5, 60, 3600" in text
        (folder / "gateway.py").write_text(text.replace("5, 60, 3600", f"5, {resend_s}, 3600"), "utf-8")
        self._spool, self._port = folder / "spool.sqlite", port
        self._folder, self._environ = folder, {**os.environ, **({"GATEWAY_PASSWORD": password} if password else {})}

    @contextmanager
    def gateway(self, period_s: float = 0.02) -> Iterator[None]:
        """Runs, and is killed at the end."""
        arguments = ("127.0.0.1", self._port, "gw-1", "river", self._spool, period_s)
        command = [sys.executable, str(self._folder / "gateway.py"), *map(str, arguments)]
        with subprocess.Popen(command, env=self._environ, stdout=subprocess.PIPE, text=True) as process:
            hearing = threading.Thread(target=self._hear, args=(process,))
            hearing.start()
            try:
                yield
            finally:
                process.kill()
                hearing.join()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            seq, _, reading = line.partition(" ")
            if reading.endswith("\n"):
                assert int(seq) not in self.kept, "a number was given twice"
                self.kept[int(seq)] = json.loads(reading)["t"]

    def more(self, count: int) -> None:
        """So many more are on the gateway's disk."""
        enough = len(self.kept) + count
        until(lambda: len(self.kept) >= enough, "the gateway has stopped measuring", 30)

    def once(self, wait_s: float) -> None:
        """Measures once, and is killed when it has its receipts for all."""
        with self.gateway(period_s=3600):
            self.more(1)
            until(lambda: self.spooled() == [], "not everything has its receipt", wait_s)

    def spooled(self) -> list[int]:
        with closing(sqlite3.connect(self._spool)) as db:
            return [seq for (seq,) in db.execute("SELECT seq FROM message ORDER BY seq")]

    def parked(self) -> int:
        with closing(sqlite3.connect(self._spool)) as db:
            return int(db.execute("SELECT count(*) FROM parked").fetchone()[0])


@contextmanager
def killed_service(folder: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """A service that ends with kill -9."""
    environ = {**os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_CITY__FILE": str(folder / "city.toml"),
               "CANHBAO_RULES__FILE": str(folder / "rules.toml"), "CANHBAO_DATA__PATH": str(folder / "data"),
               **settings}  # fmt: skip
    with (folder / "log").open("w") as log, subprocess.Popen(RUN, env=environ, stdout=log, stderr=log) as process:
        try:
            _addresses(folder / "log", process)
            yield
        finally:
            process.send_signal(signal.SIGKILL)


def stored(folder: Path) -> list[int]:
    entries = Journal.open(folder / "data" / "journal", read_only=True).read(ORIGIN)
    return [t for _, entry in entries if isinstance(entry, Batch) for t in entry.readings.t.tolist()]


@pytest.mark.slow
@pytest.mark.server("mosquitto")
def test_whatever_dies_in_between_everything_is_in_the_journal_once(
    folder: Path, program: Callable[[str], str], free_port: Callable[[], int]
) -> None:
    r = Random(7)
    broker = CityMosquitto(program("mosquitto"), folder / "broker", free_port(), ["gw-1"])
    broker.start()
    field = Field(folder, broker.port, broker.password_of("gw-1"))
    try:
        with killed_service(folder, broker.settings):
            for _ in range(3):
                with field.gateway():
                    field.more(r.randint(5, 60))
            with field.gateway():
                field.more(20)
                broker.kill()
                field.more(5)
                broker.start()
                field.more(40)
        with field.gateway():
            field.more(40)  # more than may be on the wire, and nobody to give a receipt
            assert len(field.spooled()) >= 40
            broker.kill()
        broker.start()
        with service(folder, **broker.settings):
            field.once(60)
    finally:
        broker.stop()

    assert field.spooled() == []
    assert field.parked() == 0
    there = stored(folder)
    assert len(set(there)) == len(there)
    assert set(field.kept.values()) <= set(there)
    assert len(set(there) - set(field.kept.values())) <= 5, "kept, and killed before it was said"


@pytest.mark.slow
def test_numbers_go_on_and_a_hole_is_answered_with_what_is_left(folder: Path) -> None:
    """Against the bundled broker, anonymous. A hole: a number whose message the gateway's disk has lost."""
    with service(folder) as (_, url):
        field = Field(folder, int(url.rpartition(":")[2]), resend_s=60)
        for _ in range(2):
            field.once(30)
        assert sorted(field.kept) == [1, 2], "numbers go on where the spool was empty"
        with closing(sqlite3.connect(folder / "spool.sqlite")) as db:
            db.executemany("INSERT INTO message VALUES (?, ?)", [(seq, "[]") for seq in (3, 4, 6, 7)])
            db.commit()
        field.once(40)  # the collector asks for 5 after 10 s, and is told that there is nothing
    assert sorted(field.kept) == [1, 2, 8]
    assert sorted(stored(folder)) == sorted(field.kept.values())


@pytest.mark.slow
@pytest.mark.server("mosquitto")
def test_what_never_gets_a_receipt_is_put_aside_and_its_number_goes_empty(
    folder: Path, program: Callable[[str], str], free_port: Callable[[], int]
) -> None:
    broker = CityMosquitto(program("mosquitto"), folder / "broker", free_port(), ["gw-1"])
    broker.start()
    field = Field(folder, broker.port, broker.password_of("gw-1"), resend_s=0)
    try:
        with field.gateway(period_s=3600):
            field.more(1)
            until(lambda: field.parked() == 1, "nothing is put aside", 30)
            with service(folder, **broker.settings):
                until(lambda: field.spooled() == [], "its number stands before all that follow", 60)
    finally:
        broker.stop()
    assert stored(folder) == []
    with closing(sqlite3.connect(folder / "spool.sqlite")) as db:
        assert json.loads(db.execute("SELECT readings FROM parked").fetchone()[0])[0]["sensor"] == "river"
