"""A backup of a service at work is whole and comes back as it was; where it comes back, nobody is told twice."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest
from brokers import Client, until
from conftest import Tally
from test_delivery import AT, FIRST, Broker, People, compose
from test_run import alerts, failed_run, get, reading
from test_service import service
from test_spine import CITY, MINUTE, NOON, RULES, World

from alerts import backup
from alerts.__main__ import main
from alerts.backup import BackupError, restore, take
from alerts.delivery.channels.channel import ChannelError
from alerts.delivery.channels.mqtt import Mqtt
from alerts.delivery.delivery import Delivery
from alerts.delivery.hold import FILE, GIVEN_UP, Gate, Hold, read_hold, write_hold
from alerts.folds import recover
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason
from alerts.incidents.life_cycle import nobody
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.snapshots import Snapshots
from ingest.entries import ORIGIN, Configuration, Position, Tick
from ingest.journal import Journal

ALERT = "canhbao/v1/alerts/20242/flood"


def tables(file: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(db.execute(f"SELECT * FROM {name}"), key=repr) for name in names}


def evening(world: World) -> None:
    """A warning over midnight, refused readings, a snapshot, and one decision after it."""
    spine = world.start()
    world.now = NOON + 19 * 60 * MINUTE - 2 * MINUTE  # two minutes before the UTC day ends
    for k in range(4):
        world.send("river", world.now, 0.5 + k)
        world.send("nobody", world.now, 1.0)
        spine.turn()
        world.now += MINUTE
    spine.end()
    world.send("street", world.now, 0.5)
    spine.turn()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data")
    evening(made)
    yield made
    made.end()


@pytest.mark.parametrize("name", ["kept", "kept.tar"])
def test_what_comes_back_equals_what_was_and_goes_on_as_it_would_have(world: World, tmp_path: Path, name: str) -> None:
    (world.folder / "client_id").write_text("collector-1f")
    (world.folder / "operator_token").write_text("0" * 32)
    (world.folder / "broker").mkdir()
    (world.folder / "broker" / "collector.password").write_text("of this machine alone")
    (world.folder / "mosquitto" / "state").mkdir(parents=True)
    (world.folder / "mosquitto" / "state" / "mosquitto.db").write_text("the broker's own")
    (world.folder / "mosquitto" / "passwords").write_text("gw-1:$7$hash\n")

    taken = take(world.folder, tmp_path / name, NOON)  # the stores are open, as a service's are
    assert restore(tmp_path / name, tmp_path / "back") == taken

    back = tmp_path / "back"
    assert tables(back / "ledger.sqlite") == tables(world.folder / "ledger.sqlite")
    assert len(list((back / "journal").glob("*.sqlite"))) == 2
    for day in (back / "journal").glob("*.sqlite"):
        assert tables(day) == tables(world.folder / "journal" / day.name)
    names = sorted(path.relative_to(back).as_posix() for path in back.rglob("*") if path.is_file())
    assert [name for name in names if "sqlite" not in name and "snapshots" not in name] == [
        "client_id", FILE, "lock", "mosquitto/passwords", "restored/city.toml", "restored/rules.toml",
    ]  # fmt: skip
    assert (back / "restored" / "city.toml").read_text("utf-8") == CITY
    assert not [path for path in back.rglob("*") if path.is_file() and path.name != "lock"
                and path.stat().st_mode & 0o077 and "sqlite" not in path.name]  # fmt: skip
    assert read_hold(back) == Hold(NOON)

    twin = World(back, now=world.now, seq=world.seq)
    for each in (world, twin):
        spine = each.start()
        assert spine.way.folds.position == each.stores.journal.last  # type: ignore[union-attr]
        each.now += MINUTE
        each.send("river", each.now, 0.1)
        spine.turn()
        each.end()
    assert tables(back / "ledger.sqlite") == tables(world.folder / "ledger.sqlite")


class Writing:
    """The journal and the ledger as fast as they go, in the spine's order, snapshots now and then."""

    def __init__(self, folder: Path) -> None:
        self.journal, self.ledger = Journal.open(folder / "journal"), Ledger.open(folder / "ledger.sqlite")
        self.snapshots, self.count = Snapshots(folder / "snapshots"), 0
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._write)
        self.journal.append(Configuration(NOON, CITY, RULES, ("river", "street")))

    def _write(self) -> None:
        while not self._stop.is_set():
            position = self.journal.append(Tick(NOON + self.count * 10_000))
            due = self.count % 20 == 19
            name = self.snapshots.write(position, {"count": self.count}) if due else None
            self.ledger.record(position, NOON + self.count * 10_000, snapshot=name)
            if name is not None:
                self.snapshots.prune()
            self.count += 1

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.count > 5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.journal.close()
        self.ledger.close()


