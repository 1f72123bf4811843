"""No process outlives the storm that started it."""

from __future__ import annotations

import ctypes
import signal
import sys


def die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
