"""One life after the other of the service's process, on simulated edges.

What is patched: paho by broker.Client, threads by doing it at once (one seed is then one order of things), SQLAlchemy's
engines to share what they compiled, the tables' definitions too (most of a life would go into that).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from simulated import sqlite_vfs
from simulated.broker import Broker, Client
from simulated.disk import SimulatedDisk
from simulated.offers import CITY, RULES
from simulated.providers import Lines, Receiver
from sqlalchemy import Connection, Engine, QueuePool, create_engine, create_mock_engine
from sqlalchemy.dialects import sqlite

from alerts import way
from alerts.delivery.channels import mqtt as mqtt_channel
from alerts.delivery.channels.mqtt import Mqtt
from alerts.folds import RecoveryError
from alerts.ledger import schema, store
from alerts.ledger.ledger import Ledger
from alerts.ledger.store import LedgerError
from alerts.proof.keys import Keys
from alerts.snapshots import Snapshots
from alerts.spine import Texts
from alerts.way import Clock, StoppedError, Stores
from alerts.works import Connections, Login, Works
from ingest.journal import Journal, JournalError
from ingest.mqtt.connection import MqttError

log = logging.getLogger(__name__)

JOURNAL, LEDGER, SNAPSHOTS = Path("/data/journal"), Path("/data/ledger.sqlite"), Path("/data/snapshots")
KEYS = Keys(bytes(16), Ed25519PrivateKey.from_private_bytes(bytes(32)))
_ENDS = (OSError, MqttError, JournalError, LedgerError, RecoveryError, StoppedError)  # the program says why, and ends


class Killed(BaseException):
    """The process dies here."""


class Process:
    """`works` is None while it is dead. `dying`: it has been killed, and has not noticed yet."""

    def __init__(self, disk: SimulatedDisk, broker: Broker, clock: Clock, receiver: Receiver, r: Random) -> None:
        self.disk, self.broker, self.clock, self.receiver, self.random = disk, broker, clock, receiver, r
        self.alive = self.dying = False
        self.spared = self._stillborn = False  # of two starts in a row nothing hits one, or little else would happen
        self.works: Works | None = None
        self.clients: list[Client] = []
        self.inbox_most = r.choice([20, 8_000])
        self.snapshot_entries = r.choice([2, 5, 20])
        self.power_chance = r.choice([0.0, 0.3, 1.0])  # that a kill is a power cut
        self.kills = self.power_cuts = 0
        self.said: list[str] = []  # errors in its log, and what it said when it did not start
        self._connections: list[Any] = []
        self._seen: tuple[object, ...] = ()
        self._unfinished = False  # delivery was not idle the last time

    def kill(self) -> None:
        """At the moment of the call; it has to be noticed, see `Killed` and disk.Dead."""
        self.dying = True

    @contextmanager
    def edges(self, moment: Callable[[str], None]) -> Iterator[None]:
        """Where the service touches the world, it touches this one. `moment` is told of its steps outwards."""
        _tables()  # while they still can be made
        paho = {"broker": self.broker, "moment": staticmethod(moment), "alive": self.clients}
        with (
            mock.patch("ingest.mqtt.connection.Client", type("Paho", (Client,), paho)),
            mock.patch.object(store, "create_engine", _Engines()),
            mock.patch.object(schema.metadata, "create_all", _make_tables),
            mock.patch.object(mqtt_channel, "ThreadPoolExecutor", _Here),
            mock.patch.object(way, "SNAPSHOT_ENTRIES", self.snapshot_entries),
            _errors_into(self.said),
        ):
            yield
            self.die()

    def connect(self, disk: SimulatedDisk, file: Path, mode: str) -> Any:
        """For the disk: connections end with the process."""
        self._connections.append(sqlite_vfs.connect(disk, file, mode))
        return self._connections[-1]

    def start(self) -> None:
        """It comes up, or says why it does not."""
        self.alive = True
        self.spared, self._stillborn = self._stillborn, True
        with self._may_end():
            stores = Stores(Journal.open(JOURNAL, disk=self.disk), Ledger.open(LEDGER, self.disk),
                            Snapshots(SNAPSHOTS, self.disk))  # fmt: skip
            works = Works(
                stores,
                Connections("mqtt://broker", Login("collector"), Login("collector-backfill"), Login("collector-out")),
                Texts(CITY, RULES), self.clock, channels=lambda out: [Lines(), self.receiver, Mqtt(out)],
                random=self.random, keys=KEYS, told=lambda: None,
            )  # fmt: skip
            works.source.inbox.most = works.backfill.inbox.most = self.inbox_most
            works.start(ExitStack())
            self.works, self._stillborn = works, False
        self.spared = False

    def turn(self) -> None:
        if self.works is not None:
            with self._may_end():
                self.works.wake()
                self.works.spine.turn()

    def deliver(self, *, sure: bool = False) -> None:
        """One turn; `sure`: also where it seems to have nothing to do."""
        if self.works is None or not (self._has_news(self.works) or sure):
            return
        self._unfinished = True
        with self._may_end():
            try:
                self._unfinished = bool(_LOOP.run_until_complete(self.works.delivery.turn()))
            except LedgerError as error:  # its loop says so and goes on
                self.said.append(str(error))

    def end(self) -> None:
        """It is asked to end, and does so in its own order."""
        if self.works is not None:
            with self._may_end():
                self.works.spine.end()
            self.die()

    def die(self, *, power: bool = False) -> None:
        """However far it was. What it had handed to the system stays, unless the power went."""
        self.dying = True
        for connection in self._connections:
            with suppress(Exception):
                connection.close()
        self._connections.clear()
        if power:
            self.power_cuts += 1
            self.disk.lose_power()
        else:
            self.disk.let_go()
        self.alive = self.dying = False
        for client in self.clients:
            client.on_disconnect = client.on_message = lambda *_: None
            if client.attached and self.random.random() < 0.5:  # the system still sends what it was given
                self.broker.answered(client)
                client.flush()
            client.drop()
        self.clients.clear()
        self.works = None

    @contextmanager
    def _may_end(self) -> Iterator[None]:
        try:
            yield
        except Killed:
            pass
        except _ENDS as error:
            if not self.dying:
                log.info("ends: %s", error)
                self.said.append(str(error))
                self.die()
        if self.dying:
            self.kills += 1
            self.die(power=self.random.random() < self.power_chance)

    def _has_news(self, works: Works) -> bool:
        """Whether delivery has work; now and then it looks in vain, as it does every second."""
        seen = (works, works.spine.counters["canhbao_notices_total"])
        self._seen, before = seen, self._seen
        return seen != before or self._unfinished or self.receiver.unanswered or self.random.random() < 0.1


class _Here(ThreadPoolExecutor):
    """Does it at once, where it is asked."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*arguments, **named))
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            done.set_exception(error)
        return done


