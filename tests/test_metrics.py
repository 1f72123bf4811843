"""What machines read: the metrics as Prometheus text, whether the service is ready."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from faces import Town, serving, storm, town_city, town_view

from alerts.watch.metrics import Sample, labelled, metrics_text
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
    counters = {
        "canhbao_readings_total": 12_345, 'canhbao_refused_total{reason="too_old"}': 3,
        'canhbao_refused_total{reason="not_json"}': 1, "canhbao_journal_commit_seconds_sum": 1,
        "canhbao_journal_commit_seconds_count": 400, "canhbao_new_total": 1,
    }  # fmt: skip
    town.view = replace(town.view, counters=counters)
    town.parts["broker"] = Part(False, 1_500)

    answer = client.get("/metrics")
    values = parse_metrics(answer.text)

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert counters.items() <= values.items()
    assert "# TYPE canhbao_refused_total counter" in answer.text
    assert "# TYPE canhbao_journal_commit_seconds summary" in answer.text
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
