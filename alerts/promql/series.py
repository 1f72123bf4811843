"""The series that can be asked for, and which of them a selector means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from alerts.promql.grammar import NAME, Matcher
from alerts.promql.tokens import QueryError
from ingest.city import City, Sensor
from ingest.quantity import metric_name

LOOKBACK_MS: Final = 300_000  # Prometheus's --query.lookback-delta
PERIOD_MS: Final = 10_000  # where nobody says
FLAG: Final = "_flag"  # at the end of a metric's name: the QARTOD flags of the quantity

# (pattern, values) -> which of the values the whole pattern matches. Raises QueryError for what is no pattern.
Regex = Callable[[str, Sequence[str]], Sequence[bool]]


@dataclass(frozen=True, slots=True)
class Series:
    """`labels` with the name among them, none of them empty. `source`: the sensor's id, or a metric's as it is written.

    `lookback_ms`: for how long after a sample its value is taken to hold. `period_ms`: how often one is expected.
    """

    labels: Mapping[str, str]
    source: str
    kind: Literal["value", "flag", "own"]
    lookback_ms: int = LOOKBACK_MS
    quantity: str = ""
    period_ms: int = PERIOD_MS


def of_city(city: City) -> list[Series]:
    """The values and the flags of every sensor of the registry, also those that nobody else may see."""
    return [series for sensor in city.sensors.values() for series in _of_sensor(sensor)]


def _of_sensor(sensor: Sensor) -> tuple[Series, Series]:
    name, quantity = metric_name(sensor.quantity.name), sensor.quantity
    labels = {"sensor": sensor.id, "area": sensor.area, "gateway": sensor.gateway or "", "unit": quantity.unit}
    labels = {label: value for label, value in labels.items() if value}
    lookback_ms, period_ms = max(LOOKBACK_MS, 2 * (sensor.period_ms or 0)), sensor.period_ms or PERIOD_MS
    flag_labels = {label: value for label, value in labels.items() if label != "unit"}
    return (
        Series({NAME: name, **labels}, sensor.id, "value", lookback_ms, quantity.name, period_ms),
        Series({NAME: name + FLAG, **flag_labels}, sensor.id, "flag", lookback_ms, quantity.name, period_ms),
    )


def select(matchers: Iterable[Matcher], series: Sequence[Series], regex: Regex) -> list[Series]:
    """Those that every matcher means; a label that is not there is empty. Raises QueryError."""
    matchers = tuple(matchers)
    if all(_matching(matcher, [""], regex)[0] for matcher in matchers):
        raise QueryError("a selector must contain at least one matcher that does not match the empty string")
    found = list(series)
    for matcher in sorted(matchers, key=lambda one: one.operator != "="):  # the cheap ones first
        values = sorted({one.labels.get(matcher.label, "") for one in found})
        meant = {value for value, is_meant in zip(values, _matching(matcher, values, regex), strict=True) if is_meant}
        found = [one for one in found if one.labels.get(matcher.label, "") in meant]
    return found


def _matching(matcher: Matcher, values: Sequence[str], regex: Regex) -> list[bool]:
    if matcher.operator in ("=", "!="):
        return [(value == matcher.value) == (matcher.operator == "=") for value in values]
    return [bool(is_match) == (matcher.operator == "=~") for is_match in regex(matcher.value, values)]
