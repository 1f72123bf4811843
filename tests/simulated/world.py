"""The whole service, but for its faces, in a world of one seed, where everything goes wrong that can.

Modelled: the clock (also set back a little), the disk (disk.py), broker and network (broker.py), providers. Real: every
line of the service between them, from the paho callbacks to the channels, SQLite, the gateways' window. Not here:
threads (all happens in one order, the network also while a sync lasts), the pages, processes (tests/chaos has those).

Every access to the disk and every step outwards is a moment at which the process may be killed or the power cut.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

from chaos.invariants import Truth, violations
from simulated.broker import Broker
from simulated.disk import ROOMY, Dead, Fault, SimulatedDisk
from simulated.offers import GATEWAYS, NOON, Offers
from simulated.process import JOURNAL, Killed, Process
from simulated.providers import Receiver

from alerts.ledger.outbox import Outbox
from alerts.way import Clock
from ingest.journal import Journal

_ROUNDS_MOST = 40  # of a minute each, after which everything must have come to rest


class World:
    """One run: `play`, then `heal`, then `violations`."""

    def __init__(self, seed: int) -> None:
        r = self.random = Random(seed)
        self.now, self._ms = NOON, 0  # the wall's time, which may jump; and the one that only moves forward
        self.rough = True  # things still go wrong
        self.kill_chance = r.choice([0.0, 0.001, 0.003, 0.01])  # at every moment
        self.io_error_chance = r.choice([0.0, 0.0, 0.003, 0.02])  # at every access
        self.provider_trouble = r.choice([0.0, 0.2, 0.6])
        self.full_at = 0  # the write that finds the disk full; 0: none
        self.disk = SimulatedDisk(self.access, r, lambda *opened: self.process.connect(*opened))  # noqa: PLW0108  # made below
        self.broker = Broker(r, durable=r.random() < 0.5)
        self.receiver = Receiver(self.moment, r, lambda: self.provider_trouble)
        clock = Clock("wall", lambda: self.now, lambda: self._ms / 1000, self.pause)
        self.process = Process(self.disk, self.broker, clock, self.receiver, r)
        self.offers = Offers(self.broker, r, lambda: self.now)

    # -- moments ---------------------------------------------------------------------------------------------------

    def access(self, what: str) -> None:
        """The disk is about to be asked. Raises Dead and Fault."""
        process, r = self.process, self.random
        if process.dying:
            raise Dead
        if not process.alive:
            return
        if self.full_at and self.disk.writes >= self.full_at:
            self.full_at = 0
            self.disk.room = self.disk.used
        if not process.spared:
            if r.random() < self.kill_chance:
                process.kill()
                raise Dead
            if r.random() < self.io_error_chance:
                raise Fault(errno.EIO)
        if what == "sync" and self.rough:
            self._meanwhile()

    def moment(self, _what: str) -> None:
        """Something is about to leave the process. Raises Killed."""
        if not self.process.dying and self.process.alive and self.random.random() < self.kill_chance:
            self.process.kill()
        if self.process.dying:
            raise Killed

    def pause(self, seconds: float) -> bool:
        """What the spine does while the disk refuses."""
        self.moment("pause")
        self.pass_time(int(seconds * 1000))
        if self.random.random() < 0.3:
            self.disk.room = ROOMY
        return False

    def _meanwhile(self) -> None:
        """A sync may take long, and the network does not wait for it."""
        r = self.random
        if r.random() < 0.01:
            self.pass_time(r.choice([50, 3_000]))
        if r.random() < 0.25 and self.process.works is not None:
            r.choice([self._cut_all, self._cut_all, self.broker.crash, self.broker.forget])()
            self.broker.up = True
            self.offers.device()
            self.network()

    def _cut_all(self) -> None:
        for client in self.process.clients:
            client.drop()

    # -- what happens ----------------------------------------------------------------------------------------------

    def play(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        """One thing happens."""
        r, broker, process, offers = self.random, self.broker, self.process, self.offers
        happens: list[tuple[float, Callable[[], object]]] = [
            (6, lambda: offers.message(r.choice(GATEWAYS))),
            (8, offers.device),
            (10, self.network),
            (3, process.turn),
            (4, process.deliver),
            (5, lambda: self.pass_time(r.choice([10, 200, 3_000, 11_000]))),
            (0.3, lambda: r.choice([*process.clients, *offers.links.values()]).drop()),
            (0.2, broker.crash),
            (0.3, broker.save),
            (0.05, broker.forget),
            (0.2, lambda: setattr(self.disk, "room", self.disk.used + r.choice([0, 2_000, 9_000, 50_000]))),
            (0.1, lambda: setattr(self, "now", self.now - 1_500)),
            (0.2, lambda: process.die(power=r.random() < process.power_chance)),
            (0.1, process.end),
        ]
        deaths = process.kills
        r.choices([do for _, do in happens], [weight for weight, _ in happens])[0]()
        if process.kills > deaths and r.random() < 0.3:
            broker.crash()  # it was on the same machine
        if not broker.up and r.random() < 0.3:
            broker.up = True
        if process.works is None and r.random() < (0.5 if broker.up else 0.1):
            process.start()

    def pass_time(self, ms: int) -> None:
        self.now += ms
        self._ms += ms

    def network(self) -> None:
        """Connections come back, packets move."""
        for client in list(self.process.clients):
            if client.cut_soon:
                client.cut_soon = False
                client.drop()
            client.reconnect()
            client.flush()
        for name in list(self.broker.clients):
            self.broker.deliver(name, self.random.choice([1, 5, 1000]))
        self.offers.network(self._ms)

    def heal(self) -> None:
        """Nothing fails any more; until everything that was offered has its receipt and everything due was sent."""
        self.rough = False
        self.kill_chance = self.io_error_chance = self.provider_trouble = 0.0
        self.disk.room, self.broker.up = ROOMY, True
        for _ in range(_ROUNDS_MOST):
            for n in range(6):
                if self.process.works is None:
                    self.process.start()
                self.network()
                self.process.turn()
                self.process.deliver(sure=n == 0)
            self.pass_time(61_000)
            if not any(self._open().values()):
                return
        raise AssertionError(f"it does not come to rest: {self._open()}, {self.process.said[-1:]}")

    # -- what has to hold ------------------------------------------------------------------------------------------

    def violations(self) -> list[str]:
        """After `heal`; the process lives."""
        works = self.process.works
        assert works is not None
        devices = self.offers.of_device
        truth = Truth(
            self.offers.of_message, self.offers.receipted(), loose=list(devices.values()),
            acknowledged=[reading for number, reading in devices.items() if number not in self.broker.lost],
            parked=len(self.offers.spool.parked_seqs), received=self.receiver.came, retained=self.broker.retained,
        )  # fmt: skip
        return violations(truth, Journal.open(JOURNAL, read_only=True, disk=self.disk), works.ledger, Receiver.name)

    def _open(self) -> dict[str, int]:
        if self.process.works is None:
            return {"dead": 1}
        sessions, ledger = self.broker.sessions.values(), self.process.works.ledger
        messages, pending = ledger.counts().messages, Outbox(ledger.store).pending()
        return {
            "unreceipted": self.offers.unreceipted,
            "queued": sum(len(session.queue) + len(session.sent) for session in sessions),
            "without messages": 0 if pending is None else 1,
            "unsent": sum(n for (_, status), n in messages.items() if status in ("queued", "failed")),
        }


@contextmanager
def simulated(seed: int) -> Iterator[World]:
    """A world, with the service's edges led into it."""
    world = World(seed)
    with world.process.edges(world.moment):
        yield world
