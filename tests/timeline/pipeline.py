"""The whole pure way of a reading: acceptance, engine, incidents, the texts of what is told, and who hears it.

No socket, no disk, and no clock: time is what the caller says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from timeline.residents import Inbox
from timeline.script import Resident
from timeline.world import Sent

from alerts.incidents.decision import Call, Decision, Outcome
from alerts.incidents.incident import Incident, Notice
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.verbs import Act
from alerts.words.lint import faults
from alerts.words.names import LANGS
from alerts.words.subject import subject
from alerts.words.texts import compose
from ingest.city import parse_city
from ingest.entries import TICK_MS, Batch, Configuration, Tick
from ingest.readings import Flag, Readings
from processing.acceptance import Acceptance
from processing.engine import Engine
from processing.plan import next_ids
from processing.rules import is_ending
from processing.transitions import Status, StepResult, Transition

Chain: TypeAlias = tuple[tuple[str, ...], ...]


class Pipeline:
    """`feed` what arrives until a moment, `act` at it; then look at what came."""

    def __init__(
        self, city_toml: str, rules_toml: str, begin: int, residents: Sequence[Resident], chain: Chain = ()
    ) -> None:
        """The sensors are numbered as the registry lists them. `chain`: who is called, step by step, wherever it is."""
        self._engine, self._acceptance = Engine(), Acceptance()
        self._incidents = Incidents(chain_of=lambda _hazard, _area: chain)
        self._ids = next_ids((), parse_city(city_toml))
        self._engine.step(Configuration(begin, city_toml, rules_toml, self._ids))
        self._acceptance.configure(self._engine.plan)
        self.city, self.rules = self._engine.plan.city, self._engine.plan.rules
        self.inboxes = [Inbox(resident) for resident in residents]
        self.transitions: list[Transition] = []
        self.notices: list[Notice] = []
        self.decisions: list[Decision] = []
        self.calls: list[Call] = []
        self.wrong_texts: list[str] = []
        self.unheard: set[str] = set()  # the sensors whose status is not ok
        self.rows: dict[str, Incident] = {}  # by id, as they were last

    @property
    def open(self) -> tuple[Incident, ...]:
        return self._incidents.open

    @property
    def planned(self) -> list[str]:
        """The planned outages that have not been ended before."""
        return [one.id for one in self._incidents.silences if one.planned]

    def feed(self, sent: Sent, now: int) -> None:
        """What arrived up to `now`, ms UTC, and that it is `now`."""
        if len(sent.sensor):
            flags = np.full(len(sent.sensor), Flag.NOT_EVALUATED, np.uint8)
            accepted = self._acceptance.accept(sent.sensor, sent.t, sent.value, flags, sent.arrival)
            batch = Batch(accepted.readings, arrival=int(sent.arrival[-1]))
            self._step(self._engine.step(batch), batch.readings, batch.arrival)
        self._step(self._engine.step(Tick(now // TICK_MS * TICK_MS)), Readings.empty(), now)
        for inbox in self.inboxes:
            inbox.wake(now)

    def act(self, act: Act) -> str:
        """Why it is refused; "": it is done."""
        done = self._incidents.act(act, self.city, self.rules)
        self._take(done.outcome)
        return done.refused

    def _step(self, result: StepResult, readings: Readings, now: int) -> None:
        for event in result.health:
            (self.unheard.discard if event.to is Status.OK else self.unheard.add)(event.sensor)
        self.transitions += [one for one in result.transitions if not is_ending(one.rule)]
        heard = self._incidents.hear(result, readings, self._ids, self.city)
        self._take(self._incidents.step(result, now, self.city, self.rules, heard=heard))

    def _take(self, outcome: Outcome) -> None:
        self.rows |= {row.id: row for row in self._incidents.changed}
        self.notices += outcome.notices
        self.decisions += outcome.decisions
        self.calls += outcome.calls
        for notice in outcome.notices:
            if notice.told:
                self.wrong_texts += self._wrong_texts(notice)
        if outcome.notices:
            for inbox in self.inboxes:
                inbox.take(outcome.notices)

    def _wrong_texts(self, notice: Notice) -> list[str]:
        """What the linter refuses of a version's texts, in all their forms."""
        try:
            texts = {lang: compose(notice, self.city, self.rules, lang) for lang in LANGS}
            found = faults(texts, subject(notice, self.city))
        except Exception as error:  # noqa: BLE001  # the story goes on without it, and fails with what it says
            found = [f"no text: {error!r}"]
        return [f"{notice.incident} version {notice.version}: {fault}" for fault in found]
