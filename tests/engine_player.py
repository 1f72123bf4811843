"""Plays a random world into acceptance and engine, in batches of any size, with restarts at any cut."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import numpy as np

from ingest.city import parse_city
from ingest.entries import Batch, Configuration, Entry, Start, Tick
from ingest.readings import Readings
from processing.acceptance import Acceptance
from processing.engine import Engine
from processing.plan import next_ids
from processing.transitions import HealthEvent, LateBreach, Transition

Offer = tuple[str, int, float | None, int, int]


class Player:
    """Has the methods of the twin. `journal` is what a service would have written."""

    def __init__(self, batch: int = 1, restarts: Random | None = None) -> None:
        self.engine, self.acceptance = Engine(), Acceptance()
        self.journal: list[Entry] = []
        self.transitions: list[Transition] = []
        self.health: list[HealthEvent] = []
        self.late_breaches: list[LateBreach] = []
        self.answers: list[str] = []
        self._batch, self._restarts = batch, restarts
        self._waiting: list[Offer] = []
        self._ids: tuple[str, ...] = ()

    def configure(self, at: int, city_toml: str, rules_toml: str) -> None:
        self.flush()
        self._ids = next_ids(self._ids, parse_city(city_toml))
        configuration = Configuration(at, city_toml, rules_toml, self._ids)
        self.journal.append(configuration)
        self._note(self.engine, configuration)
        self.acceptance.configure(self.engine.plan)

    def start(self, at: int) -> None:
        self.flush()
        self._step(Start(at))

    def tick(self, at: int) -> None:
        self.flush()
        self._step(Tick(at))

    def offer(self, sensor: str, t: int, value: float | None, arrival: int, flag: int = 2) -> None:
        self._waiting.append((sensor, t, value, arrival, flag))
        if len(self._waiting) >= self._batch:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        sensors, t, values, arrival, flags = zip(*self._waiting, strict=True)
        self._waiting.clear()
        raw = np.array([np.nan if value is None else value for value in values])
        numbers = np.array([self._ids.index(sensor) for sensor in sensors], np.int32)
        columns = (np.array(t), raw, np.array(flags, np.uint8), np.array(arrival))
        found = self.acceptance.accept(numbers, *columns)
        answer = np.full(len(raw), "accepted ")
        answer[found.duplicates], answer[found.conflicts] = "duplicate", "conflict"
        self.answers += [str(one).strip() for one in answer]
        self._step(Batch(found.readings))

    def lines(self) -> list[str]:
        return [one.to_json() for one in self.transitions]

    def _step(self, entry: Entry) -> None:
        self.journal.append(entry)
        self._note(self.engine, entry)
        if self._restarts is not None and self._restarts.random() < 0.2:
            self._restart()

    def _note(self, engine: Engine, entry: Entry) -> None:
        found = engine.step(entry)
        self.transitions += found.transitions
        self.health += found.health
        self.late_breaches += found.late_breaches

    def _restart(self) -> None:
        """Through bytes, as a snapshot goes."""
        engine: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(self.engine.to_state()))
        acceptance = msgspec.msgpack.decode(msgspec.msgpack.encode(self.acceptance.to_state()))
        self.engine = Engine.from_state(engine)
        self.acceptance = Acceptance.from_state(acceptance, self.engine.plan)


def regrouped(journal: list[Entry], size: int) -> list[Entry]:
    """The same journal with its readings in batches of `size`."""
    out: list[Entry] = []
    waiting: list[Readings] = []
    for entry in [*journal, None]:
        if isinstance(entry, Batch):
            waiting.append(entry.readings)
            continue
        joined = Readings.join(waiting)
        waiting = []
        out += [Batch(joined[at : at + size]) for at in range(0, len(joined), size)]
        if entry is not None:
            out.append(entry)
    return out
