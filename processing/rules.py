"""Rules: what people set. rules.toml read and checked; which judgement a rule passes on a sensor."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ingest.city import ConfigError, Sensor, duration_ms, parse_toml

DEFAULT_RULES_FILE: Final = Path(__file__).with_name("rules.toml")
HAZARDS: Final = ("rain", "flood", "power", "school", "toilet")
WINDOW_MS_MAX: Final = 31 * 86_400_000  # longer windows are refused: what a sensor holds is bounded by them
_ENDING: Final = "ends_when."
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


class Level(IntEnum):
    """Levels of our own; the words for them stand in alerts/words."""

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
    """Local hours in which a rule judges, on `days` (0 Monday), minutes of the day; to <= from runs past midnight."""

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
    skips_suspect: bool = False  # readings of flag 3 are to this rule as if they were not there


@dataclass(frozen=True, slots=True)
class Rule:
    """One [[rule]]. `everywhere` None: only the stations that bring levels of their own are judged.

    `written` is its table as canonical JSON: a rule has changed when this has.
    """

    name: str
    hazard: str
    quantity: str
    everywhere: Judgement | None
    stations: Mapping[str, Judgement] = field(default_factory=dict)
    written: str = ""

    def judgement(self, sensor: Sensor) -> Judgement | None:
        """How this rule judges `sensor`; None where it does not concern it (see `skips` for rules that cannot)."""
        found = self._for_station(sensor)
        return None if found is None or skips(found, sensor) else found

    def why_skipped(self, sensor: Sensor) -> str:
        """Why a rule that would concern `sensor` does not judge it; "" where it does or does not concern it."""
        found = self._for_station(sensor)
        return skips(found, sensor) if found is not None else ""

    def _for_station(self, sensor: Sensor) -> Judgement | None:
        if sensor.quantity.name != self.quantity:
            return None
        return self.stations.get(sensor.station or "", self.everywhere)


def skips(judgement: Judgement, sensor: Sensor) -> str:
    """Why the sensor's period makes the statistic meaningless, or "" (CONTRACTS section 4, Level)."""
    period_ms = sensor.period_ms or 0
    if judgement.statistic is Statistic.RISE and judgement.window_ms < 3 * period_ms:
        return f"a rise needs a window of 3 periods ({3 * period_ms / 1000:g} s)"
    if judgement.statistic is Statistic.SUM and judgement.window_ms < period_ms:
        return f"the window is shorter than the period ({period_ms / 1000:g} s)"
    return ""


@dataclass(frozen=True, slots=True)
class EndsWhen:
    """An incident held up by long sums ends when this short statistic has stayed below for `for_ms`."""

    statistic: Statistic
    window_ms: int  # 0 for last
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
    quiet_after_danger_ms: int | None = None  # in place of it once danger was published; None: the same
    ease_after_ms: int = 0  # unchanged for so long before it eases
    min_update_ms: int = 600_000
    ends_when: EndsWhen | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in the order of the file, and the hazards they speak of (each with at least its defaults).

    `endings`: what `ends_when` makes, one for each hazard and quantity. Level 1: at the limit or above, 0: below it.
    """

    rules: tuple[Rule, ...] = ()
    hazards: Mapping[str, Hazard] = field(default_factory=dict)
    endings: tuple[Rule, ...] = ()

    def judging(self, sensor: Sensor) -> list[tuple[Rule, Judgement]]:
        """What judges `sensor`: people's rules in their order, then the endings of the hazards of those."""
        own = [(rule, rule.judgement(sensor)) for rule in self.rules]
        found = [(rule, judgement) for rule, judgement in own if judgement is not None]
        hazards = {rule.hazard for rule, _ in found}
        ends = [(rule, rule.judgement(sensor)) for rule in self.endings if rule.hazard in hazards]
        return found + [(rule, judgement) for rule, judgement in ends if judgement is not None]

    def ends(self, sensor: Sensor, hazard: str) -> bool:
        """Whether `ends_when` of `hazard` watches `sensor`. Where it does not, nothing is known to be calm."""
        return all(
            any(rule.hazard == hazard and rule.judgement(sensor) is not None for rule in rules)
            for rules in (self.endings, self.rules)
        )


class _Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    days: str
    from_: str
    to: str


