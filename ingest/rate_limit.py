"""How much one sender may say: a device that has gone mad must not take the room of the others.

What comes from a broker may have waited there. Who keeps to a rate r with bursts of b, and whose messages reach us up
to D seconds late, is seen to send up to b + r D at once and no more: so D seconds in which the broker may have held
messages back raise everybody's bucket by r D. The burst alone would lose what waited while we were away.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

# A gateway sends some messages a minute, and at most 32 at once after an outage; the spine takes a thousand a second of
# all of them together. What is beyond is not stored and not receipted: a gateway with a spool sends it again, later.
MESSAGES_PER_S: Final = 100.0
BURST: Final = 2_000.0
# Buckets, some 40 MB with the longest names. Beyond, the sender unheard for longest is forgotten, and would start with
# a full one: with ever new names more can be sent, which a broker that ties topics to users does not let a gateway do.
SENDERS_MOST: Final = 10_000
# Senders whose refusals are counted by name; those that come after them count as one, "".
COUNTED_MOST: Final = 1_000
# 43 million messages a sender, which no broker holds: Mosquitto's 1 GiB of payload are 41 million of the shortest
# readings (26 bytes), the bundled broker's 8 GiB on disk as many of some 200 bytes with what it writes around them.
AWAY_MOST_S: Final = 5 * 86_400.0
# At a start, where the only clock that knows may be wrong: a small machine begins with the time that it last saved.
AWAY_START_LEAST_S: Final = 3_600.0
# Whoever has not caught up after as long as he was away is not sent more a second than was said then, and needs no more
# than the rate; the least is for a machine that is still busy with its start.
CATCH_UP_LEAST_S: Final = 600.0
TOLD_EACH_S: Final = 60.0  # between two lines in the log about one sender


class RateLimit:
    """A token bucket a sender. Times are any clock in seconds that does not go back."""

    def __init__(self, per_s: float = MESSAGES_PER_S, burst: float = BURST) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: dict[str, _Bucket] = {}  # the one unheard for longest first
        self._away_s = self._granted_s = 0.0  # what may wait at the broker; and the sum of all that was ever allowed
        self._away_until_s = -inf
        self._limited: dict[str, int] = {}
        self._told_s: dict[str, float] = {}

    @property
    def limited(self) -> dict[str, int]:
        """Messages beyond the rate by sender, a copy."""
        return dict(self._limited)

    def allow(self, away_s: float, now_s: float) -> None:
        """For `away_s` (inf: nobody knows) the broker may have held back what comes from now on.

        Everybody may send what his rate was worth in that time, besides; what is not used is forgotten after as long
        again (at least CATCH_UP_LEAST_S), so that no later flood finds it.
        """
        away_s = min(max(0.0, away_s), AWAY_MOST_S)
        self._away_s = min(AWAY_MOST_S, self._still_away_s(now_s) + away_s)
        self._away_until_s = max(self._away_until_s, now_s + max(CATCH_UP_LEAST_S, self._away_s))
        self._granted_s += away_s

    def admits(self, sender: str, now_s: float) -> bool:
        """Whether a message that comes now is within its sender's rate; counted if not."""
        most = self._burst + self._per_s * self._still_away_s(now_s)
        bucket = self._buckets.pop(sender, None)
        if bucket is None:
            bucket = _Bucket(most, now_s, self._granted_s)
        more_s = now_s - bucket.since_s + self._granted_s - bucket.granted_s
        bucket.tokens = min(most, bucket.tokens + more_s * self._per_s)
        bucket.since_s, bucket.granted_s = now_s, self._granted_s
        self._buckets[sender] = bucket
        if len(self._buckets) > SENDERS_MOST:
            del self._buckets[next(iter(self._buckets))]
        if bucket.tokens < 1.0:
            self._count(sender)
            return False
        bucket.tokens -= 1.0
        return True

    def give_back(self, sender: str) -> None:
        """A message that was admitted could not be kept, and comes again."""
        if (bucket := self._buckets.get(sender)) is not None:
            bucket.tokens += 1.0

    def to_tell(self, sender: str, now_s: float) -> int:
        """How many of a sender's messages were left out, if it is time to tell; else 0."""
        name = sender if sender in self._limited else ""
        if now_s - self._told_s.get(name, -inf) < TOLD_EACH_S:
            return 0
        self._told_s[name] = now_s
        return self._limited.get(name, 0)

    def _still_away_s(self, now_s: float) -> float:
        return self._away_s if now_s < self._away_until_s else 0.0

    def _count(self, sender: str) -> None:
        name = sender if sender in self._limited or len(self._limited) < COUNTED_MOST else ""
        self._limited[name] = self._limited.get(name, 0) + 1


@dataclass(slots=True)
class _Bucket:
    tokens: float
    since_s: float  # when they were so many,
    granted_s: float  # and how much had been allowed by then


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds on a clock that does not go back but may sleep with the machine, and on the wall's, which may jump."""

    steady_s: float
    wall_s: float

    def until(self, later: Moment) -> float:
        """The longer of the two: better one flood too many than a reading lost."""
        return max(0.0, later.steady_s - self.steady_s, later.wall_s - self.wall_s)


def away_before_start_s(alive_ms: int, now_ms: int) -> float:
    """How long nobody listened before this start. `alive_ms`: the journal's newest entry, 0 for an empty one.

    A new folder, and a clock that has gone back meanwhile, say nothing: inf.
    """
    if not 0 < alive_ms <= now_ms:
        return inf
    return max(AWAY_START_LEAST_S, (now_ms - alive_ms) / 1000)
