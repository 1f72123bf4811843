"""Intake: MQTT messages to one batch for the journal. Decoding and looking up are pure; acceptance remembers.

So does the overlay, what devices said before of what they leave out; an offer leaves it as it was, and says how it is
to be changed once the offer is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from ingest.entries import TICK_MS, Batch, ClockMode, DeadLetter, Header
from ingest.formats import Decoded, Refusal, RefusedError, decode, is_backfill, may_be_presence, presence, sender_of
from ingest.inbox import Message
from ingest.lookup import Lookup, Resolved, dead_letters, header
from ingest.networks import NO_NETWORKS, Networks
from ingest.overlay import Changes, Draft, Overlay
from ingest.readings import Int64, Readings, Signs
from processing.acceptance import Acceptance, Acceptances
from processing.quality import told

_NO_MESSAGE: Final = Message("", b"", retained=False, qos=0, mid=0, epoch=0)


@dataclass(frozen=True, slots=True)
class Heard:
    """One message: whose, how many readings, how many of them refused; `newest_t` None where it says nothing.

    `gateway`: who owns it, see sender_of; `device` of another network, "" where it is not known.
    """

    gateway: str
    device: str
    readings: int
    refused: int
    newest_t: int | None


class Read(NamedTuple):
    """A message that could be read: who owns it, the device of another network that spoke (or ""), its readings."""

    message: Message
    sender: str
    device: str
    found: Resolved


@dataclass(frozen=True, slots=True)
class Offer:
    """Messages with their senders, decoded and looked up.

    `arrival` ms UTC of the last of them; `faults` of ours in reading them.
    """

    resolved: tuple[Read, ...]
    headers: tuple[Header, ...]
    refused: tuple[DeadLetter, ...]
    arrival: int
    reasons: Counter[str]  # refused readings, and messages refused whole, by reason
    faults: tuple[Exception, ...] = ()
    heard: tuple[Heard, ...] = ()  # one a message
    online: tuple[tuple[str, bool], ...] = ()  # gateway or device, and what it says of itself, in order
    stood: Changes = field(default_factory=dict)  # for Overlay.keep
    refusals: tuple[Refusal, ...] = ()  # of `offer_decoded`, by their place among all its readings

    @property
    def has_readings(self) -> bool:
        return any(len(one.found.arrival) for one in self.resolved)

    @property
    def first_arrival(self) -> int:
        """Of the first reading; of the last message where there is none."""
        return next((int(one.found.arrival[0]) for one in self.resolved if len(one.found.arrival)), self.arrival)


@dataclass(frozen=True, slots=True)
class Taken:
    """What of an offer goes into the journal, and how many of its readings were known already.

    `doubts`: how often each quality test found readings suspect or failing, by (test, flag).
    """

    batch: Batch
    duplicates: Counter[str]  # by gateway or device
    conflicts: Counter[str]  # ditto
    out_of_bounds: int
    doubts: Counter[tuple[str, int]]


def offer(
    messages: Sequence[Message], lookup: Lookup, clock: ClockMode, *, now: int, last_arrival: int,
    networks: Networks = NO_NETWORKS, overlay: Overlay | None = None, came_at: int | None = None,
) -> Offer:  # fmt: skip
    """`messages`, arrived at `now` or, with the data's clock, when their readings say; never before `last_arrival`.

    `came_at`: when they came first, where that was before: what is measured "just now" was measured then. Without an
    `overlay` what a device leaves out is no reading.
    """
    draft = None if overlay is None else overlay.draft()
    resolved: list[Read] = []
    headers: list[Header] = []
    refused: list[DeadLetter] = []
    reasons: Counter[str] = Counter()
    faults: list[Exception] = []
    heard: list[Heard] = []
    online: list[tuple[str, bool]] = []
    arrival = last_arrival if clock == "data" else max(now, last_arrival)
    for message in messages:
        sender, device, numbering, count, newest_t = sender_of(message.topic, networks), "", None, 0, None
        try:
            if (said := presence(message.topic, message.payload, networks)) is not None:
                online.append(_heeded(said, draft))
                continue
            decoded = decode(
                message.topic, message.payload, retained=message.retained, networks=networks,
                arrival=arrival if came_at is None else came_at,
            )  # fmt: skip
            numbering, count, device = decoded.numbering, len(decoded.t) + len(decoded.refused), decoded.device
            newest_t = None if is_backfill(message.topic) else max(decoded.t, default=None)
            found = lookup.resolve(decoded, arrival=arrival, clock_mode=clock, previous_arrival=arrival)
            if draft is not None:
                found = draft.lay(decoded, found, clock)
        except RefusedError as error:
            if message.retained and may_be_presence(message.topic):
                reasons[error.reason] += 1  # no letter: it would be one more with every connection
                continue
            refusals: Sequence[Refusal] = [Refusal(error.reason, error.detail)]
            numbering = error.numbering
        except Exception as error:  # noqa: BLE001  # the spine logs it; unread, it would come again for ever
            faults.append(error)
            refusals = [Refusal("wrong_shape", f"reading it failed: {type(error).__name__}")]
        else:
            arrival, refusals = found.last_arrival, found.refused
            resolved.append(Read(message, sender, device, found))
        heard.append(Heard(sender, device, count, len(refusals), newest_t))
        reasons.update(refusal.reason for refusal in refusals)
        refused += dead_letters(message.topic, message.payload, refusals, arrival=arrival, sender=sender)
        numbered = header(sender, numbering, arrival, backfill=is_backfill(message.topic))
        headers += [] if numbered is None else [numbered]
    return Offer(tuple(resolved), tuple(headers), tuple(refused), arrival, reasons, tuple(faults),
                 tuple(heard), tuple(online), {} if draft is None else draft.changes)  # fmt: skip


def _heeded(said: tuple[str, bool], draft: Draft | None) -> tuple[str, bool]:
    """Of a device that is gone nothing stands any more."""
    who, online = said
    if draft is not None and not online:
        draft.forget(who)
    return said


def offer_decoded(parts: Sequence[Decoded], lookup: Lookup, clock: ClockMode, *, now: int, last_arrival: int) -> Offer:
    """Readings that no message has brought, all of them sound in themselves; none becomes a dead letter."""
    resolved: list[Read] = []
    refusals: list[Refusal] = []
    arrival, before = last_arrival if clock == "data" else max(now, last_arrival), 0
    for decoded in parts:
        found = lookup.resolve(decoded, arrival=arrival, clock_mode=clock, previous_arrival=arrival)
        resolved.append(Read(_NO_MESSAGE, decoded.gateway, "", found))
        refusals += [replace(one, index=before + (one.index or 0)) for one in found.refused]
        arrival, before = found.last_arrival, before + len(decoded.t)
    return Offer(tuple(resolved), (), (), arrival, Counter(), refusals=tuple(refusals))


def take(offered: Offer, acceptance: Acceptance, heard: Int64) -> Taken:
    """The batch for the journal. From here on `acceptance` knows its readings: it has to be written down.

    `heard`: by sensor number, since when the engine knows that it was there, ms UTC.
    """
    columns = [one.found for one in offered.resolved]
    sensor = np.concatenate([np.empty(0, np.int32), *(one.sensor for one in columns)])
    arrival = np.concatenate([np.empty(0, np.int64), *(one.arrival for one in columns)])
    accepted = acceptance.accept(
        sensor,
        np.concatenate([np.empty(0, np.int64), *(one.t for one in columns)]),
        np.concatenate([np.empty(0), *(one.raw for one in columns)]),
        np.concatenate([np.empty(0, np.uint8), *(one.flag for one in columns)]),
        arrival,
    )
    refused = (*offered.refused, *_impossible(offered, accepted))
    known = np.sort(np.concatenate([accepted.duplicates, accepted.conflicts]))
    signs = Signs.join([
        Signs(sensor[known], arrival[known]),
        *(Signs(one.signs, np.full(len(one.signs), one.last_arrival)) for one in columns),
    ])  # fmt: skip
    signs = worth_keeping(signs, accepted.readings, heard)
    batch = Batch(accepted.readings, offered.headers, refused, offered.arrival, signs)
    return Taken(
        batch, _by_gateway(offered, accepted.duplicates), _by_gateway(offered, accepted.conflicts),
        len(accepted.out_of_bounds), told(accepted.found),
    )  # fmt: skip


def worth_keeping(signs: Signs, readings: Readings, heard: Int64) -> Signs:
    """One a sensor and tick's time, and none that the engine would learn nothing from.

    So whatever is sent again and again, a sensor costs the journal 12 bytes in 10 s, a third of what its reading does.
    """
    signs = signs[heard[signs.sensor] < signs.arrival // TICK_MS * TICK_MS]
    if not len(signs):
        return signs
    told = np.stack([readings.sensor, readings.arrival // TICK_MS], axis=1)
    own = np.stack([signs.sensor, signs.arrival // TICK_MS], axis=1)
    _, first = np.unique(np.concatenate([told, own]), axis=0, return_index=True)
    return signs[np.sort(first[first >= len(told)]) - len(told)]


def _by_gateway(offered: Offer, rows: Int64) -> Counter[str]:
    counts: Counter[str] = Counter()
    for one, count in _messages_of(offered, rows):
        counts[one.device or one.sender] += count
    return counts


def _messages_of(offered: Offer, rows: Int64) -> Iterator[tuple[Read, int]]:
    """The messages that `rows` of the offer stand in, each with how many of them."""
    ends = np.cumsum([len(one.found.t) for one in offered.resolved])
    numbers, counts = np.unique(np.searchsorted(ends, rows, side="right"), return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        yield offered.resolved[number], count


def _impossible(offered: Offer, accepted: Acceptances) -> list[DeadLetter]:
    """Dead letters of the counters' increments that cannot be; their readings are in the batch as well, flagged 4."""
    letters: list[DeadLetter] = []
    for one, count in _messages_of(offered, accepted.out_of_bounds):
        refusal = Refusal("out_of_bounds", f"{count} of its totals rose by more than is possible in that time")
        letters += dead_letters(
            one.message.topic, one.message.payload, [refusal], arrival=one.found.last_arrival, sender=one.sender
        )
    return letters
