"""What is known of each gateway since the start: is it there, what did it say, is its clock right. For operators.

Devices of other networks are citizens too, in a book of their own by the id that the city's fields have ("network/id").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

OFFSET_MOST_MS: Final = 366 * 86_400_000  # more is no clock that is off: one mad reading must not hide what is
OFFSET_WINDOW_MS: Final = 600_000  # of the clock: the smallest delay within it says most about the clock


@dataclass(frozen=True, slots=True)
class GatewayState:
    """Times ms UTC, of the wall; None: not yet. Counts since the start of the service.

    `online` as the gateway itself says, or its last will. `clock_offset_ms`: how far its clock is ahead of ours, the
    greatest t - arrival of its newest readings over the last 10 to 20 min; a slow network makes it look behind by as
    much as its fastest message took.
    """

    id: str
    online: bool | None = None
    status_at: int | None = None
    heard_at: int | None = None
    messages: int = 0
    readings: int = 0
    refused: int = 0
    duplicates: int = 0
    conflicts: int = 0
    clock_offset_ms: int | None = None


class GatewayBook:
    """Of the gateways (or the devices) of the registry; what others say is counted nowhere here."""

    def __init__(self, gateways: Iterable[str]) -> None:
        self._records = {id_: _Record() for id_ in gateways}
        self._states = {id_: GatewayState(id_) for id_ in self._records}
        self._changed: set[str] = set()  # whose state is to be made anew: few of thousands are, from view to view

    def status(self, gateway: str, *, online: bool, now: int) -> None:
        record = self._record(gateway)
        if record is not None:
            record.online, record.status_at = online, now

    def message(self, gateway: str, now: int, *, readings: int, refused: int, newest_t: int | None) -> None:
        """One message with so many readings; `newest_t` of those measured just now, None where that says nothing."""
        record = self._record(gateway)
        if record is None:
            return
        record.heard_at = now
        record.messages += 1
        record.readings += readings
        record.refused += refused
        if newest_t is not None and abs(newest_t - now) <= OFFSET_MOST_MS:
            record.measure(newest_t - now, now)

    def repeated(self, gateway: str, *, duplicates: int, conflicts: int) -> None:
        """Readings whose identity was known: the same value again, or another one."""
        record = self._record(gateway)
        if record is not None:
            record.duplicates += duplicates
            record.conflicts += conflicts

    def states(self) -> tuple[GatewayState, ...]:
        for id_ in self._changed:
            self._states[id_] = self._records[id_].state(id_)
        self._changed.clear()
        return tuple(self._states.values())

    def _record(self, id_: str) -> _Record | None:
        record = self._records.get(id_)
        if record is not None:
            self._changed.add(id_)
        return record


@dataclass(slots=True)
class _Record:
    online: bool | None = None
    status_at: int | None = None
    heard_at: int | None = None
    messages: int = 0
    readings: int = 0
    refused: int = 0
    duplicates: int = 0
    conflicts: int = 0
    window_from: int = 0
    offset: int | None = None  # of this window,
    offset_before: int | None = None  # and of the one before

    def measure(self, offset: int, now: int) -> None:
        if now - self.window_from >= OFFSET_WINDOW_MS:
            fresh = now - self.window_from < 2 * OFFSET_WINDOW_MS
            self.offset_before, self.offset, self.window_from = self.offset if fresh else None, None, now
        self.offset = offset if self.offset is None else max(self.offset, offset)

    def state(self, id_: str) -> GatewayState:
        offsets = [offset for offset in (self.offset, self.offset_before) if offset is not None]
        return GatewayState(
            id_, self.online, self.status_at, self.heard_at, self.messages, self.readings, self.refused,
            self.duplicates, self.conflicts, max(offsets, default=None),
        )  # fmt: skip
