"""Quality control: which QARTOD flag a reading is written down with. Parameters here, the tests in kernels/grading.py.

Tests and flags are those of the QARTOD manuals (IOOS) in the wording of docs/reference/quality.md, which also says
where they differ from the package `ioos-qc` and why. A test sees the journal's readings in their order and no more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from ingest.city import Sensor, duration_ms
from ingest.quality_keys import TESTS
from ingest.readings import Flag, Float64, Int32, Int64
from processing.kernels import codes
from processing.kernels.codes import NEVER
from processing.kernels.records import LIMITS, MEMORY, Limits, Memory
from processing.plan import Plan
from processing.rules import Rules, Statistic

NEARBY_KM: Final = 10.0  # DOMAIN section 8: a clogged gauge is held against those within
NEARBY_MOST: Final = 8  # the nearest of them; more would only make the median slower
PLATEAU_MS: Final = 600_000  # our choice: FloodNet names the filter (a parked car), not its length
STATION_LOW_M: Final = 5.0  # DOMAIN section 8, river: fail under alarm level I by this,
STATION_SUSPECT_M: Final = 4.0  # suspect above III by this,
STATION_HIGH_M: Final = 8.0  # fail above III by this
LENGTH_FACTORS: Final = (3.28084, 10.0, 25.4, 39.3701, 100.0, 1000.0)  # m of ft, mm of cm, mm of in, m of in, …
_EARTH_KM: Final = 6371.0
LENGTHS: Final = ("mm", "cm", "m", "in", "ft")
_BITS: Final = MappingProxyType({
    "gross": codes.GROSS, "rate": codes.RATE, "flat": codes.FLAT, "gap": codes.GAP, "spike": codes.SPIKE,
    "blip": codes.BLIP, "plateau": codes.PLATEAU, "unit": codes.UNIT, "clogged": codes.CLOGGED,
})  # fmt: skip
assert tuple(_BITS) == TESTS


@dataclass(frozen=True, slots=True)
class Flat:
    """Suspect once all values of `for_ms` lie within less than `within`, strictly between `above` and `below`."""

    for_ms: int
    within: float
    above: float = -math.inf
    below: float = math.inf


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one quantity, in its unit. None: the test does not run.

    `fail` None: the quantity's bounds. `amounts`: for amounts per span, points (span ms, the most that is no suspect).
    `dry`: the noise floor of a depth.
    """

    fail: tuple[float, float] | None = None
    suspect: tuple[float, float] | None = None
    amounts: tuple[tuple[int, float], ...] = ()
    harmless: float | None = None
    rate: tuple[float, float] | None = None
    spike: tuple[float, float] | None = None
    flat: Flat | None = None
    dry: float | None = None


_HOUR: Final = 3_600_000
# DOMAIN section 8, in the units of the catalogue. What fails there is the quantity's bounds, but for a river's.
DEFAULTS: Final[Mapping[str, Parameters]] = MappingProxyType({
    "rain": Parameters(suspect=(0.0, math.inf), amounts=((60_000, 10.0), (600_000, 60.0))),
    # A depth is suspect under 0 only beyond the noise floor: half of all dry readings lie a little under it.
    "street_depth": Parameters(suspect=(-0.010, 2.0), rate=(0.0021, 0.0042), spike=(0.05, 0.15), dry=0.010,
                               flat=Flat(6 * _HOUR, 0.002, above=0.02)),
    "water_level": Parameters(rate=(0.00014, 0.0014), spike=(0.10, 0.30), flat=Flat(6 * _HOUR, 0.005)),
    "voltage": Parameters(suspect=(187.0, 253.0), harmless=0.0, flat=Flat(24 * _HOUR, 0.1, above=0.0)),
    "co2": Parameters(suspect=(350.0, 5000.0), rate=(5.0, 20.0), spike=(500.0, 1500.0), flat=Flat(6 * _HOUR, 2.0)),
    "pm25": Parameters(suspect=(0.0, 300.0), spike=(100.0, 300.0), flat=Flat(12 * _HOUR, 0.5)),
    "pm10": Parameters(suspect=(0.0, 500.0), spike=(100.0, 300.0), flat=Flat(12 * _HOUR, 0.5)),
    "temperature": Parameters(suspect=(8.0, 45.0), rate=(0.02, 0.1), spike=(3.0, 8.0), flat=Flat(24 * _HOUR, 0.05)),
    "humidity": Parameters(suspect=(20.0, 100.0), spike=(15.0, 40.0),
                           flat=Flat(24 * _HOUR, 0.5, below=99.0)),  # 0.5: our choice
    "noise": Parameters(suspect=(30.0, 110.0), flat=Flat(6 * _HOUR, 0.1)),
})  # fmt: skip
_NONE: Final = Parameters()


