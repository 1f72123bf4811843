"""How fast a provider is sent to, and when not at all: a token bucket and a circuit breaker. Times are ms UTC.

Both are told the time, so that a night of a million messages can be played in a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from alerts.delivery.channels.channel import Quota

FIRST_RETRY_MS: Final = 1_000  # the most that the first retry waits; each further one twice that,
LAST_RETRY_MS: Final = 60_000  # up to this
RETRY_AFTER_MOST_MS: Final = 86_400_000  # what a provider asks for beyond a day is a mistake of his
FAILURES_TO_OPEN: Final = 5  # in a row, none of them the message's own fault
COOL_FIRST_MS: Final = 1_000  # an open breaker lets one message try after so long, then after twice that,
COOL_LAST_MS: Final = 60_000  # up to this
PROBE_MS: Final = 120_000  # a probe that nobody answered for so long is taken for lost


def retry_delay_ms(attempts: int, random: Random, retry_after_s: float | None = None) -> int:
    """Full jitter: any time up to the bound, so that a thousand failed messages do not come back at once.

    What the provider asked for is waited for in any case, and the jitter comes on top.
    """
    asked = min(RETRY_AFTER_MOST_MS, max(0.0, retry_after_s or 0.0) * 1000)
    return int(asked + random.uniform(0, min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** min(attempts, 16))))


@dataclass(frozen=True, slots=True)
class Free:
    """How many messages may be begun now; `urgent` ones may take what is kept back from the others."""

    urgent: int
    others: int


class Bucket:
    """Tokens at the rate of a quota. It begins with the reserve and what a second is worth: a service that restarts all
    the time must not send a burst at each start, and what is urgent need not wait.
    """

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        # Where fewer than two go at once there is nothing to keep: the others would never have their turn.
        self._reserve = max(1.0, quota.burst * quota.reserve) if quota.burst >= 2 else 0.0
        self._tokens = max(1.0, min(quota.burst, self._reserve + quota.per_s))
        self._at: int | None = None

    def free(self, now: int) -> Free:
        if self._at is not None and now > self._at:  # a clock set back fills nothing
            self._tokens = min(max(1.0, self._quota.burst), self._tokens + (now - self._at) / 1000 * self._quota.per_s)
        self._at = now
        return Free(int(self._tokens), max(0, int(self._tokens - self._reserve)))

    def take(self, count: int) -> None:
        self._tokens -= count

    def next_ms(self) -> float:
        """How long until there is a token more for everybody."""
        lacks = 1.0 + self._reserve - self._tokens
        return max(0.0, lacks / self._quota.per_s * 1000)


class Breaker:
    """After some failures in a row nothing is sent for a while, then one message tries for all.

    A refusal that is a message's own fault is an answer like any other: the provider is well.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = self._opened = 0  # in a row; times that it opened without a success in between
        self.until = 0  # closed: 0; else when one may try
        self._seen = 0  # the newest time that `until` was reckoned from
        self._probing_since: int | None = None

    @property
    def open(self) -> bool:
        return self.until > 0

    def free(self, now: int) -> int | None:
        """How many may be sent; None: as many as one likes."""
        if not self.open:
            return None
        if now < self._seen:  # the clock was set back: what was left to wait is still to be waited, and no more
            self.until -= self._seen - now
            if self._probing_since is not None:
                self._probing_since -= self._seen - now
        self._seen = now
        probing = self._probing_since is not None and now - self._probing_since < PROBE_MS
        return 0 if now < self.until or probing else 1

    def begun(self, now: int) -> None:
        if self.open:
            self._probing_since = now

    def answered(self) -> None:
        self._failures = self._opened = self.until = 0
        self._probing_since = None

    def failed(self, now: int, *, everybody: bool, retry_after_s: float | None = None) -> None:
        """`everybody`: the provider said that it takes nothing for now, one failure is enough."""
        self._failures += 1
        if self.open and self._probing_since is None and not everybody:
            return  # sent before it opened, and no news
        if everybody or self.open or self._failures >= FAILURES_TO_OPEN:
            bound = min(COOL_LAST_MS, COOL_FIRST_MS * 2 ** min(self._opened, 16))
            asked = min(RETRY_AFTER_MOST_MS, (retry_after_s or 0.0) * 1000)
            self._seen = now
            self.until = max(self.until, now + int(asked + self._random.uniform(bound / 2, bound)))
            self._opened += 1
            self._probing_since = None
