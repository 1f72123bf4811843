"""Tidy files as what a gateway sends, and the city file for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from firmware_sim.city_file import city_text
from ingest.city import Area, ConfigError, QuantityRow, SensorRow, parse_city
from ingest.quantity import CATALOGUE, UnitError, convert
from ingest.readings import Float64, Int32, Int64
from ingest.tidy import read_tidy

_WIDE: Final = 1e12  # bounds of a quantity that nobody has described
_STEADY_SHARE: Final = 0.8  # of the steps must be within a tenth of the median for it to be a period
_STEADY_WITHIN: Final = 0.1


@dataclass(frozen=True, slots=True)
class Tidy:
    """The readings of some files in order of time, ties in order of the files. Columns of shape (n,).

    `series` indexes `ids` and `quantities`; `value` is NaN where missing; `unit` None: the quantity's own.
    """

    ids: list[str]
    quantities: list[str]
    own: dict[str, str]  # quantities that the catalogue does not have, and their unit
    series: Int32
    t: Int64
    value: Float64
    unit: list[str | None]


def read(files: Sequence[Path]) -> Tidy:
    """All of `files`. Raises ConfigError with file and line for what is wrong."""
    rows, named = read_tidy(files), ", ".join(map(str, files))
    if not rows:
        raise ConfigError("the file", "no reading", "readings under the header", named)
    keys = {key: n for n, key in enumerate(dict.fromkeys((row.sensor_id, row.quantity) for row in rows))}
    several = Counter(sensor for sensor, _ in keys)
    own: dict[str, str] = {}
    unit_of = {pair: _unit(*pair, own, named) for pair in dict.fromkeys((row.quantity, row.unit) for row in rows)}
    return Tidy(
        [f"{sensor}:{quantity}" if several[sensor] > 1 else sensor for sensor, quantity in keys],
        [quantity for _, quantity in keys],
        own,
        np.array([keys[row.sensor_id, row.quantity] for row in rows], np.int32),
        np.array([row.t for row in rows], np.int64),
        np.array([row.value for row in rows], np.float64),
        [unit_of[row.quantity, row.unit] for row in rows],
    )


def tidy_city(tidy: Tidy, gateway: str, *, periods: bool = True, file: str = "") -> str:
    """The city file for these series: one area, one gateway. Raises ConfigError for an id that no registry takes."""
    rows = [
        SensorRow(id=id_, quantity=quantity, area="1", gateway=gateway, place=id_,
                  period=_period(tidy.t[tidy.series == i]) if periods else None)
        for i, (id_, quantity) in enumerate(zip(tidy.ids, tidy.quantities, strict=True))
    ]  # fmt: skip
    own = [QuantityRow(name, unit=unit, bounds=(-_WIDE, _WIDE), decimals=3) for name, unit in tidy.own.items()]
    text = city_text("CSV", "UTC", areas=[Area("1", "CSV")], gateways=[gateway], sensors=rows, quantities=own)
    parse_city(text, file)
    return text


def batches(tidy: Tidy, size: int) -> Iterator[tuple[list[str], list[int], list[float], list[str | None]]]:
    """The readings in their order, up to `size` at a time: sensors, t, values, units."""
    for begin in range(0, len(tidy.t), size):
        part = slice(begin, begin + size)
        yield (
            [tidy.ids[i] for i in tidy.series[part].tolist()],
            tidy.t[part].tolist(),
            tidy.value[part].tolist(),
            tidy.unit[part],
        )


def _period(t_ms: Int64) -> str | None:
    """The median step, where most steps agree with it."""
    steps = np.diff(np.unique(t_ms)).astype(np.float64)
    if not len(steps):
        return None
    median = float(np.median(steps))
    if (np.abs(steps - median) <= _STEADY_WITHIN * median).mean() < _STEADY_SHARE:
        return None
    return f"{int(median) // 1000}s" if median % 1000 == 0 else f"{int(median)}ms"


def _unit(quantity: str, unit: str, own: dict[str, str], file: str) -> str | None:
    """The unit to send along, None for the quantity's own."""
    expected = CATALOGUE[quantity].unit if quantity in CATALOGUE else own.setdefault(quantity, unit)
    if unit in ("", expected):
        return None
    try:
        convert(0.0, unit, expected)
    except UnitError:
        raise ConfigError(f"unit of {quantity}", unit, f"{expected!r} or a multiple of it", file) from None
    return unit
