"""What a provider does wrong: drawn from a seed, the key and which time that key comes, so that a storm can come again.

`hours`: spans (from, to) in ms of the storm's clock in which a provider is down altogether.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """How one request ends. The second word: whether the provider has the message."""

    FINE = "fine"  # accepted and answered
    FAIL = "fail"  # not: 500
    BUSY = "busy"  # not: 429 with Retry-After
    HANG = "hang"  # not: no answer for HANG_S, then 504
    LATE = "late"  # accepted at once, answered when nobody listens any more
    CUT = "cut"  # accepted, the connection closed without an answer
    TWICE = "twice"  # accepted two times and answered once: the provider's own mistake


HAS_IT: Final = (Fault.FINE, Fault.LATE, Fault.CUT, Fault.TWICE)
HANG_S: Final = 60.0
RETRY_AFTER_S: Final = 30
# Of a hundred requests in a storm; a key that came AT_MOST times has seen enough of it.
OFTEN: Final[Mapping[Fault, int]] = {
    Fault.FINE: 62, Fault.FAIL: 10, Fault.BUSY: 2, Fault.HANG: 4, Fault.LATE: 5, Fault.CUT: 9, Fault.TWICE: 8,
}  # fmt: skip
AT_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """`refused` and `gone`: addresses to which nothing ever gets through (400; 410)."""

    seed: int
    often: Mapping[str, int] = field(default_factory=lambda: {str(fault): n for fault, n in OFTEN.items()})
    refused: Sequence[str] = ()
    gone: Sequence[str] = ()
    down: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)  # provider -> its hours

    def fault(self, key: str, nth: int) -> Fault:
        """Of the `nth` request (from 1) with this key."""
        if nth > AT_MOST:
            return Fault.FINE
        chance = Random(hashlib.blake2b(f"{self.seed} {key} {nth}".encode(), digest_size=8).digest())
        return Fault(chance.choices([*self.often], [*self.often.values()])[0])

    def is_down(self, provider: str, now: int) -> bool:
        return any(first <= now < last for first, last in self.down.get(provider, ()))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        return cls(**json.loads(text))


CALM: Final = {"fine": 100}
