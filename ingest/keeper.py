"""A process of ours beside the service, kept running: started again when it ends, later and later while it will not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

_BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # between restarts; the last one repeats, without end
_STEADY_S: Final = 60.0  # alive for so long, a process starts the backoff anew


class Keeper:
    """`live` starts a process, attends to it until it ends and says what its last words were; it raises OSError where
    it cannot be started. `restarts` counts unexpected ends; `fault` says why it does not run, "" while it does.
    """

    def __init__(self, name: str, live: Callable[[], str]) -> None:
        self.restarts = 0
        self.fault = "is being started"
        self.stopping = threading.Event()
        self._name, self._live = name, live
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """After `stopping` was set; whether it has come to its end."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _keep(self) -> None:
        failures = 0
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                last_line = self._live()
            except OSError as error:
                last_line = f"cannot be started: {error}"
            except Exception as error:  # whatever it is, the next process may do better
                log.exception("%s", self._name)
                last_line = f"not understood: {error}"
            if self.stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > _STEADY_S else failures
            wait_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
            failures += 1
            self.restarts += 1
            self.fault = f"its process has ended ({last_line}); it is started again"
            log.error("%s: its process ended (%s), again in %.1f s", self._name, last_line, wait_s)
            self.stopping.wait(wait_s)
