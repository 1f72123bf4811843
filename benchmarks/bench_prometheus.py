"""Questions of Grafana's panels over 24 h of readings: our endpoint beside a Prometheus with the same readings.

Ours: the pure evaluator over the embedded history's file, to the bytes of the answer, without HTTP. The floor: the same
question over HTTP to Debian's `prometheus`, both of them on one machine, in turn; null where it is not installed. Both
must find as many series. One JSON line a figure, median ms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import msgspec
import numpy as np
from surroundings import tell

from alerts.promql.tokens import QueryError
from alerts.watch.ring import Ring
from alerts.web.prometheus.queries import Queries
from alerts.web.prometheus.regex import re2_matches
from ingest.city import parse_city
from ingest.entries import Position
from ingest.history.duckdb import DuckStore
from ingest.history.store import Named
from ingest.readings import Readings

AREAS, MINUTES, END = 50, 1_440, 1_665_745_200_000
CITY = '[city]\nname = "bench"\ntimezone = "Asia/Ho_Chi_Minh"\n' + "".join(
    f'[[area]]\ncode = "a{n}"\nname = "a{n}"\n' for n in range(AREAS)
)
PANELS = (
    ("instant_all", "rain", 0),
    ("range_one_1m", 'rain{sensor="s0"}', 60),
    ("range_area_1m", 'rain{area="a1"}', 60),
    ("range_by_area_5m", "avg by (area) (rain)", 300),
    ("range_sum_1h_5m", "max by (area) (sum_over_time(rain[1h]))", 300),
    ("range_pattern_5m", 'rain{sensor=~"s.*7"}', 300),
)


def readings(sensors: int) -> Iterator[tuple[Readings, dict[int, Named]]]:
    """Minute after minute; an hour a batch."""
    names = {n: Named(f"s{n}", "rain", "mm", f"a{n % AREAS}", "") for n in range(sensors)}
    chance = np.random.default_rng(1)
    for minute in range(0, MINUTES, 60):
        t = np.repeat(END - (MINUTES - 1 - np.arange(minute, minute + 60)) * 60_000, sensors)
        value = np.round(chance.gamma(0.5, 2.0, len(t)), 1)
        sensor = np.tile(np.arange(sensors), 60)
        yield Readings.of(sensor=sensor, t=t, value=value, raw=value, flag=np.ones(len(t), np.uint8)), names


@contextmanager
def ours(folder: Path, sensors: int) -> Iterator[Callable[[str, int], int]]:
    rows = "".join(
        f'[[sensor]]\nid = "s{n}"\nquantity = "rain"\narea = "a{n % AREAS}"\nperiod = "60s"\n' for n in range(sensors)
    )
    city = parse_city(CITY + rows)
    with closing(DuckStore(folder / "history.duckdb", city.timezone)) as kept:
        for n, (batch, names) in enumerate(readings(sensors)):
            kept.append(batch, names, Position(n + 1))
        queries = Queries(lambda: city, kept, Ring(), re2_matches)

        def ask(query: str, step_s: int) -> int:
            start = END - 86_400_000
            data = queries.range(query, start, END, step_s * 1000) if step_s else queries.instant(query, END)
            return len(json.loads(msgspec.json.encode(data))["result"])

        yield ask


@contextmanager
def peer(folder: Path, sensors: int) -> Iterator[Callable[[str, int], int] | None]:
    program = shutil.which("prometheus")
    if program is None:
        yield None
        return
    with (folder / "readings.txt").open("w") as file:
        for batch, _ in readings(sensors):
            columns = (batch.sensor.tolist(), batch.t.tolist(), batch.value.tolist())
            file.writelines(f'rain{{sensor="s{n}",area="a{n % AREAS}",unit="mm"}} {v} {t / 1000}\n'
                            for n, t, v in zip(*columns, strict=True))  # fmt: skip
        file.write("# EOF\n")
    load = [
        str(Path(program).with_name("promtool")),
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "readings.txt",
        "data",
    ]
    subprocess.run(load, cwd=folder, check=True, capture_output=True)
    (folder / "prometheus.yml").touch()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error",
               "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    url = f"http://127.0.0.1:{port}/api/v1/query"

    def ask(query: str, step_s: int) -> int:
        within = {"start": END / 1000 - 86_400, "end": END / 1000, "step": step_s} if step_s else {"time": END / 1000}
        asked = urlencode({"query": query, **within})
        with urllib.request.urlopen(f"{url}{'_range' if step_s else ''}?{asked}", timeout=120) as answer:  # noqa: S310  # ours
            return len(json.load(answer)["data"]["result"])

    with subprocess.Popen(command, cwd=folder) as process:
        try:
            _until(lambda: ask("rain", 0) == sensors)
            yield ask
        finally:
            process.terminate()


def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        try:
            if true():
                return
        except urllib.error.URLError:
            pass
        time.sleep(0.1)
    raise TimeoutError("prometheus does not answer")


def _ms(ask: Callable[[str, int], Any], query: str, step_s: int, turns: int) -> tuple[float, Any]:
    took, found = [], None
    for _ in range(turns):
        begin = time.perf_counter()
        found = ask(query, step_s)
        took.append((time.perf_counter() - begin) * 1000)
    return median(took), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", type=int, default=500, help="each speaks once a minute (500)")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    say = partial(tell, "prometheus")
    with (
        tempfile.TemporaryDirectory() as folder,
        ours(Path(folder), given.sensors) as us,
        peer(Path(folder), given.sensors) as them,
    ):
        for figure, query, step_s in PANELS:
            try:
                value, found = _ms(us, query, step_s, given.turns)
            except QueryError as error:
                raise SystemExit(f"{query}: {error}") from None
            floor, expected = _ms(them, query, step_s, given.turns) if them else (None, found)
            if found != expected:
                raise SystemExit(f"{query}: {found} series, Prometheus has {expected}")
            say(figure, value, "ms", floor, given.turns)


if __name__ == "__main__":
    main()