class _Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys that a station may set for itself."""

    statistic: Statistic | None = None
    window: str | None = None
    levels: dict[Literal["advisory", "warning", "danger", "emergency"], float] | None = None
    direction: Literal["above", "below"] | None = None
    clear: float | None = None
    clear_by: float | None = None
    hold: str | None = None
    hold_clear: str | None = None
    min_readings: int | None = None
    schedule: _Schedule | None = None
    suspect: Literal["use", "skip"] | None = None


class _Rule(_Judged, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    name: str
    hazard: str
    quantity: str
    station: dict[str, _Judged] = {}


class _EndsWhen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"for_": "for"}):
    statistic: Statistic
    below: float
    for_: str
    window: str | None = None


class _Hazard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    confirm_km: float = 2.0
    confirm_within: str = "15m"
    confirm_by: list[str] | Literal["none"] = []
    approve_within: str = "10m"
    quiet: str = "30m"
    quiet_after_danger: str | None = None
    ease_after: str = "0s"
    min_update: str = "10m"
    ends_when: _EndsWhen | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: list[_Rule] = []
    hazard: dict[str, _Hazard] = {}


def parse_rules(text: str, file: str = "rules.toml") -> Rules:
    """The rules that a person's `text` describes. Raises ConfigError for the first thing that is wrong."""
    try:
        rules = journalled_rules(text)
        for rule in rules.rules:
            _refuse_idle(rule)
        for hazard in rules.hazards.values():
            _refuse_endless(hazard, rules)
    except ConfigError as error:
        raise ConfigError(error.key, error.found, error.expected, file) from None
    return rules


def journalled_rules(text: str) -> Rules:
    """Like parse_rules, but rules that can never judge are let be, and an `ends_when` that is wrong ends nothing: a
    journal may hold them from before they were refused, and nobody can correct it.
    """
    return _parsed(text)


def _refuse_idle(rule: Rule) -> None:
    """`last` is one value: where it asks for more readings it is never defined (docs/reference/levels.md, 7)."""
    places = {"": rule.everywhere, **{f" station {name!r}": own for name, own in rule.stations.items()}}
    for where, own in places.items():
        if own is not None and own.statistic is Statistic.LAST and own.min_readings > 1:
            expected = "1 or nothing, since last is one value (a mean, max or min over a window has more)"
            raise ConfigError(f"rule {rule.name!r}{where} min_readings", own.min_readings, expected)


def is_ending(rule_name: str) -> bool:
    """Whether `ends_when` made this rule. Names that people give have no dot."""
    return rule_name.startswith(_ENDING)


def _refuse_endless(hazard: Hazard, rules: Rules) -> None:
    ends = hazard.ends_when
    if ends is None:
        return
    wrong = _wrong(ends)
    if wrong is not None:
        raise ConfigError(f"hazard.{hazard.name}.ends_when.{wrong[0]}", *wrong[1:])
    for rule in rules.rules:
        if rule.hazard == hazard.name and not all(one.above for one in _everyones(rule)):
            expected = f"nothing, since rule {rule.name!r} judges below: less is worse there, and ends nothing"
            raise ConfigError(f"hazard.{hazard.name}.ends_when", f"below = {ends.below:g}", expected)


def _wrong(ends: EndsWhen) -> tuple[str, object, str] | None:
    """The key, what it says and what it should say; None where all is well."""
    if ends.statistic is Statistic.LAST and ends.window_ms:
        return "window", f"{ends.window_ms / 1000:g} s", "no window: last has none"
    if ends.statistic is not Statistic.LAST and not 0 < ends.window_ms <= WINDOW_MS_MAX:
        return "window", f"{ends.window_ms / 1000:g} s", 'more than nothing and at most "31d"'
    if not math.isfinite(ends.below):
        return "below", ends.below, "a finite number"
    if ends.for_ms <= 0:
        return "for", "0 s", 'more than nothing, such as "2h"'
    return None


def _endings(rules: Sequence[Rule], hazards: Mapping[str, Hazard]) -> tuple[Rule, ...]:
    """In the order in which the rules first speak of a hazard and a quantity."""
    found = []
    for hazard, quantity in dict.fromkeys((rule.hazard, rule.quantity) for rule in rules):
        ends = hazards[hazard].ends_when
        if ends is not None and _wrong(ends) is None:
            of_both = [rule for rule in rules if (rule.hazard, rule.quantity) == (hazard, quantity)]
            found.append(_ending(f"{_ENDING}{hazard}.{quantity}", ends, of_both))
    return tuple(found)


