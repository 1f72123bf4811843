"""Readings that operators bring from files, as backfill: which may go the way of a reading, and what became of them.

Nothing goes into the history directly: the spine takes them like any message, so that journal, flags and identity are
those of every reading. What the history has already is kept back here, however old it is: the spine knows identities
only as far back as windows reach.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import closing
from typing import Final

from alerts.brought import CONFLICT, DUPLICATE, Bring, Brought, Refused, Row, again, bring_of, check_span, fault_of
from alerts.driving import BusyError, Desk, UnsureError
from ingest.city import City
from ingest.history.store import Reader

LOOKED_UP_MOST: Final = 500_000  # readings of the history; what lies beyond goes on, and the history keeps the first
# Of the spine's time while readings are imported, at most so large a part: after each call the next one waits.
SHARE: Final = 0.2
PAUSE_MIN_S: Final = 0.1  # as between two slices of old spools
PAUSE_MAX_S: Final = 2.0
WAIT_S: Final = 20.0  # for the spine; while the disk refuses there is no answer


class Imports:
    """One call at a time, from any thread. `city`: the registry in force; `seconds` never goes back; `pause` waits.

    `oldest`: t (ms UTC) that the history still takes.
    """

    def __init__(
        self, desk: Desk[Bring, Brought], reader: Reader, city: Callable[[], City], seconds: Callable[[], float],
        pause: Callable[[float], object], oldest: Callable[[], int] = lambda: 0,
    ) -> None:  # fmt: skip
        self._desk, self._reader, self._city, self._seconds, self._pause = desk, reader, city, seconds, pause
        self._oldest = oldest
        self._one = threading.Lock()
        self._not_before = -math.inf

    def bring(self, rows: Sequence[Row]) -> Brought:
        """On disk when this returns, but for what is refused. Asked again it changes nothing.

        Raises BusyError (nothing was taken), UnsureError, StoreError where the history is away, and ValueError for rows
        that span too much.
        """
        check_span(rows)
        if not self._one.acquire(blocking=False):
            raise BusyError("others are importing")
        try:
            self._pause(max(0.0, self._not_before - self._seconds()))
            return self._take(rows)
        finally:
            self._one.release()

    def _take(self, rows: Sequence[Row]) -> Brought:
        city, oldest = self._city(), self._oldest()
        refused = {
            n: Refused(n, *fault) for n, row in enumerate(rows) if (fault := fault_of(row, city, oldest)) is not None
        }
        left = [n for n in range(len(rows)) if n not in refused]
        known = self._known([rows[n] for n in left])
        repeated = Counter[str]()
        new = []
        for n in left:
            found = again(rows[n], city.sensors[rows[n].sensor], known)
            repeated[found] += 1
            new += [] if found else [n]
        brought = self._drive(bring_of(rows, new, city)) if new else Brought(0, 0, 0)
        return Brought(
            brought.accepted, brought.duplicates + repeated[DUPLICATE], brought.conflicts + repeated[CONFLICT],
            sorted([*refused.values(), *brought.refused], key=lambda one: one.row),
        )  # fmt: skip

    def _drive(self, bring: Bring) -> Brought:
        (asked,) = self._desk.ask([bring])
        began = self._seconds()
        try:
            return asked.answer.result(WAIT_S)
        except CancelledError:
            raise BusyError("the service ends") from None
        except TimeoutError:
            if asked.answer.cancel():
                raise BusyError("the service cannot write now; /readyz says why") from None
            raise UnsureError("some may have been taken; bring them again, what is known is passed over") from None
        finally:
            took = self._seconds() - began
            self._not_before = self._seconds() + min(PAUSE_MAX_S, max(PAUSE_MIN_S, took * (1 / SHARE - 1)))

    def _known(self, rows: Sequence[Row]) -> Mapping[tuple[str, int], float]:
        """What the history has of these (sensor, t)."""
        if not rows:
            return {}
        wanted, looked_up = {(row.sensor, row.t) for row in rows}, 0
        known: dict[tuple[str, int], float] = {}
        times = [row.t for row in rows]
        chunks = self._reader.scan(min(times), max(times) + 1, {row.sensor for row in rows})
        with closing(chunks):
            for chunk in chunks:
                ids = [name.id for name in chunk.names]
                for series, t, value in zip(chunk.series.tolist(), chunk.t.tolist(), chunk.value.tolist(), strict=True):
                    if (ids[series], t) in wanted:
                        known[ids[series], t] = value
                looked_up += len(chunk.t)
                if looked_up > LOOKED_UP_MOST:
                    break
        return known
