"""What we write for InfluxDB, taken by a server that is not ours: Debian's VictoriaMetrics, through influxdb-client."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from random import Random
from urllib.error import URLError

import pytest
from test_influx import NAMES, NOON

from ingest.entries import ORIGIN, Batch, Configuration
from ingest.history.influx_client import Address, InfluxClient
from ingest.history.lines import lines
from ingest.history.store import MINUTE_MS, WORST_FIRST
from ingest.journal import Journal
from ingest.readings import Flag, Readings

Points = dict[tuple[str, str, int], float]  # by metric, sensor and t


@pytest.fixture
def victoria(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[str]:
    """Its address."""
    port = free_port()
    command = [program("victoria-metrics"), f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={tmp_path / 'vm'}",
               "-retentionPeriod=100y", "-memory.allowedBytes=64MB"]  # fmt: skip
    with (tmp_path / "vm.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            for _ in range(400):
                try:
                    ask(f"http://127.0.0.1:{port}/health")
                    break
                except URLError:
                    assert process.poll() is None, (tmp_path / "vm.log").read_text()
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def exported(url: str) -> Points:
    """A metric is measurement and field: rain_value, rain_raw, rain_flag."""
    ask(f"{url}/internal/force_flush")  # else what came is found a second later
    text = ask(f"{url}/api/v1/export?match[]=%7Bsensor!%3D%22%22%7D&start={NOON // 1000 - 86_400}")
    found: Points = {}
    for line in text.splitlines():
        series = json.loads(line)
        metric, sensor = series["metric"]["__name__"], series["metric"]["sensor"]
        found |= {(metric, sensor, t): v for t, v in zip(series["timestamps"], series["values"], strict=True)}
    return found


def expected(journal: Journal) -> Points:
    found: Points = {}
    for _, entry in journal.read(ORIGIN):
        for one in [entry.readings] if isinstance(entry, Batch) else []:
            columns = (one.sensor, one.t, one.value, one.raw, one.flag)
            for number, t, value, raw, flag in zip(*(column.tolist() for column in columns), strict=True):
                fields = {"failed" if flag in (Flag.FAIL, Flag.MISSING) else "value": value, "raw": raw, "flag": flag}
                found |= {(f"{NAMES[number].quantity}_{name}", NAMES[number].id, t): v for name, v in fields.items()
                          if not isnan(v)}  # fmt: skip
    return found


@pytest.mark.server("victoria-metrics")
def test_what_another_server_has_taken_is_what_the_journal_holds(victoria: str, tmp_path: Path) -> None:
    random = Random(5)
    journal = Journal.open(tmp_path / "journal")
    journal.append(Configuration(NOON, "", "", tuple(name.id for name in NAMES.values())))
    client = InfluxClient(Address(victoria, "city", "readings", "no token is asked for"))
    for turn in range(6):
        sensor = [random.randrange(3) for _ in range(1500)]
        t = [NOON + (turn * 500 + n // 3) * MINUTE_MS + number for n, number in enumerate(sensor)]
        value = [round(random.gauss(0, 50), 3) for _ in t]
        flag = [random.choice(WORST_FIRST) for _ in t]
        value = [float("nan") if f == Flag.MISSING else v for v, f in zip(value, flag, strict=True)]
        unique = dict(zip(zip(sensor, t, strict=True), range(len(t)), strict=True)).values()
        columns = {"sensor": sensor, "t": t, "value": value, "flag": flag, "arrival": [NOON + turn] * len(t)}
        one = Readings.of(**{name: [column[n] for n in sorted(unique)] for name, column in columns.items()})
        journal.append(Batch(one))
        client.write(lines(one, NAMES, range(len(one))))
    found, wanted = exported(victoria), expected(journal)
    journal.close()
    client.close()
    assert client.refused == 0
    assert len(wanted) > 15_000
    assert found == wanted
