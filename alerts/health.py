"""Silence, in lines for operators: one for a whole gateway, else one a sensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ingest.city import City
from processing.transitions import HealthEvent, LateBreach, Status, rfc3339

SHOWN_MOST: Final = 20  # lines at a time; the others are counted in a last one

_SAYS: Final = {
    Status.OK: "is heard again",
    Status.SILENT: "is silent",
    Status.NO_DATA: "sends nothing usable",
    Status.DELAYED: "is delayed",
}


def health_lines(events: Sequence[HealthEvent], city: City, status: Mapping[str, Status]) -> list[str]:
    """What has changed, newest word a sensor. `status`: of every sensor, after `events`.

    A gateway is one line when the last of its sensors comes to say what the others say: it is the gateway, its power or
    its network. They fall silent by their own periods, often in steps far apart, so that one may be all that changes
    now; they are heard again as a gateway only where all of them come back at once, since others may never have been
    away. Sensors without a period, whose silence nobody can know, have no line and hide no gateway's.
    """
    now = {event.sensor: event.to for event in events}
    of_gateway: dict[str, list[str]] = {}
    for sensor in city.sensors.values():
        if sensor.period_ms:
            of_gateway.setdefault(sensor.gateway or "", []).append(sensor.id)
    lines: list[str] = []
    for gateway, sensors in of_gateway.items():
        changed = [sensor for sensor in sensors if sensor in now]
        words = {status[sensor] for sensor in sensors}
        together = len(words) == 1 and (Status.OK not in words or len(changed) == len(sensors))
        if gateway and changed and len(sensors) > 1 and together:
            lines.append(f"gateway {gateway} {_SAYS[words.pop()]} ({len(sensors)} sensors)")
        else:
            lines += [f"sensor {sensor} {_SAYS[now[sensor]]}" for sensor in changed]
    return _some(lines)


def late_lines(late: Sequence[LateBreach]) -> list[str]:
    """What would have been a danger, had it come in time."""
    return _some([
        f"late: {one.sensor} reached danger under {one.rule} at {rfc3339(one.at)} ({one.value:g}); "
        f"it came at {rfc3339(one.arrival)}"
        for one in late
    ])  # fmt: skip


def _some(lines: list[str]) -> list[str]:
    left = len(lines) - SHOWN_MOST
    return lines if left <= 0 else [*lines[:SHOWN_MOST], f"and {left} more"]
