"""What a decision stood on: the readings in the rule's window, out of the history, and what the rule asks of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import Field

from alerts.view import View
from alerts.web.payloads import judgement, local_time, statistic_unit
from alerts.web.schemas import Shape
from ingest.city import Sensor
from ingest.history.store import Points, Reader, StoreError
from ingest.readings import Flag
from processing.rules import Judgement

WINDOWS_MOST: Final = 60  # of one answer; what is beyond is shown without its readings, and says so
READINGS_MOST: Final = 500  # of one window, the newest
NOT_KEPT: Final = "no history is kept here"
TOO_MANY: Final = f"not asked for: an answer has the readings of {WINDOWS_MOST} windows; ask for fewer decisions"
_CHANGED: Final = "the rule as it is now is not reached by this value: the rules have changed since"
_GONE: Final = "the sensor or the rule is no longer in the registry or the rules: its window is unknown"
_UNSEEN: Final = "the reading that was judged is not in the history: not yet, or no more"


@dataclass(frozen=True, slots=True)
class Judged:
    """One evaluation: a sensor under a rule at T = `at` (ms UTC), the statistic, and the level that followed.

    `rose`: the level was reached by this very value.
    """

    sensor: str
    rule: str
    at: int
    value: float | None
    level: int
    rose: bool = False

    @property
    def window(self) -> tuple[str, str, int]:
        return self.sensor, self.rule, self.at


class EvidenceReading(Shape):
    at: str
    value: float | None
    flag: int = Field(description="QARTOD", examples=[1])
    counts: bool = Field(description="whether the statistic is made of it; a sum also leaves out what covers too long")


class EvidenceLevel(Shape):
    level: int
    threshold: float
    clear: float = Field(description="the level is kept until the statistic has fallen short of this")
    reached: bool | None = Field(description="by `value`; null: nothing was measured")


class EvidenceOut(Shape):
    """Times of `since` and `until` bound the readings that are shown: since < t <= until."""

    sensor: str
    rule: str
    quantity: str
    unit: str
    statistic: str
    window_s: float | None
    value: float | None = Field(description="of the statistic when it was judged")
    level: int
    above: bool | None = Field(description="false: less is worse; null: the rule is gone")
    levels: list[EvidenceLevel] = Field(description="of the rule as it is now")
    since: str
    until: str
    readings: list[EvidenceReading] | None = Field(description="null: the history cannot say, `note` says why")
    complete: bool = Field(description="whether `readings` are all of the window, as the history has it now")
    note: str


Windows: TypeAlias = Mapping[tuple[str, str, int], Points | str]


def look_up(reader: Reader, wanted: Sequence[tuple[Judged, Sensor, Judgement]]) -> Windows:
    """The readings of each, or why there are none. After one failure the history is not asked again."""
    found: dict[tuple[str, str, int], Points | str] = {}
    failed = ""
    for judged, sensor, rule in wanted:
        if failed or judged.window in found or len(found) >= WINDOWS_MOST:
            found.setdefault(judged.window, failed or TOO_MANY)
            continue
        try:
            found[judged.window] = reader.readings(
                sensor.id, _first(judged, sensor, rule), judged.at + 1, 2 * READINGS_MOST, sensor.quantity.name
            )
        except StoreError as error:
            found[judged.window] = failed = f"the history does not answer: {error}"
    return found


def wanted_of(view: View, judged: Sequence[Judged]) -> list[tuple[Judged, Sensor, Judgement]]:
    """Those whose window is known, once each."""
    found = []
    for one in dict.fromkeys(judged):
        sensor = view.city.sensors.get(one.sensor)
        rule = judgement(view.rules, one.rule, sensor) if sensor is not None else None
        if sensor is not None and rule is not None:
            found.append((one, sensor, rule))
    return found


def evidence(view: View, judged: Judged, windows: Windows) -> EvidenceOut:
    zone = view.city.timezone
    sensor = view.city.sensors.get(judged.sensor)
    rule = judgement(view.rules, judged.rule, sensor) if sensor is not None else None
    if sensor is None or rule is None:
        return EvidenceOut(
            sensor=judged.sensor, rule=judged.rule, quantity=sensor.quantity.name if sensor else "", unit="",
            statistic="", window_s=None, value=judged.value, level=judged.level, above=None, levels=[],
            since=local_time(judged.at, zone), until=local_time(judged.at, zone), readings=None, complete=False,
            note=_GONE,
        )  # fmt: skip
    points, levels = windows[judged.window], _levels(rule, judged.value)
    rows = None if isinstance(points, str) else _readings(points, rule, zone)
    whole = _first(judged, sensor, rule) == _start(judged, rule) and len(rows or ()) <= READINGS_MOST
    seen = not isinstance(points, str) and judged.at in points.t
    changed = judged.rose and any(row.level == judged.level and row.reached is False for row in levels)
    notes = [points if isinstance(points, str) else "" if seen else _UNSEEN, _CHANGED if changed else ""]
    return EvidenceOut(
        sensor=sensor.id, rule=judged.rule, quantity=sensor.quantity.name,
        unit=statistic_unit(sensor.quantity.unit, rule), statistic=rule.statistic.value,
        window_s=rule.window_ms / 1000 if rule.window_ms else None, value=judged.value, level=judged.level,
        above=rule.above, levels=levels, since=local_time(_first(judged, sensor, rule) - 1, zone),
        until=local_time(judged.at, zone), readings=None if rows is None else rows[-READINGS_MOST:],
        complete=whole and seen, note="; ".join(filter(None, notes)),
    )  # fmt: skip


def _start(judged: Judged, rule: Judgement) -> int:
    """Of T - window < t <= T; `last` is the value at T."""
    return judged.at - rule.window_ms + 1 if rule.window_ms else judged.at


def _first(judged: Judged, sensor: Sensor, rule: Judgement) -> int:
    """Where the newest READINGS_MOST begin, by the sensor's period; where it has none, the whole window."""
    if sensor.period_ms is None:
        return _start(judged, rule)
    return max(_start(judged, rule), judged.at - READINGS_MOST * sensor.period_ms + 1)


def _levels(rule: Judgement, value: float | None) -> list[EvidenceLevel]:
    pairs = zip(rule.thresholds, rule.clears, strict=True)
    return [EvidenceLevel(level=k, threshold=x, clear=clear, reached=_reaches(value, x, above=rule.above))
            for k, (x, clear) in enumerate(pairs, 1) if not math.isnan(x)]  # fmt: skip


def _reaches(value: float | None, x: float, *, above: bool) -> bool | None:
    """CONTRACTS section 4, Evaluation."""
    slack = 1e-9 * max(1.0, abs(x))
    return None if value is None else value >= x - slack if above else value <= x + slack


def _readings(points: Points, rule: Judgement, zone: ZoneInfo) -> list[EvidenceReading]:
    out = (Flag.FAIL, Flag.MISSING, *((Flag.SUSPECT,) if rule.skips_suspect else ()))
    columns = (points.t.tolist(), points.value.tolist(), points.flag.tolist())
    return [
        EvidenceReading(
            at=local_time(t, zone), value=None if math.isnan(value) else value, flag=flag,
            counts=flag not in out and not math.isnan(value),
        )
        for t, value, flag in zip(*columns, strict=True)
    ]  # fmt: skip