class _Listener(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


@contextmanager
def _errors_into(said: list[str]) -> Iterator[None]:
    listener = _Listener(said)
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)


class _Engines:
    """Every life's engines, with one dialect and one store of compiled statements."""

    first: Engine | None = None

    def __call__(self, url: str, *, creator: Callable[[], Any], poolclass: type[QueuePool], **pool: Any) -> Engine:
        if self.first is None:
            _Engines.first = create_engine(url, creator=creator, poolclass=poolclass, **pool)
            return self.first
        size = {name.removeprefix("pool_"): value for name, value in pool.items() if name != "pool_size"}
        made = Engine(poolclass(creator, pool["pool_size"], **size), self.first.dialect, self.first.url)
        made._compiled_cache = self.first._compiled_cache
        return made


def _make_tables(db: Connection, **_: object) -> None:
    for statement in _tables():
        db.exec_driver_sql(statement)


@cache
def _tables() -> list[str]:
    made: list[str] = []
    dialect = sqlite.dialect()
    schema.metadata.create_all(
        create_mock_engine("sqlite://", lambda ddl, *_, **__: made.append(str(ddl.compile(dialect=dialect)))),
        checkfirst=False,
    )
    return made


class _Loop(asyncio.SelectorEventLoop):
    def run_in_executor(self, _executor: object, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Done when it is given back: whoever awaits it goes on at once."""
        done = self.create_future()
        try:
            done.set_result(work(*arguments))
        except (Killed, Exception) as error:  # noqa: BLE001  # whoever waits for it gets it
            done.set_exception(error)
        return done


_LOOP = _Loop()
