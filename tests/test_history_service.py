"""The whole service while its history is killed, stopped and locked out: warnings do not notice."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from brokers import Client, until
from conftest import Tally
from histories import Source, held, same
from influx_server import Fault, InfluxServer
from stories import ALERT, field, get, levels, metrics, part, pid_of, stored
from test_service import service, told, twin_over
from test_spine import CITY, RULES

from ingest.history.stores import embedded_file, store_at

AWAY_S = 300


def history_of(data: Path) -> int | None:
    """The history's process, None while there is none."""
    children = Path(f"/proc/{pid_of(data)}/task").glob("*/children")
    for child in " ".join(file.read_text() for file in children).split():
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"ingest.history" in command:
            return int(child)
    return None


def a_history_of(data: Path, but: int | None = None) -> int:
    until(lambda: history_of(data) not in (None, but), "no process of the history is there")
    found = history_of(data)
    assert found is not None
    return found


def followed(page: str) -> bool:
    now = metrics(page)
    return now["canhbao_history_position"] == now["canhbao_journal_position"] and part(page, "history")[0]


def test_warnings_do_not_notice_what_becomes_of_the_history(tmp_path: Path, tally: Tally) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    data = tmp_path / "data"
    with service(tmp_path) as (page, url), field(tmp_path / "spool", int(url.rpartition(":")[2])) as gateways:
        times = gateways.offer(0.1, 0.2)
        gateways.until_receipted()
        until(lambda: followed(page), "the history does not follow")
        pid = None
        for seed in tally.seeds(few=3, many=30):
            with tally.trial():
                pid = a_history_of(data, but=pid)
                times += gateways.offer(0.1, 0.1 + seed % 7 / 100)
                os.kill(pid, signal.SIGKILL)
                gateways.until_receipted()
        os.kill(a_history_of(data, but=pid), signal.SIGSTOP)
        times += gateways.offer(0.3, 3.0)
        gateways.until_receipted()
        gateways.until(lambda: levels(page) == [3], "the warning is not told")
        assert get(f"{page}readyz")["ready"] is True
        os.kill(pid := a_history_of(data), signal.SIGKILL)
        with held(embedded_file(data)):
            times += gateways.offer(3.1, 3.2)
            gateways.until_receipted()
            until(lambda: "history" in part(page, "history")[1], "a history that is locked out is not told")
            assert get(f"{page}readyz")["ready"] is True
            assert get(f"{page}api/v1/sensors/river/readings")["status"] == 503
        until(lambda: followed(page), "the history does not catch up")
        shown = get(f"{page}api/v1/sensors/river/readings?limit=10000")
        assert [row["value"] for row in shown["readings"]][-4:] == [0.3, 3.0, 3.1, 3.2]
        assert len(shown["readings"]) == len(times)
    undisturbed(data, times)


@pytest.mark.proof
@pytest.mark.timeout(0)
def test_five_minutes_without_a_store_under_load_are_made_up_for(tmp_path: Path, tally: Tally) -> None:
    """The wall's five minutes, 50 messages a second; a change of level every second, each told at once."""
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    data, times = tmp_path / "data", list[int]()
    with (
        tally.trial(),
        service(tmp_path) as (page, url),
        field(tmp_path / "spool", int(url.rpartition(":")[2])) as gateways,
    ):
        times += gateways.offer(0.1)
        until(lambda: followed(page), "the history does not follow")
        pid = a_history_of(data)
        os.kill(pid, signal.SIGSTOP)  # it holds its file; killed, it would let somebody else have it in between
        os.kill(pid, signal.SIGKILL)
        with held(embedded_file(data)):
            began, changes = time.monotonic(), 0
            while time.monotonic() - began < AWAY_S:
                for value in (3.0, 0.1):
                    times += gateways.offer(*[value] * 25)
                    changes += 1
                    gateways.until(
                        lambda n=changes: metrics(page)["canhbao_transitions_total"] >= n, "a level is not told"
                    )
                    gateways.until_receipted()
                    time.sleep(max(0.0, began + len(times) / 50 - time.monotonic()))
            assert get(f"{page}readyz")["ready"] is True
            assert not part(page, "history")[0]
        until(lambda: followed(page), "the history does not catch up", 60.0)
    undisturbed(data, times)
    assert len(times) > AWAY_S * 25


def undisturbed(data: Path, times: list[int], url: str = "duckdb", token: str = "") -> None:
    """The history is the journal's; what was told is what the journal alone says, with nobody's history beside it."""
    assert set(stored(data)) == set(times)
    with closing(store_at(url, data, ZoneInfo("Asia/Ho_Chi_Minh"), token)) as store:
        same(store, Source(data))
    transitions, health = told(data / "ledger.sqlite")
    twin = twin_over(data / "journal")
    assert transitions
    assert (transitions, health) == (twin.lines(), twin.health)


@contextmanager
def refusing(influx: InfluxServer, _: threading.Event) -> Iterator[None]:
    """Nobody listens."""
    influx.down()
    yield
    influx.up()


@contextmanager
def busy(influx: InfluxServer, _: threading.Event) -> Iterator[None]:
    influx.weather = lambda _: Fault(503, "1")
    yield
    influx.weather = lambda _: None


@contextmanager
def hanging(influx: InfluxServer, hangs: threading.Event) -> Iterator[None]:
    """It takes a request, and says nothing."""
    again = threading.Event()

    def wait(_: str) -> None:
        hangs.set()
        again.wait(60)

    influx.weather = wait
    try:
        yield
    finally:
        again.set()
        influx.weather = lambda _: None


def test_warnings_do_not_notice_what_becomes_of_an_influxdb(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    data, token = tmp_path / "data", "s3cret-t0ken-of-the-test"
    outages = [(refusing, "river", 1.5, 1), (busy, "street", 0.3, 2), (hanging, "river", 3.0, 3)]
    hangs, tries = threading.Event(), "canhbao_history_retries_total"
    with InfluxServer(token) as influx:
        url = f"influx+{influx.url}?org=city&bucket=readings"
        settings = {"CANHBAO_HISTORY__URL": url, "CANHBAO_HISTORY__TOKEN": token}
        with (
            service(tmp_path, **settings) as (page, broker),
            field(tmp_path / "spool", port := int(broker.rpartition(":")[2])) as gateways,
            Client(port, ALERT) as listener,
        ):
            times = gateways.offer(0.1, 0.2) + gateways.offer(0.0, sensor="street")  # known: what comes next is written
            gateways.until_receipted()
            until(lambda: followed(page), "the history does not follow")
            for outage, sensor, value, level in outages:
                tried, heard = metrics(page)[tries], len(listener.heard)
                with outage(influx, hangs):
                    times += gateways.offer(0.05, sensor="street")
                    gateways.until_receipted()
                    until(lambda tried=tried: hangs.is_set() or metrics(page)[tries] > tried, "it has met no outage")
                    times += gateways.offer(value, sensor=sensor)
                    gateways.until_receipted()
                    gateways.until(lambda level=level: max(levels(page), default=0) == level, "no warning is shown")
                    gateways.until(lambda heard=heard: len(listener.heard) > heard, "no warning goes out")
                    assert not followed(page)
                    assert get(f"{page}readyz")["ready"] is True
                until(lambda: followed(page), "the history does not catch up")
            shown = get(f"{page}api/v1/sensors/river/readings")
            assert [row["value"] for row in shown["readings"]] == [0.1, 0.2, 1.5, 3.0]
        undisturbed(data, times, url, token)
