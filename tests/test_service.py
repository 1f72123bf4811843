"""The whole service as a process: measured data through the reference gateway, a real broker, and back out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest
from engine_player import regrouped
from sqlalchemy import select
from twin import Twin

from alerts.__main__ import main
from alerts.ledger import schema
from alerts.ledger.ledger import Ledger
from ingest.entries import ORIGIN, Batch, Configuration, Entry, Start, Tick
from ingest.journal import Journal
from processing.engine import Engine

# What is judged in each file, on the thresholds of its episode table.
JUDGED = {
    "rain_amsterdam_pws_2017": [("rain_5min", 'statistic = "sum"\nwindow = "60m"\nmin_readings = 12', "10, 20, 30")],
    "rain_amsterdam_radar_reference_2017": [("rain_60min_radar", 'statistic = "last"', "5")],
    "river_aire_calder_2015-16": [("river_stage", 'statistic = "last"', "2.9, 3.9, 4.5"),
                                  ("river_stage", 'statistic = "rise"\nwindow = "3h"', "0.1, 0.3")],
    "river_dead_run_2018-06": [("river_stage", 'statistic = "last"', "3, 5"),
                               ("river_stage", 'statistic = "max"\nwindow = "2h"', "2, 4")],
    "street_floodnet_nyc": [("street_depth", 'statistic = "last"', "0.1016, 0.3048, 0.6096"),
                            ("street_depth", 'statistic = "mean"\nwindow = "5m"\nmin_readings = 2', "0.0762")],
    "power_toledo_blackout_2025-04-28": [
        ("voltage_phase", 'statistic = "last"\ndirection = "below"\nhold = "4s"', "24902, 2767"),
        ("frequency", 'statistic = "min"\nwindow = "10s"\ndirection = "below"', "49.8, 47.5")],
    "school_room_multisensor_2017-18": [
        ("co2", 'statistic = "mean"\nwindow = "15m"\nschedule = { days = "mon-sat", from = "07:00", to = "17:00" }',
         "800, 1000"), ("light", 'statistic = "last"\nhold_clear = "10m"', "100")],
    "school_zurich_co2_2020-12-09": [("co2", 'statistic = "last"', "1000, 1400"),
                                     ("temperature", 'statistic = "count"\nwindow = "1m"', "10, 19")],
}  # fmt: skip
LEVELS = ("advisory", "warning", "danger")
RUN = (sys.executable, "-m", "alerts", "run")


def rules_for(name: str) -> str:
    text = ""
    for n, (quantity, statistic, levels) in enumerate(JUDGED[name]):
        named = ", ".join(f"{word} = {x}" for word, x in zip(LEVELS, levels.split(", "), strict=False))
        text += (f'[[rule]]\nname = "r{n}"\nhazard = "flood"\nquantity = "{quantity}"\n{statistic}\n'
                 f"levels = {{ {named} }}\nclear = 1.0\n")  # fmt: skip
    return text + '[hazard.flood]\nconfirm_by = "none"\n'


@contextmanager
def service(folder: Path, *, command: Sequence[str] = RUN, **settings: str) -> Iterator[tuple[str, str]]:
    """A running `canhbao run` in `folder`; its page and its broker. Ends with SIGTERM and exit code 0."""
    environ = {**os.environ, "CANHBAO_HTTP__LISTEN": "127.0.0.1:0", "CANHBAO_MQTT__URL": "embedded:0",
               "CANHBAO_CITY__FILE": str(folder / "city.toml"), "CANHBAO_RULES__FILE": str(folder / "rules.toml"),
               "CANHBAO_DATA__PATH": str(folder / "data"), **settings}  # fmt: skip
    with (folder / "log").open("w") as log, subprocess.Popen(command, env=environ, stdout=log, stderr=log) as process:
        try:
            yield _addresses(folder / "log", process)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    assert code == 0, (folder / "log").read_text()[-2000:]


def _addresses(log: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    deadline = time.monotonic() + 120  # the first start on a machine compiles the kernels
    while time.monotonic() < deadline and process.poll() is None:
        found = re.findall(r"page: (\S+)   gateways: (\S+)", log.read_text())
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(log.read_text()[-2000:])


def simulate(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "firmware_sim", *arguments], check=True, timeout=280)


def twin_over(folder: Path) -> Twin:
    twin = Twin()
    for _, entry in Journal.open(folder, read_only=True).read(ORIGIN):
        match entry:
            case Configuration(arrival, city_toml, rules_toml, ids):
                twin.configure(arrival, city_toml, rules_toml)
            case Start(arrival):
                twin.start(arrival)
            case Tick(arrival):
                twin.tick(arrival)
            case Batch(readings):
                columns = ("sensor", "t", "value", "flag", "span", "arrival")
                rows = zip(*(getattr(readings, column).tolist() for column in columns), strict=True)
                for number, t, value, flag, span, arrival in rows:
                    twin.reading(ids[number], t, value, flag, span, arrival)
                twin.tick(entry.arrival)
    return twin


def told(file: Path) -> tuple[list[str], list[tuple[int, str, str, str]]]:
    """The transitions and the health events of a ledger."""
    ledger = Ledger.open(file)
    lines = [transition.to_json() for _, transition in ledger.transitions(limit=10**9)]
    with ledger.store.reading() as db:
        health = [(row.at, row.sensor, row.from_status, row.to_status) for row in db.execute(select(schema.health))]
    ledger.close()
    return lines, health


def lines_with_restarts(entries: list[Entry], r: Random, restarts: int = 10) -> list[str]:
    """What an engine says that is taken up from its snapshot, through bytes, at random entries."""
    engine, lines = Engine(), list[str]()
    cuts = set(r.sample(range(len(entries)), min(restarts, len(entries))))
    for n, entry in enumerate(entries):
        lines += [transition.to_json() for transition in engine.step(entry).transitions]
        if n in cuts:
            engine = Engine.from_state(msgspec.msgpack.decode(msgspec.msgpack.encode(engine.to_state())))
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("name", JUDGED)
def test_measured_data_through_gateway_broker_and_service_is_told_as_replay_and_twin_tell_it(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    file = str(shared_data / f"{name}.csv.gz")
    simulate("--csv", file, "--city-out", str(tmp_path / "city.toml"))
    (tmp_path / "rules.toml").write_text(rules_for(name))
    with service(tmp_path, CANHBAO_CLOCK__ARRIVAL="data") as (_, broker):
        simulate("--csv", file, "--url", broker, "--spool", str(tmp_path / "spool"))

    live, health = told(tmp_path / "data" / "ledger.sqlite")
    assert main(["replay", "--journal", str(tmp_path / "data"), "--out", str(tmp_path / "replayed")]) == 0
    replayed = (tmp_path / "replayed").read_text().splitlines()
    twin = twin_over(tmp_path / "data" / "journal")

    assert live, "nothing was told: the comparison would prove nothing"
    assert live == replayed
    assert live == twin.lines()
    assert health == twin.health
    entries = [entry for _, entry in Journal.open(tmp_path / "data" / "journal", read_only=True).read(ORIGIN)]
    for size in (1, 7, 100_000):
        assert lines_with_restarts(regrouped(entries, size), Random(size)) == live
