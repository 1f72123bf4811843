"""Which sensor a reading belongs to, in which unit it counts, and whether it is possible at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import gt, lt
from typing import Final, NamedTuple

import numpy as np

from ingest.city import FOREIGN, City, Sensor
from ingest.entries import ClockMode, DeadLetter, Header
from ingest.formats import Decoded, Numbering, Refusal, RefusedError, shown
from ingest.networks import owner
from ingest.quantity import UnitError, convert
from ingest.readings import Flag, Float64, Int32, Int64, UInt8

FUTURE_MS_MAX: Final = 300_000  # a clock may be ahead of ours by so much
OLDEST_MS: Final = 946_684_800_000  # 2000-01-01
NEWEST_MS: Final = 253_402_300_799_999  # the end of the year 9999: what lies beyond cannot be written as a time
INDICES_SHOWN_MAX: Final = 10
COLUMNS_MIN: Final = 4  # rows; fewer are looked at sooner one by one


@dataclass(frozen=True, slots=True)
class Resolved:
    """The readings of one message, columns of shape (n,), in its order; `refused` what came to nothing, with why.

    `sensor` number; `t` and `arrival` ms UTC; `raw` in the quantity's unit, NaN where missing; `flag` what its device
    says of it, 2 (not evaluated) where it says nothing.
    `last_arrival` is the arrival of the message: what the next message's cannot be before. `signs`: numbers of the
    sensors of which it brings readings that were refused.
    """

    sensor: Int32
    t: Int64
    raw: Float64
    flag: UInt8
    arrival: Int64
    refused: tuple[Refusal, ...]
    last_arrival: int
    signs: Int32


class _Known(NamedTuple):
    number: int
    gateway: str | None
    sent_in: str | None  # the unit of values that come without one, None: the quantity's
    unit: str
    low: float
    high: float


class Lookup:
    """A registry made ready for readings. `sensor_ids[n]` is the id of sensor number n.

    Ids of the table that the registry no longer knows are unknown. Raises ValueError for a sensor without a number.
    """

    def __init__(self, city: City, sensor_ids: Sequence[str]) -> None:
        numbers = {id_: number for number, id_ in enumerate(sensor_ids)}
        missing = [id_ for id_ in city.sensors if id_ not in numbers]
        if missing:
            raise ValueError(f"sensors without a number: {' '.join(missing[:10])}")
        self._known: dict[str, _Known] = {}
        for id_, sensor in city.sensors.items():
            self._known |= _known(numbers[id_], sensor)

    def resolve(self, decoded: Decoded, *, arrival: int, clock_mode: ClockMode, previous_arrival: int) -> Resolved:
        """The message's readings by number and in the units of their quantities.

        With the wall's clock all of them arrive at `arrival`, or at `previous_arrival` if that is later. With the
        data's clock each arrives at its own `t` or, if that is later, with the one before it; nothing is then from
        the future.
        """
        now = max(arrival, previous_arrival) if clock_mode == "wall" else previous_arrival
        latest = _latest(now, clock_mode)
        refused = list(decoded.refused)
        numbers = self._numbers_if_sound(decoded, latest)
        kept, values = decoded.t, decoded.values
        if numbers is None:
            numbers, kept, values = self._row_by_row(decoded, latest, refused)
        column = np.array(kept, np.int64)
        if clock_mode == "wall":
            arrivals = np.full(len(kept), now, np.int64)
        else:
            arrivals = np.maximum(np.maximum.accumulate(column), now)
        refused.sort(key=lambda refusal: -1 if refusal.index is None else refusal.index)
        return Resolved(
            np.array(numbers, np.int32), column, np.array(values, np.float64), _flags(decoded, refused), arrivals,
            tuple(refused), int(arrivals[-1]) if len(arrivals) else now, self._signs(decoded.gateway, refused),
        )  # fmt: skip

    def _signs(self, gateway: str, refused: Sequence[Refusal]) -> Int32:
        """Of no sensor that the registry does not know, or that belongs to another gateway: that one was not there."""
        known = [self._known[refusal.sensor] for refusal in refused if refusal.sensor in self._known]
        return np.array(sorted({one.number for one in known if one.gateway in (None, gateway)}), np.int32)

    def _numbers_if_sound(self, decoded: Decoded, latest: int) -> list[int] | None:
        """The sensors' numbers where every row counts as it was sent, which is nearly always; else None.

        What `_row_by_row` finds, a column at a time: half of its time for a hundred readings.
        """
        if len(decoded.sensors) < COLUMNS_MIN:
            return None
        try:
            known = map(self._known.__getitem__, decoded.sensors)
            numbers, gateways, sent_in, units, low, high = zip(*known, strict=True)
        except KeyError:
            return None
        sound = (
            {None, decoded.gateway}.issuperset(gateways)
            and min(decoded.t) >= OLDEST_MS
            and max(decoded.t) <= latest
            and (tuple(decoded.units) == units or {None}.issuperset((*decoded.units, *sent_in)))
            and not any(map(lt, decoded.values, low))
            and not any(map(gt, decoded.values, high))
            and not any(map(math.isinf, decoded.values))
        )
        return list(numbers) if sound else None

    def _row_by_row(
        self, decoded: Decoded, latest: int, refused: list[Refusal]
    ) -> tuple[list[int], list[int], list[float]]:
        """Number, t and value of each row that counts; why another one does not is added to `refused`."""
        numbers: list[int] = []
        kept: list[int] = []
        values: list[float] = []
        rows = zip(decoded.indices(), decoded.sensors, decoded.t, decoded.values, decoded.units, strict=True)
        for index, id_, t, value, unit in rows:
            try:
                known = self._find(id_, decoded.gateway)
                _check_time(t, latest)
                raw = _value(known, value, unit)
            except RefusedError as error:
                refused.append(Refusal(error.reason, error.detail, index, id_))
                continue
            numbers.append(known.number)
            kept.append(t)
            values.append(raw)
        return numbers, kept, values

    def _find(self, id_: str, gateway: str) -> _Known:
        known = self._known.get(id_)
        if known is None:
            raise RefusedError("unknown_sensor", shown(id_))
        if known.gateway is not None and known.gateway != gateway:
            raise RefusedError("wrong_gateway", f"{shown(id_)} belongs to {known.gateway}, came from {shown(gateway)}")
        return known


def is_timely(t: int, now: int, clock_mode: ClockMode) -> bool:
    """Whether a reading of `t` that arrives at `now` is neither too old nor from the future."""
    return OLDEST_MS <= t <= _latest(now, clock_mode)


def _latest(now: int, clock_mode: ClockMode) -> int:
    return min(now + FUTURE_MS_MAX, NEWEST_MS) if clock_mode == "wall" else NEWEST_MS


def _flags(decoded: Decoded, refused: Sequence[Refusal]) -> UInt8:
    """Those of the readings that are left."""
    if not decoded.flags:
        unstated = np.empty(len(decoded.sensors) + len(decoded.refused) - len(refused), np.uint8)
        unstated.fill(Flag.NOT_EVALUATED)  # a third of what np.full takes, and each message pays it
        return unstated
    gone = {refusal.index for refusal in refused}
    left = [flag for index, flag in zip(decoded.indices(), decoded.flags, strict=True) if index not in gone]
    return np.array(left, np.uint8)


def header(gateway: str, numbering: Numbering | None, arrival: int, *, backfill: bool) -> Header | None:
    """The journal's header of a message, None for one without a number."""
    if numbering is None:
        return None
    return Header(gateway, numbering.boot, numbering.seq, numbering.first, arrival, backfill)


