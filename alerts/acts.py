"""What operators do to warnings, brought to the spine: the answer comes when it is in the ledger."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import Final

from alerts.acting import Acted
from alerts.driving import BusyError, Desk, UnsureError
from alerts.incidents.verbs import Act

CALLERS_MOST: Final = 16  # threads that wait at a time: others of the web need theirs
WAIT_S: Final = 20.0  # while the disk refuses there is no answer


class Acts:
    """From any thread."""

    def __init__(self, desk: Desk[Act, Acted]) -> None:
        self._desk = desk
        self._callers = threading.BoundedSemaphore(CALLERS_MOST)

    def act(self, act: Act) -> Acted:
        """Raises RefusedError, BusyError (nothing was done) and UnsureError (the same key again will tell)."""
        if not self._callers.acquire(blocking=False):
            raise BusyError(f"{CALLERS_MOST} others are waiting")
        try:
            (asked,) = self._desk.ask([act])
            try:
                return asked.answer.result(WAIT_S)
            except CancelledError:
                raise BusyError("the service ends") from None
            except TimeoutError:
                if asked.answer.cancel():
                    raise BusyError("the service cannot write now; /readyz says why") from None
                raise UnsureError("it may have been done") from None
        finally:
            self._callers.release()
