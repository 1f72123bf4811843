"""Intake: MQTT messages to one batch for the journal. Decoding and looking up are pure; acceptance remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ingest.entries import Batch, ClockMode, DeadLetter, Header
from ingest.formats import Refusal, RefusedError, decode, gateway_of
from ingest.inbox import Message
from ingest.lookup import Lookup, Resolved, dead_letters, header
from ingest.readings import Flag
from processing.acceptance import Acceptance, Acceptances
from processing.quality import told


@dataclass(frozen=True, slots=True)
class Offer:
    """Messages decoded and looked up. `arrival` ms UTC of the last of them; `faults` of ours in reading them."""

    resolved: tuple[tuple[Message, Resolved], ...]
    headers: tuple[Header, ...]
    refused: tuple[DeadLetter, ...]
    arrival: int
    reasons: Counter[str]  # refused readings, and messages refused whole, by reason
    faults: tuple[Exception, ...] = ()

    @property
    def has_readings(self) -> bool:
        return any(len(found.arrival) for _, found in self.resolved)

    @property
    def first_arrival(self) -> int:
        """Of the first reading; of the last message where there is none."""
        return next((int(found.arrival[0]) for _, found in self.resolved if len(found.arrival)), self.arrival)


@dataclass(frozen=True, slots=True)
class Taken:
    """What of an offer goes into the journal, and how many of its readings were known already.

    `doubts`: how often each quality test found readings suspect or failing, by (test, flag).
    """

    batch: Batch
    duplicates: int
    conflicts: int
    out_of_bounds: int
    doubts: Counter[tuple[str, int]]


def offer(messages: Sequence[Message], lookup: Lookup, clock: ClockMode, *, now: int, last_arrival: int) -> Offer:
    """`messages`, arrived at `now` or, with the data's clock, when their readings say; never before `last_arrival`."""
    resolved: list[tuple[Message, Resolved]] = []
    headers: list[Header] = []
    refused: list[DeadLetter] = []
    reasons: Counter[str] = Counter()
    faults: list[Exception] = []
    arrival = last_arrival if clock == "data" else max(now, last_arrival)
    for message in messages:
        numbering, gateway = None, gateway_of(message.topic)
        try:
            decoded = decode(message.topic, message.payload, retained=message.retained)
            numbering = decoded.numbering
            found = lookup.resolve(decoded, arrival=arrival, clock_mode=clock, previous_arrival=arrival)
        except RefusedError as error:
            refusals: Sequence[Refusal] = [Refusal(error.reason, error.detail)]
            numbering = error.numbering
        except Exception as error:  # noqa: BLE001  # the spine logs it; unread, it would come again for ever
            faults.append(error)
            refusals = [Refusal("wrong_shape", f"reading it failed: {type(error).__name__}")]
        else:
            arrival, refusals = found.last_arrival, found.refused
            resolved.append((message, found))
        reasons.update(refusal.reason for refusal in refusals)
        refused += dead_letters(message.topic, message.payload, refusals, arrival=arrival)
        numbered = header(gateway, numbering, arrival)
        headers += [] if numbered is None else [numbered]
    return Offer(tuple(resolved), tuple(headers), tuple(refused), arrival, reasons, tuple(faults))


def take(offered: Offer, acceptance: Acceptance) -> Taken:
    """The batch for the journal. From here on `acceptance` knows its readings: it has to be written down."""
    columns = [found for _, found in offered.resolved]
    t = np.concatenate([np.empty(0, np.int64), *(one.t for one in columns)])
    accepted = acceptance.accept(
        np.concatenate([np.empty(0, np.int32), *(one.sensor for one in columns)]),
        t,
        np.concatenate([np.empty(0), *(one.raw for one in columns)]),
        np.full(len(t), Flag.NOT_EVALUATED, np.uint8),
        np.concatenate([np.empty(0, np.int64), *(one.arrival for one in columns)]),
    )
    refused = (*offered.refused, *_impossible(offered, accepted))
    batch = Batch(accepted.readings, offered.headers, refused, offered.arrival)
    known = len(accepted.duplicates), len(accepted.conflicts)
    return Taken(batch, *known, len(accepted.out_of_bounds), told(accepted.found))


def _impossible(offered: Offer, accepted: Acceptances) -> list[DeadLetter]:
    """Dead letters of the counters' increments that cannot be; their readings are in the batch as well, flagged 4."""
    ends = np.cumsum([len(found.t) for _, found in offered.resolved])
    numbers, counts = np.unique(np.searchsorted(ends, accepted.out_of_bounds, side="right"), return_counts=True)
    letters: list[DeadLetter] = []
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        message, found = offered.resolved[number]
        refusal = Refusal("out_of_bounds", f"{count} of its totals rose by more than is possible in that time")
        letters += dead_letters(message.topic, message.payload, [refusal], arrival=found.last_arrival)
    return letters
