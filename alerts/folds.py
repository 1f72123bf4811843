"""The folds of the journal: engine, acceptance and receipts, always at the same entry; and how they are had again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from alerts.incidents.escalating import Steps
from alerts.incidents.life_cycle import Incidents
from alerts.ledger.ledger import Ledger
from alerts.snapshots import Snapshots
from ingest.entries import ORIGIN, Batch, Configuration, Entry, Position
from ingest.journal import Journal
from ingest.receipts import Owed, Receipts
from processing.acceptance import Acceptance
from processing.engine import Engine
from processing.transitions import StepResult

log = logging.getLogger(__name__)


class RecoveryError(Exception):
    """What is on disk does not fit together; nothing is started on it."""


@dataclass(slots=True)
class Folds:
    """Three states and the journal's position that they stand at."""

    engine: Engine = field(default_factory=Engine)
    acceptance: Acceptance = field(default_factory=Acceptance)
    receipts: Receipts = field(default_factory=Receipts)
    position: Position = ORIGIN

    def judge(self, position: Position, entry: Entry) -> StepResult:
        """Step the engine. Acceptance has seen the readings when they came, and takes over a configuration here."""
        result = self.engine.step(entry)
        if isinstance(entry, Configuration):
            self.acceptance.configure(self.engine.plan)
        self.position = position
        return result

    def answer(self, entry: Entry, now_ms: int, *, heard: bool) -> Owed:
        """Step the receipts, on the wall's time under either clock: gateways and brokers live in it."""
        return self.receipts.step(entry.headers if isinstance(entry, Batch) else (), now_ms, heard=heard)

    def recall(self, position: Position, entry: Entry) -> StepResult:
        """Step all three over an entry that the journal holds already; what it owes gateways is theirs to ask for.

        Receipts are given the arrival: a gateway that was heard then has not been heard since.
        """
        self.answer(entry, entry.arrival, heard=False)
        if isinstance(entry, Batch):
            self.acceptance.recall(entry.readings)
        return self.judge(position, entry)

    def to_state(self) -> dict[str, Any]:
        return {
            "engine": self.engine.to_state(),
            "acceptance": self.acceptance.to_state(),
            "receipts": self.receipts.to_state(),
        }

    @classmethod
    def from_state(cls, position: Position, state: dict[str, Any]) -> Folds:
        engine = Engine.from_state(state["engine"])
        acceptance = Acceptance.from_state(state["acceptance"], engine.plan)
        return cls(engine, acceptance, Receipts.from_state(state["receipts"]), position)


def recover(
    journal: Journal, ledger: Ledger, snapshots: Snapshots, chain_of: Callable[[str, str], Steps]
) -> tuple[Folds, Incidents]:
    """The states as they were at the ledger's position: newest snapshot, then the journal, silently up to there.

    What the journal has beyond it is still to be decided. Raises RecoveryError where the journal is older than the
    ledger: it was lost or put back from an old copy, and what was told could be told again.
    """
    decided = ledger.position()
    if journal.last < decided:
        raise RecoveryError(
            f"{journal.folder}: the journal ends at {journal.last}, the ledger has decided up to {decided}: "
            "put the newer journal back, or start with a new data folder"
        )
    folds = Folds()
    for name, position in ledger.snapshots():
        state = snapshots.read(name)
        if state is not None:
            folds = Folds.from_state(position, state)
            break
    replayed = 0
    for position, entry in journal.read(folds.position):
        if position > decided:
            break
        folds.recall(position, entry)
        replayed += 1
    log.info("recovered at position %d, %d entries replayed", decided, replayed)
    engine = folds.engine
    asleep, wet = (engine.asleep(), engine.endings()) if decided != ORIGIN else (frozenset(), frozenset())
    return folds, Incidents(
        ledger.restorable(),
        ledger.silences(),
        asleep,
        wet,
        since=ledger.passed(),
        chain_of=chain_of,
        announced=ledger.announced(),
    )