def _ending(name: str, ends: EndsWhen, rules: Sequence[Rule]) -> Rule:
    """Level 1 from `below` on, without hold and hysteresis. Leaves out what all of the rules leave out."""
    skips_suspect = all(one.skips_suspect for rule in rules for one in _everyones(rule))
    limit = _four({Level.ADVISORY: ends.below})
    judgement = Judgement(ends.statistic, ends.window_ms, True, limit, limit, skips_suspect=skips_suspect)
    written = json.dumps([ends.statistic, ends.window_ms, ends.below, skips_suspect])
    return Rule(name, rules[0].hazard, rules[0].quantity, judgement, written=written)


def _everyones(rule: Rule) -> list[Judgement]:
    return [*rule.stations.values(), *([] if rule.everywhere is None else [rule.everywhere])]


@lru_cache(maxsize=2)  # as in ingest.city
def _parsed(text: str) -> Rules:
    return _resolve(parse_toml(text, _Document))


def _resolve(doc: _Document) -> Rules:
    rules: dict[str, Rule] = {}
    for row in doc.rule:
        if not _NAME.match(row.name):
            raise ConfigError("rule.name", row.name, "1 to 64 of a-z 0-9 _ -")
        if row.name in rules:
            raise ConfigError("rule.name", row.name, "every name once")
        rules[row.name] = _rule(row)
    names = dict.fromkeys([rule.hazard for rule in rules.values()] + list(doc.hazard))
    hazards = {name: _hazard(name, doc.hazard.get(name, _Hazard())) for name in names}
    for name, hazard in hazards.items():
        for other in hazard.confirm_by:
            if other not in (*HAZARDS, *hazards):
                raise ConfigError(f"hazard.{name}.confirm_by", other, "the name of a hazard")
    return Rules(tuple(rules.values()), hazards, _endings(tuple(rules.values()), hazards))


def _rule(row: _Rule) -> Rule:
    key = f"rule {row.name!r}"
    if not _NAME.match(row.hazard):
        raise ConfigError(f"{key} hazard", row.hazard, "one of " + " ".join(HAZARDS) + " or a word of your own")
    everywhere = None if row.levels is None else _judgement(row, row.quantity, key)
    stations = {}
    for station, own in row.station.items():
        where = f"{key} station {station!r}"
        if own.levels is None and row.levels is None:
            raise ConfigError(f"{where} levels", None, "levels, since the rule has none of its own")
        stations[station] = _judgement(_over(row, own), row.quantity, where)
    if everywhere is None and not stations:
        raise ConfigError(f"{key} levels", None, "levels, or stations with levels")
    written = json.dumps(msgspec.to_builtins(row), sort_keys=True)
    return Rule(row.name, row.hazard, row.quantity, everywhere, stations, written)


def _over(rule: _Judged, own: _Judged) -> _Judged:
    """The station's keys over the rule's: `levels` wholly, the others singly (either way of clearing replaces both)."""
    merged: dict[str, Any] = {name: getattr(rule, name) for name in _Judged.__struct_fields__}
    if own.clear is not None or own.clear_by is not None:
        merged["clear"] = merged["clear_by"] = None
    for name in _Judged.__struct_fields__:
        if getattr(own, name) is not None:
            merged[name] = getattr(own, name)
    return _Judged(**merged)


def _judgement(row: _Judged, quantity: str, key: str) -> Judgement:
    if row.statistic is None:
        raise ConfigError(f"{key} statistic", None, "one of " + " ".join(Statistic))
    above = row.direction != "below"
    thresholds = _thresholds(row, above=above, key=key)
    min_readings = 1 if row.min_readings is None else row.min_readings
    if min_readings < 1:
        raise ConfigError(f"{key} min_readings", min_readings, "1 or more")
    return Judgement(
        statistic=row.statistic,
        window_ms=_window_ms(row, key),
        above=above,
        thresholds=_four(thresholds),
        clears=_four({k: _clear(row, x, quantity, above=above, key=key) for k, x in thresholds.items()}),
        hold_ms=duration_ms(row.hold or "0s", f"{key} hold"),
        hold_clear_ms=duration_ms(row.hold_clear or "0s", f"{key} hold_clear"),
        min_readings=min_readings,
        schedule=None if row.schedule is None else _schedule(row.schedule, key),
        skips_suspect=row.suspect == "skip",
    )


