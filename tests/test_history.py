"""The process of the history: whatever becomes of it, in the end it holds what the journal holds, and nobody waits."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from conftest import CI, Tally
from histories import CITY, SENSORS, START, Source, caught_up, eventually, followed, held, rows_of, same
from influx_server import InfluxServer
from small_disk import SmallDisk, mounted

from ingest import keeper
from ingest.entries import ORIGIN, Position
from ingest.history import client, follow, process
from ingest.history.duckdb import ROOM_BYTES, DuckStore
from ingest.history.follow import BACKOFF_S, Follower
from ingest.history.process import HistoryProcess
from ingest.history.store import DAY_MS, HOUR_MS, Keep, Named, Store, StoreError
from ingest.history.stores import embedded_file, store_at
from ingest.readings import Readings

HERE = ZoneInfo("Asia/Ho_Chi_Minh")
KEEP = Keep(400, 800)
EVER = 2**42
LAST_MS = 253_402_300_799_999  # of the year 9999: no day of Python's begins after it


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_BACKOFF_S", (0.0,))


def pid_of(running: HistoryProcess) -> int:
    assert running._process is not None
    return running._process.pid


def the_same(running: HistoryProcess, source: Source) -> None:
    """Position, rows, and what the buckets make of them."""
    caught_up(running, source.position)
    same(running.client, source)
    ids, start = [f"s-{n}" for n in range(SENSORS)], START - DAY_MS
    counting = sum(value is not None and flag not in (4, 9) for *_, value, _, flag in source.rows())
    for every_ms in (HOUR_MS, DAY_MS):
        assert running.client.buckets(ids, start, start + 30 * DAY_MS, every_ms).count.sum() == counting


@contextmanager
def written(source: Source) -> Iterator[None]:
    """Load: batch after batch, as fast as the disk takes them one by one."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.005):
            source.write(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_killed_again_and_again_under_load_it_holds_what_the_journal_holds(tally: Tally, tmp_path: Path) -> None:
    source = Source(tmp_path)
    with followed(tmp_path, lambda: source.position) as running:
        with written(source):
            killed = 0
            for seed in tally.seeds(few=5, many=100):
                with tally.trial():
                    eventually(lambda before=killed: running._process and pid_of(running) != before)
                    killed = pid_of(running)
                    # from its first moments to the midst of its work
                    threading.Event().wait(Random(seed).uniform(0.0, 1.5))
                    running._kill()
            eventually(lambda: running.restarts == tally.n)
        the_same(running, source)
        assert running.counters["canhbao_history_gaps_total"] == 0


def test_wherever_in_a_step_it_dies_rows_buckets_and_position_belong_together(tally: Tally, tmp_path: Path) -> None:
    seeds = tally.seeds(few=12, many=150)
    lines = sorted({1 + seed * 37 % 150 for seed in seeds})
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, str(Path(__file__).with_name("doomed_history.py")), str(tmp_path), *map(str, lines)]
    lives = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=280).stdout
    for line in lines:
        with tally.trial():
            assert re.search(rf"^{line} (died|lived) 0$", lives, re.MULTILINE), lives
    assert " died " in lives


@contextmanager
def blocked(file: Path) -> Iterator[None]:
    """Something else stands where the folder should be."""
    shutil.move(file.parent, file.parent.with_name("aside"))
    file.parent.write_text("no folder")
    yield
    file.parent.unlink()
    shutil.move(file.parent.with_name("aside"), file.parent)


@pytest.mark.parametrize("away", [held, blocked])
def test_a_store_that_is_away_for_minutes_is_told_and_caught_up_with(
    away: Callable[[Path], AbstractContextManager[None]], tmp_path: Path
) -> None:
    source, file = Source(tmp_path), embedded_file(tmp_path)
    source.write(10)
    with followed(tmp_path, lambda: source.position) as running:
        caught_up(running, source.position)
    with ExitStack() as meanwhile:
        meanwhile.enter_context(away(file))
        with followed(tmp_path, lambda: source.position) as running:
            eventually(lambda: running.counters["canhbao_history_retries_total"] > 1)
            assert "history" in running.fault
            with pytest.raises(StoreError):
                running.client.readings("s-1", 0, EVER)
            until = source.arrival + 5 * 60_000
            while source.arrival < until:
                source.write(1)
            meanwhile.close()
            the_same(running, source)
            assert running.restarts == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with ExitStack() as stack:
        try:
            yield stack.enter_context(mounted(tmp_path / "disk", (ROOM_BYTES >> 20) + 16))
        except OSError as error:
            (pytest.fail if CI else pytest.skip)(f"{error}; it needs root")


