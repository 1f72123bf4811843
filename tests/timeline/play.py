"""Plays a story and holds what came against what it wants; a failure prints the timeline with what came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from timeline import world
from timeline.pipeline import Pipeline
from timeline.residents import DrillTopic, Message, in_each
from timeline.script import DRILL, LEVELS, Deed, Resident, Script, Want, local, read
from timeline.world import Series

from alerts.incidents.decision import Call, Decision
from alerts.incidents.incident import Hand
from alerts.incidents.verbs import (
    POWER,
    Acknowledge,
    Act,
    Approve,
    Close,
    Ease,
    EndSilence,
    Raise,
    Reschedule,
    Silence,
    Verb,
)
from alerts.words.hand import check_hand
from processing.rules import DEFAULT_RULES_FILE

STEP_MS: Final = 60_000  # how often time moves on while nothing is done; grouping changes nothing that is told
STORIES: Final = Path(__file__).parent


class StoryError(AssertionError):
    """It went otherwise; the text is the timeline."""


@dataclass(slots=True)
class Played:
    """A story with what came of it."""

    script: Script
    pipeline: Pipeline
    faults: list[str] = field(default_factory=list)  # of deeds that were refused, or should have been

    @property
    def messages(self) -> list[Message]:
        return sorted((m for inbox in self.pipeline.inboxes for m in inbox.messages), key=lambda m: (m.at, m.to))


def tell(name: str, series: Mapping[str, Series] | None = None) -> Played:
    """Plays `name`.story and checks it. Raises StoryError."""
    played = play(read((STORIES / f"{name}.story").read_text("utf-8")), series)
    check(played)
    return played


def play(script: Script, series: Mapping[str, Series] | None = None, rules_toml: str = "") -> Played:
    """`series`: what `follows` names. `rules_toml`: the default rules where empty."""
    residents = script.residents or in_each(script.areas, Resident("", ()))
    rules_toml = rules_toml or DEFAULT_RULES_FILE.read_text("utf-8")
    pipeline = Pipeline(world.registry(script), rules_toml, script.begin, residents, script.chain)
    pipeline.inboxes.append(DrillTopic())
    played = Played(script, pipeline)
    arriving = world.sent(script, series or {})
    deeds = sorted(script.deeds, key=lambda deed: deed.at)
    moments = sorted({*range(script.begin + STEP_MS, script.until + 1, STEP_MS), *(deed.at for deed in deeds)})
    before = script.begin - 1
    for now in moments:
        pipeline.feed(arriving.between(before, now), now)
        before = now
        while deeds and deeds[0].at == now:
            _do(played, deeds.pop(0))
    return played


def _do(played: Played, deed: Deed) -> None:
    for verb in _verbs(played.pipeline, deed):
        key = f"{deed.by}/{deed.what}/{deed.at}/{verb}"
        why_not = played.pipeline.act(Act(verb, deed.by, deed.at, key, deed.what))
        if bool(why_not) != deed.refused:
            what = f"is refused: {why_not}" if why_not else "is not refused"
            played.faults.append(f"{local(deed.at)} {deed.by} {deed.what} {deed.hazard} {what}")


def _verbs(pipeline: Pipeline, deed: Deed) -> Iterable[Verb]:
    match deed.what:
        case "silence":
            yield Silence(f"{deed.name}-{deed.at}", deed.at, deed.until, deed.what, deed.by, sensor=deed.name)
        case "plan":
            id_, reason = f"outage-{deed.at}", "PC Đà Nẵng: thay máy biến áp"
            yield Silence(id_, deed.begins, deed.until, reason, deed.by, deed.name, POWER, deed.areas, planned=True)
        case "move" | "call_off":
            for id_ in pipeline.planned:
                yield Reschedule(id_, deed.begins, deed.until) if deed.what == "move" else EndSilence(id_)
        case "exercise" | "warn":
            drill = deed.what == "exercise"
            hand = Hand("seen", deed.level, deed.until, deed.by, (("where", deed.name),))
            check_hand(hand, deed.hazard)
            yield Raise(hand, deed.hazard, deed.areas, drill=drill, approver=True)
        case "approve_event":
            for event in dict.fromkeys(incident.event for incident in pipeline.open if incident.event):
                yield Approve(event=event)
        case _:
            for area in deed.areas:
                yield _of_incident(pipeline, deed, area)


def _of_incident(pipeline: Pipeline, deed: Deed, area: str) -> Verb:
    """A verb of the open incident of an area; with no such incident it names one that is not there."""
    standing = {(i.hazard, i.area): i.id for i in pipeline.open if not i.drill}
    id_ = standing.get((deed.hazard, area), f"none.{deed.hazard}.{area}")
    match deed.what:
        case "approve":
            return Approve(id_, level=deed.level or 4)
        case "acknowledge":
            return Acknowledge(id_)
        case "ease":
            return Ease(id_, deed.level)
        case "close" | "withdraw":
            return Close(id_, withdraw=deed.what == "withdraw")
        case _:
            raise ValueError(deed.what)


# ---- what came, against what was wanted --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Came:
    """Something that came, and what it has to agree with in a Want."""

    at: int
    signature: tuple[object, ...]
    line: str
    call: bool = False


@dataclass(slots=True)
class Verdict:
    wanted: list[Came] = field(default_factory=list)  # came as it should
    wrong: list[tuple[int, str]] = field(default_factory=list)  # ms UTC, and what


def check(played: Played) -> None:
    """Raises StoryError where a message or call is missing, early, late, double or extra."""
    verdict = judge(played)
    if verdict.wrong or played.faults or played.pipeline.wrong_texts:
        raise StoryError(timeline(played, verdict))


def judge(played: Played) -> Verdict:
    verdict = Verdict()
    left = [_message(m, by_area=not played.script.residents) for m in played.messages]
    left += [_call(played, call) for call in played.pipeline.calls]
    unmet: list[Want] = []
    for want in sorted(played.script.wants, key=lambda want: want.until):
        found = next((c for c in left if c.signature == _signature(want) and want.begin <= c.at <= want.until), None)
        if found is None:
            unmet.append(want)
        else:
            left.remove(found)
            verdict.wanted.append(found)
    for want in unmet:
        found = next((c for c in left if c.signature == _signature(want)), None)
        if found is None:
            verdict.wrong.append((want.until, f"MISSING  {want.line}"))
        else:
            left.remove(found)
            kind = "EARLY  " if found.at < want.begin else "LATE   "
            verdict.wrong.append((found.at, f"{kind}  {found.line}   ({want.line})"))
    came = {c.signature for c in verdict.wanted}
    verdict.wrong += [(c.at, f"{'DOUBLE ' if c.signature in came else 'EXTRA  '}  {c.line}")
                      for c in left if not c.call or played.script.all_calls]  # fmt: skip
    return verdict


def _signature(want: Want) -> tuple[object, ...]:
    if want.what in ("approve", "acknowledge"):
        return want.what, frozenset(want.to.replace(",", " ").split()), want.hazard, want.areas, want.level
    return want.what, want.hazard, want.areas, want.level, want.to, want.silent


def _message(message: Message, *, by_area: bool) -> Came:
    level = LEVELS[message.level] if message.level else ""
    areas = ", ".join(message.areas)
    line = f"{'silent ' * message.silent}{message.reason} {level} {message.hazard} in {areas} to {message.to}"
    to = "" if by_area and message.to != DRILL else message.to
    signature = (message.reason, message.hazard, message.areas, message.level, to, message.silent)
    return Came(message.at, signature, line)


def _call(played: Played, call: Call) -> Came:
    incident = played.pipeline.rows[call.incident]
    signature = (call.asks, frozenset(call.to), incident.hazard, (incident.area,), call.level)
    level = LEVELS[call.level]
    line = f"call {call.number} to {', '.join(call.to)} to {call.asks} {level} {incident.hazard} in {incident.area}"
    return Came(call.at, signature, line, call=True)


def timeline(played: Played, verdict: Verdict) -> str:
    """The story in the order of time: its lines, what came, what is wrong, and what was decided."""
    lines = [(at, 0, f"         {line}") for at, line in played.script.lines if line.startswith("at ")]
    lines += [(came.at, 2, f"as told    {came.line}") for came in verdict.wanted]
    lines += [(at, 3, what) for at, what in verdict.wrong]
    lines += [(d.at, 1, f"           ({_decision(d)})") for d in played.pipeline.decisions]
    told = [f"{local(at)} {line}" for at, _, line in sorted(lines)]
    return "\n".join([played.script.title, *told, *played.faults, *played.pipeline.wrong_texts])


def _decision(decision: Decision) -> str:
    parts = (decision.incident, decision.what.value, decision.sensor, decision.rule, str(decision.level or ""),
             decision.because, str(dict(decision.detail) or ""))  # fmt: skip
    return " ".join(part for part in parts if part)
