"""What the dashboards ask: written within a small PromQL and a small Flux, and held to them by parsers of their own."""

from __future__ import annotations

import pytest
from boards import expanded, scene

from grafana import flux, promql
from grafana.asks import KINDS, Ask, Match, Service, flux_of, promql_of
from grafana.promql import QueryError
from grafana.queries import dashboards, queries
from ingest.quantity import metric_name

AREA = (Match("area", "=~", "$area"),)


@pytest.mark.parametrize(
    ("asked", "query", "metric"),
    [
        (Ask("rain", "sum", "1h", AREA), 'sum_over_time(rain{area=~"$area"}[1h])', "rain"),
        (Ask("voltage", "mean"), "avg_over_time(voltage[$__interval])", "voltage"),
        (Ask("co2", flag=True), "last_over_time(co2_flag[$__interval])", "co2_flag"),
        (
            Ask("street_depth", "mean", "3m", across="max", by=("area",), now=True),
            "max by (area) (avg_over_time(street_depth[3m]))",
            "street_depth",
        ),
        (Service("canhbao_sensors", (Match("a", "=", "ok"),)), 'canhbao_sensors{a="ok"}', "canhbao_sensors"),
        (Service("x", (Match("sensor", "=", 'a"b\\c\n'),)), 'x{sensor="a\\"b\\\\c\\n"}', "x"),
    ],
)
def test_a_question_in_promql(asked: Ask | Service, query: str, metric: str) -> None:
    assert promql_of(asked) == query
    assert promql.check(query) == metric


def test_a_rolling_sum_in_flux_begins_before_the_chart_and_ends_behind_it() -> None:
    assert flux_of(Ask("rain", "sum", "1h", AREA)) == (
        'import "date"\n'
        "from(bucket: v.defaultBucket)\n"
        "  |> range(start: date.sub(d: 1h, from: v.timeRangeStart), stop: v.timeRangeStop)\n"
        '  |> filter(fn: (r) => r._measurement == "rain" and r._field == "value" '
        "and r.area =~ /^(${area:regex})$/)\n"
        "  |> aggregateWindow(every: v.windowPeriod, period: 1h, fn: sum, createEmpty: false)\n"
        "  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)\n"
        '  |> keep(columns: ["_time", "_value", "sensor"])'
    )


def test_the_highest_of_each_ward_in_flux_is_one_table() -> None:
    assert flux_of(Ask("rain", "sum", "1h", across="max", by=("area",), now=True)).splitlines()[2:] == [
        "  |> range(start: date.sub(d: 1h, from: v.timeRangeStop), stop: v.timeRangeStop)",
        '  |> filter(fn: (r) => r._measurement == "rain" and r._field == "value")',
        "  |> sum()",
        '  |> group(columns: ["area"])',
        "  |> max()",
        "  |> group()",
        '  |> keep(columns: ["_value", "area"])',
    ]


def test_no_name_leaves_its_text_in_flux() -> None:
    hostile = 'x") |> drop(columns: ["a"]) // \\'

    query = flux_of(Ask(hostile, where=(Match("sensor", "=", hostile), Match("area", "=~", "a/b"))))

    assert flux.check(query) == hostile
    assert query.count('r.sensor == "x\\") |> drop(columns: [\\"a\\"]) // \\\\"') == 1
    assert r"/^(a\/b)$/" in query


REFUSED_PROMQL = [
    "", "rain +", "rain / 2", "rate(rain[5m])", "rain[5m]", "sum(rain)", "max by (area) (rain) > 2", "rain offset 5m",
    "sum_over_time(rain)", "sum_over_time(rain[1h:5m])", "sum_over_time(rain[soon])", "topk by (area) (rain)",
    'rain{area="a"', 'rain{area="a",}', 'rain{area="a" b="c"}', 'rain{area==="a"}', 'rain{area="a"}}', 'rain{a="\\d"}',
    "max by (area) (max by (area) (rain))", "histogram_quantile(0.9, rain)", 'sum_over_time(rain{a="b"}[0m])',
    '{a="b"}',
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED_PROMQL)
def test_promql_beyond_what_our_endpoint_answers_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        promql.check(query)


FLUX = flux_of(Ask("rain", "sum", "1h", AREA))
REFUSED_FLUX = [
    "", FLUX.replace("from(", "form("), FLUX.replace('import "date"\n', ""), 'import "http"\n' + FLUX,
    FLUX.replace("|> keep", "|> map"), FLUX.replace("|> keep", "| keep"), FLUX + "\n  |> yield()",
    FLUX.replace("fn: sum", "fn: median"), FLUX.replace("createEmpty: false", "createEmpty: true"),
    FLUX.replace(" and ", " or ", 1), FLUX.replace("period: 1h", "period: 1"),
    FLUX.replace('r._measurement == "rain" and ', ""), FLUX.replace('"rain"', '"rain'), FLUX.replace("$/)", "$)"),
    FLUX.rpartition("\n")[0], FLUX + "\n" + FLUX, FLUX.replace("v.defaultBucket", '"other"'),
    FLUX.replace("  |> keep", '  |> sum(column: "raw")\n  |> keep'),
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED_FLUX, ids=range(len(REFUSED_FLUX)))
def test_flux_that_is_none_of_ours_is_refused(query: str) -> None:
    assert flux.check(FLUX) == "rain"
    with pytest.raises(QueryError):
        flux.check(query)


@pytest.mark.parametrize("kind", KINDS)
def test_every_query_of_every_dashboard_is_listed_with_its_source(kind: str) -> None:
    chosen = scene(kind)  # type: ignore[arg-type]  # parametrize knows no literals
    trees = dashboards(chosen, ["en"])

    listed = queries(trees)

    targets = sum(len(panel.get("targets", ())) for tree in trees for panel in tree["panels"])
    variables = sum(row["type"] == "query" for tree in trees for row in tree["templating"]["list"])
    assert len(listed) == targets + variables
    readings = {query.source for query in listed if "canhbao_" not in query.text}
    assert readings == {kind}
    assert {query.source for query in listed if query.text.startswith("canhbao_")} == {"prometheus"}
    metrics = {promql.check(q.text) for q in listed if q.source == "prometheus" and not q.variable}
    names = {metric_name(name): name for name in chosen.city.quantities}
    measured = {names.get(name) for name in metrics} | {flux.check(q.text) for q in listed if q.source == "influxdb"}
    assert set(chosen.city.quantities) <= measured


def test_a_query_as_grafana_sends_it_has_no_macro_left() -> None:
    for kind in KINDS:
        for query in queries(dashboards(scene(kind), ["vi"])):
            text = expanded(
                query.text, variables={"area": ".*", "sensor": "(a|b)"}, interval="1m",
                start="2022-10-14T00:00:00Z", stop="2022-10-15T00:00:00Z",
            )  # fmt: skip
            assert "$" not in text.replace("$/", "")
            assert "v.time" not in text
