"""How long things take, so that a quantile can be asked for: counts below fixed bounds, as Prometheus has them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from alerts.watch.metrics import labelled

# Seconds. What is computed takes milliseconds; what goes out through a provider may wait hours for it.
WORK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WAY_OUT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 21_600.0)


class Histogram:
    """Written by one thread, read by any: a reader sees counts that fit together, the sum at most one behind them."""

    def __init__(self, name: str, bounds: Sequence[float] = WORK, **labels: str) -> None:
        """`bounds`: upper ones in seconds, rising; what is above all of them counts as well."""
        self._name, self._labels, self._bounds = name, labels, tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def samples(self) -> dict[str, float]:
        """In the spelling of the metrics: `_bucket` by `le`, `_sum`, `_count`."""
        below = list(accumulate(self._counts.copy()))
        names = [f"{bound:g}" for bound in self._bounds] + ["+Inf"]
        return {
            **{labelled(f"{self._name}_bucket", **self._labels, le=le): n for le, n in zip(names, below, strict=True)},
            labelled(f"{self._name}_sum", **self._labels): self._sum,
            labelled(f"{self._name}_count", **self._labels): below[-1],
        }
