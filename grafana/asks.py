"""What a panel asks, in no query language; and the data sources that it may be asked of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from grafana import flux, promql
from grafana.words import Tree, Words
from ingest.quantity import metric_name

Kind: TypeAlias = Literal["prometheus", "influxdb"]
KINDS: Final[tuple[Kind, ...]] = ("prometheus", "influxdb")
UIDS: Final[dict[str, str]] = {"prometheus": "canhbao-prometheus", "influxdb": "canhbao-influxdb"}
ANNOTATIONS: Final[Tree] = {"type": "grafana", "uid": "-- Grafana --"}  # Grafana's own store


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on a label (of Prometheus) or tag (of InfluxDB): `operator` = != =~ !~.

    `value`: a text, a regular expression, or a variable as in "${area}".
    """

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A statistic of the accepted readings of one quantity (those of flag 4 and 9 count in nothing).

    `window`: a duration such as "1h"; "": of each interval of the chart. `now`: one number at the end of the time range
    instead of a line; needs a window. `across` and `by`: of such numbers, over the sensors that share `by`. `flag`: the
    newest QARTOD flag of each interval instead, of all readings.
    """

    quantity: str
    statistic: str = "last"
    window: str = ""
    where: tuple[Match, ...] = ()
    across: str = ""
    by: tuple[str, ...] = ()
    now: bool = False
    flag: bool = False
    legend: str = "{{sensor}}"

    def __post_init__(self) -> None:
        assert self.window or not self.now, "one number of what time?"
        assert self.now or not self.across, "lines are of one sensor each"


@dataclass(frozen=True, slots=True)
class Service:
    """A metric of the service itself (docs of /metrics), which only Prometheus has, whatever keeps the readings."""

    metric: str
    where: tuple[Match, ...] = ()
    legend: str | Words = ""
    now: bool = False


def source(kind: Kind) -> Tree:
    """A reference to a data source."""
    return {"type": kind, "uid": UIDS[kind]}


def target(asked: Ask | Service, ref: str, kind: Kind, *, table: bool = False) -> Tree:
    """The query of a panel as Grafana keeps it, for readings kept in `kind`."""
    if isinstance(asked, Ask) and kind == "influxdb":
        return {"refId": ref, "datasource": source(kind), "query": flux_of(asked)}
    return {
        "refId": ref,
        "datasource": source("prometheus"),
        "editorMode": "code",
        "expr": promql_of(asked),
        "legendFormat": asked.legend,
        "instant": asked.now,
        "range": not asked.now,
        "format": "table" if table else "time_series",
    }


def promql_of(asked: Ask | Service) -> str:
    where = [(m.label, m.operator, m.value) for m in asked.where]
    if isinstance(asked, Service):
        return promql.selector(asked.metric, where)
    name = metric_name(asked.quantity) + ("_flag" if asked.flag else "")
    over = promql.over_time(asked.statistic, promql.selector(name, where), asked.window or "$__interval")
    return promql.across(asked.across, asked.by, over) if asked.across else over


def flux_of(asked: Ask) -> str:
    where = [(m.label, m.operator, m.value) for m in asked.where]
    if asked.flag:
        return flux.flags(asked.quantity, where)
    if asked.now:
        return flux.number(asked.quantity, where, asked.statistic, asked.window, asked.across, asked.by)
    return flux.line(asked.quantity, where, asked.statistic, asked.window)


def sensors_query(quantity: str, where: tuple[Match, ...], kind: Kind) -> str:
    """The query of a variable: ids of the sensors of `quantity`."""
    rows = [(m.label, m.operator, m.value) for m in where]
    if kind == "influxdb":
        return flux.tag_values(quantity, rows, "sensor")
    return promql.label_values(promql.selector(metric_name(quantity), rows), "sensor")
