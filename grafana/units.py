"""Units of the catalogue as Grafana names them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ingest.quantity import Quantity

# Our unit -> Grafana's id (packages/grafana-data/src/valueFormats/categories.ts of Grafana).
OF_UNIT: Final[Mapping[str, str]] = {
    "mm": "lengthmm",
    "m": "lengthm",
    "V": "volt",
    "ppm": "ppm",
    "µg/m3": "conμgm3",
    "°C": "celsius",
    "°F": "fahrenheit",
    "%": "percent",
    "lux": "lux",
    "dBm": "dBm",
    "count": "none",
    "": "none",
}
# Of the service's own metrics.
NONE: Final = "none"
SECONDS: Final = "s"
MOMENT: Final = "dateTimeAsIso"  # takes milliseconds
KNOWN: Final = frozenset({*OF_UNIT.values(), NONE, SECONDS, MOMENT})
_OWN: Final = "suffix: "  # Grafana writes what follows behind the number: for dBA, and for a city's own units


def unit_id(quantity: Quantity) -> str:
    return OF_UNIT.get(quantity.unit) or _OWN + quantity.unit


def is_unit(id_: str) -> bool:
    return id_ in KNOWN or (id_.startswith(_OWN) and len(id_) > len(_OWN))
