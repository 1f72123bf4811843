"""What befalls a storm's processes and when, by chance: planned deaths at named moments, and blows from outside."""

from __future__ import annotations

import signal
import time
from math import inf
from random import Random
from typing import TYPE_CHECKING, Final

from chaos.doomed import ACT_MOMENTS, MOMENTS, Doom
from chaos.processes import Worker
from chaos.stage import Stage

if TYPE_CHECKING:
    from chaos.storm import Outcome, Storm

ACTIONS: Final = ("KILL", "TERM", "STOP")
WEIGHTS: Final = (85, 8, 7)
# Moments that come rarely are not waited for so often as to never come.
NTH_MOST: Final = {"received": 30, "snapshot_unnamed": 1, "started": 1, "before_ledger": 6, "after_ledger": 6}
MOODS: Final = ("slow 0.3", "refuse", "late 0.5", "late 2", "well", "well", "well", "well")
PLANNED_S: Final = 4.0  # for the moment of a life in `plans`; then it is tried again
ENDING_S: Final = 4.0  # a service that was asked to end and is not gone by then is killed


class Blows:
    """`strike` all the time; `plan` and `aim` for each life of the service."""

    def __init__(self, storm: Storm, stage: Stage, outcome: Outcome, random: Random) -> None:
        self._storm, self._stage, self._outcome, self._random = storm, stage, outcome, random
        self._plans = list(storm.plans)
        self._planned: tuple[Doom, ...] = ()  # of `plans`, for this life
        self._outside: tuple[float, signal.Signals] | None = None
        self._next_other = self._next_broker = 0.0
        self._wake_broker_at = inf

    def plan(self) -> tuple[Doom, ...]:
        """The dooms of the next life. What `plans` asks for and did not come about is tried again."""
        if self._planned and not self._came_about():
            self._plans.insert(0, self._planned)
        self._planned = self._plans.pop(0) if self._plans else ()
        if self._planned:
            return (*self._planned, *self._storm.always)
        if not self._storm.outside or self._random.random() < 0.3:
            return self._storm.always
        moment = self._random.choice((*MOMENTS, *ACT_MOMENTS * 2) if self._storm.verbs else MOMENTS)
        nth = self._random.randint(1, NTH_MOST.get(moment, 10))
        return (Doom(moment, nth, self._random.choices(ACTIONS, WEIGHTS)[0]), *self._storm.always)

    @property
    def left(self) -> bool:
        """Whether `plans` are still to be brought about."""
        return bool(self._plans) or bool(self._planned and not self._came_about())

    def _came_about(self) -> bool:
        moments = self._stage.service.life.moments
        return bool(moments) and moments[-1]["moment"] == self._planned[-1].moment

    def aim(self) -> None:
        """When and with what this life is struck from outside, if nothing has ended it before."""
        least, most = self._storm.every_s
        life, now = self._stage.service.life, time.monotonic()
        if life.ready is None and not self._planned and self._random.random() < 0.1:
            self._outside = (now + self._random.uniform(0, most), signal.SIGKILL)  # perhaps while it starts
            return
        if any(doom.action in ("KILL", "TERM") for doom in life.dooms):  # in case the moment never comes
            number = signal.SIGKILL
            wait_s = PLANNED_S + sum(doom.seconds for doom in life.dooms) if self._planned else 2 * most
        else:
            number = getattr(signal, f"SIG{self._random.choices(ACTIONS, WEIGHTS)[0]}")
            wait_s = self._random.uniform(least, most)
        self._outside = ((life.ready or now + 2.0) + wait_s, number)

    def strike(self) -> None:
        self._strike_service()
        self._strike_broker()
        if time.monotonic() > self._wake_broker_at:
            self._stage.side.wake()
            self._wake_broker_at = inf
        if self._storm.others and time.monotonic() > self._next_other:
            self._next_other = time.monotonic() + self._random.uniform(0.5, 3.0)
            self._strike_others()

    def asleep(self) -> None:
        """The service hangs, as on a disk."""
        if self._storm.cut_while_asleep:
            self._outcome.broker_kills += self._stage.kill_broker()

    def _strike_service(self) -> None:
        now, service = time.monotonic(), self._stage.service
        if service.stopped_at is not None and now - service.stopped_at > self._random.uniform(0.1, 2.0):
            service.go_on()
        if self._outside is None or now < self._outside[0]:
            return
        number = self._outside[1]
        service.signal(number)
        again_s = ENDING_S if number == signal.SIGTERM else self._storm.every_s[1]
        self._outside = (now + again_s, signal.SIGKILL)

    def _strike_broker(self) -> None:
        """Spread over the kills of the service."""
        storm = self._storm
        owed = storm.broker_kills * min(1.0, (self._outcome.kills + 1) / max(1, storm.kills))
        if self._outcome.broker_kills < owed and time.monotonic() > self._next_broker:
            self._outcome.broker_kills += self._stage.kill_broker()
            self._next_broker = time.monotonic() + self._random.uniform(0.3, 1.5)

    def _strike_others(self) -> None:
        receiver = self._stage.receiver
        target = self._random.choice((receiver, self._stage.side, *self._stage.sites))
        blow = self._random.choice(("kill", "stop", "mood"))
        seconds = self._random.uniform(0.1, 2.0)
        if blow == "mood":
            receiver.tell(self._random.choice(MOODS))
        elif not isinstance(target, Worker):
            blow = self._strike_gently(blow, seconds)
        elif blow == "kill":
            target.kill()
        else:
            target.stop_for(seconds)
        name = target.name.partition("-")[0] if isinstance(target, Worker) else "broker"
        self._outcome.others[blow if blow == "mood" else f"{blow} {name}"] += 1

    def _strike_gently(self, blow: str, seconds: float) -> str:
        """The broker is asked to end, or stopped for a while: neither costs what it has acknowledged."""
        side = self._stage.side
        if blow == "stop" and side.kill(signal.SIGSTOP):
            self._wake_broker_at = time.monotonic() + seconds
            return "stop"
        side.kill(signal.SIGTERM)
        return "end"
