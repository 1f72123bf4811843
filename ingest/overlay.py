"""What devices that say only what has changed said last: it stands until they say otherwise, and each update reads it.

In memory, bounded by the registered sensors: after a restart nothing stands until it is said again. What is made of it
goes into the journal like any reading, so that a replay needs none of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from ingest.city import FOREIGN, City
from ingest.entries import ClockMode
from ingest.formats import Decoded
from ingest.lookup import Resolved, is_timely


class Stood(NamedTuple):
    """What one sensor's device said of it at `t` (ms UTC): `raw` in the quantity's unit, NaN where missing.

    `filled`: the newest reading that was made of it without being said, t and raw.
    """

    t: int
    raw: float
    flag: int
    filled: tuple[int, float] | None = None


Changes: TypeAlias = dict[int, Stood | None]  # sensor number -> what stands now; None: nothing does


@dataclass(frozen=True, slots=True)
class _Row:
    sensor: int
    t: int
    raw: float
    flag: int


class Overlay:
    """What stands. Only `keep` changes it, once the messages of a draft are taken."""

    def __init__(self, city: City, sensor_ids: Sequence[str]) -> None:
        self._numbers: dict[str, dict[str, int]] = {}  # device -> alias -> sensor number
        for number, id_ in enumerate(sensor_ids):
            decoder = city.sensors[id_].decoder if id_ in city.sensors else None
            if decoder is not None and decoder.network in FOREIGN:
                self._numbers.setdefault(decoder.device, {})[decoder.alias] = number
        self._stood: Changes = {}

    def draft(self) -> Draft:
        return Draft(self._numbers, self._stood)

    def keep(self, changes: Changes) -> None:
        self._stood |= changes


class Draft:
    """The overlay as the messages of one turn leave it, one after the other; `changes` is what they changed."""

    def __init__(self, numbers: Mapping[str, Mapping[str, int]], stood: Mapping[int, Stood | None]) -> None:
        self._numbers, self._before = numbers, stood
        self.changes: Changes = {}

    def forget(self, device: str) -> None:
        """It is gone: whatever it finds when it comes back, it says."""
        self.changes |= dict.fromkeys(self._numbers.get(device, {}).values())

    def lay(self, decoded: Decoded, found: Resolved, clock: ClockMode) -> Resolved:
        """`found`, and after it a reading of what the update leaves out and stood before it, at its time.

        Only what is accepted stands: a mad value or a time to come is found by nobody later. What is said and not
        accepted stands no more. An older update that comes late changes nothing that was said after it.
        """
        t, numbers = decoded.update_t, self._numbers.get(decoded.device)
        if t is None or numbers is None or not is_timely(t, found.last_arrival, clock):
            return found
        columns = (found.sensor, found.t, found.raw, found.flag)
        rows = [self._say(_Row(*row)) for row in zip(*(one.tolist() for one in columns), strict=True)]
        said = {row.sensor for row in rows}
        for alias, number in numbers.items():
            stood = self._at(number)
            if number in said or stood is None or stood.t >= t:
                continue
            if alias not in decoded.left_out:
                self.changes[number] = None
            elif stood.filled is None or stood.filled[0] < t:
                self.changes[number] = stood._replace(filled=(t, stood.raw))
                rows.append(_Row(number, t, stood.raw, stood.flag))
        return _resolved(rows, found, clock)

    def _at(self, number: int) -> Stood | None:
        return self.changes[number] if number in self.changes else self._before.get(number)

    def _say(self, row: _Row) -> _Row:
        """Remember it. Where another update of the same time left it out, what was filled in there must not stand in
        its way, as the first of two readings of one time does: it is read 1 ms later. Times of Shelly have 10 ms.
        """
        stood = self._at(row.sensor)
        filled = None if stood is None else stood.filled
        if stood is None or row.t >= stood.t:
            self.changes[row.sensor] = Stood(row.t, row.raw, row.flag, filled)
        shifted = filled is not None and filled[0] == row.t and filled[1] != row.raw
        return replace(row, t=row.t + 1) if shifted else row


def _resolved(rows: Sequence[_Row], found: Resolved, clock: ClockMode) -> Resolved:
    t = np.array([row.t for row in rows], np.int64)
    before = int(found.arrival[0]) if len(found.arrival) else found.last_arrival
    arrival = np.full(len(t), before, np.int64)
    if clock == "data":
        arrival = np.maximum(np.maximum.accumulate(t), before)
    return Resolved(
        np.array([row.sensor for row in rows], np.int32), t, np.array([row.raw for row in rows], np.float64),
        np.array([row.flag for row in rows], np.uint8), arrival, found.refused,
        int(arrival[-1]) if len(arrival) else found.last_arrival, found.signs,
    )  # fmt: skip
