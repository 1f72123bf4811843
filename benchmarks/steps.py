"""What the steps of one thread cost, without changing what is measured: calls that are wrapped from outside."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any


class Steps:
    """Processor time of the spine's thread by step; a step within another counts for itself alone."""

    def __init__(self) -> None:
        self.cpu_s: Counter[str] = Counter()
        self._inner: list[float] = []

    def timed(self, step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def measured(*args: Any, **named: Any) -> Any:
            began = time.thread_time()
            self._inner.append(0.0)
            try:
                return call(*args, **named)
            finally:
                took, inner = time.thread_time() - began, self._inner.pop()
                self.cpu_s[step] += took - inner
                if self._inner:
                    self._inner[-1] += took

        return measured
