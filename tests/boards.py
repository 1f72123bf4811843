"""Cities for the tests of the dashboards, and what Grafana puts into a query before it asks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from grafana.asks import Kind
from grafana.board import Scene
from ingest.city import DEFAULT_CITY_FILE, parse_city
from ingest.quantity import CATALOGUE
from processing.rules import DEFAULT_RULES_FILE, parse_rules

SERVICE = "https://canhbao.example"
# Two sensors of every quantity, one of a city's own; names with everything that a list or a query may stumble over.
_OWN = '[[quantity]]\nname = "h2s.1-min"\nunit = "ppb"\nbounds = [0, 100]\nname_vi = "H₂S"\n[[gateway]]\nid = "gw-a"\n'
EMPTY = '[city]\nname = "Không Đâu"\ntimezone = "UTC"\n'


def default_text() -> str:
    return DEFAULT_CITY_FILE.read_text("utf-8")


def full_text() -> str:
    sensors = [
        f'[[sensor]]\nid = "{name.replace("_", "-")}.{area}"\nquantity = "{name}"\narea = "{area}"\ngateway = "gw-a"\n'
        f'period = "60s"\nplace = "Ngã ba \\"Huế\\" : số 1, {name}"\n'
        for name in (*CATALOGUE, "h2s.1-min")
        for area in ("20242", "20260")
    ]
    return default_text() + _OWN + "\n".join(sensors)


def scene(kind: Kind = "prometheus", city: str | None = None, rules: str | None = None) -> Scene:
    return Scene(
        parse_city(full_text() if city is None else city),
        parse_rules(DEFAULT_RULES_FILE.read_text("utf-8") if rules is None else rules),
        kind,
        SERVICE,
    )


def expanded(text: str, *, variables: Mapping[str, str], interval: str, start: str = "", stop: str = "") -> str:
    """A query as Grafana sends it. `variables`: what stands for each; a regular expression where one is meant."""
    for macro, value in {
        "$__interval": interval, "$__rate_interval": interval, "v.windowPeriod": interval, "v.timeRangeStart": start,
        "v.timeRangeStop": stop, "v.defaultBucket": '"canhbao"',
    }.items():  # fmt: skip
        text = text.replace(macro, value)
    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", lambda found: variables[found[1] or found[2]], text)
