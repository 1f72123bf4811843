"""Readings that operators bring from files: which of them may go the way of a reading, and in which shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from ingest.city import FOREIGN, City, Sensor
from ingest.formats import Decoded
from ingest.lookup import OLDEST_MS
from ingest.networks import owner
from ingest.quantity import UnitError, convert
from ingest.readings import Flag

ROWS_MOST: Final = 500  # in one call: a turn of the spine that takes them grows by some ten milliseconds
SENSOR_HOURS_MOST: Final = 2_000  # sensors times hours of one call: what is looked up in the history for it
DUPLICATE: Final = "duplicate"
CONFLICT: Final = "conflict"
_HOUR_MS: Final = 3_600_000
_BY_HAND: Final = "import"  # the sender of readings of sensors that belong to no gateway


@dataclass(frozen=True, slots=True)
class Row:
    """One reading of a file. `t` ms UTC; `value` NaN where missing; `unit` "": the quantity's; `flag` it was graded."""

    sensor: str
    t: int
    quantity: str
    value: float
    unit: str = ""
    flag: int = Flag.NOT_EVALUATED


@dataclass(frozen=True, slots=True)
class Refused:
    """`row`: which of those that were brought. `detail` is safe to print."""

    row: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Bring:
    """For the spine: messages as they would be decoded, in order; `rows`: the number of each of their readings."""

    parts: Sequence[Decoded]
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of them. Refused ones are nowhere but in their file."""

    accepted: int
    duplicates: int
    conflicts: int
    refused: Sequence[Refused] = ()


def check_span(rows: Sequence[Row]) -> None:
    """Raises ValueError."""
    if len(rows) > ROWS_MOST:
        raise ValueError(f"{len(rows)} readings; at most {ROWS_MOST} in one call")
    times = [row.t for row in rows]
    span_ms = max(times, default=0) - min(times, default=0)
    if len({row.sensor for row in rows}) * span_ms > SENSOR_HOURS_MOST * _HOUR_MS:
        raise ValueError(f"sensors times hours are more than {SENSOR_HOURS_MOST}: bring less in one call")


def fault_of(row: Row, city: City, oldest: int) -> tuple[str, str] | None:
    """Why nobody can import it, reason and detail; None where he can. `oldest` t (ms) that the history still takes."""
    sensor = city.sensors.get(row.sensor)
    if sensor is None:
        return "unknown_sensor", row.sensor
    if row.quantity != sensor.quantity.name:
        return "wrong_quantity", f"{row.quantity!r}, but {sensor.id} measures {sensor.quantity.name}"
    if sensor.counter:
        return "derived", f"{sensor.id} sends totals: what it rose by cannot be made a total again"
    if sensor.mount_height_m is not None:
        return "derived", f"{sensor.id} sends distances: a depth cannot be made a distance again"
    if OLDEST_MS <= row.t < oldest:
        return "not_kept", "measured longer ago than history.keep_raw_days: the history would not take it"
    return None


def again(row: Row, sensor: Sensor, known: Mapping[tuple[str, int], float]) -> str:
    """DUPLICATE or CONFLICT where `known` has the same (sensor, t), with the same value or another; else ""."""
    if (row.sensor, row.t) not in known:
        return ""
    there = known[row.sensor, row.t]
    try:
        value = convert(row.value, row.unit or sensor.quantity.unit, sensor.quantity.unit)
    except UnitError:
        return CONFLICT
    return DUPLICATE if value == there or (value != value and there != there) else CONFLICT  # noqa: PLR0124  # NaN


def bring_of(rows: Sequence[Row], chosen: Sequence[int], city: City) -> Bring:
    """The rows with these numbers, none of which has a fault, as messages of the gateways that their sensors belong to.

    One message for each run of one gateway: the order of the readings stays what it was.
    """
    runs = [(gateway, list(run)) for gateway, run in groupby(chosen, lambda n: _sender(city.sensors[rows[n].sensor]))]
    parts = [
        Decoded(
            gateway, sensors=[rows[n].sensor for n in run], t=[rows[n].t for n in run],
            values=[rows[n].value for n in run], units=[rows[n].unit or None for n in run],
            flags=[rows[n].flag for n in run],
        )
        for gateway, run in runs
    ]  # fmt: skip
    return Bring(parts, list(chosen))


def _sender(sensor: Sensor) -> str:
    """Who alone speaks for it (ingest.lookup)."""
    decoder = sensor.decoder
    foreign = owner(decoder.network) if decoder is not None and decoder.network in FOREIGN else None
    return sensor.gateway or foreign or _BY_HAND
