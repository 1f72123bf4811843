"""The service's own metrics of the last hours, in bounded memory: enough for a page where there is no Prometheus."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

import numpy as np

from alerts.watch.metrics import Sample
from ingest.readings import Float64, Int64

EVERY_S: Final = 30.0
SLOTS: Final = 720  # 6 h
SERIES_MAX: Final = 4_000  # 23 MB
_SERIES_FIRST: Final = 256

log = logging.getLogger(__name__)


class Ring:
    """The last SLOTS values of at most `series_max` metrics; used from any thread.

    At the limit a new metric takes the place of one that has had no value in all that time; where there is none, it is
    left out and counted in `left_out`.
    """

    def __init__(self, slots: int = SLOTS, series_max: int = SERIES_MAX) -> None:
        self._lock = threading.Lock()
        self._series_max = series_max
        self._t = np.zeros(slots, np.int64)
        self._values = np.full((min(_SERIES_FIRST, series_max), slots), np.nan)
        self._rows: dict[str, int] = {}  # a metric's name with its labels -> row of the values
        self._free: list[int] = list(range(len(self._values)))
        self._taken = 0
        self.left_out = 0

    def take(self, at: int, samples: Iterable[Sample]) -> None:
        """The values at `at`, ms UTC. At the time of the last ones they replace them; before it (the clock was set
        back) everything older is forgotten, which would otherwise lie in the future.
        """
        with self._lock:
            if self._taken and at < self._t[(self._taken - 1) % len(self._t)]:
                self._taken = 0
                self._values[:] = np.nan
            elif self._taken and at == self._t[(self._taken - 1) % len(self._t)]:
                self._taken -= 1
            slot = self._taken % len(self._t)
            self._t[slot] = at
            self._values[:, slot] = np.nan
            self._taken += 1
            self._fill(slot, samples)

    def names(self) -> list[str]:
        """Of every metric that is kept, with its labels, as it is written in the exposition format."""
        with self._lock:
            return list(self._rows)

    def samples(self, name: str) -> tuple[Int64, Float64]:
        """Times (ms UTC, rising) and values, shape (n,); none for a metric that is not kept. NaN is no value here."""
        with self._lock:
            row = self._rows.get(name)
            if row is None:
                return np.empty(0, np.int64), np.empty(0)
            order = np.arange(max(0, self._taken - len(self._t)), self._taken) % len(self._t)
            t, values = self._t[order], self._values[row, order]
        known = ~np.isnan(values)
        return t[known], values[known]

    def _fill(self, slot: int, samples: Iterable[Sample]) -> None:
        self.left_out = 0
        swept = False
        for sample in samples:
            row = self._rows.get(sample.name)
            if row is None:
                if not self._free and not swept:
                    self._make_room()
                    swept = True
                if not self._free:
                    self.left_out += 1
                    continue
                row = self._rows[sample.name] = self._free.pop()
            self._values[row, slot] = sample.value

    def _make_room(self) -> None:
        """Twice as many rows, up to the limit; at the limit, those of metrics that are gone."""
        had = len(self._values)
        more = min(2 * had, self._series_max) - had
        if more:
            self._values = np.concatenate([self._values, np.full((more, len(self._t)), np.nan)])
            self._free += range(had, had + more)
            return
        gone = [name for name, row in self._rows.items() if np.isnan(self._values[row]).all()]
        self._free += [self._rows.pop(name) for name in gone]


@asynccontextmanager
async def kept(ring: Ring, samples: Callable[[], Iterable[Sample]], now_ms: Callable[[], int]) -> AsyncIterator[None]:
    """While inside, the ring takes a value of every metric now and every EVERY_S; `samples` is called in a thread."""
    taking = asyncio.create_task(_take_for_ever(ring, samples, now_ms))
    try:
        yield
    finally:
        taking.cancel()
        with suppress(asyncio.CancelledError):
            await taking


async def _take_for_ever(ring: Ring, samples: Callable[[], Iterable[Sample]], now_ms: Callable[[], int]) -> None:
    while True:
        try:
            await asyncio.to_thread(lambda: ring.take(now_ms(), samples()))
        except Exception:  # whatever it is: a hole in these curves and no more
            log.exception("metrics")
        await asyncio.sleep(EVERY_S)
