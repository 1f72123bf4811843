"""What leaves the engine: transitions for everyone, health events and late breaches for operators."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of level of one sensor under one rule. Times ms UTC; levels 0-4; `value` the statistic, in its unit.

    `at` is the moment of measuring (of a tick or of a change where nothing was measured: then `value` is None);
    `arrival` is when the journal knew of it.
    """

    at: int
    sensor: str
    rule: str
    from_: int
    to: int
    value: float | None
    arrival: int

    def to_json(self) -> str:
        """One line of `canhbao replay` (CONTRACTS section 4)."""
        return json.dumps(
            {"at": rfc3339(self.at), "sensor": self.sensor, "rule": self.rule,
             "from": self.from_, "to": self.to, "value": self.value},
            ensure_ascii=False, separators=(",", ":"), allow_nan=False,
        )  # fmt: skip


class Status(StrEnum):
    """How a sensor is heard (CONTRACTS section 4, Silence)."""

    OK = "ok"
    SILENT = "silent"  # no arrival for G
    NO_DATA = "no_data"  # arrivals, none usable
    DELAYED = "delayed"  # arrivals, none fresh


@dataclass(frozen=True, slots=True)
class HealthEvent:
    at: int  # the tick, ms UTC
    sensor: str
    from_: Status
    to: Status


@dataclass(frozen=True, slots=True)
class LateBreach:
    """A reading that came too late to be judged and would have reached danger."""

    sensor: str
    rule: str
    at: int
    value: float
    arrival: int


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one entry calls for, and where between its readings.

    `order` is parallel to `transitions`, `health_order` to `health`: how many readings of the entry precede it, the one
    that caused a transition not counted. So at k stand, in this order: what ticks (or a change) made before reading k,
    by their time, of one tick transitions before health; reading k; the transitions that it caused (those that have a
    value). How readings are grouped into entries does not change this sequence.
    """

    transitions: tuple[Transition, ...] = ()
    health: tuple[HealthEvent, ...] = ()
    late_breaches: tuple[LateBreach, ...] = ()
    order: tuple[int, ...] = ()
    health_order: tuple[int, ...] = ()


def rfc3339(ms: int) -> str:
    """`ms` UTC as RFC 3339 with milliseconds and Z."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1000:03d}Z"
