"""A full disk: nothing is said to be stored that is not, operators are told, and it goes on once there is room."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import CI, Tally
from small_disk import SmallDisk, mounted
from stories import City, field, get, levels, metrics, part, stored
from test_service import service, told, twin_over
from test_spine import CITY, MINUTE, NOON, RULES, World

from alerts import way as way_module
from alerts.ledger.ledger import Ledger
from alerts.ledger.store import LedgerError
from alerts.snapshots import Snapshots
from alerts.spine import Spine, Texts
from alerts.way import Clock, Stores
from ingest.broker.nats import BrokerError, NatsBroker
from ingest.entries import ORIGIN, Batch, Position
from ingest.inbox import Message
from ingest.journal import Journal, JournalError

BEFORE_MIDNIGHT = NOON + 19 * 60 * MINUTE - 25 * MINUTE  # so that a day file has to be made on the way
TURNS = 80  # they fill some 600 pages
PAGES = 500
WORDS = ("is full", "No space left", "disk I/O error")  # the last: SQLite finds no room for the index of its log
FULL_FOR = 3  # refused tries before there is room again


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(mounted(tmp_path_factory.mktemp("small") / "disk", 8))
        except OSError as error:
            (pytest.fail if CI else pytest.skip)(f"{error}; it needs root")
        yield disk


@dataclass
class Cramped(World):
    """A world whose broker checks, at every answer, that what is answered can be read from the journal."""

    disk: SmallDisk | None = None
    aside: Path | None = None  # where to keep what a kill would leave
    killed: Cramped | None = None
    refused: list[str] = dataclasses.field(default_factory=list)  # what operators could read while a write was refused
    spine: Spine | None = None
    read_to: Position = ORIGIN
    seqs: set[int] = dataclasses.field(default_factory=set)

    def start(self) -> Spine:
        self.end()
        self.stores = None
        journal = Journal.open(self.folder / "journal")
        try:
            ledger = Ledger.open(self.folder / "ledger.sqlite")
        except LedgerError:
            journal.close()
            raise
        self.stores = Stores(journal, ledger, Snapshots(self.folder / "snapshots"))
        clock = Clock("wall", lambda: self.now, lambda: self.now / 1000, self.pause)
        self.spine = Spine(self.drain, self, self.stores, Texts(self.city, self.rules), clock, lambda _: None)
        self.spine.begin()
        return self.spine

    def pause(self, _seconds: float) -> bool:
        """A write was refused. After some tries there is room again; what a kill would leave now is kept aside."""
        assert self.disk is not None
        self.refused.append(self.spine.fault if self.spine else "")
        if len(self.refused) == FULL_FOR:
            if self.aside is not None:
                shutil.copytree(self.folder, self.aside)
                self.killed = Cramped(self.aside, now=self.now, seq=self.seq, waiting=[*self.waiting],
                                      acknowledged=[*self.acknowledged])  # fmt: skip
            self.disk.free()
        return False

    def acknowledge(self, messages: Sequence[Message]) -> None:
        super().acknowledge(messages)
        assert {message.mid for message in messages} <= self.stored()

    def publish(self, topic: str, payload: bytes) -> bool:
        super().publish(topic, payload)
        assert set(range(1, self.published[-1][1]["seq"] + 1)) <= self.stored()
        return True

    def stored(self) -> set[int]:
        """The seqs that a second reader finds in the journal."""
        for position, entry in Journal.open(self.folder / "journal", read_only=True).read(self.read_to):
            self.read_to = position
            if isinstance(entry, Batch):
                self.seqs |= {header.seq for header in entry.headers}
        return self.seqs


def start_when_there_is_room(world: Cramped) -> Spine:
    """A start may be refused; then it is refused in words, and a start after the disk has room works."""
    assert world.disk is not None
    try:
        return world.start()
    except (JournalError, LedgerError, OSError) as error:
        world.refused.append(str(error))
        assert not world.acknowledged
        world.disk.free()
        return world.start()


def play_on(world: Cramped, spine: Spine) -> None:
    """To the end of the story, whatever of it was before."""
    if world.waiting:
        spine.turn()
    while world.seq < TURNS:
        world.now += MINUTE
        world.send("river", world.now, 3.0 if world.seq % 3 else 0.1)
        spine.turn()
    spine.end()
    assert not spine.fault
    world.end()
    check(world)


def story(disk: SmallDisk, n: int, aside: Path) -> list[str]:
    """`n` pages are free at first. What operators could read meanwhile; [] where the disk did not fill up."""
    disk.clear()
    world = Cramped(disk.folder / "data", now=BEFORE_MIDNIGHT, disk=disk, aside=aside / "killed")
    world.folder.mkdir()
    disk.fill(n)
    spine = start_when_there_is_room(world)
    play_on(world, spine)
    if world.killed is not None:
        play_on(world.killed, world.killed.start())
        shutil.rmtree(world.killed.folder)
    return world.refused


def check(world: Cramped) -> None:
    """Everything offered is stored once, and told as the slow twin tells it; every file is whole."""
    batches = [entry for entry in world.entries() if isinstance(entry, Batch)]
    times = [t for batch in batches for t in batch.readings.t.tolist()]
    assert times == [BEFORE_MIDNIGHT + n * MINUTE for n in range(1, TURNS + 1)]
    assert world.stored() == set(range(1, TURNS + 1))
    assert len(world.acknowledged) == TURNS
    twin = twin_over(world.folder / "journal")
    assert told(world.folder / "ledger.sqlite") == (twin.lines(), twin.health)
    assert len(twin.lines()) > TURNS // 2
    for file in (*(world.folder / "journal").glob("*.sqlite"), world.folder / "ledger.sqlite"):
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], file
    assert len(list((world.folder / "journal").glob("*.sqlite"))) == 2
    assert not list(world.folder.rglob("*.part"))


def test_a_disk_that_is_full_at_any_write_costs_nothing_and_is_said(
    disk: SmallDisk, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(way_module, "SNAPSHOT_ENTRIES", 7)
    step = 1 if tally.full else 25
    caplog.set_level(logging.ERROR)
    for n in range(0, PAGES, step):
        with tally.trial():
            caplog.clear()
            refused = story(disk, n, tmp_path)
            assert all(any(word in text for word in WORDS) for text in refused), refused
            assert len(refused) in (1, FULL_FOR)
            assert len(refused) == 1 or "cannot be written, trying again" in caplog.text


# --- the whole service ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["bundled", pytest.param("mosquitto", marks=pytest.mark.server("mosquitto"))])
def outside(
    request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]
) -> Iterator[City | None]:
    """A broker with a disk of its own; None: the bundled one, whose disk is that of the service."""
    if request.param == "bundled":
        yield None
        return
    city = City(program("mosquitto"), tmp_path / "mosquitto", free_port())
    yield city
    city.stop()


def test_a_service_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    disk: SmallDisk, outside: City | None, tmp_path: Path
) -> None:
    disk.clear()
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    data = disk.folder / "data"
    settings = outside.settings if outside else {}
    with service(tmp_path, CANHBAO_DATA__PATH=str(data), **settings) as (page, url):
        port, password = int(url.rpartition(":")[2]), outside.gateway[1] if outside else ""
        with field(tmp_path / "spool", port, password) as gateways:
            times = gateways.offer(0.1, 0.2)
            gateways.until_receipted()
            disk.fill(0)
            times += gateways.offer(*(0.3 for _ in range(40)), 3.0)
            # at the latest the minute's tick finds it: a broker on the same disk may take nothing more either
            gateways.until(lambda: "is full" in part(page, "spine")[1], "a full disk is not said", 90)
            assert metrics(page)['canhbao_errors_total{loop="spine"}'] > 0
            if outside is None:
                gateways.until(lambda: not part(page, "broker")[0], "a broker that stores nothing is not said")
            assert gateways.unreceipted > 0
            assert levels(page) == []
            disk.free()
            gateways.until_receipted(60)
            gateways.until(lambda: levels(page) == [3], "the warning is not told")
            gateways.until(lambda: get(f"{page}readyz")["ready"] is True, "it does not get ready again")
            assert gateways.parked == 0
    assert stored(data) == Counter(times)
    log = (tmp_path / "log").read_text()
    assert "the journal cannot be written" in log
    assert "the journal can be written again" in log


def test_the_bundled_broker_is_not_started_on_a_full_disk(disk: SmallDisk) -> None:
    disk.clear()
    NatsBroker.start(disk.folder, 0).stop()
    disk.fill(8)

    with pytest.raises(BrokerError, match="No space left on device"):
        NatsBroker.start(disk.folder, 0)
    disk.free()
    NatsBroker.start(disk.folder, 0).stop()
