"""How much of what is refused is kept: dead letters must never fill the disk that warnings need."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ingest.entries import DeadLetter
from ingest.formats import largest

QUOTA_BYTES: Final = 16 * 1024 * 1024  # a gateway and UTC day: a thousand of its largest messages, of a network's 250
LETTER_BYTES: Final = 200  # what a letter takes besides its payload
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Kept:
    """`dropped`: gateway -> letters that found no room; `full`: the gateways that were not full before."""

    letters: tuple[DeadLetter, ...]
    dropped: dict[str, int]
    full: tuple[str, ...]


class LetterQuota:
    """A budget a gateway and day; gateways that the registry does not know share one, under ""."""

    def __init__(self, gateways: Collection[str]) -> None:
        self._gateways = frozenset(gateways)
        self._day = 0
        self._bytes: dict[str, int] = {}
        self._full: set[str] = set()

    def begin(self, arrival: int, held: Mapping[str, tuple[int, int]]) -> None:
        """Go on in the day of `arrival` (ms UTC), of which letters are kept: gateway -> how many, bytes of payload.

        Without it every start would give everybody a new budget, and a service that crashes in a loop would give many.
        """
        self._day, self._bytes, self._full = arrival // DAY_MS, {}, set()
        for gateway, (count, size) in held.items():
            owner = self._owner(gateway)
            self._bytes[owner] = self._bytes.get(owner, 0) + size + count * LETTER_BYTES

    def keep(self, letters: Sequence[DeadLetter]) -> Kept:
        """Those of `letters`, in order of arrival, that the budgets have room for; the others are only counted.

        Whole, as far as a message of its sender may go. Of a larger one a byte more is kept, which tells.
        """
        kept: list[DeadLetter] = []
        dropped: dict[str, int] = {}
        newly: list[str] = []
        for letter in letters:
            if letter.arrival // DAY_MS > self._day:
                self._day, self._bytes, self._full = letter.arrival // DAY_MS, {}, set()
            gateway = self._owner(letter.gateway)
            short = replace(letter, payload=letter.payload[: largest(letter.gateway) + 1])
            taken = self._bytes.get(gateway, 0) + len(short.payload) + LETTER_BYTES
            if taken <= QUOTA_BYTES:
                self._bytes[gateway] = taken
                kept.append(short)
                continue
            dropped[gateway] = dropped.get(gateway, 0) + 1
            if gateway not in self._full:
                self._full.add(gateway)
                newly.append(gateway)
        return Kept(tuple(kept), dropped, tuple(newly))

    def _owner(self, gateway: str) -> str:
        return gateway if gateway in self._gateways else ""