def test_whatever_is_written_meanwhile_the_journal_is_never_older_than_the_ledger(tmp_path: Path, tally: Tally) -> None:
    with Writing(tmp_path / "data") as writing:
        for seed in tally.seeds(few=8, many=300):
            with tally.trial():
                copy, at = tmp_path / f"kept-{seed}", writing.count
                taken = take(tmp_path / "data", copy, NOON)
                assert 0 < taken.decided <= taken.journal
                journal, ledger = Journal.open(copy / "journal", read_only=True), Ledger.open(copy / "ledger.sqlite")
                assert (ledger.position(), journal.last) == (taken.decided, taken.journal)
                *_, (last, _) = journal.read(ORIGIN)  # every entry can be read, none is missing
                assert last == taken.journal
                ledger.close()
                until(lambda at=at: writing.count > at, "a backup holds the writer up")  # type: ignore[misc]


def test_a_snapshot_that_the_ledger_names_is_there_however_long_the_rest_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Writing(tmp_path / "data") as writing:
        until(lambda: writing.count > 25)
        right = backup._copy_journal

        def slow(source: Path, target: Path) -> int:
            before = writing.count
            until(lambda: writing.count > before + 100)  # every snapshot of the beginning is gone by then
            return right(source, target)

        monkeypatch.setattr(backup, "_copy_journal", slow)
        take(tmp_path / "data", tmp_path / "kept", NOON)
    ledger, snapshots = Ledger.open(tmp_path / "kept" / "ledger.sqlite"), Snapshots(tmp_path / "kept" / "snapshots")
    assert any(snapshots.read(name) is not None for name, _ in ledger.snapshots())
    ledger.close()


