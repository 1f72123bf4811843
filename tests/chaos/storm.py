"""One storm: broker, service, gateways and receivers as processes, killed and stopped by a seed, healed, checked."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from chaos import invariants, verbs
from chaos.blows import Blows
from chaos.doomed import Doom, hurried
from chaos.stage import Stage

from alerts.ledger.ledger import Ledger
from ingest.journal import Journal

READY_S: Final = 60.0
END_S: Final = 30.0
AGAIN_MOST: Final = 3  # ends on a machine so busy that the broker does not end in time, and is killed
A_KILL_S: Final = 30.0  # a storm that needs more for each of its kills does not come about
LOOK_THERE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Storm:
    """What is done. Kills of the service come at planned moments or from outside, `every_s` (from, to) after a start.

    `plans`: the first lives' dooms, in order, before chance chooses (`outside`); `always`: every life's. `others`:
    gateways, devices and receivers are killed and stopped as well. `wiped`: with each death of the service the broker
    loses all it has. `cut_while_asleep`: the broker is killed while a SLEEP holds up the service. `heal_s`: holes are
    asked for after 10 s, messages sent again after 60 s. `verbs`: so many are done by people before it ends.
    """

    kind: Literal["nats", "mosquitto"]
    seed: int
    kills: int
    broker_kills: int = 0
    readings: int = 1000
    readings_a_s: float = 120.0
    every_s: tuple[float, float] = (0.05, 0.6)
    others: bool = True
    plans: tuple[tuple[Doom, ...], ...] = ()
    always: tuple[Doom, ...] = ()
    outside: bool = True
    wiped: bool = False
    mutation: str = ""
    cut_while_asleep: bool = False
    heal_s: float = 200.0
    verbs: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of it. `ends`: of the service's lives."""

    storm: Storm
    violations: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    broker_kills: int = 0
    others: Counter[str] = field(default_factory=Counter)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return sum(n for how, n in self.ends.items() if how.startswith("KILL"))

    def __str__(self) -> str:
        storm, parts = self.storm, [f"{self.kills} kills of the service, {self.broker_kills} of the broker"]
        parts += [" ".join(f"{name}={n}" for name, n in sorted(some.items()))
                  for some in (self.ends, self.others, self.counts, self.seconds) if some]  # fmt: skip
        head = f"storm {storm.kind} seed={storm.seed} {storm.mutation}".rstrip()
        return "\n  ".join([f"{head}: {len(self.violations)} violations", *parts, *self.violations])