def _window_ms(row: _Judged, key: str) -> int:
    if row.statistic is Statistic.LAST:
        if row.window is not None:
            raise ConfigError(f"{key} window", row.window, "no window: last has none")
        return 0
    if row.window is None:
        raise ConfigError(f"{key} window", None, f'a window such as "1h" for {row.statistic}')
    window_ms = duration_ms(row.window, f"{key} window")
    if not 0 < window_ms <= WINDOW_MS_MAX:
        raise ConfigError(f"{key} window", row.window, 'more than nothing and at most "31d"')
    return window_ms


def _thresholds(row: _Judged, *, above: bool, key: str) -> dict[int, float]:
    found = {Level[name.upper()].value: value for name, value in (row.levels or {}).items()}
    if not found:
        raise ConfigError(f"{key} levels", row.levels, "at least one of advisory, warning, danger, emergency")
    if not all(map(math.isfinite, found.values())):
        raise ConfigError(f"{key} levels", row.levels, "finite numbers")
    rising = [found[k] for k in sorted(found)]
    if rising != sorted(rising, reverse=not above):
        expected = "not falling from advisory to emergency" if above else "not rising from advisory to emergency"
        raise ConfigError(f"{key} levels", row.levels, expected)
    return found


def _clear(row: _Judged, x: float, quantity: str, *, above: bool, key: str) -> float:
    """The value that level with threshold `x` has to fall short of to ease (CONTRACTS section 4, Clear values)."""
    if row.clear is not None and row.clear_by is not None:
        raise ConfigError(f"{key} clear", (row.clear, row.clear_by), "clear or clear_by, not both")
    if row.clear_by is not None:
        clear = x - row.clear_by if above else x + row.clear_by
    elif row.clear is not None:
        clear = x * row.clear
    elif quantity == "voltage" or x == 0:
        raise ConfigError(f"{key} clear_by", None, "clear or clear_by: voltage and a threshold of 0 must state one")
    else:
        clear = x - 0.1 * abs(x) if above else x + 0.1 * abs(x)
    if not math.isfinite(clear) or (clear > x if above else clear < x):
        side = "at or below" if above else "at or above"
        raise ConfigError(f"{key} clear", clear, f"a clear value {side} its threshold {x:g}")
    return clear


def _four(by_level: Mapping[int, float]) -> tuple[float, float, float, float]:
    one, two, three, four = (by_level.get(k, math.nan) for k in range(1, 5))
    return one, two, three, four


def _schedule(row: _Schedule, key: str) -> Schedule:
    days: set[int] = set()
    for part in row.days.split(","):
        first, _, last = part.strip().lower().partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ConfigError(f"{key} schedule.days", row.days, 'days such as "mon-sat" or "mon,wed"')
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days.update(day % 7 for day in range(start, end + 1 if end >= start else end + 8))
    return Schedule(frozenset(days), _minute(row.from_, f"{key} schedule.from"), _minute(row.to, f"{key} schedule.to"))


def _minute(text: str, key: str) -> int:
    match = _CLOCK.match(text)
    if match is None:
        raise ConfigError(key, text, 'a time such as "07:00"')
    return int(match[1]) * 60 + int(match[2])


def _hazard(name: str, row: _Hazard) -> Hazard:
    key = f"hazard.{name}"
    ends = row.ends_when
    return Hazard(
        name=name,
        confirm_km=row.confirm_km,
        confirm_within_ms=duration_ms(row.confirm_within, f"{key}.confirm_within"),
        confirm_by=() if row.confirm_by == "none" else tuple(row.confirm_by),
        confirm=row.confirm_by != "none",
        approve_within_ms=duration_ms(row.approve_within, f"{key}.approve_within"),
        quiet_ms=duration_ms(row.quiet, f"{key}.quiet"),
        quiet_after_danger_ms=(
            None if row.quiet_after_danger is None
            else duration_ms(row.quiet_after_danger, f"{key}.quiet_after_danger")
        ),
        ease_after_ms=duration_ms(row.ease_after, f"{key}.ease_after"),
        min_update_ms=duration_ms(row.min_update, f"{key}.min_update"),
        ends_when=None if ends is None else EndsWhen(
            ends.statistic, duration_ms(ends.window or "0s", f"{key}.ends_when.window"), ends.below,
            duration_ms(ends.for_, f"{key}.ends_when.for"),
        ),
    )  # fmt: skip