def test_a_copy_in_the_wrong_order_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself: what a ledger copied too late looks like is no backup."""
    with Writing(tmp_path / "data") as writing:
        right = backup._copy_database

        def late(source: Path, target: Path, position: Any) -> int:
            before = writing.count
            until(lambda: writing.count > before + 3)
            return right(source, target, position)

        journal = backup._copy_journal(tmp_path / "data" / "journal", tmp_path / "early")
        monkeypatch.setattr(backup, "_copy_database", late)
        monkeypatch.setattr(backup, "_copy_journal", lambda _source, _target: journal)
        with pytest.raises(BackupError, match=rf"journal ends at {journal}, the ledger has decided up to"):
            take(tmp_path / "data", tmp_path / "kept", NOON)
    assert not (tmp_path / "kept").exists()
    assert not list(tmp_path.glob(".kept*"))


@pytest.fixture
def kept(world: World, tmp_path: Path) -> Path:
    take(world.folder, tmp_path / "kept", NOON)
    return tmp_path / "kept"


def test_a_folder_that_is_not_empty_and_a_target_that_is_there_are_refused(
    world: World, kept: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="is there already"):
        take(world.folder, kept, NOON)
    with pytest.raises(BackupError, match="is not empty"):
        restore(kept, world.folder)
    with pytest.raises(BackupError, match="nothing to keep"):
        take(tmp_path / "nowhere", tmp_path / "none", NOON)
    with pytest.raises(BackupError, match="mounted"):
        take(world.folder, tmp_path / "away" / "kept.tar", NOON)
    assert not (tmp_path / "away").exists()
    with pytest.raises(BackupError, match="no backup"):
        restore(tmp_path, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_one_wrong_bit_or_a_missing_file_is_named_before_anything_is_written(kept: Path, tmp_path: Path) -> None:
    names = json.loads((kept / "manifest.json").read_text())["files"]
    for name in names:
        whole = (kept / name).read_bytes()
        (kept / name).write_bytes(bytes([whole[0], whole[1] ^ 1]) + whole[2:])
        with pytest.raises(BackupError, match=re.escape(name)):
            restore(kept, tmp_path / "back")
        (kept / name).unlink()
        with pytest.raises(BackupError, match=f"{re.escape(name)} is missing"):
            restore(kept, tmp_path / "back")
        (kept / name).write_bytes(whole)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/../../out", ".hidden", FILE, "lock", ""])
def test_a_manifest_leads_nowhere_else(kept: Path, tmp_path: Path, name: str) -> None:
    manifest = json.loads((kept / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": 0, "sha256": ""}
    (kept / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackupError, match="names"):
        restore(kept, tmp_path / "back")


def test_a_backup_of_another_version_is_refused(kept: Path, tmp_path: Path) -> None:
    manifest = json.loads((kept / "manifest.json").read_text())
    (kept / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    with pytest.raises(BackupError, match="format 2"):
        restore(kept, tmp_path / "back")


def test_a_tar_file_holds_what_a_folder_would_and_is_for_its_owner_alone(
    world: World, kept: Path, tmp_path: Path
) -> None:
    take(world.folder, tmp_path / "kept.tar", NOON)
    with tarfile.open(tmp_path / "kept.tar") as tar:
        assert sorted(tar.getnames()) == sorted(
            path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()
        )
    assert (tmp_path / "kept.tar").stat().st_mode & 0o777 == 0o600
    assert kept.stat().st_mode & 0o777 == 0o700


# -- the hold ----------------------------------------------------------------------------------------------------------


@contextmanager
def delivery_of(folder: Path, now: int = AT) -> Iterator[tuple[Delivery, Ledger, People, Broker]]:
    """As a start makes it: fan-out, one channel to people and one that carries a state."""
    ledger, people, broker = Ledger.open(folder / "ledger.sqlite"), People(["an", "binh"]), Broker()
    outbox, mqtt = Outbox(ledger.store), Mqtt(broker)
    gate = Gate(folder, outbox)
    delivery = Delivery(outbox, [people, mqtt], compose, now_ms=lambda: now, random=Random(1), gate=gate)
    try:
        yield delivery, ledger, people, broker
    finally:
        asyncio.run(mqtt.close())
        ledger.close()


def settle(delivery: Delivery, most: int = 100) -> None:
    async def turns() -> None:
        for _ in range(most):
            if not await delivery.turn():
                return
        raise AssertionError("there is no end of it")

    asyncio.run(turns())


def keys(ledger: Ledger) -> dict[tuple[str, int, str, str], tuple[str, int]]:
    with closing(sqlite3.connect(ledger.store.path)) as db:
        rows = db.execute("SELECT incident, version, channel, recipient, status, attempts FROM message")
        return {row[:4]: row[4:] for row in rows}


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """Three versions; of the first everything was sent, of the second nothing yet, the third has no messages yet."""
    data = tmp_path / "data"
    with delivery_of(data) as (delivery, ledger, people, broker):
        journal = Journal.open(data / "journal")
        journal.append(Configuration(AT, CITY, RULES, ("river", "street")))
        for n in (1, 2, 3):
            if n == 2:
                people.answer, broker.down = _down, True
            journal.append(Tick(AT + n))
            notice = Notice("flood-A-1", n, Reason.WORSE if n > 1 else FIRST.reason, "flood", "A", n, n - 1, AT, AT + n,
                            None)  # fmt: skip
            ledger.record(Position(n + 1), AT + n, outcome=Outcome([notice]))
            if n < 3:
                settle(delivery)
        assert len(people.got) == 2
        journal.close()
        take(data, tmp_path / "kept", AT)
    restore(tmp_path / "kept", tmp_path / "back")
    return tmp_path / "back"


async def _down(_: Any) -> None:
    raise ChannelError("the provider is down")


def test_nothing_is_sent_until_the_release_and_then_everything_once_under_its_old_keys(
    restored: Path, tmp_path: Path
) -> None:
    later = AT + 3_600_000  # retries of then are due
    with delivery_of(restored, later) as (delivery, ledger, people, broker):
        settle(delivery)
        assert not people.got
        assert not broker.published
        assert {status for status, _ in keys(ledger).values()} == {"sent", "failed", "queued"}
        says = Gate(restored, Outbox(ledger.store)).says()
        assert "6 messages wait, the oldest called for at 2022-10-14T08:03:00.002Z" in says

        assert main(["restore", "--release", "--data", str(restored)]) == 0
        settle(delivery)

        assert people.got == [("flood-A-1", 3, "an"), ("flood-A-1", 3, "binh")]  # what had failed gives way to it
        assert [json.loads(payload)["version"] for _, payload in broker.published] == [3]  # the newest state alone
        assert not (restored / FILE).exists()
        after = keys(ledger)
    with delivery_of(tmp_path / "data") as (delivery, ledger, _, _):
        settle(delivery)
        assert keys(ledger).keys() == after.keys()  # what the first machine would have sent, no key more or less


def test_what_waited_can_be_given_up_and_what_comes_afterwards_is_sent(restored: Path) -> None:
    with delivery_of(restored, AT + 3_600_000) as (delivery, ledger, people, broker):
        write_hold(restored, Hold(AT, released_at=AT + 100, unsent=True))
        for n, at in ((4, AT + 100), (5, AT + 101)):  # two of the time before have no messages yet
            late = Notice("flood-A-1", n, Reason.WORSE, "flood", "A", 4, 3, at, at, None)
            ledger.record(Position(n + 1), at, outcome=Outcome([late]))
        settle(delivery)

        assert people.got == [("flood-A-1", 5, "an"), ("flood-A-1", 5, "binh")]
        assert [json.loads(payload)["version"] for _, payload in broker.published] == [5]
        with closing(sqlite3.connect(ledger.store.path)) as db:
            dead = db.execute(
                "SELECT version, count(*), min(error) FROM message WHERE status = 'dead' GROUP BY version"
            )
            assert dead.fetchall() == [(n, 2, GIVEN_UP) for n in (2, 3, 4)]


def test_a_hold_that_cannot_be_read_holds(restored: Path) -> None:
    (restored / FILE).write_text("{")
    with delivery_of(restored) as (delivery, _, people, broker):
        settle(delivery)
        assert not people.got
        assert not broker.published


def test_a_release_is_refused_where_nothing_is_held_or_the_restore_did_not_end(
    restored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", "--release", "--data", str(tmp_path / "data")]) == 1
    write_hold(restored, Hold(AT, restoring=True))
    assert main(["restore", "--release", "--data", str(restored)]) == 1
    assert main(["restore"]) == main(["restore", "x", "--release"]) == main(["restore", "x", "--unsent"]) == 2
    said = capsys.readouterr().err
    assert "delivery is not held" in said
    assert "did not come to its end" in said


def test_a_running_service_is_backed_up_and_another_takes_over_in_silence_until_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "city.toml").write_text(CITY)
        (folder / "rules.toml").write_text(RULES)
    with service(first) as (_, url), Client(port_of(url), ALERT) as gateway:
        gateway.publish("canhbao/v1/gw-1/readings", reading(1.5))
        until(lambda: len(gateway.heard) == 1)
        monkeypatch.setenv("CANHBAO_DATA__PATH", str(first / "data"))
        assert main(["backup", str(tmp_path / "kept.tar")]) == 0
    monkeypatch.setenv("CANHBAO_DATA__PATH", str(second / "data"))
    assert main(["restore", str(tmp_path / "kept.tar")]) == 0

    with service(second) as (page, url), Client(port_of(url), ALERT) as gateway:
        assert [one["level"] for one in alerts(page)] == [1]
        gateway.publish("canhbao/v1/gw-1/readings", reading(3.0))
        until(lambda: [one["level"] for one in alerts(page)] == [3])  # it goes on deciding
        part = held_part(page)
        assert part["ready"] is False
        assert "canhbao restore --release" in part["detail"]
        assert (gateway.heard, texts(second / "log")) == ([], 0)
        assert "WARNINGS ARE NOT SENT" in (second / "log").read_text()

        assert main(["restore", "--release"]) == 0
        until(lambda: len(gateway.heard) == 1)
        until(lambda: texts(second / "log") == 1)
        assert json.loads(gateway.heard[0][1])["version"] == 2
        assert get(f"{page}readyz")["parts"]["delivery"]["ready"]
    assert (texts(first / "log"), texts(second / "log")) == (1, 1)  # each version was told once


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def held_part(page: str) -> dict[str, Any]:
    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(f"{page}readyz", timeout=5):
        pass
    with refused.value as answer:
        part: dict[str, Any] = json.load(answer)["parts"]["delivery"]
    return part


def texts(log: Path) -> int:
    """Warnings on the terminal."""
    return len(re.findall(r"Hải Châu", log.read_text()))


def test_a_start_and_a_backup_refuse_a_folder_whose_restore_did_not_end(restored: Path, tmp_path: Path) -> None:
    write_hold(restored, Hold(AT, restoring=True))
    with pytest.raises(BackupError, match="did not come to its end"):
        take(restored, tmp_path / "again", NOON)
    assert not (tmp_path / "again").exists()
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    code, said = failed_run(tmp_path, CANHBAO_DATA__PATH=str(restored))
    assert code == 1
    assert "empty it and restore again" in said


def test_the_recovery_of_a_restored_folder_reads_no_more_than_the_journal_beyond_its_snapshot(
    kept: Path, tmp_path: Path
) -> None:
    restore(kept, tmp_path / "back")
    back = tmp_path / "back"
    journal, ledger = Journal.open(back / "journal"), Ledger.open(back / "ledger.sqlite")
    named = ledger.snapshots()
    assert named
    assert [path.name for path in (back / "snapshots").iterdir()] == [name for name, _ in named]
    folds, _ = recover(journal, ledger, Snapshots(back / "snapshots"), nobody)
    assert folds.position == ledger.position()
    journal.close()
    ledger.close()
