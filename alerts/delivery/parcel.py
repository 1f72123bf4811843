"""What a channel is given to send, and what came of it: plain data between the queues and the senders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from alerts.incidents.incident import DANGER, WARNING
from alerts.words.names import Lang


class Status(StrEnum):
    """What became of a message."""

    QUEUED = "queued"
    SENDING = "sending"  # handed to the provider; its answer, or the end of the lease, is awaited
    SENT = "sent"  # the provider has answered that it has it
    FAILED = "failed"  # it will be tried again at next_try_at
    DEAD = "dead"  # given up; `error` says why; a person can send it again
    SUPERSEDED = "superseded"  # a newer version of the same took its place
    MERGED = "merged"  # told with another message of the same city event
    UNHEARD = "unheard"  # an end to somebody who never heard the beginning
    CAPPED = "capped"  # beyond the recipient's own limits: a number a day, or quiet hours until it is of no use
    ENDED = "ended"  # its recipient does not want any more


class Lane(IntEnum):
    """What goes first; within a lane, what has waited longest."""

    URGENT = 0  # danger and emergency: first, worse, in force
    WARNING = 1  # warnings, and what a person waits for in front of a screen (codes)
    NEWS = 2  # advisories, easings, ends
    LATER = 3  # what has hours: planned outages, digests


def lane_of(level: int, *, ends: bool = False, eased: bool = False) -> Lane:
    """An end or an easing never overtakes what warns of something else."""
    if ends or level < WARNING:
        return Lane.NEWS
    return Lane.URGENT if level >= DANGER and not eased else Lane.WARNING


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to one recipient, ready to go. Times ms UTC.

    `recipient` names whom in logs and the ledger; `address` is where he is reached, and stands in neither. `key` is the
    same at every try: the provider's means against doubles. `attempt` counts from 1.
    """

    id: int
    attempt: int
    channel: str
    recipient: str
    incident: str
    version: int
    seq: int  # of the notice; below 0: an errand, which no notice called for
    level: int
    lang: Lang
    body: Mapping[str, Any]  # alerts.words.message; of an errand: kind, texts, and what its kind needs
    created_at: int
    expires_at: int  # nothing goes out after it
    lane: Lane = Lane.WARNING
    silent: bool = False  # without sound: an end at night
    address: str = field(default="", repr=False)
    entry: int | None = None  # position of the entry of the journal that called for it
    renewed: int = 0  # how often it was made due again (channels that carry a state)

    @property
    def key(self) -> str:
        """32 hex digits of (incident, version, channel, recipient)."""
        text = "\n".join((self.incident, str(self.version), self.channel, self.recipient))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try. `status`: SENT, FAILED (again at `retry_at`) or DEAD.

    `maybe`: the provider may have it although no answer came. `gone`: the address is nobody's any more.
    """

    parcel: Parcel
    status: Status
    at: int
    retry_at: int | None = None
    provider_id: str = ""
    error: str = ""  # no address in it
    maybe: bool = False
    gone: bool = False
