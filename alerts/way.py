"""The way of an entry: journal; then receipts and acknowledgements; then what it means; then the ledger.

And of a person's act: up to its moment time passes as a tick, an entry like any other; then what it means, and the
ledger. So the journal and the audit, which says up to which entry an act found everything decided, are all that there
is to know: whoever goes through both again comes to the same rows.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec
from structlog.contextvars import bound_contextvars

from alerts.acting import Acted
from alerts.decisions import log_decisions
from alerts.folds import recover
from alerts.health import health_lines, late_lines
from alerts.incidents.decision import Outcome
from alerts.incidents.escalating import Steps
from alerts.incidents.verbs import Act, RefusedError
from alerts.ledger.ledger import Ledger
from alerts.ledger.store import LedgerError
from alerts.snapshots import KEPT, Snapshots
from alerts.watch.histogram import Histogram
from ingest.entries import Batch, ClockMode, Entry, Position, Start, Tick
from ingest.inbox import Message
from ingest.journal import Journal, JournalError
from ingest.readings import Readings
from ingest.receipts import Owed
from processing.rules import is_ending
from processing.transitions import LateBreach, StepResult

log = logging.getLogger(__name__)

SNAPSHOT_ENTRIES: Final = 10_000  # between two snapshots, minutes at full load: some seconds of replay after a crash
KEEP_DAYS: Final = 400  # of the journal: a year back there was a storm to compare with; older days are unlinked whole
RETRY_S: Final = 1.0  # between two tries of a write that the disk refused; without end, since going on would lose it

NO_READINGS: Final = Readings.empty()

T = TypeVar("T")


class Link(Protocol):
    """The connection that messages come over: ingest.mqtt.source.MqttSource, or a simulated one."""

    @property
    def connected(self) -> bool: ...
    def acknowledge(self, messages: Sequence[Message]) -> None: ...
    def publish(self, topic: str, payload: bytes) -> bool: ...


class StoppedError(Exception):
    """The service ends while a write is refused: nothing of that turn was acknowledged."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, made in app.py and handed down: `arrival` says whose time readings arrive in.

    `now_ms`: the wall's, ms UTC. `seconds`: only moves forward. `pause(s)`: waits; True: the service ends.
    """

    arrival: ClockMode
    now_ms: Callable[[], int]
    seconds: Callable[[], float]
    pause: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Stores:
    """What is on disk."""

    journal: Journal
    ledger: Ledger
    snapshots: Snapshots


class Way:
    """Owns the journal, the ledger's writing side, the folds and the incidents; every method belongs to one thread.

    `chain_of(hazard, area)`: who is called, step by step. `show`: called when something was decided.
    """

    def __init__(
        self, stores: Stores, link: Link, clock: Clock, chain_of: Callable[[str, str], Steps], show: Callable[[], None]
    ) -> None:
        """Recovers the folds. Raises RecoveryError, JournalError, LedgerError."""
        self.journal, self.ledger, self._snapshots = stores.journal, stores.ledger, stores.snapshots
        self._link, self.clock, self._show = link, clock, show
        self.folds, self.incidents = recover(stores.journal, stores.ledger, stores.snapshots, chain_of)
        self.arrival = max(stores.journal.last_arrival, stores.ledger.passed())  # of the last entry, or the last act
        self._snapshot_at = self.folds.position
        self.counters: defaultdict[str, float] = defaultdict(float)  # metric name -> since the start
        self.commits = Histogram("canhbao_journal_commit_seconds")
        self.fault = ""  # why the last write was refused; "" while the disk takes everything

    def catch_up(self) -> None:
        """Decide what the journal has beyond the ledger."""
        for position, entry in self.journal.read(self.folds.position):
            before = self.folds.engine.alive
            with bound_contextvars(entry=position):
                self._decide(position, entry, self.folds.recall(position, entry), before)

    def enter(self, entry: Entry, messages: Sequence[Message] = ()) -> Position:
        """Where it stands in the journal, and everything that follows is in the ledger. Raises StoppedError."""
        began = self.clock.seconds()
        position = self.until_done(lambda: self.journal.append(entry), "the journal")
        self.commits.observe(self.clock.seconds() - began)
        self.arrival = max(self.arrival, entry.arrival)
        with bound_contextvars(entry=position):  # in every line that is said of it from here on
            self.answer(self.folds.answer(entry, self.clock.now_ms(), heard=self._link.connected))
            self._link.acknowledge(messages)
            before = self.folds.engine.alive
            result = self.folds.judge(position, entry)
            late = self._decide(position, entry, result, before)
            self._tell_operators(result, late)
        return position

    def act(self, act: Act) -> Acted:
        """A person's act, and what follows from it, in the ledger. Raises RefusedError, StoppedError.

        The same person's same key again is answered as it was, and changes nothing.
        """
        known = self.until_done(lambda: self.ledger.acted(act.by, act.key), "the ledger")
        if known is not None:
            return known
        if act.at > self.arrival:
            self.enter(Tick(act.at))  # what is due before is not the person's doing, and happens also if it is refused
        plan = self.folds.engine.plan
        self.arrival = max(self.arrival, act.at)  # nothing arrives before what was done already
        done = self.incidents.act(act, plan.city, plan.rules)
        if done.refused:
            raise RefusedError(done.refused)
        versions = tuple((notice.incident, notice.version) for notice in done.outcome.notices)
        answer = Acted(act.at, done.incidents, versions)

        def write() -> None:
            if not (self.fault and self.ledger.acted(act.by, act.key) is not None):  # the write before was not refused
                self.ledger.record_act(
                    self.folds.position, act, answer, self.incidents.changed, done.outcome, self.incidents.silences
                )  # fmt: skip

        self.until_done(write, "the ledger")
        self._count(done.outcome)
        log_decisions(None, (), done.outcome.notices)
        self._show()
        return answer

    def end(self) -> None:
        """After the last turn: a snapshot, so that the next start has nothing to replay."""
        position = self.folds.position
        if position > self.ledger.position():
            self._record(position, self.arrival, StepResult(), Outcome(), snapshot=True)
        elif position > self._snapshot_at and (name := self._snapshot(position)) is not None:
            self.until_done(lambda: self.ledger.name_snapshot(position, name), "the ledger")
            self._forget_old()

    # -- what it means -------------------------------------------------------------------------------------------

    def _decide(self, position: Position, entry: Entry, result: StepResult, alive_before: int) -> Sequence[LateBreach]:
        """Returns the late breaches that nobody has been told of."""
        plan = self.folds.engine.plan
        down_ms = entry.arrival - alive_before if isinstance(entry, Start) else 0
        readings = entry.readings if isinstance(entry, Batch) else NO_READINGS
        heard = self.incidents.hear(result, readings, plan.configuration.sensor_ids, plan.city)
        outcome = self.incidents.step(result, entry.arrival, plan.city, plan.rules, heard=heard, down_ms=down_ms)
        due = position - self._snapshot_at >= SNAPSHOT_ENTRIES
        found = result.transitions or result.health or result.late_breaches or outcome or self.incidents.changed
        if found or due:  # an entry that decides nothing is judged again after a crash, with the same result
            late = self._record(position, entry.arrival, result, outcome, snapshot=due)
            log_decisions(entry, result.transitions, outcome.notices)
            return late
        return ()

    def _record(
        self, position: Position, arrival: int, result: StepResult, outcome: Outcome, *, snapshot: bool
    ) -> Sequence[LateBreach]:
        name = self._snapshot(position) if snapshot else None

        def write() -> Sequence[LateBreach]:
            if self.fault and self.ledger.position() == position:
                return result.late_breaches  # the write before, that seemed refused, was not
            return self.ledger.record(
                position, arrival, transitions=result.transitions, incidents=self.incidents.changed, outcome=outcome,
                snapshot=name, late_breaches=result.late_breaches, health=result.health,
            )  # fmt: skip

        late = self.until_done(write, "the ledger")
        if name is not None:
            self._forget_old()
        self.counters["canhbao_transitions_total"] += sum(not is_ending(one.rule) for one in result.transitions)
        self._count(outcome)
        if result.transitions or outcome:
            self._show()
        return late

    def _count(self, outcome: Outcome) -> None:
        self.counters["canhbao_notices_total"] += len(outcome.notices)
        self.counters["canhbao_calls_total"] += len(outcome.calls)
        for call in outcome.calls:
            log.warning("%s: %s is called to %s", call.incident, ", ".join(call.to), call.asks)

    def _tell_operators(self, result: StepResult, late: Sequence[LateBreach]) -> None:
        """After the ledger has it: what a night shift has to see to, and residents never hear of."""
        if result.health:
            plan, status = self.folds.engine.plan, self.folds.engine.latest()[-1]
            of_sensor = dict(zip(plan.configuration.sensor_ids, status, strict=True))
            for line in health_lines(result.health, plan.city, of_sensor):
                log.warning("%s", line)
        for line in late_lines(late):
            log.warning("%s", line)

    def _snapshot(self, position: Position) -> str | None:
        """Its name; None where there is no room for it: a start replays more, nothing else is lost."""
        self._snapshot_at = position
        try:
            return self._snapshots.write(position, self.folds.to_state())
        except OSError as error:
            self.counters['canhbao_errors_total{loop="snapshot"}'] += 1
            log.error("no snapshot, a start will take longer: %s", error)  # noqa: TRY400  # the cause is in it
            return None

    def _forget_old(self) -> None:
        """Unlink old snapshots and day files. Recorded days that are played on the data's clock are kept whole."""
        self._snapshots.prune()
        if self.clock.arrival == "data":
            return
        _, needed_from = self.ledger.snapshots(limit=KEPT)[-1]
        try:
            self.journal.retain(KEEP_DAYS, self.arrival, needed_from)
        except JournalError as error:
            log.warning("old day files of the journal stay: %s", error)

    def answer(self, owed: Owed) -> None:
        for receipt in owed.receipts:
            self._link.publish(f"canhbao/v1/{receipt.gateway}/receipt", msgspec.json.encode(receipt.payload))
        self.counters["canhbao_receipts_total"] += len(owed.receipts)
        for lost in owed.lost:
            log.warning(
                "gateway %s, boot %s: messages %d to %d never came", lost.gateway, lost.boot, lost.low, lost.high
            )
        for gateway in owed.alternating:
            log.warning("gateway %s: two boots take turns; do two devices share its id?", gateway)

    def until_done(self, write: Callable[[], T], what: str) -> T:
        """Try until the disk takes it. Nothing is read meanwhile, so the brokers and the gateways keep what waits."""
        while True:
            try:
                done = write()
            except (JournalError, LedgerError, OSError) as error:
                if self.fault != str(error):
                    log.error("%s cannot be written, trying again every %g s: %s", what, RETRY_S, error)  # noqa: TRY400  # the cause is in it
                self.fault = str(error)
                self.counters['canhbao_errors_total{loop="spine"}'] += 1
                if self.clock.pause(RETRY_S):
                    raise StoppedError(str(error)) from error
            else:
                if self.fault:
                    log.info("%s can be written again", what)
                self.fault = ""
                return done
