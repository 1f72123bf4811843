"""How every sensor stands, for those who need a witness: its level by hazard, what it fell from, whether heard."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from alerts.incidents.incident import Fallen, Incident
from alerts.incidents.verbs import Silence
from alerts.incidents.witnesses import Witnesses

_FALLEN_MOST: Final = 4  # of one sensor and hazard, that still bear witness; a lower and older one says nothing more


class Standing:
    """A part of `Incidents`; everything in it is in the ledger's rows or in the engine."""

    def __init__(
        self, rows: Iterable[Incident], silences: Iterable[Silence], asleep: Iterable[str],
        wet: Iterable[tuple[str, str]],
    ) -> None:  # fmt: skip
        self._levels: dict[tuple[str, str], dict[str, int]] = {}  # hazard, sensor -> rule -> level
        self._fallen: dict[tuple[str, str], tuple[Fallen, ...]] = {}
        self.asleep, self.wet = set(asleep), set(wet)
        self.silences = {silence.id: silence for silence in silences}
        for row in rows:
            for member in row.members:
                self._levels.setdefault((row.hazard, member.sensor), {})[member.rule] = member.level
            for fallen in row.fallen:
                known = self._fallen.get((row.hazard, fallen.sensor), ())
                if fallen not in known:
                    self._fallen[row.hazard, fallen.sensor] = (*known, fallen)

    def level(self, hazard: str, sensor: str) -> int:
        return max(self._levels.get((hazard, sensor), {}).values(), default=0)

    def move(self, hazard: str, sensor: str, rule: str, to: int, arrival: int, within_ms: int) -> tuple[Fallen, ...]:
        """Its level under a rule from here on; what it has fallen from and may still bear witness with."""
        before = self.level(hazard, sensor)
        rules = self._levels.setdefault((hazard, sensor), {})
        rules[rule] = to
        if not to:
            del rules[rule]
        after = self.level(hazard, sensor)
        kept = [f for f in self._fallen.get((hazard, sensor), ()) if arrival - f.until <= within_ms and f.level > after]
        if after < before:
            kept = [f for f in kept if f.level > before]
            kept.append(Fallen(sensor, before, arrival))
        self._fallen[hazard, sensor] = tuple(kept[-_FALLEN_MOST:])
        return self._fallen[hazard, sensor]

    def regroup(
        self, pair: tuple[str, str], level: int, before: Collection[str], after: Collection[str]
    ) -> None:  # fmt: skip
        """Its rule speaks of other hazards now."""
        sensor, rule = pair
        for hazard in before:
            if hazard not in after:
                self._levels.get((hazard, sensor), {}).pop(rule, None)
        for hazard in after:
            self._levels.setdefault((hazard, sensor), {})[rule] = level

    def is_dry(self, sensor: str, hazard: str, who: Witnesses) -> bool:
        """Whether its short statistic of `ends_when` is below the limit; never where the hazard has none."""
        return (sensor, hazard) not in self.wet and who.ends(sensor, hazard)

    def covering(self, sensor: str, hazard: str, area: str, now: int) -> str:
        """The silence that covers what the sensor says of the area, by its id; "" where none does.

        Of several the first by id: it must not hang on the order in which they were said or read again.
        """
        covering = (
            silence.id
            for silence in self.silences.values()
            if silence.begins <= now < silence.until
            and silence.sensor in ("", sensor)
            and silence.hazard in ("", hazard)
            and (not silence.areas or area in silence.areas)
        )
        return min(covering, default="")

    def testimony(self, sensor: str, hazard: str, area: str, who: Witnesses, now: int) -> tuple[int, str]:
        """The highest level that a witness of the sensor stands at, or stood at within `confirm_within`; and who."""
        within_ms = who.hazard(hazard).confirm_within_ms
        found = (0, "")
        for other in sorted(who.of(sensor, hazard, area)):
            if other in self.asleep or self.covering(other, hazard, area, now) or self.is_dry(other, hazard, who):
                continue  # what fell long ago and still fills a long sum bears no witness to what falls now
            level = max(
                [self.level(hazard, other)]
                + [f.level for f in self._fallen.get((hazard, other), ()) if now - f.until <= within_ms]
            )
            if level > found[0]:
                found = (level, other)
        return found

    def contradicting(self, sensor: str, hazard: str, area: str, who: Witnesses, now: int) -> list[str]:
        """The live sensors of the same quantity that could confirm, sorted; none of them: the sensor stands alone.

        A river that is low says nothing of rain water in a street: it can confirm, and cannot contradict.
        """
        return sorted(
            other
            for other in who.of(sensor, hazard, area)
            if other not in self.asleep
            and who.could(other)
            and who.same_quantity(sensor, other)
            and not self.covering(other, hazard, area, now)
        )
