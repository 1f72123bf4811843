"""How often codes are sent: so that nobody is flooded with them, pays for them, or learns from them who subscribes. And
how often one resident changes something, since what he agreed to is kept for good.

A token bucket each, in memory: a restart fills them. Of one address and of one network a bucket is forgotten when
10,000 others were used since, which the bucket of everybody makes last longer than an address's takes to fill.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from ingest.rate_limit import RateLimit

ADDRESS_BURST: Final = 3  # codes to one address at once,
ADDRESS_PER_S: Final = 1 / 3_600  # then one an hour: with five tries each, a guesser needs years
# A whole quarter may stand behind one address of a mobile network (RFC 6888), and signs up on the day of the storm.
NETWORK_BURST: Final = 100
NETWORK_PER_S: Final = 0.1
EVERYBODY_BURST: Final = 600  # what a poster or the evening news brings in ten minutes besides
EVERYBODY_PER_S: Final = 1.0  # 86,400 a day; each may cost the price of a short message
CHANGE_BURST: Final = 30
CHANGE_PER_S: Final = 1 / 60
WAIT_S: Final = 60
_IPV4_BITS, _IPV6_BITS = 24, 56


class SignUpLimits:
    """From any thread. `seconds`: a clock that does not go back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds, self._lock = seconds, threading.Lock()
        self._addresses = RateLimit(ADDRESS_PER_S, ADDRESS_BURST)
        self._networks = RateLimit(NETWORK_PER_S, NETWORK_BURST)
        self._everybody = RateLimit(EVERYBODY_PER_S, EVERYBODY_BURST)
        self._changes = RateLimit(CHANGE_PER_S, CHANGE_BURST)

    def refused(self, host: str) -> str:
        """Why a caller from there has to wait WAIT_S; "" if he is let in. It says nothing about any address."""
        with self._lock:
            if not self._networks.admits(network_of(host), self._seconds()):
                return "too many sign-ups from this network; try again in a minute"
            if not self._everybody.admits("", self._seconds()):
                return "too many sign-ups at this moment; try again in a minute"
        return ""

    def change_of(self, resident: int) -> bool:
        """Whether this one may change his subscription, or take it away as a file, now. Ending is always possible."""
        with self._lock:
            return self._changes.admits(str(resident), self._seconds())

    def code_to(self, digest: bytes) -> bool:
        """Whether this address may be sent another code now."""
        with self._lock:
            return self._addresses.admits(digest.hex(), self._seconds())


def network_of(host: str) -> str:
    """What counts as one caller: /24 of IPv4, /56 of IPv6 (what a household or a small office is given, RFC 6177)."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    bits = _IPV6_BITS if isinstance(address, IPv6Address) else _IPV4_BITS
    return str(ip_network((address, bits), strict=False))