def test_on_a_full_disk_it_waits_and_leaves_the_last_room_to_the_journal(disk: SmallDisk) -> None:
    source = Source(disk.folder)
    with followed(disk.folder, lambda: source.position) as running:
        source.write(20)
        caught_up(running, source.position)
        disk.fill(256)
        source.write(20)
        eventually(lambda: "left to the journal" in running.fault)
        assert rows_of(running.client)  # it answers all the same
        disk.free()
        the_same(running, source)


def test_a_disk_that_is_full_when_the_file_is_made_leaves_none_that_is_begun(disk: SmallDisk) -> None:
    refused = 0
    for pages in range(10):
        disk.clear()
        disk.fill(pages)
        with closing(DuckStore(disk.folder / "a.duckdb", HERE, room_bytes=0)) as store:
            try:
                store.position()
            except StoreError:
                refused += 1
            disk.free()
            assert store.position() == ORIGIN
    assert refused


def test_where_the_disk_is_full_in_the_midst_of_a_step_nothing_of_it_is_kept(disk: SmallDisk, tally: Tally) -> None:
    """As full as it can be: somebody else has taken the room that was there when the step began."""
    names = {n: Named(f"s-{n}", "rain", "mm", "1", "") for n in range(SENSORS)}
    refused = 0
    for seed in tally.seeds(few=3, many=60):
        with tally.trial():
            disk.clear()
            random = Random(seed)
            with closing(DuckStore(disk.folder / "a.duckdb", HERE, room_bytes=0)) as store:
                kept = 0
                for step in range(1, 40):
                    t = [START + step * HOUR_MS // 3 + n for n in range(3000)]
                    readings = Readings.of(
                        sensor=[n % SENSORS for n in range(3000)], t=t, value=[random.random() for _ in t]
                    )
                    disk.fill(random.randrange(60)) if random.random() < 0.3 else disk.free()
                    try:
                        kept += store.append(readings, names, Position(step))
                    except StoreError:
                        refused += 1
                        disk.free()
                        assert store.position() == step - 1
                        kept += store.append(readings, names, Position(step))
                    assert store.position() == step
                assert sum(len(rows.t) for rows in store.scan(0, EVER)) == kept == 39 * 3000
    assert refused


def test_one_that_hangs_is_ended_and_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_S", 0.2)
    source = Source(tmp_path)
    source.write(5)
    with followed(tmp_path, lambda: source.position) as running:
        caught_up(running, source.position)
        os.kill(pid_of(running), signal.SIGSTOP)
        with pytest.raises(StoreError, match="not answered"):
            running.client.span()
        eventually(lambda: running.restarts)
        monkeypatch.setattr(client, "ANSWER_S", 15.0)
        the_same(running, source)


def test_long_answers_leave_a_line_to_short_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LINE_S", 0.05)
    source = Source(tmp_path)
    source.write(5)
    with followed(tmp_path, lambda: source.position) as running:
        caught_up(running, source.position)
        long = [running.client.scan(0, EVER) for _ in range(client.SCANS + 1)]
        for scan in long[:-1]:
            next(scan)
        with pytest.raises(StoreError, match="busy"):
            next(long[-1])
        assert running.client.span() is not None
        for scan in long[:-1]:
            scan.close()  # type: ignore[attr-defined]
        for _ in range(3 * client.LINES):  # whoever stops early leaves his line in order
            with closing(running.client.scan(0, EVER)) as scan:
                next(scan)
        same(running.client, source)
        assert running.restarts == 0


def test_a_wrong_question_is_an_error_of_who_asks(tmp_path: Path) -> None:
    source = Source(tmp_path)
    with followed(tmp_path, lambda: source.position) as running:
        caught_up(running, source.position)
        for _ in range(2 * client.LINES):
            with pytest.raises(ValueError, match="can be asked for"):
                running.client.readings("s-1", 0, EVER, 10**9)
        assert running.client.span() is None


def test_a_question_that_nobody_foresaw_costs_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = Source(tmp_path)
    with followed(tmp_path, lambda: source.position) as running:
        caught_up(running, source.position)
        for _ in range(client.LINES):
            with pytest.raises(StoreError, match="the question failed: OverflowError"):
                running.client.buckets(["s-1"], LAST_MS, LAST_MS, DAY_MS)
        assert running.client.span() is None
    assert running.restarts == 0
    eventually(lambda: "a question failed" in caplog.text)


def test_one_that_hangs_does_not_hold_up_the_end_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STOP_S", 0.2)
    monkeypatch.setattr(process, "_TELL_S", 0.0)
    source, told = Source(tmp_path), [0]

    def until() -> int:
        told[0] += 1
        return told[0]

    def waits() -> bool:
        before = told[0]
        threading.Event().wait(0.1)
        return told[0] == before

    with followed(tmp_path, until) as running:
        caught_up(running, source.position)
        child = Path(f"/proc/{pid_of(running)}")
        os.kill(pid_of(running), signal.SIGSTOP)
        eventually(waits)  # what it is told has filled its socket
    assert not child.exists()


PARENT = """
import os, sys, threading
from ingest.history.process import HistoryProcess
running = HistoryProcess(["--data", sys.argv[1], "--zone", "UTC"], os.environ, lambda: 0)
running.start()
while running.fault:
    threading.Event().wait(0.01)
print(running._process.pid, flush=True)
sys.stdin.read()
"""


def test_it_ends_with_the_service_however_that_ends(tmp_path: Path) -> None:
    Source(tmp_path)
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip() / "stat"
        assert " S " in child.read_text() or " R " in child.read_text()
        parent.kill()
    eventually(lambda: not child.exists() or " Z " in child.read_text())


def test_only_what_is_decided_is_followed(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.write(10)
    with followed(tmp_path, lambda: 5) as running:
        caught_up(running, 5)
        said = running.progress
        source.write(3)
        eventually(lambda: running.progress is not said)
        assert running.progress.position == 5


def test_what_it_says_stands_in_our_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    embedded_file(tmp_path).parent.write_text("no folder")
    Source(tmp_path)
    with caplog.at_level(logging.WARNING), followed(tmp_path, lambda: 1) as running:
        eventually(lambda: "history:" in caplog.text)
        assert running.restarts == 0
        assert "tried again until it succeeds" in caplog.text


# ---- the follower alone


def follower(source: Source, store: object) -> Follower:
    return Follower(source.journal.folder, store, KEEP, lambda: Position(source.position), Random(0))  # type: ignore[arg-type]


class Flaky:
    """A store whose appends fail: before anything is kept, or after all of it is."""

    def __init__(self, store: DuckStore, random: Random) -> None:
        self._store, self._random = store, random
        self.refused = 0
        self.sizes: list[int] = []

    def position(self) -> Position:
        return self._store.position()

    def mark(self) -> int | None:
        return self._store.mark()

    def append(self, readings: Readings, sensors: Mapping[int, Named], position: Position, mark: int | None) -> int:
        luck = self._random.random()
        if luck < 0.3:
            raise StoreError("away")
        self.sizes.append(len(readings))
        new = self._store.append(readings, sensors, position, mark)
        if luck < 0.6:
            raise StoreError("did it?")
        return new

    def retain(self, *_: object) -> None:
        if self._random.random() < 0.3:
            raise StoreError("away")


def test_whenever_the_store_fails_nothing_is_left_out_and_steps_stay_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "READINGS_MOST", 100)
    monkeypatch.setattr(follow, "ENTRIES_MOST", 7)
    source = Source(tmp_path)
    with closing(DuckStore(tmp_path / "a.duckdb", HERE)) as store:
        flaky = Flaky(store, Random(3))
        following = follower(source, flaky)
        for batches in (30, 1, 0, 25):
            source.write(batches)
            while store.position() < source.position:
                following.turn()
        same(store, source)
        assert max(flaky.sizes) == 100
        assert following.counts.retries > 5


def test_tries_are_ever_rarer_and_never_exactly_together(tmp_path: Path) -> None:
    class Away:
        def position(self) -> Position:
            raise StoreError("away")

    following = follower(Source(tmp_path), Away())
    waits = [following.turn() for _ in range(20)]

    assert all(most / 2 <= wait <= most for most, wait in zip(BACKOFF_S, waits, strict=False))
    assert all(BACKOFF_S[-1] / 2 <= wait <= BACKOFF_S[-1] for wait in waits[len(BACKOFF_S) :])
    assert len(set(waits)) == len(waits)
    assert following.counts.fault == "away"


def test_each_reading_goes_by_the_registry_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "ENTRIES_MOST", 4)
    source = Source(tmp_path)
    source.write(20)
    before = source.arrival
    moved = CITY.replace('id = "s-1"\nquantity = "rain"', 'id = "s-1"\nquantity = "water_level"')
    source.arrival += 6 * HOUR_MS  # nothing is later than that
    source.configure(moved)
    source.write(30)
    with closing(DuckStore(tmp_path / "a.duckdb", HERE)) as store:
        following = follower(source, store)
        following.turn()
        following = follower(source, store)  # as after a start: the names in force are those of before
        while store.position() < source.position:
            following.turn()
        found = {(rows.names[n].quantity, int(t) <= before) for rows in store.scan(0, EVER)
                 for n, t in zip(rows.series, rows.t, strict=True) if rows.names[n].id == "s-1"}  # fmt: skip
        same(store, source)
    assert ("water_level", False) in found
    assert not found & {("water_level", True), ("rain", False)}


