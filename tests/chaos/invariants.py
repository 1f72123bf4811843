"""What must hold after any storm, over what is on disk and what was offered: pure, each violation a sentence."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from chaos import verbs
from chaos.tellings import Seen, ends, messages, states
from sqlalchemy import select
from twin import Twin

from alerts.incidents.decision import Call, Decision, Outcome
from alerts.incidents.escalating import Steps
from alerts.incidents.incident import Notice
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.verbs import Act
from alerts.ledger import schema
from alerts.ledger.ledger import Ledger
from alerts.ledger.why import CALLS_MOST
from ingest.city import City
from ingest.entries import ORIGIN, Batch, Configuration, Entry, Position, Start, Tick
from ingest.journal import Journal
from ingest.readings import Readings
from processing.engine import Engine
from processing.transitions import HealthEvent, Transition

SHOWN: Final = 5  # violations of one kind; the others are counted

Reading: TypeAlias = tuple[str, int, float | None]  # sensor, t, value as sent


@dataclass(frozen=True, slots=True)
class Truth:
    """What was done to the service from outside, and what came out of it.

    `offered`: (gateway, seq) -> readings. `settled`: the seqs of each gateway that a receipt covered. `loose`: offered
    without numbers; `acknowledged`: those of them that a broker took that was not killed afterwards.
    """

    offered: Mapping[tuple[str, int], Sequence[Reading]]
    settled: Mapping[str, Collection[int]]
    parked: int = 0
    loose: Sequence[Reading] = ()
    acknowledged: Sequence[Reading] = ()
    refused: Collection[str] = ()  # reasons for which something was to be refused
    received: Sequence[Seen] = ()  # by the receiver of the channel `sink`, in order
    heard: Sequence[tuple[str, bytes]] = ()  # live, by a listener of the retained topics
    retained: Mapping[str, bytes] = field(default_factory=dict)  # what the broker holds at the end


def violations(truth: Truth, journal: Journal, ledger: Ledger, channel: str) -> list[str]:
    """Everything that does not hold. `channel`: whose messages `truth.received` are."""
    entries = list(journal.read(ORIGIN))
    notices = [notice for _, notice in ledger.notices(limit=10**9)]
    told = [transition for _, transition in ledger.transitions(limit=10**9)]
    judged = replayed(entries, verbs.acts_by_position(verbs.audited(ledger)), verbs.caller(ledger))
    checks = (
        receipts(truth, written(entries)),
        refusals(truth, journal.dead_letter_counts()),
        decisions(entries, judged, told, notices, _health(ledger)),
        reasons(judged, ledger),
        ends(notices, ledger),
        messages(truth.received, notices, ledger, channel),
        states(truth.heard, truth.retained, notices, ledger),
    )
    return [sentence for check in checks for sentence in some(check)]


def written(entries: Iterable[tuple[Position, Entry]]) -> dict[tuple[str, int], list[float | None]]:
    """(sensor, t) -> the values as sent of every time that it stands in the journal."""
    found: dict[tuple[str, int], list[float | None]] = defaultdict(list)
    ids: tuple[str, ...] = ()
    for _, entry in entries:
        if isinstance(entry, Configuration):
            ids = entry.sensor_ids
        elif isinstance(entry, Batch):
            columns = (getattr(entry.readings, name).tolist() for name in ("sensor", "t", "raw"))
            for number, t, raw in zip(*columns, strict=True):
                found[ids[number], t].append(None if math.isnan(raw) else raw)
    return found


def receipts(truth: Truth, there: Mapping[tuple[str, int], Sequence[float | None]]) -> Iterator[str]:
    """Nothing receipted or acknowledged is lost, everything is receipted in the end, and nothing is invented."""
    for (gateway, seq), readings in truth.offered.items():
        receipted = seq in truth.settled.get(gateway, ())
        if not receipted:
            yield f"never receipted: {gateway} message {seq}"
        for reading in readings:
            yield from _stands(reading, there, f"{'receipted' if receipted else 'offered'}: {gateway} message {seq}")
    for reading in truth.acknowledged:
        yield from _stands(reading, there, "acknowledged by the broker")
    if truth.parked:
        yield f"{truth.parked} messages were parked: the collector never answered them"
    yield from _invented(truth, there)


def refusals(truth: Truth, counts: Mapping[str, int]) -> Iterator[str]:
    """Only what was offered wrongly is a dead letter."""
    for reason, n in counts.items():
        if reason not in truth.refused:
            yield f"refused as {reason}: {n} messages"


def _invented(truth: Truth, there: Mapping[tuple[str, int], Sequence[float | None]]) -> Iterator[str]:
    for gateway, seqs in truth.settled.items():
        for seq in seqs:
            if (gateway, seq) not in truth.offered:
                yield f"receipted, and never offered: {gateway} message {seq}"
    known = {reading[:2] for readings in truth.offered.values() for reading in readings}
    known |= {reading[:2] for reading in truth.loose}
    for sensor, t in there.keys() - known:
        yield f"in the journal and offered by nobody: {sensor} at {t}"
    for (sensor, t), values in there.items():
        if len(values) > 1:
            yield f"{len(values)} times in the journal: {sensor} at {t}"


def _stands(reading: Reading, there: Mapping[tuple[str, int], Sequence[float | None]], what: str) -> Iterator[str]:
    sensor, t, value = reading
    values = there.get((sensor, t))
    if not values:
        yield f"lost, though {what}: {sensor} at {t}"
    elif value not in values:
        yield f"{what}: {sensor} at {t} was {value}, the journal has {values}"


@dataclass(slots=True)
class Judged:
    """What a journal calls for."""

    transitions: list[Transition] = field(default_factory=list)
    health: list[HealthEvent] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    decisions: dict[str, list[tuple[int | None, Decision]]] = field(default_factory=lambda: defaultdict(list))
    calls: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))

    def add(self, entry: int | None, outcome: Outcome) -> None:
        """`entry`: the position of what called for it; None: an act did."""
        self.notices += outcome.notices
        for one in outcome.decisions:
            self.decisions[one.incident].append((entry, one))
        for call in outcome.calls:
            self.calls[call.incident].append(call)


def replayed(
    entries: Iterable[tuple[Position, Entry]],
    acts: Mapping[int, Sequence[Act]],
    chain_of: Callable[[City, str, str], Steps],
) -> Judged:
    """By engine and incidents that were never restarted. `acts`: those that were done after the entry of a position."""
    engine, judged = Engine(), Judged()
    incidents = Incidents(chain_of=lambda hazard, area: chain_of(engine.plan.city, hazard, area))
    for position, entry in entries:
        down_ms = entry.arrival - engine.alive if isinstance(entry, Start) else 0
        result = engine.step(entry)
        plan = engine.plan
        judged.transitions += result.transitions
        judged.health += result.health
        readings = entry.readings if isinstance(entry, Batch) else Readings.empty()
        heard = incidents.hear(result, readings, plan.configuration.sensor_ids, plan.city)
        outcome = incidents.step(result, entry.arrival, plan.city, plan.rules, heard=heard, down_ms=down_ms)
        judged.add(position, outcome)
        for act in acts.get(position, ()):
            judged.add(None, incidents.act(act, plan.city, plan.rules).outcome)
    return judged


def twin_over(entries: Iterable[tuple[Position, Entry]]) -> Twin:
    """The slow twin after the same journal."""
    twin, ids = Twin(), tuple[str, ...]()
    for _, entry in entries:
        match entry:
            case Configuration():
                ids = entry.sensor_ids
                twin.configure(entry.arrival, entry.city_toml, entry.rules_toml)
            case Start():
                twin.start(entry.arrival)
            case Tick():
                twin.tick(entry.arrival)
            case Batch(readings):
                columns = ("sensor", "t", "value", "flag", "span", "arrival")
                for number, *row in zip(*(getattr(readings, name).tolist() for name in columns), strict=True):
                    twin.reading(ids[number], *row)
                twin.tick(entry.arrival)
    return twin


def decisions(
    entries: Sequence[tuple[Position, Entry]], judged: Judged, told: Sequence[Transition], notices: Sequence[Notice],
    health: Sequence[tuple[int, str, str, str]],
) -> Iterator[str]:  # fmt: skip
    """What was told live = what a replay tells = what the twin tells, over the journal as it was written."""
    twin = twin_over(entries)
    lines = [one.to_json() for one in told]
    yield from _differ("transitions, ledger and replay", lines, [one.to_json() for one in judged.transitions])
    yield from _differ("transitions, ledger and twin", lines, twin.lines())
    yield from _differ("health, ledger and twin", health, twin.health)
    yield from _differ("notices, ledger and replay", notices, judged.notices)


def reasons(judged: Judged, ledger: Ledger) -> Iterator[str]:
    """Every decision and every call of the replay is in the ledger once, as it was; none is there besides."""
    for incident in sorted(judged.decisions.keys() | _incidents(ledger)):
        record, wanted = ledger.why(incident), [(n, *one) for n, one in enumerate(judged.decisions[incident])]
        kept = [(one.number, one.entry, one.decision) for one in record.decisions]
        if record.made != len(wanted):
            yield f"decisions, ledger and replay: {incident} has {record.made} and {len(wanted)}"
        known = {one.number for one in record.decisions} if record.dropped else range(len(wanted))
        still = [(n, entry, _plain(one)) for n, entry, one in wanted if n in known]
        yield from _differ(f"decisions, ledger and replay: {incident}", kept, still)
        calls: dict[tuple[int, int], Call] = {}
        for call in judged.calls[incident]:
            calls.setdefault((call.number, call.at), call)  # the same people twice in one moment are called once
        yield from _differ(f"calls, ledger and replay: {incident}", record.calls, list(calls.values())[-CALLS_MOST:])


def _incidents(ledger: Ledger) -> set[str]:
    with ledger.store.reading() as db:
        return set(db.execute(select(schema.decision.c.incident).union(select(schema.call.c.incident))).scalars())


def _plain(one: Decision) -> Decision:
    """As it is read again."""
    return replace(one, detail=msgspec.json.decode(msgspec.json.encode(one.detail)))


def _differ(what: str, one: Sequence[Any], other: Sequence[Any]) -> Iterator[str]:
    for n, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            yield f"{what} differ at number {n}: {left} and {right}"
            return
    if len(one) != len(other):
        rest = (one if len(one) > len(other) else other)[min(len(one), len(other))]
        yield f"{what}: {len(one)} and {len(other)}; the first that one of them lacks: {rest}"


def damaged(folder: Path) -> list[str]:
    """The SQLite files under `folder` that are not whole."""
    found = []
    for path in sorted(folder.rglob("*.sqlite")):
        try:
            with closing(sqlite3.connect(path)) as db:
                said = [row[0] for row in db.execute("PRAGMA integrity_check")]
        except sqlite3.DatabaseError as error:
            said = [str(error)]
        if said != ["ok"]:
            found.append(f"{path.name}: {said[:SHOWN]}")
    return found


def _health(ledger: Ledger) -> list[tuple[int, str, str, str]]:
    with ledger.store.reading() as db:
        rows = db.execute(select(schema.health).order_by(schema.health.c.id))
        return [(row.at, row.sensor, row.from_status, row.to_status) for row in rows]


def some(found: Iterable[str]) -> Iterator[str]:
    """The first of each kind, and how many there were: a lost minute is one fault, not a thousand lines."""
    counts: Counter[str] = Counter()
    for sentence in found:
        kind = sentence.partition(":")[0]
        counts[kind] += 1
        if counts[kind] <= SHOWN:
            yield sentence
    yield from (f"{kind}: {n} in all" for kind, n in islice(counts.items(), 20) if n > SHOWN)
