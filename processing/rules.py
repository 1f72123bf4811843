"""Rules: what people set. rules.toml read, checked, resolved per sensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Final

DEFAULT_RULES_FILE: Final = Path(__file__).with_name("rules.toml")


class Level(IntEnum):
    """Levels of our own; words beside them in alerts/words."""

    NONE = 0
    ADVISORY = 1
    WARNING = 2
    DANGER = 3
    EMERGENCY = 4


class Statistic(StrEnum):
    LAST = "last"
    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    RISE = "rise"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Local hours in which a rule judges: on `days` (0 Monday) from, to (minutes of the day); to <= from: past midnight."""

    days: frozenset[int]
    from_minute: int
    to_minute: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that judging one sensor by one rule needs. Times ms; thresholds in the quantity's unit.

    `thresholds[k - 1]` and `clears[k - 1]` belong to level k; NaN where the rule has no such level.
    """

    statistic: Statistic
    window_ms: int  # 0 for last
    above: bool
    thresholds: tuple[float, float, float, float]
    clears: tuple[float, float, float, float]
    hold_ms: int = 0
    hold_clear_ms: int = 0
    min_readings: int = 1
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[rule]]. `everywhere` None: only the stations that bring levels of their own are judged."""

    name: str
    hazard: str
    quantity: str
    everywhere: Judgement | None
    stations: Mapping[str, Judgement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndsWhen:
    statistic: Statistic
    window_ms: int
    below: float
    for_ms: int


@dataclass(frozen=True, slots=True)
class Hazard:
    """[hazard.X]: how incidents of this kind live. Times ms."""

    name: str
    confirm_km: float = 2.0
    confirm_within_ms: int = 900_000
    confirm_by: tuple[str, ...] = ()
    confirm: bool = True  # False where confirm_by = "none"
    approve_within_ms: int = 600_000
    quiet_ms: int = 1_800_000
    min_update_ms: int = 600_000
    ends_when: EndsWhen | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in the order of the file, and the hazards they speak of (each with at least its defaults)."""

    rules: tuple[Rule, ...] = ()
    hazards: Mapping[str, Hazard] = field(default_factory=dict)
