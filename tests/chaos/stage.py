"""Everything that a storm plays with: broker, service, gateways, devices, a receiver; and the truth of them."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing, suppress
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
from chaos.gateways import Site, lines
from chaos.invariants import Truth, written
from chaos.operators import PEOPLE, Asked, Office, spoken
from chaos.processes import Service, Worker
from chaos.receivers import received
from chaos.sides import Ear, MosquittoSide, NatsSide, retained
from chaos.town import CONFIRMED, RULES, Town

from alerts.ledger.ledger import Ledger
from alerts.ledger.people import By, People
from alerts.people.user import Role, User
from ingest.city import parse_city
from ingest.entries import ORIGIN
from ingest.journal import Journal

LOOK_S: Final = 0.01
BROKER_KILLED: Final = "nats-server does not end, killed"
PROCESSES: Final = 4  # of gateways; the devices are one more
GATEWAYS_SHARE: Final = 0.88  # of the readings


class Stage:
    """One town on one folder. `look` notices what has happened, and has to be called all the time."""

    def __init__(
        self, kind: str, folder: Path, random: Random, seed: int, mutation: str, mosquitto: str,
        ports: Callable[[], int], ending: ExitStack, *, office: bool = False,
    ) -> None:  # fmt: skip
        """`office`: people do verbs over HTTP as well, and some of what is measured needs their approval."""
        self.folder, self._ending, self.town = folder, ending, Town(seed=seed)
        (folder / "city.toml").write_text(self.town.city_toml())
        (folder / "rules.toml").write_text(CONFIRMED if office else RULES)
        page_port = ports() if office else 0
        receiver_port = ports()
        self.side: NatsSide | MosquittoSide
        if kind == "nats":
            self.side = NatsSide(folder, ports(), lambda: self.service.life.pid)
        else:
            users = [*self.town.gateway_ids, *self.town.device_ids]
            self.side = MosquittoSide(mosquitto, folder, ports(), users, random)
        ending.callback(self.side.close)
        settings = {
            "CANHBAO_DATA__PATH": str(folder / "data"), "CANHBAO_CITY__FILE": str(folder / "city.toml"),
            "CANHBAO_RULES__FILE": str(folder / "rules.toml"), "CANHBAO_HTTP__LISTEN": f"127.0.0.1:{page_port}",
            "CHAOS_SINK": f"127.0.0.1:{receiver_port}", **self.side.settings,
        }  # fmt: skip
        self._office = self._made_office(page_port, seed) if office else None
        self.service = Service(folder, settings, mutation)
        ending.callback(self.service.close)
        self.receiver = self._worker("receiver", "chaos.receivers", str(folder / "received.jsonl"), str(receiver_port))
        self.sites: list[Worker] = []
        self._officers: list[Worker] = []
        # A broker that is not durable, or was wiped, promises nothing for what it acknowledged before the collector
        # has its session there again.
        self._lost_at, self._promised_from = 0.0, 0.0

    def _worker(self, name: str, module: str, *arguments: str) -> Worker:
        worker = Worker(name, ["-m", module, *arguments], self.folder / f"{name}.log")
        self._ending.callback(worker.end)
        return worker

    def people_come(self, readings_a_s: float) -> None:
        """Gateways and devices begin to offer, and somebody listens."""
        self.ear = Ear(self.side.port, *self.side.listener_login)
        self._ending.callback(self.ear.close)
        groups = [self.town.gateway_ids[n::PROCESSES] for n in range(PROCESSES)]
        for n, ids in enumerate([*groups, self.town.device_ids]):
            share = GATEWAYS_SHARE / PROCESSES if n < PROCESSES else 1 - GATEWAYS_SHARE
            passwords = {id_: self.side.passwords[id_] for id_ in ids if id_ in self.side.passwords}
            folder, stop = str(self.folder / f"site-{n}"), str(self.folder / "stop")
            site = Site(folder, self.town, tuple(ids), self.side.port, share * readings_a_s, stop, passwords)
            self.sites.append(self._worker(f"site-{n}", "chaos.gateways", site.to_json()))

        if self._office is not None:
            self._officers.append(self._worker("office", "chaos.operators", self._office.to_json()))

    def _made_office(self, port: int, seed: int) -> Office:
        """Users and tokens, as before a first start."""
        folder = self.folder / "office"
        folder.mkdir()
        with closing(Ledger.open(self.folder / "data" / "ledger.sqlite")) as ledger:
            people, by = People(ledger.store), By("operator", int(time.time() * 1000))
            for name, role in PEOPLE.items():
                people.add(User(name, Role(role)), by)
            tokens = {name: people.issue(name, by) for name in PEOPLE}
        areas = tuple(parse_city(self.town.city_toml()).areas)
        return Office(str(folder), f"http://127.0.0.1:{port}/api/v1", tokens, areas, seed, str(self.folder / "stop"))

    def people_stop(self) -> None:
        """Nothing new is offered; everybody is up and well."""
        (self.folder / "stop").touch()
        self.side.wake()
        for worker in (self.receiver, *self.sites):
            worker.wake()
        self.receiver.tell("well")

    def people_leave(self) -> None:
        for worker in (self.receiver, *self.sites, *self._officers):
            worker.end()

    # -- the broker ------------------------------------------------------------------------------------------------

    def kill_broker(self) -> bool:
        """Whether there was one to kill."""
        killed = self.side.kill()
        if killed and not self.side.durable:
            self._lost_at, self._promised_from = time.time(), inf
        return killed

    def broker_killed(self) -> bool:
        """Whether the service that has ended had to kill its broker."""
        return BROKER_KILLED in self.service.log.rstrip().rpartition("\n")[2]

    def wipe_broker(self) -> None:
        """While the service is down: all that its broker held is gone."""
        self.side.wipe()
        self._lost_at, self._promised_from = time.time(), inf

    def subscribed(self, at: float) -> None:
        """The collector has its session."""
        if at > self._lost_at:
            self._promised_from = min(self._promised_from, at)

    # -- looking on ------------------------------------------------------------------------------------------------

    def look(self) -> bool:
        """Whether the service has ended."""
        time.sleep(LOOK_S)
        self.side.look()
        for worker in (self.receiver, *self.sites, *self._officers):
            worker.look()
        return self.service.look()

    def said(self) -> int:
        """Readings offered so far."""
        return sum(self._progress(n).get("said", 0) for n in range(len(self.sites)))

    def all_receipted(self) -> bool:
        """And every message of a device acknowledged."""
        return all(self._progress(n).get("ended") for n in range(len(self.sites)))

    def spoken(self) -> list[Asked]:
        """The verbs that people asked for."""
        return spoken(self.folder / "office")

    def answered(self) -> int:
        """Verbs so far."""
        file = self.folder / "office" / "answered.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def all_answered(self) -> bool:
        return self._office is None or (self.folder / "office" / "ended").exists()

    def all_there(self) -> bool:
        """What the broker has acknowledged has come to the journal: it may bring it again only after some seconds."""
        journal = Journal.open(self.folder / "data" / "journal", read_only=True)
        there = written(journal.read(ORIGIN))
        return all((sensor, t) in there for sensor, t, _ in self._acknowledged())

    def all_sent(self) -> bool:
        file = self.folder / "data" / "ledger.sqlite"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db, suppress(sqlite3.Error):
            (due,) = db.execute("SELECT count(*) FROM message WHERE next_try_at IS NOT NULL").fetchone()
            (behind,) = db.execute("SELECT (SELECT max(seq) FROM notice) > (SELECT seq FROM fan_out)").fetchone()
            return not due and not behind
        return False

    def _progress(self, n: int) -> dict[str, Any]:
        with suppress(OSError):
            told: dict[str, Any] = msgspec.json.decode((self.folder / f"site-{n}" / "progress.json").read_bytes())
            if told["pid"] == self.sites[n].process.pid or not told["ended"]:
                return told
        return {}

    # -- afterwards ------------------------------------------------------------------------------------------------

    def truth(self) -> Truth:
        """Once the service has ended."""
        sites = [self.folder / f"site-{n}" for n in range(PROCESSES)]
        return Truth(
            offered={(id_, seq): list(zip(*rows, strict=True)) for site in sites
                     for id_, seq, *rows in lines(site / "truth.jsonl")},
            settled=settled(line for site in sites for line in lines(site / "receipts.jsonl")),
            parked=sum(self._progress(n).get("parked", 0) for n in range(PROCESSES)),
            loose=[tuple(line) for line in lines(self.folder / f"site-{PROCESSES}" / "offered.jsonl")],
            acknowledged=self._acknowledged(),
            received=received(self.folder / "received.jsonl"),
            heard=tuple(self.ear.heard),
            retained=retained(self.side, self._published()),
        )  # fmt: skip

    def _published(self) -> int:
        """Of how many incidents something is public."""
        with closing(sqlite3.connect(self.folder / "data" / "ledger.sqlite")) as db:
            return int(db.execute("SELECT count(*) FROM incident WHERE level > 0").fetchone()[0])

    def _acknowledged(self) -> list[Any]:
        answers = lines(self.folder / f"site-{PROCESSES}" / "pubacked.jsonl")
        return [tuple(reading) for *reading, at in answers if at >= self._promised_from]


def settled(answers: Iterable[tuple[str, str, float]]) -> dict[str, set[int]]:
    """The seqs of each gateway that a receipt covered."""
    only: dict[str, set[int]] = {}
    through: Counter[str] = Counter()
    for id_, text, _ in answers:
        told = msgspec.json.decode(text)
        through[id_] = max(through[id_], told.get("seq", 0))
        only.setdefault(id_, set()).update(told.get("only", ()))
    return {id_: seqs | set(range(1, through[id_] + 1)) for id_, seqs in only.items()}