def run(storm: Storm, folder: Path, mosquitto: str, ports: Callable[[], int]) -> Outcome:
    """The whole of it. `mosquitto`: its program; `ports()`: a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome, random = Outcome(storm), Random(storm.seed)
    with ExitStack() as ending:
        stage = Stage(
            storm.kind, folder, random, storm.seed, storm.mutation, mosquitto, ports, ending, office=bool(storm.verbs)
        )
        play = _Play(storm, stage, Blows(storm, stage, outcome, random), outcome)
        for part in (play.begin, play.rage, play.heal, play.check):
            began = time.monotonic()
            part()
            outcome.seconds[part.__name__] = round(time.monotonic() - began, 1)
    return outcome


@dataclass(frozen=True, slots=True)
class _Play:
    """The four acts of a storm."""

    storm: Storm
    stage: Stage
    blows: Blows
    outcome: Outcome

    def begin(self) -> None:
        """Everything is up once before the first blow."""
        self.stage.service.on_mark = self._marked
        self.stage.service.begin(())
        self._until(self._ready, "the service is not ready", READY_S)
        self.stage.people_come(self.storm.readings_a_s)

    def rage(self) -> None:
        """Until everything that was asked for has been done."""
        storm, outcome, stage = self.storm, self.outcome, self.stage
        limit = time.monotonic() + A_KILL_S * (storm.kills + 2)
        self.blows.aim()
        while self._missing():
            assert time.monotonic() < limit, f"it takes too long\n{outcome}\n{stage.service.log}"
            self._look(self.blows.plan)
            self.blows.strike()

    def _missing(self) -> bool:
        storm, outcome = self.storm, self.outcome
        kills = outcome.kills < storm.kills or outcome.broker_kills < storm.broker_kills
        more = self.stage.said() < storm.readings or self.stage.answered() < storm.verbs
        return kills or self.blows.left or more

    def heal(self) -> None:
        """Everybody is up and nothing new is offered; until all is receipted and sent, and the service has ended."""
        stage, heal_s = self.stage, self.storm.heal_s
        stage.service.go_on()
        self._until(self._unplanned, "the service is not begun again", READY_S)
        stage.people_stop()
        self._until(stage.all_receipted, "not all is receipted", heal_s)
        self._until(stage.all_answered, "not every verb is answered", heal_s)
        self._until(stage.all_there, "not all that the broker took has come", heal_s, LOOK_THERE_S)
        self._until(lambda: stage.service.life.renewed, "the service is not up", READY_S)
        self._until(stage.all_sent, "not all is sent", heal_s)
        self._end()
        for _ in range(AGAIN_MOST):
            if not stage.broker_killed():
                break
            # What the bundled broker has just forgotten of what it acknowledged, the next start tells it again.
            self.outcome.others["broker killed at the end"] += 1
            stage.service.begin()
            self._until(lambda: stage.service.life.renewed, "the service is not up", READY_S)
            self._until(stage.all_sent, "not all is sent", heal_s)
            self._end()
        stage.people_leave()

    def _end(self) -> None:
        stage = self.stage
        stage.service.signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        while not stage.look():
            stage.service.go_on()  # a life's planned stop may come this late
            if time.monotonic() > deadline:
                self.outcome.violations.append(f"the service does not end within {END_S:g} s")
                stage.service.signal(signal.SIGKILL)
        if stage.service.life.ended != 0:
            self.outcome.violations.append(f"asked to end, the service ended with {stage.service.life.ended}")

    def _unplanned(self) -> bool:
        """Whether the last life will end as it is asked to; one that was planned is killed, as soon as it has a pid."""
        if not self.stage.service.life.dooms:
            return True
        self.stage.service.signal(signal.SIGKILL)
        return False

    def check(self) -> None:
        outcome, truth, data = self.outcome, self.stage.truth(), self.stage.folder / "data"
        outcome.ends = self.stage.service.lives
        with closing(Ledger.open(data / "ledger.sqlite")) as ledger:
            journal = Journal.open(data / "journal", read_only=True)
            with hurried():
                outcome.violations += invariants.violations(truth, journal, ledger, "sink")
            spoken = self.stage.spoken()
            if spoken:
                outcome.violations += invariants.some(verbs.violations(spoken, ledger))
            counts = ledger.counts()
        outcome.violations += invariants.damaged(self.stage.folder)
        outcome.counts = {
            "readings": sum(map(len, truth.offered.values())) + len(truth.loose),
            "messages": len(truth.offered),
            "receipted": sum(map(len, truth.settled.values())),
            "pubacks": len(truth.acknowledged),
            "transitions": counts.transitions,
            "notices": counts.notices,
            "open": counts.open_incidents,
            "received": len(truth.received),
            "heard": len(truth.heard),
            "verbs": len(spoken),
            "done": sum(one.done for one in spoken),
        }

    def _marked(self, mark: dict[str, Any]) -> None:
        if mark["moment"] == "subscribed":
            self.stage.subscribed(mark["at"])
        if mark["action"] == "SLEEP":
            self.blows.asleep()

    def _ready(self) -> bool:
        return self.stage.service.life.ready is not None

    def _look(self, plan: Callable[[], tuple[Doom, ...]]) -> None:
        """A service that is gone is begun again."""
        was_ready = self._ready()
        if self.stage.look():
            self.outcome.ends = self.stage.service.lives
            if self.storm.wiped:
                self.stage.wipe_broker()
            self.stage.service.begin(plan())
        elif was_ready or not self._ready():
            return
        self.blows.aim()

    def _until(self, true: Callable[[], Any], what: str, within_s: float, every_s: float = 0.0) -> None:
        deadline, next_s = time.monotonic() + within_s, 0.0
        while True:
            if time.monotonic() >= next_s:
                if true():
                    return
                next_s = time.monotonic() + every_s
            if time.monotonic() > deadline:
                self.outcome.violations.append(f"{what} within {within_s:g} s")
                return
            self._look(tuple)
            if self.stage.service.stopped_at is not None:
                self.stage.service.go_on()
