"""The ten mistakes that the storms must catch: each takes one promise out of the real classes, and puts it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, Final, TypeAlias

from sqlalchemy import insert

from alerts.acting import Acted
from alerts.delivery.desk import DeskQueue
from alerts.delivery.send import Claimed
from alerts.folds import Folds
from alerts.incidents.decision import Outcome
from alerts.incidents.verbs import Act
from alerts.ledger import schema
from alerts.ledger.ledger import Ledger, _write
from alerts.ledger.rows import notice_row
from alerts.way import Way
from ingest.entries import Batch, Entry, Position
from ingest.inbox import Message
from ingest.mqtt.source import MqttSource
from ingest.receipts import Owed
from processing.acceptance import Acceptance, Acceptances
from processing.transitions import LateBreach

# Called right after the wrong step, so that a kill finds the gap: sleeps, or gives the simulated world a turn.
Pause: TypeAlias = Callable[[], None]
Mutation: TypeAlias = Callable[[Pause], AbstractContextManager[None]]


def mutated(name: str, pause: Pause) -> AbstractContextManager[None]:
    """The service with the mistake `name`, in this process, until the block ends."""
    return (MUTATIONS | ACT_MUTATIONS)[name](pause)


@contextmanager
def _receipt_before_commit(pause: Pause) -> Iterator[None]:
    enter, answer = Way.enter, Folds.answer
    answered: Entry | None = None

    def early(self: Way, entry: Entry, messages: Sequence[Message] = ()) -> None:
        nonlocal answered
        if isinstance(entry, Batch):
            self.answer(answer(self.folds, entry, self.clock.now_ms(), heard=self._link.connected))
            answered = entry
            pause()
        enter(self, entry, messages)

    def once(self: Folds, entry: Entry, now_ms: int, *, heard: bool) -> Owed:
        return Owed() if entry is answered else answer(self, entry, now_ms, heard=heard)

    with patched(Way, "enter", early), patched(Folds, "answer", once):
        yield


@contextmanager
def _puback_before_commit(pause: Pause) -> Iterator[None]:
    enter = Way.enter

    def early(self: Way, entry: Entry, messages: Sequence[Message] = ()) -> None:
        if messages:
            self._link.acknowledge(messages)
            pause()
        enter(self, entry)

    with patched(Way, "enter", early):
        yield


@contextmanager
def _ack_without_epoch(pause: Pause) -> Iterator[None]:
    acknowledge = MqttSource.acknowledge

    def any_connection(self: MqttSource, messages: Iterable[Message]) -> None:
        acknowledge(self, [replace(message, epoch=self._epoch) for message in messages])
        pause()

    with patched(MqttSource, "acknowledge", any_connection):
        yield


@contextmanager
def _no_identity_check(pause: Pause) -> Iterator[None]:
    accept = Acceptance.accept

    def forgetful(self: Acceptance, *columns: Any) -> Acceptances:
        for number in range(self._identities.rows):
            self._identities.clear(number)
        accepted = accept(self, *columns)
        pause()
        return accepted

    with patched(Acceptance, "accept", forgetful):
        yield


@contextmanager
def _snapshot_outside_transaction(pause: Pause) -> Iterator[None]:
    record = Ledger.record

    def named_first(
        self: Ledger, position: Position, arrival: int, *, snapshot: str | None = None, **rows: Any
    ) -> list[LateBreach]:
        if snapshot is not None:
            with self.store.writing() as db:
                db.execute(insert(schema.snapshot).prefix_with("OR REPLACE"), {"position": position, "name": snapshot})
            pause()
        return record(self, position, arrival, **rows)

    with patched(Ledger, "record", named_first):
        yield


@contextmanager
def _notice_outside_transaction(pause: Pause) -> Iterator[None]:
    record = Ledger.record

    def told_later(
        self: Ledger, position: Position, arrival: int, *, outcome: Outcome | None = None, **rows: Any
    ) -> list[LateBreach]:
        late = record(self, position, arrival, **rows)
        if outcome is not None and outcome.notices:
            pause()
            with self.store.writing() as db:
                db.execute(insert(schema.notice), [notice_row(notice) for notice in outcome.notices])
        return late

    with patched(Ledger, "record", told_later):
        yield


@contextmanager
def _mark_before_send(pause: Pause) -> Iterator[None]:
    claim = DeskQueue.claim

    def marked_first(self: DeskQueue, now: int, *given: Any) -> Claimed:
        claimed = claim(self, now, *given)
        self._outbox.mark([self._under_way[parcel.id].sent(now) for parcel in claimed.parcels])
        pause()
        return claimed

    with patched(DeskQueue, "claim", marked_first):
        yield


@contextmanager
def _audit_outside_transaction(pause: Pause) -> Iterator[None]:
    record = Ledger.record_act

    def audited_later(self: Ledger, position: Position, act: Act, answer: Acted, *made: Any) -> None:
        incidents, outcome, silences = made
        with self.store.writing() as db:
            _write(db, incidents, outcome, None)
        pause()
        record(self, position, act, answer, (), Outcome(), silences)

    with patched(Ledger, "record_act", audited_later):
        yield


@contextmanager
def _act_without_look_up(pause: Pause) -> Iterator[None]:
    def never_known(_self: Ledger, _by: str, _key: str) -> None:
        pause()

    with patched(Ledger, "acted", never_known):
        yield


@contextmanager
def _act_notices_outside_transaction(pause: Pause) -> Iterator[None]:
    record = Ledger.record_act

    def told_later(self: Ledger, position: Position, act: Act, answer: Acted, *made: Any) -> None:
        incidents, outcome, silences = made
        record(self, position, act, answer, incidents, replace(outcome, notices=[]), silences)
        if outcome.notices:
            pause()
            with self.store.writing() as db:
                db.execute(insert(schema.notice), [notice_row(notice) for notice in outcome.notices])

    with patched(Ledger, "record_act", told_later):
        yield


@contextmanager
def patched(owner: type | ModuleType, name: str, new: Any) -> Iterator[None]:
    """`owner`, which may have inherited `name`, has `new` instead until the block ends."""
    own = owner.__dict__.get(name)
    setattr(owner, name, new)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


MUTATIONS: Final[dict[str, Mutation]] = {
    "receipt_before_commit": _receipt_before_commit,
    "puback_before_commit": _puback_before_commit,
    "ack_without_epoch": _ack_without_epoch,
    "no_identity_check": _no_identity_check,
    "snapshot_outside_transaction": _snapshot_outside_transaction,
    "notice_outside_transaction": _notice_outside_transaction,
    "mark_before_send": _mark_before_send,
}
ACT_MUTATIONS: Final[dict[str, Mutation]] = {  # of what people do
    "audit_outside_transaction": _audit_outside_transaction,
    "act_without_look_up": _act_without_look_up,
    "act_notices_outside_transaction": _act_notices_outside_transaction,
}