def told(found: Int32) -> Counter[tuple[str, int]]:
    """How often each test found readings suspect (3) or failing (4), from the bits of `Acceptances.found`."""
    told: Counter[tuple[str, int]] = Counter()
    bits = found[found != 0]
    for test, bit in _BITS.items():
        told[test, int(Flag.FAIL)] = int(np.count_nonzero(bits & (bit << codes.FAILED)))
        told[test, int(Flag.SUSPECT)] = int(np.count_nonzero(bits & bit))
    return +told


def limits_of(plan: Plan) -> Limits:
    """What the tests hold against each sensor of a plan."""
    return _limits(plan.sensors, plan.rules, plan.per_sensor.gap)


def no_limits() -> Limits:
    """Those of no sensor."""
    return _limits((), Rules(), np.empty(0, np.int64))


def new_memory(limits: Limits) -> Memory:
    """Nothing seen yet."""
    n, gauges = len(limits.of), int((limits.of["gauge"] >= 0).sum())
    memory = Memory(
        of=np.zeros(n, MEMORY),
        dry_since=np.full(gauges, NEVER, np.int64), heard=np.full(gauges, NEVER, np.int64),
        bucket=np.full((gauges, codes.BUCKETS), NEVER, np.int64), rain=np.zeros((gauges, codes.BUCKETS)),
    )  # fmt: skip
    memory.of["run_since"] = memory.of["unit_at"] = NEVER
    return memory


def carry_over(was: Limits, old: Memory, limits: Limits, memory: Memory, number: int) -> None:
    """What is remembered of a sensor that goes on."""
    memory.of[number] = old.of[number]
    before, after = was.of["gauge"][number], limits.of["gauge"][number]
    for name in ("dry_since", "heard", "bucket", "rain") if after >= 0 else ():
        getattr(memory, name)[after] = getattr(old, name)[before]


def _limits(sensors: Sequence[Sensor | None], rules: Rules, gap: Int64) -> Limits:
    parameters = [_NONE if sensor is None else parameters_of(sensor, rules) for sensor in sensors]
    gauges = [n for n, sensor in enumerate(sensors) if sensor is not None and sensor.quantity.name == "rain"]
    nearby = _nearby(sensors, gauges)
    of = np.zeros(len(sensors), LIMITS)
    for name in LIMITS.names or ():
        of[name] = np.nan if LIMITS[name] == np.float64 else 0
    for n, sensor in enumerate(sensors):
        for name, value in _row(sensor, parameters[n]).items() if sensor is not None else ():
            of[name][n] = value
    of["gap"], of["gauge"] = gap, -1
    of["gauge"][gauges] = np.arange(len(gauges))
    of["clogged"] = [len(one) >= codes.NEIGHBOURS_LEAST for one in nearby]
    return Limits(
        of=of,
        amount_first=_offsets([one.amounts for one in parameters]),
        amount_span=np.array([span for one in parameters for span, _ in one.amounts], np.int64),
        amount_most=np.array([most for one in parameters for _, most in one.amounts], np.float64),
        factors=np.array(LENGTH_FACTORS),
        nearby_first=_offsets(nearby),
        nearby=np.array([of["gauge"][n] for one in nearby for n in one], np.int64),
    )


def parameters_of(sensor: Sensor, rules: Rules) -> Parameters:
    """The quantity's defaults, a river station's alarm levels, and over them what city.toml states."""
    found, stated = DEFAULTS.get(sensor.quantity.name, _NONE), sensor.quality
    levels = _alarm_levels(sensor, rules)
    if levels is not None:
        low, high = levels
        found = replace(found, fail=(low - STATION_LOW_M, high + STATION_HIGH_M),
                        suspect=(-math.inf, high + STATION_SUSPECT_M))  # fmt: skip
    flat = stated.flat
    return replace(
        found,
        fail=stated.fail or found.fail,
        suspect=stated.suspect or found.suspect,
        amounts=() if stated.suspect else found.amounts,
        rate=stated.rate or found.rate,
        spike=stated.spike or found.spike,
        flat=found.flat if flat is None
        else Flat(duration_ms(flat.for_, "quality.flat.for"), flat.within, flat.above, flat.below),
    )  # fmt: skip


