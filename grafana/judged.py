"""Which charts a quantity needs so that each sensor stands beside its own thresholds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ingest.city import City, Sensor
from processing.rules import Judgement, Rules, Statistic

CHARTS_MAX: Final = 24  # stations with thresholds of their own, of one quantity; the others share a chart without any
IDS_MAX: Final = 6000  # characters of ids in one query; beyond it all sensors share one chart without thresholds


@dataclass(frozen=True, slots=True)
class Chart:
    """One statistic of one quantity, with the judgements that all its sensors share.

    `only`: ids of its sensors, () all but `but`. `judgements` (): drawn without thresholds.
    """

    quantity: str
    statistic: str
    window_ms: int  # 0: the values themselves
    judgements: tuple[Judgement, ...] = ()
    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


def charts(city: City, rules: Rules, quantity: str) -> list[Chart]:
    """In the order of the rules; first what counts everywhere, then the stations that have levels of their own.

    A rise is left out: no query language that we use gives a slope per hour as CONTRACTS section 4 defines it.
    """
    sensors = [sensor for sensor in city.sensors.values() if sensor.quantity.name == quantity]
    return [
        chart
        for statistic, window_ms in _statistics(rules, quantity)
        for chart in _charts(sensors, rules, quantity, statistic, window_ms)
    ]


def _statistics(rules: Rules, quantity: str) -> list[tuple[str, int]]:
    found = [
        (judgement.statistic.value, judgement.window_ms)
        for rule in rules.rules
        if rule.quantity == quantity
        for judgement in (rule.everywhere, *rule.stations.values())
        if judgement is not None and judgement.statistic is not Statistic.RISE
    ]
    return list(dict.fromkeys(found))


def _charts(sensors: Sequence[Sensor], rules: Rules, quantity: str, statistic: str, window_ms: int) -> list[Chart]:
    def judged(station: str) -> tuple[Judgement, ...]:
        found = (rule.stations.get(station, rule.everywhere) for rule in rules.rules if rule.quantity == quantity)
        return tuple(j for j in found if j is not None and (j.statistic.value, j.window_ms) == (statistic, window_ms))

    everywhere = judged("")
    own: dict[tuple[Judgement, ...], list[str]] = {}
    for sensor in sensors:
        judgements = judged(sensor.station or "")
        if judgements and judgements != everywhere:
            own.setdefault(judgements, []).append(sensor.id)
    rows = list(own.items())
    stations = [Chart(quantity, statistic, window_ms, js, tuple(ids)) for js, ids in rows[:CHARTS_MAX]]
    crowd = tuple(id_ for _, ids in rows[CHARTS_MAX:] for id_ in ids)
    if crowd:
        stations.append(Chart(quantity, statistic, window_ms, (), crowd))
    elsewhere = tuple(id_ for _, ids in rows for id_ in ids)
    if len("|".join(elsewhere)) > IDS_MAX:
        return [Chart(quantity, statistic, window_ms)]
    unjudged = len(elsewhere) < len(sensors) or not sensors
    shared = [Chart(quantity, statistic, window_ms, everywhere, (), elsewhere)] if everywhere or unjudged else []
    return [*shared, *stations]
