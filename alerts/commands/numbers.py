"""Numbers in a call, checked where they are read."""

from __future__ import annotations

import argparse
import math


def positive(text: str) -> float:
    """A number above 0, for argparse: anything else ends the call with 2."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0")
    return number
