"""How much one gateway may say: a device that has gone mad must not take the room of the others."""

from __future__ import annotations

from typing import Final

# A gateway sends some messages a minute, and at most 32 at once after an outage; the spine takes a thousand a second of
# all of them together. What is beyond is not stored and not receipted: a gateway with a spool sends it again, later.
MESSAGES_PER_S: Final = 100.0
BURST: Final = 2_000.0
GATEWAYS_MOST: Final = 10_000  # buckets; beyond, the one unheard for longest is forgotten, and would start full


class RateLimit:
    """A token bucket a gateway. Times are any clock in seconds that does not go back."""

    def __init__(self, per_s: float = MESSAGES_PER_S, burst: float = BURST) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were so many; oldest first

    def admits(self, gateway: str, now_s: float) -> bool:
        """Whether a message that comes now is within its gateway's rate."""
        tokens, since_s = self._buckets.pop(gateway, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - since_s) * self._per_s)
        admitted = tokens >= 1.0
        self._buckets[gateway] = (tokens - 1.0 if admitted else tokens, now_s)
        if len(self._buckets) > GATEWAYS_MOST:
            del self._buckets[next(iter(self._buckets))]
        return admitted
