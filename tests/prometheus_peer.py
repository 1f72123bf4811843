"""A real Prometheus over the readings of a test, and random questions for it and for us."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
from brokers import until

# Debian's is of version 2, whose windows and lookback take in their left end: a millisecond less is version 3's.
LEFT_OPEN_MS = 1
_METRICS = ("rain", "water_level", "rain_flag", "water_level_flag", "co2", "nothing")
_LABELS = ("sensor", "area", "gateway", "unit", "missing", "__name__")
_PATTERNS = ("", ".*", ".+", "r-.*", "r-1|w-2", "gw-[0-9]", "2024.", "(a|b)*", "(?i)R-.", "m", "rain|water_level",
             "rain.*", "x{2,3}", r"r\\-1", "[^r].*", r"\\d+")  # fmt: skip
_STATISTICS = ("avg", "min", "max", "sum", "count")
_RANGES = ("2ms", "30s", "1m", "5m", "7m30s", "1h", "3h", "1d")


@contextmanager
def prometheus(program: str, folder: Path, open_metrics: str) -> Iterator[str]:
    """The address of its API. Of what is in the text everything is kept."""
    (folder / "readings.txt").write_text(open_metrics)
    (folder / "prometheus.yml").write_text("")
    data = folder / "data"
    load = [
        f"{Path(program).with_name('promtool')}",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "readings.txt",
        "data",
    ]
    subprocess.run(load, cwd=folder, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
        f"--query.lookback-delta={300_000 - LEFT_OPEN_MS}ms",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or _is_ready(url), "prometheus does not start")
        assert process.poll() is None, (folder / "log").read_text()
        yield f"{url}/api/v1"
    finally:
        process.terminate()
        process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def left_open(query: str) -> str:
    """The question whose windows are as wide as those of version 3."""

    def narrower(match: re.Match[str]) -> str:
        units = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
        ms = sum(int(n) * units[unit] for n, unit in re.findall("([0-9]+)(ms|[smhd])", match[1]))
        return f"[{ms - LEFT_OPEN_MS}ms]"

    return re.sub(r"\[((?:[0-9]+(?:ms|[smhd]))+)\]", narrower, query)


def a_selector(chance: Random) -> str:
    matchers = []
    for _ in range(chance.randrange(4)):
        operator = chance.choice(("=", "!=", "=~", "!~"))
        value = (
            chance.choice(_PATTERNS) if "~" in operator else chance.choice(("r-1", "20242", "gw-1", "mm", "rain", ""))
        )
        matchers.append(f'{chance.choice(_LABELS)}{operator}"{value}"')
    inside = "{" + ",".join(matchers) + chance.choice(("", ",")) * bool(matchers) + "}"
    return chance.choice(_METRICS) + chance.choice((inside, "")) if chance.random() < 0.8 else inside


def a_query(chance: Random) -> str:
    query = a_selector(chance)
    if chance.random() < 0.6:
        query = f"{chance.choice((*_STATISTICS, 'last'))}_over_time({query}[{chance.choice(_RANGES)}])"
    if chance.random() < 0.5:
        by = "by (" + ", ".join(chance.sample(_LABELS, chance.randrange(3))) + ")"
        statistic = chance.choice(_STATISTICS)
        query = chance.choice((f"{statistic} {by} ({query})", f"{statistic}({query}) {by}", f"{statistic}({query})"))
    return query


def a_slip(chance: Random) -> str:
    """A question with something wrong, or with more of the language than we answer."""
    query = a_query(chance)
    at = chance.randrange(len(query) + 1)
    more = ("(", ")", "{", "}", "[", "]", "[5m]", ",", "=", '"', "offset 5m", "@ 1", " + 1", " by", "rate(", "avg",
            "5m", "\\", "#", "é", " and rain", "sum(", "-", "0x1f", "NaN", "'", "`", "=~", ":", "\n")  # fmt: skip
    return query[:at] + chance.choice(more) + query[at + chance.randrange(3) :]
