"""What the metrics are, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from alerts.promql.series import FLAG
from alerts.watch.metrics import FAMILIES
from ingest.city import City
from ingest.quantity import metric_name

# Grafana reads the version to know what it may ask: the rules of windows and of dots in patterns are those of 3.0.
BUILD: Final = {
    "version": "3.0.0", "revision": "a subset, answered by canhbao", "branch": "", "buildUser": "", "buildDate": "",
    "goVersion": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    metric: str
    type: str
    help: str
    unit: str = ""


def metadata(city: City) -> Iterator[Told]:
    """Of the quantities that the registry has a sensor of, and of the service's own metrics."""
    for quantity in {sensor.quantity.name: sensor.quantity for sensor in city.sensors.values()}.values():
        words = " / ".join(dict.fromkeys(filter(None, (quantity.name_vi, quantity.name_en)))) or quantity.name
        name = metric_name(quantity.name)
        yield Told(name, "gauge", f"{words}: accepted values.", quantity.unit)
        flags = f"{words}: QARTOD flag, 1 good, 2 not evaluated, 3 suspect, 4 fail, 9 missing."
        yield Told(name + FLAG, "gauge", flags)
    for family in FAMILIES.values():
        yield Told(family.name, "unknown" if family.kind == "untyped" else family.kind, family.help)
