"""Plays messages through gateways: as fast as asked for, and no faster than the receipts come."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from firmware_sim.fleet import Fleet
from firmware_sim.gateway import Gateways
from firmware_sim.payload import unnumbered
from firmware_sim.storm import HOUR_MS, MINUTE_MS
from firmware_sim.tidy import Tidy, batches

_log: Final = logging.getLogger(__name__)
CONNECT_S_MAX: Final = 30.0
RECEIPTS_S_MAX: Final = 90.0  # after the last message: enough for one that has to be sent again
READINGS_A_MESSAGE: Final = 100  # of a tidy file
_LOOK_S: Final = 0.25  # how long to wait at most before looking at the time and for resends again
_GATHER_S: Final = 0.004  # one look for the receipts of many gateways, not one look for each
_COMPLAIN_S: Final = 15.0

Portion: TypeAlias = Sequence[tuple[str, bytes]]  # (gateway, readings): what is offered together


class BrokerError(Exception):
    """The broker is not there, or refuses us."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused  # True: what we were told to call ourselves is wrong


@dataclass(slots=True)
class Played:
    """How it went. `finished`: everything there was to play was offered; `stopped`: somebody wanted it to end."""

    messages: int = 0
    unreceipted: int = 0
    finished: bool = False
    stopped: bool = False


def storm_portions(fleet: Fleet, since_ms: int, until_ms: int, shift_ms: int = 0) -> Iterator[list[tuple[str, bytes]]]:
    """One portion a simulated minute: a message of each gateway that has something to say, more where it is too large.

    `shift_ms` is added to every time: the storm of 2022 on another day.
    """
    names = [row.id for row in fleet.rows]
    gateways = [row.gateway or "" for row in fleet.rows]
    for hour_ms in range(since_ms, until_ms, HOUR_MS):
        out = fleet.readings(hour_ms, min(hour_ms + HOUR_MS, until_ms))
        minutes = range(hour_ms, min(hour_ms + HOUR_MS, until_ms), MINUTE_MS)
        cuts = out.sent.searchsorted([*minutes, until_ms]).tolist()
        columns = out.sensor.tolist(), (out.t + shift_ms).tolist(), out.value.tolist()
        for i in range(len(minutes)):
            rows: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
            for sensor, t, value in zip(*(column[cuts[i] : cuts[i + 1]] for column in columns), strict=True):
                rows[gateways[sensor]].append((names[sensor], t, value))
            yield [
                (gateway, message)
                for gateway, own in sorted(rows.items())
                for message in unnumbered(*(list(column) for column in zip(*own, strict=True)))
            ]


def tidy_portions(tidy: Tidy, gateway: str) -> Iterator[list[tuple[str, bytes]]]:
    for sensors, t, values, units in batches(tidy, READINGS_A_MESSAGE):
        yield [(gateway, message) for message in unnumbered(sensors, t, values, units)]


class Player:
    """Drives the gateways while it plays. The thread that calls `play` owns them and their spool."""

    def __init__(self, gateways: Gateways, stopped: Callable[[], bool]) -> None:
        """`stopped` true: give up at once; what has no receipt stays in the spool."""
        self._gateways, self._stopped = gateways, stopped

    def play(
        self, portions: Iterable[Portion], *, every_s: float, behind_max: int, for_s: float = float("inf")
    ) -> Played:
        """Offers a portion every `every_s` at most, and only while no gateway has more than `behind_max` messages
        without a receipt: if the service is slow, time waits. Offers nothing more after `for_s`.

        Ends when everything offered has its receipt, or RECEIPTS_S_MAX after the last. Raises BrokerError where no
        connection comes about.
        """
        gateways, played = self._gateways, Played()
        connect_s = min(CONNECT_S_MAX, for_s)
        if not self._wait(gateways.ready, connect_s) and not self._stopped():
            raise BrokerError(f"no connection within {connect_s:.0f} s", refused=False)
        due_s = time.monotonic()
        end_s = due_s + for_s
        for portion in portions:
            self._wait(_never, min(due_s, end_s) - time.monotonic())
            self._wait(lambda: gateways.unreceipted_most() <= behind_max, end_s - time.monotonic())
            if self._stopped() or time.monotonic() >= end_s:
                break
            due_s = max(due_s + every_s, time.monotonic())
            gateways.offer(portion)
            played.messages += len(portion)
        else:
            played.finished = True
        self._wait(lambda: gateways.unreceipted() == 0, RECEIPTS_S_MAX)
        played.unreceipted = gateways.unreceipted()
        return played

    def _wait(self, until: Callable[[], bool], limit_s: float) -> bool:
        """Keeps the gateways moving until `until` is true, the limit is over, or all is stopped; whether it is true."""
        begin_s = complain_s = time.monotonic()
        while not self._stopped():
            self._gateways.news.clear()
            self._gateways.step(int(time.monotonic() * 1000))
            if until():
                return True
            if refused := self._gateways.refused():
                raise BrokerError(refused, refused=True)
            now_s = time.monotonic()
            left_s = begin_s + limit_s - now_s
            if left_s <= 0:
                return False
            if until is not _never and now_s - complain_s >= _COMPLAIN_S:
                complain_s = now_s
                _log.warning("waiting: %d messages have no receipt", self._gateways.unreceipted())
            if self._gateways.news.wait(min(left_s, _LOOK_S)):
                time.sleep(_GATHER_S)
        return False


def _never() -> bool:
    return False
