"""`quality = { … }` of a `[[quantity]]` or a `[[sensor]]` of city.toml: what a deployment states of the quality tests.

Only words and numbers; what the tests make of them stands in processing/quality.py.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

import msgspec

TESTS: Final = ("gross", "rate", "flat", "gap", "spike", "blip", "plateau", "unit", "clogged")
_OF_A_LEVEL: Final = ("rate", "spike", "flat")  # what is compared from reading to reading: no running total


class FlatRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    """Suspect once all values of this time lie within less than `within`, above and below these values."""

    for_: str
    within: float
    above: float = -math.inf
    below: float = math.inf


class QualityRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys as written, in the quantity's unit; None: the quantity's default. `off`: tests that do not run."""

    off: list[str] | Literal["all"] = []
    fail: tuple[float, float] | None = None
    suspect: tuple[float, float] | None = None
    rate: tuple[float, float] | None = None  # suspect, fail; per second
    spike: tuple[float, float] | None = None  # suspect, fail
    flat: FlatRow | None = None

    def is_off(self, test: str) -> bool:
        return self.off == "all" or test in self.off


NOTHING_STATED: Final = QualityRow()


class Misfit(NamedTuple):
    """A key that is wrong, what stands there, and what should."""

    key: str
    found: object
    expected: str


def over(quantity: QualityRow | None, sensor: QualityRow | None) -> QualityRow:
    """The sensor's keys over its quantity's, each key singly."""
    if quantity is None or sensor is None:
        return sensor or quantity or NOTHING_STATED
    stated = {name: value for name in QualityRow.__struct_fields__ if (value := getattr(sensor, name))}
    return msgspec.structs.replace(quantity, **stated)


def misfit(row: QualityRow, *, counter: bool = False) -> Misfit | None:
    """The first thing that is wrong, None where nothing is. (The time of `flat` is for the caller to read.)"""
    for test in () if row.off == "all" else row.off:
        if test not in TESTS:
            return Misfit("off", test, '"all" or some of ' + " ".join(TESTS))
    for name in ("fail", "suspect"):
        span = getattr(row, name)
        if span is not None and not -math.inf < span[0] < span[1] < math.inf:
            return Misfit(name, span, "[low, high], finite, low < high")
    for name in ("rate", "spike"):
        limits = getattr(row, name)
        if limits is not None and not 0 < limits[0] <= limits[1] < math.inf:
            return Misfit(name, limits, "[suspect, fail], more than 0, suspect <= fail")
    if row.flat is not None and not (0 < row.flat.within < math.inf and row.flat.above < row.flat.below):
        return Misfit("flat", row.flat.within, "within more than 0, and above < below")
    for name in _OF_A_LEVEL if counter else ():
        if getattr(row, name) is not None:
            return Misfit(name, getattr(row, name), "nothing: a running total has no " + name)
    return None