def dead_letters(
    topic: str, payload: bytes, refused: Sequence[Refusal], *, arrival: int, sender: str
) -> tuple[DeadLetter, ...]:
    """What is kept of the refusals of one message of `sender`: one letter a reason, each with the whole message.

    One letter a reading would make megabytes of every message that is wrong in all its readings. The detail says what
    is wrong with the first of them and which others there are, by their index from 0.
    """
    by_reason: dict[str, list[Refusal]] = {}
    for refusal in refused:
        by_reason.setdefault(refusal.reason, []).append(refusal)
    return tuple(
        DeadLetter(arrival, topic, payload, reason, _detail(group), sender) for reason, group in by_reason.items()
    )


def _detail(group: list[Refusal]) -> str:
    first, *others = group
    if first.index is None:
        return first.detail
    if not others:
        return f"reading {first.index}: {first.detail}"
    named = ", ".join(str(refusal.index) for refusal in others[:INDICES_SHOWN_MAX])
    more = "" if len(others) <= INDICES_SHOWN_MAX else ", …"
    return f"reading {first.index}: {first.detail}; and {len(others)} more: {named}{more}"


def bounds_of(sensor: Sensor) -> tuple[float, float]:
    """Between what a value as sent must lie, in the quantity's unit.

    Of a distance sensor that is the distance. The bounds of a counter's increment grow with its span, which is known
    later; its total has none.
    """
    if sensor.counter:
        return -math.inf, math.inf
    low, high = sensor.quantity.low, sensor.quantity.most(sensor.period_ms or 0)
    if sensor.mount_height_m is None:
        return low, high
    return sensor.mount_height_m - high, sensor.mount_height_m - low


def _known(number: int, sensor: Sensor) -> dict[str, _Known]:
    """By its id, and by its alias where another network brings it: then nobody else speaks for it, but its gateway."""
    decoder, rest = sensor.decoder, (sensor.quantity.unit, *bounds_of(sensor))
    if decoder is None:
        return {sensor.id: _Known(number, sensor.gateway, None, *rest)}
    foreign = owner(decoder.network) if decoder.network in FOREIGN else None
    return {
        sensor.id: _Known(number, sensor.gateway or foreign, None, *rest),
        decoder.alias: _Known(number, foreign or sensor.gateway, decoder.unit, *rest),
    }


def _check_time(t: int, latest: int) -> None:
    if t < OLDEST_MS:
        raise RefusedError("too_old", f"t is {shown(t)}, before 2000")
    if t > latest:
        raise RefusedError("from_the_future", f"t is {shown(t)}, later than {latest}")


def _value(known: _Known, value: float, unit: str | None) -> float:
    raw = value
    unit = known.sent_in if unit is None else unit
    if unit is not None and unit != known.unit:
        try:
            raw = convert(value, unit, known.unit)
        except UnitError:
            raise RefusedError("wrong_unit", f"u is {shown(unit)}, expected {known.unit!r}") from None
    if raw < known.low or raw > known.high or math.isinf(raw):
        raise RefusedError("out_of_bounds", f"v is {raw!r} {known.unit}, not in {known.low:g} to {known.high:g}")
    return raw
