"""A clock that every process of a storm reads the same, so many times as fast as the wall's."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """`began_s`: of the wall's clock, when it showed `began_ms` (ms UTC). `scale`: its seconds in one of the wall's."""

    began_s: float
    began_ms: int
    scale: float = 1.0

    def now_ms(self) -> int:
        return self.began_ms + int((time.time() - self.began_s) * 1000 * self.scale)

    def wall_s(self, seconds: float) -> float:
        """So long the wall's clock takes for `seconds` of this one."""
        return seconds / self.scale

    def at(self, ms: int) -> Pace:
        """One that shows `ms` now and goes on as fast."""
        return Pace(time.time(), ms, self.scale)

    def __str__(self) -> str:
        return f"{self.began_s!r},{self.began_ms},{self.scale!r}"

    @classmethod
    def of(cls, text: str) -> Pace:
        began_s, began_ms, scale = text.split(",")
        return cls(float(began_s), int(began_ms), float(scale))