def _alarm_levels(sensor: Sensor, rules: Rules) -> tuple[float, float] | None:
    """Alarm levels I and III of a river station: advisory and danger of the first rule that has them for it."""
    if sensor.quantity.name != "water_level" or sensor.station is None:
        return None
    for rule in rules.rules:
        found = rule.stations.get(sensor.station) if rule.quantity == "water_level" else None
        if found is not None and found.statistic is Statistic.LAST and found.above:
            low, high = found.thresholds[0], found.thresholds[2]
            if not math.isnan(low) and not math.isnan(high):
                return low, high
    return None


def _row(sensor: Sensor, of: Parameters) -> dict[str, float]:
    """The columns of one sensor that differ from "does not run"."""
    off = [test for test in TESTS if sensor.quality.is_off(test)]
    row: dict[str, float] = {"off": sum(_BITS[test] * (1 + (1 << codes.FAILED)) for test in off)}
    row["compares"] = len(off) < len(TESTS)
    if sensor.mount_height_m is not None:
        row["mount"] = sensor.mount_height_m
    if "gross" not in off:
        row["fail_low"], row["fail_high"] = _possible(sensor, of)
        row["suspect_low"], row["suspect_high"] = of.suspect or (-math.inf, math.inf)
        row["harmless"] = math.nan if of.harmless is None else of.harmless
    if sensor.counter:  # a running total is not compared with the one before
        return row
    if of.rate and "rate" not in off:
        row["rate_suspect"], row["rate_fail"] = of.rate
    if of.spike:
        row["spike_suspect"], row["spike_fail"] = of.spike
        row["jump"] = of.spike[0]
        row["unit"] = sensor.quantity.unit in LENGTHS
    if of.dry is not None:
        row["dry"] = of.dry
    if of.flat and sensor.period_ms:  # without a period nothing says how long a run may pause
        row["flat"], row["flat_within"] = of.flat.for_ms, of.flat.within
        row["flat_above"], row["flat_below"] = of.flat.above, of.flat.below
        row["plateau"] = 0 if of.dry is None else PLATEAU_MS
    return row


def _possible(sensor: Sensor, of: Parameters) -> tuple[float, float]:
    """Outside of this a value fails; a counter's increments are held to their span besides (kernels/counters.py)."""
    quantity = sensor.quantity
    low, high = of.fail or (quantity.low, math.inf if sensor.counter else quantity.most(sensor.period_ms or 0))
    return low, high if sensor.mount_height_m is None else min(high, sensor.mount_height_m)


def _nearby(sensors: Sequence[Sensor | None], gauges: Sequence[int]) -> list[list[int]]:
    """For each sensor the nearest gauges within NEARBY_KM, for those that are gauges and say where they stand."""
    found: list[list[int]] = [[] for _ in sensors]
    places = {n: (s.lat, s.lon) for n in gauges if (s := sensors[n]) is not None and (s.lat, s.lon) != (0.0, 0.0)}
    numbers = np.array(list(places), np.int64)
    radians = np.radians(np.array(list(places.values()), np.float64).reshape(-1, 2))
    for row, number in enumerate(numbers):
        km = _distance_km(radians[row], radians)
        km[row] = np.inf
        nearest = np.argsort(km, kind="stable")[:NEARBY_MOST]
        found[number] = [int(numbers[other]) for other in nearest if km[other] <= NEARBY_KM]
    return found


def _distance_km(one: Float64, others: Float64) -> Float64:
    """Along the great circle (haversine); positions in radians, others of shape (n, 2)."""
    d_lat, d_lon = (others - one).T
    chord = np.sin(d_lat / 2) ** 2 + np.cos(one[0]) * np.cos(others[:, 0]) * np.sin(d_lon / 2) ** 2
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(1.0, chord))))


def _offsets(parts: Sequence[Sequence[object]]) -> Int64:
    return np.cumsum([0, *map(len, parts)]).astype(np.int64)
