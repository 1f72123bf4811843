"""How names, times and amounts are put: as written, or as a loudspeaker says them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from alerts.words import spelled
from alerts.words.forbidden import EVACUATION
from alerts.words.names import (
    NAME_MOST,
    Lang,
    area_name,
    area_of,
    duration,
    hazard_name,
    local_clock,
    local_time,
    number,
    one_line,
    quantity_name,
)
from ingest.city import City
from ingest.quantity import Quantity
from processing.rules import Judgement, Statistic

_NAMELESS: Final[Mapping[Lang, str]] = {"vi": "nơi này", "en": "this place"}  # a name of nothing that can be said
_STATISTICS: Final = {
    "vi": {
        Statistic.SUM: "{amount} trong {span}",
        Statistic.COUNT: "{amount} trong {span}",
        Statistic.MEAN: "{amount} (trung bình {span})",
        Statistic.MAX: "{amount} (cao nhất trong {span})",
        Statistic.MIN: "{amount} (thấp nhất trong {span})",
        Statistic.RISE: "tăng {amount} mỗi giờ",
    },
    "en": {
        Statistic.SUM: "{amount} in {span}",
        Statistic.COUNT: "{amount} in {span}",
        Statistic.MEAN: "{amount} (mean over {span})",
        Statistic.MAX: "{amount} (highest in {span})",
        Statistic.MIN: "{amount} (lowest in {span})",
        Statistic.RISE: "rising {amount} per hour",
    },
}
_TOLD_MOST: Final = 1e6  # no quantity of people's daily life; infinity and what is no number neither
_SAID: Final = {  # a loudspeaker leaves out what only a careful reader asks for
    "vi": {Statistic.SUM: "{amount} trong {span}", Statistic.RISE: "tăng {amount} mỗi giờ"},
    "en": {Statistic.SUM: "{amount} in {span}", Statistic.RISE: "rising {amount} per hour"},
}


# What is said from which `Voice.detail` on; below them only what must be said.
VALUE: Final = 1  # what was measured
CAVEAT: Final = 2  # the whole of how sure it is, or until when
BEFORE: Final = 3  # the level before


@dataclass(frozen=True, slots=True)
class Voice:
    """`spoken`: words and pauses alone. `name_most`: names are cut there. `detail`: how much is said, see above."""

    lang: Lang
    zone: ZoneInfo
    spoken: bool = False
    name_most: int = NAME_MOST
    detail: int = BEFORE

    def pick(self, vi: str, en: str) -> str:
        return vi if self.lang == "vi" else en

    def name(self, text: str, names: int = 1) -> str:
        """A name from a file or a person; empty stays empty. `names`: it may be as long as so many."""
        cut = one_line(text, names * self.name_most)
        if not self.spoken or not cut:
            return cut
        return " ".join(spelled.spell(cut.rstrip("…"), self.lang).translate(_NO_STOPS).split()) or _NAMELESS[self.lang]

    def area(self, city: City, code: str) -> str:
        return self.name(area_name(area_of(city, code), self.lang)) or _NAMELESS[self.lang]

    def city(self, city: City) -> str:
        return self.name(city.name) or _NAMELESS[self.lang]

    def hazard(self, hazard: str) -> str:
        """No rule's name gives an order to evacuate: that takes a person's template, and two persons."""
        name = hazard_name(hazard, self.lang)
        return (self.name(name) if not EVACUATION.search(name) else "") or self.pick("sự cố", "trouble")

    def time(self, ms: int) -> str:
        if self.spoken:
            return spelled.moment(ms, self.zone, self.lang)
        return local_time(ms, self.zone, self.lang)

    def span(self, begins: int, until: int) -> str:
        """From when until when, ms UTC; a day that both share is said once, at the end."""
        day = {datetime.fromtimestamp(ms // 1000, UTC).astimezone(self.zone).date() for ms in (begins, until)}
        start = self.time(begins)
        if len(day) == 1:
            start = spelled.clock(begins, self.zone, self.lang) if self.spoken else local_clock(begins, self.zone)
        return self.pick(f"từ {start} đến {self.time(until)}", f"from {start} to {self.time(until)}")

    def text(self, fixed: str) -> str:
        """A sentence of ours."""
        return spelled.spell(fixed, self.lang) if self.spoken else fixed

    def amount(self, value: float, quantity: Quantity, judgement: Judgement | None) -> str:
        """What was measured and how much, with its window: "mưa 53,7 mm trong 1 giờ"; empty where it is not told."""
        if not abs(value) < _TOLD_MOST:
            return ""
        statistic = judgement.statistic if judgement is not None else Statistic.LAST
        if self.spoken:
            said = spelled.measured(value, quantity, self.lang)
            if said is None or statistic is Statistic.COUNT:
                return ""
            name, much = said
            pattern = _SAID[self.lang].get(statistic, "{amount}")
            window = spelled.span(judgement.window_ms, self.lang) if judgement is not None else ""
        else:
            name = quantity_name(quantity, self.lang)
            much = f"{number(value, quantity.decimals, self.lang)} {one_line(quantity.unit)}".rstrip()
            if statistic is Statistic.COUNT:
                much = f"{value:.0f} {self.pick('lần đo', 'readings')}"
            pattern = _STATISTICS[self.lang].get(statistic, "{amount}")
            window = duration(judgement.window_ms, self.lang) if judgement is not None else ""
        return f"{name} {pattern.format(amount=much, span=window)}"


_NO_STOPS: Final = str.maketrans(dict.fromkeys(".!?:;", " "))  # a name does not end a sentence


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
