"""Long stories made of curves instead of lines: played with an operator on duty, and what came, as figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from timeline.duty import Duty
from timeline.pipeline import Pipeline
from timeline.residents import in_each
from timeline.script import Resident
from timeline.world import Sent

from alerts.incidents.incident import Notice, Reason
from ingest.city import City
from processing.rules import DEFAULT_RULES_FILE, Rules
from processing.transitions import Transition

STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Messages per resident, one resident an area; `naive`: had each sensor's every change been told."""

    ours: Counter[str]
    naive: Counter[str]
    areas: tuple[str, ...]

    def line(self, story: str, **more: object) -> str:
        """As a JSON line. `reached`: of those whom at least one change of a sensor concerned."""
        reached = [area for area in self.areas if self.naive[area]]
        both = {"ours": self.ours, "naive": self.naive}
        found: dict[str, object] = {"story": story, "residents": len(self.areas), "reached": len(reached)}
        for name, counts in both.items():
            found[f"{name}_median"] = median(counts[area] for area in self.areas)
            found[f"{name}_median_reached"] = median(counts[area] for area in reached)
            found[f"{name}_max"] = max(counts[area] for area in self.areas)
            found[f"{name}_sum"] = sum(counts.values())
        return json.dumps(found | more)


def play_storm(city_toml: str, sent: Sent, span: tuple[int, int], areas: Iterable[str], duty: Duty) -> Pipeline:
    """From `span[0]` to `span[1]`, ms UTC, under the default rules, with a resident in each of `areas`."""
    residents = in_each(areas, Resident("", ()))
    rules = DEFAULT_RULES_FILE.read_text("utf-8")
    pipeline = Pipeline(city_toml, rules, span[0], residents, (("nam",), ("lan",)))
    before = span[0] - 1
    for now in range(span[0] + STEP_MS, span[1] + 1, STEP_MS):
        pipeline.feed(sent.between(before, now), now)
        duty.turn(pipeline, now)
        before = now
    return pipeline


def figures(pipeline: Pipeline) -> Figures:
    areas = tuple(inbox.resident.name for inbox in pipeline.inboxes)
    ours = Counter({inbox.resident.name: len(inbox.messages) for inbox in pipeline.inboxes})
    floors = pipeline.inboxes[0].resident.floors
    return Figures(ours, naive(pipeline.transitions, pipeline.city, pipeline.rules, dict(floors)), areas)


def naive(transitions: Iterable[Transition], city: City, rules: Rules, floors: dict[str, int]) -> Counter[str]:
    """What a system would send that tells each change of each sensor, up or down, that touches a resident's level."""
    hazard_of = {rule.name: rule.hazard for rule in rules.rules}
    found: Counter[str] = Counter()
    for one in transitions:
        floor = floors.get(hazard_of.get(one.rule, ""), 5)
        if max(one.from_, one.to) >= floor:
            found.update(city.sensors[one.sensor].affects)
    return found


def ends(pipeline: Pipeline, hazard: str) -> list[Notice]:
    """The ends that were told."""
    return [n for n in pipeline.notices if n.hazard == hazard and n.reason is Reason.OVER and n.told]
