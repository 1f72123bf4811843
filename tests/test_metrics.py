"""What machines read: the metrics as Prometheus text, whether the service is ready."""

import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from brokers import Client, until
from faces import Town, serving, storm, town_city, town_view
from test_run import reading
from test_service import service
from test_spine import CITY, RULES

from alerts.watch.histogram import WAY_OUT, WORK, Histogram
from alerts.watch.metrics import FAMILIES, Family, Sample, labelled, metrics_text
from alerts.web.sources import Part


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, town_view(town_city()))
    made.tell(*storm())
    yield made
    made.ledger.close()


@pytest.fixture
def client(town: Town) -> Iterator[httpx.Client]:
    with serving(town) as url, httpx.Client(base_url=url, timeout=5) as asking:
        yield asking


def test_ready_names_every_part_and_503_says_which_is_not(client: httpx.Client, town: Town) -> None:
    ready = client.get("/readyz").json()
    assert (ready["ready"], ready["parts"]["mqtt"]) == (True, {"ready": True, "lag_s": 0.02, "detail": ""})
    assert client.get("/healthz").text == "ok\n"

    town.parts["mqtt"] = Part(False, 61_000, "no broker at 127.0.0.1:1883")
    answer = client.get("/readyz")

    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["detail"] == "not ready: mqtt"
    assert answer.json()["parts"]["mqtt"] == {"ready": False, "lag_s": 61.0, "detail": "no broker at 127.0.0.1:1883"}
    assert client.get("/healthz").status_code == 200, "alive is not ready"


_LINE = re.compile(r'([a-z_:][a-z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (NaN|[+-]Inf|-?[0-9.e+-]+)\Z')


def parse_metrics(text: str) -> dict[str, float]:
    """Strictly as format 0.0.4 says: HELP and TYPE before the samples of a family, each family in one piece."""
    assert text.endswith("\n")
    kinds: dict[str, str] = {}
    values: dict[str, float] = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in kinds, f"{family} twice"
        elif line.startswith("# TYPE "):
            assert line.split()[2] == family
            kinds[family] = line.split()[3]
            assert kinds[family] in ("counter", "gauge", "summary", "histogram", "untyped")
        else:
            match = _LINE.match(line)
            assert match, line
            assert re.sub(r"_(sum|count|bucket)\Z", "", match[1]) == family or match[1] == family, line
            assert match[1] + (match[2] or "") not in values, f"{line} twice"
            values[match[1] + (match[2] or "")] = float(match[3])
    return values


def test_metrics_are_prometheus_text_of_what_the_spine_counted(client: httpx.Client, town: Town) -> None:
    timed = Histogram("canhbao_journal_commit_seconds")
    timed.observe(0.004)
    counters = {
        "canhbao_readings_total": 12_345, 'canhbao_refused_total{reason="too_old"}': 3,
        'canhbao_refused_total{reason="not_json"}': 1, "canhbao_new_total": 1,
        **timed.samples(),
    }  # fmt: skip
    town.view = replace(town.view, counters=counters)
    town.parts["broker"] = Part(False, 1_500)

    answer = client.get("/metrics")
    values = parse_metrics(answer.text)

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert counters.items() <= values.items()
    assert "# TYPE canhbao_refused_total counter" in answer.text
    assert "# TYPE canhbao_journal_commit_seconds histogram" in answer.text
    assert values['canhbao_sensors{status="silent"}'] == 4
    assert values['canhbao_sensors_at_level{level="4"}'] == 4
    assert (values['canhbao_part_ready{part="broker"}'], values['canhbao_part_lag_seconds{part="broker"}']) == (0, 1.5)
    assert values["canhbao_notice_seq"] == 6


def test_labels_of_metrics_are_escaped_and_odd_numbers_have_their_names() -> None:
    name = labelled("canhbao_errors_total", loop='a "b"\\\n')
    text = metrics_text([Sample(name, 1), Sample("x", float("nan")), Sample("y", float("-inf")), Sample("z", 0.25)])

    values = parse_metrics(text)

    assert values['canhbao_errors_total{loop="a \\"b\\"\\\\\\n"}'] == 1
    assert (str(values["x"]), values["y"], values["z"]) == ("nan", float("-inf"), 0.25)


# https://prometheus.io/docs/practices/naming: base units, and their names last but for _total.
UNITS = ("seconds", "bytes", "ratio", "celsius", "meters", "volts", "amperes")
NOT_BASE = re.compile(
    r"_(ms|s|us|ns|millis|milliseconds|minutes|hours|days|kb|mb|kilobytes|percent|count|sum|bucket|info)\Z"
)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_every_family_is_named_by_convention(family: Family) -> None:
    name = family.name.removesuffix("_total")
    assert re.fullmatch(r"canhbao(_[a-z0-9]+)+", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not NOT_BASE.search(name)
    assert family.kind in ("counter", "gauge", "histogram"), "a summary's quantiles cannot be joined"
    assert family.kind != "histogram" or name.endswith(UNITS)
    assert not any(kind in name.split("_") for kind in ("counter", "gauge", "histogram", "total"))
    assert re.fullmatch(r"[A-Z0-9].*\.", family.help), "a sentence"


@pytest.mark.parametrize("bounds", [WORK, WAY_OUT])
def test_a_histogram_counts_each_once_and_its_buckets_rise_to_the_count(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))
    assert len(bounds) <= 15, "each is a series for every label"
    timed = Histogram("t_seconds", bounds, channel='a "b"')
    seen = [0.0, bounds[0], bounds[0] * 1.01, bounds[-1], bounds[-1] * 2]  # a bound is within its bucket
    for seconds in seen:
        timed.observe(seconds)
    samples = timed.samples()
    buckets = [value for name, value in samples.items() if "_bucket" in name]
    assert buckets[0] == 2
    assert buckets == sorted(buckets)
    assert buckets[-2:] == [4, 5]
    assert samples['t_seconds_count{channel="a \\"b\\""}'] == 5
    assert samples['t_seconds_sum{channel="a \\"b\\""}'] == pytest.approx(sum(seen))


@pytest.mark.server("promtool")
def test_what_a_running_service_tells_is_known_by_name_and_right_to_prometheus(
    tmp_path: Path, program: Callable[[str], str]
) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    with (
        service(tmp_path) as (page, url),
        Client(int(url.rpartition(":")[2]), "canhbao/v1/alerts/20242/flood") as gateway,
    ):
        gateway.publish("canhbao/v1/gw-1/readings", b"no reading", reading(3.0))
        until(lambda: len(gateway.heard) == 1)

        def told() -> str:
            with urllib.request.urlopen(f"{page}metrics", timeout=5) as answer:
                return str(answer.read(), "utf-8")

        def sent() -> float:
            return parse_metrics(told()).get('canhbao_delivery_seconds_count{channel="mqtt"}', 0.0)

        until(lambda: sent() == 1)
        text = told()

    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    values = parse_metrics(text)
    names = {re.sub(r"_(sum|count|bucket)\Z", "", name.partition("{")[0]) for name in values}
    assert names <= FAMILIES.keys()
    assert values["canhbao_turn_seconds_count"] >= values["canhbao_decision_seconds_count"] >= 1
    assert values['canhbao_messages_sent_total{channel="mqtt"}'] == 1
    assert (
        values['canhbao_messages_waiting{channel="mqtt"}']
        == values['canhbao_messages_failed_total{channel="mqtt"}']
        == 0
    )
    assert 0 < values["canhbao_decision_seconds_sum"] < 60
    assert values["canhbao_journal_commit_seconds_count"] >= 3
