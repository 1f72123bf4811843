"""Plays a random world into acceptance and engine, in batches of any size, with restarts at any cut."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import numpy as np

from alerts.intake import worth_keeping
from ingest.city import parse_city
from ingest.entries import Batch, Configuration, Entry, Start, Tick
from ingest.readings import Readings, Signs
from processing.acceptance import Acceptance
from processing.engine import Engine
from processing.plan import next_ids
from processing.transitions import HealthEvent, LateBreach, Transition

Offer = tuple[str, int, float | None, int, int]
Sign = tuple[str, int]  # sensor, arrival


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
        self._signs: list[Sign] = []
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
        self._flush_if_full()

    def refused(self, sensor: str, arrival: int) -> None:
        self._signs.append((sensor, arrival))
        self._flush_if_full()

    def _flush_if_full(self) -> None:
        if len(self._waiting) + len(self._signs) >= self._batch:
            self.flush()

    def flush(self) -> None:
        if not (self._waiting or self._signs):
            return
        sensors, t, values, arrival, flags = zip(*self._waiting, strict=True) if self._waiting else ((),) * 5
        self._waiting.clear()
        raw = np.array([np.nan if value is None else value for value in values], np.float64)
        numbers = np.array([self._ids.index(sensor) for sensor in sensors], np.int32)
        columns = (np.array(t, np.int64), raw, np.array(flags, np.uint8), np.array(arrival, np.int64))
        found = self.acceptance.accept(numbers, *columns)
        answer = np.full(len(raw), "accepted ")
        answer[found.duplicates], answer[found.conflicts] = "duplicate", "conflict"
        self.answers += [str(one).strip() for one in answer]
        again = np.sort(np.concatenate([found.duplicates, found.conflicts]))
        signs = Signs.join([Signs(numbers[again], columns[-1][again]), self._waiting_signs()])
        self._step(Batch(found.readings, signs=worth_keeping(signs, found.readings, self.engine.heard)))

    def _waiting_signs(self) -> Signs:
        signs = Signs(
            np.array([self._ids.index(sensor) for sensor, _ in self._signs], np.int32),
            np.array([arrival for _, arrival in self._signs], np.int64),
        )
        self._signs.clear()
        return signs

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
    """The same journal with its readings and signs in batches of `size`."""
    out: list[Entry] = []
    waiting: list[Batch] = []
    for entry in [*journal, None]:
        if isinstance(entry, Batch):
            waiting.append(entry)
            continue
        readings = Readings.join([one.readings for one in waiting])
        signs = Signs.join([one.signs for one in waiting])
        waiting = []
        order = np.argsort(np.concatenate([readings.arrival, signs.arrival]), kind="stable")
        is_reading = order < len(readings)
        for at in range(0, len(order), size):
            cut, rest = is_reading[:at], is_reading[at : at + size]
            read, signed = int(cut.sum()), int((~cut).sum())
            out.append(Batch(readings[read : read + rest.sum()], signs=signs[signed : signed + (~rest).sum()]))
        if entry is not None:
            out.append(entry)
    return out