def test_a_gap_in_the_journal_is_told_counted_and_passed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = Source(tmp_path)
    source.write(3)
    with closing(DuckStore(tmp_path / "a.duckdb", HERE)) as store:
        follower(source, store).turn()
        before = rows_of(store)
        for _ in range(3):
            source.arrival += DAY_MS
            source.write(3)
        assert len(source.journal.retain(1, source.arrival, Position(source.position))) == 2
        following = follower(source, store)
        while store.position() < source.position:
            following.turn()

        assert following.counts.gaps == 1
        assert "no longer has what followed position 4" in caplog.text
        assert rows_of(store) == before + source.rows()


@pytest.fixture(params=["duckdb", "influx"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """The same store, each time as another process would find it."""
    with InfluxServer("a") as server:
        influx = f"influx+{server.url}?org=city&bucket=readings"
        yield lambda: store_at("duckdb" if request.param == "duckdb" else influx, tmp_path, HERE, "a")


def test_only_the_journal_that_was_followed_is_followed_on(opened: Callable[[], Store], tmp_path: Path) -> None:
    """A copy of it that was made earlier and then went on by itself is another one, however long it has become."""
    source = Source(tmp_path / "one")
    source.write(3)
    source.journal.close()
    shutil.copytree(source.journal.folder, tmp_path / "copy" / "journal")
    other = Source(tmp_path / "copy", seed=1)
    other.arrival = source.arrival
    source.write(2)
    with closing(opened()) as store:
        follower(source, store).turn()
        following = follower(other, store)
        following.turn()
        assert "stands at position 6" in following.counts.fault
        assert "ends at 4" in following.counts.fault
        other.write(2)
        following.turn()
        assert "position 6, the journal in" in following.counts.fault
        assert "has another entry there: it is not the one that was followed" in following.counts.fault
        assert rows_of(store) == source.rows()
    other.write(9)
    with closing(opened()) as store:
        following = follower(other, store)
        following.turn()
        assert "has another entry there" in following.counts.fault, "what the other had up to there would be missing"
        assert rows_of(store) == source.rows()
    source.write(4)
    source.journal.close()
    shutil.copytree(source.journal.folder, tmp_path / "moved" / "journal")
    moved = Source(tmp_path / "moved", seed=2)
    moved.arrival = source.arrival
    moved.write(5)
    with closing(opened()) as store:
        following = follower(moved, store)
        following.turn()
        assert following.counts.fault == ""
        same(store, moved)


def test_a_damaged_journal_is_passed_over_nowhere(tmp_path: Path) -> None:
    source = Source(tmp_path)
    source.write(20)
    source.journal.close()
    [file] = source.journal.folder.glob("*.sqlite")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE entry SET crc = crc + 1 WHERE position = 9")
    with closing(DuckStore(tmp_path / "a.duckdb", HERE)) as store:
        following = follower(source, store)
        following.turn()

        assert "position 9" in following.counts.fault
        assert store.position() == ORIGIN
        assert following.counts.gaps == 0
