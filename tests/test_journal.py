"""What `append` has returned for is there, once, in order, whatever happens next."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.data_folder import FolderError, FolderLockedError, lock_folder
from ingest.entries import (
    ORIGIN,
    SCHEMA_VERSION,
    Batch,
    Configuration,
    DeadLetter,
    Entry,
    Header,
    Position,
    Start,
    Tick,
)
from ingest.entry_bytes import decode, encode
from ingest.journal import Journal, JournalError
from ingest.readings import Readings, Signs

ROOT = Path(__file__).parents[1]
DAY_MS = 86_400_000
NOON = 1_665_748_800_000  # 2022-10-14T12:00Z
CONFIGURATION = Configuration(NOON, "[city]", "[[rule]]", ("rain-1", "tower-1"))


def batch(arrival: int, readings: int = 2, refused: int = 0, payload: bytes = b"?") -> Batch:
    columns = Readings.of(
        sensor=np.zeros(readings),
        t=np.full(readings, arrival - 7),
        value=np.linspace(0.1, float("nan") if readings == 1 else 9.7, readings),
        arrival=np.full(readings, arrival),
    )
    header = Header("gw-1", "9f0c31d2a7b84e65", arrival, 1, arrival)
    letters = [
        DeadLetter(arrival, "canhbao/v1/gw-1/readings", payload, "not_json", f"n{n}", "gw-1") for n in range(refused)
    ]
    return Batch(columns, (header,), tuple(letters), arrival)


def same(one: Entry, other: Entry) -> bool:
    """Equality that looks into the columns, NaN equal to NaN."""
    if not (isinstance(one, Batch) and isinstance(other, Batch)):
        return one == other
    columns = one.readings.to_bytes() == other.readings.to_bytes() and one.signs.to_bytes() == other.signs.to_bytes()
    return columns and (one.headers, one.refused, one.arrival) == (other.headers, other.refused, other.arrival)


def everything(folder: Path) -> list[tuple[Position, Entry]]:
    return list(Journal.open(folder, read_only=True).read(ORIGIN))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "journal")
    opened.append(CONFIGURATION)
    yield opened
    opened.close()


def test_what_was_appended_is_read_back_as_it_was(journal: Journal) -> None:
    given = [
        Start(NOON),
        batch(NOON + 5, 300, refused=3),
        Tick(NOON + 10_000),
        batch(NOON + 10_001, 1),
        batch(NOON + 10_002, 0),
    ]
    positions = [journal.append(entry) for entry in given]

    found = list(journal.read(Position(1)))

    assert [position for position, _ in found] == positions == sorted(positions)
    assert all(same(entry, kept) for entry, (_, kept) in zip(given, found, strict=True))


def test_signs_of_life_are_kept_and_a_batch_of_before_there_were_any_is_read(journal: Journal) -> None:
    signs = Signs(np.array([1, 0], np.int32), np.array([NOON + 1, NOON + 7]))
    journal.append(replace(batch(NOON + 7), signs=signs))
    kind, body = "batch", encode(batch(NOON + 8))

    _, (_, read) = everything(journal.folder)
    assert isinstance(read, Batch)
    assert (read.signs.sensor.tolist(), read.signs.arrival.tolist()) == ([1, 0], [NOON + 1, NOON + 7])
    assert b"signs" not in body, "what has none is written as it was before"
    assert same(decode(kind, NOON + 8, body, ()), batch(NOON + 8))


def test_reading_begins_after_any_position(journal: Journal) -> None:
    for n in range(150):
        journal.append(Tick(NOON + n * 3600_000))  # six days, more rows than a page
    whole = everything(journal.folder)
    assert len(whole) == 151 + 6

    for at in (0, 1, 13, 14, 64, 100, 156, 157):
        assert list(journal.read(Position(at))) == whole[at:]


def test_a_journal_opened_again_goes_on_where_it_stood(journal: Journal) -> None:
    last = journal.append(batch(NOON + 5, refused=2))
    journal.close()

    again = Journal.open(journal.folder)

    assert (again.last, again.last_arrival, again.configuration) == (last, NOON + 5, CONFIGURATION)
    assert again.append(batch(NOON + 6, refused=1)) > last
    assert [kept.id for kept in again.dead_letters(limit=9)] == [3, 2, 1]
    again.close()


def test_the_first_entry_ever_is_a_configuration(tmp_path: Path) -> None:
    empty = Journal.open(tmp_path)
    with pytest.raises(JournalError, match="first entry must be a configuration, not a start"):
        empty.append(Start(NOON))
    assert (empty.last, list(empty.read(ORIGIN))) == (ORIGIN, [])


BACKWARDS = Batch(Readings.of(sensor=[0, 0], t=[1, 2], value=[1, 2], arrival=[NOON + 9, NOON + 8]))
EARLY_READING = Batch(Readings.of(sensor=[0, 0], t=[1, 2], value=[1, 2], arrival=[NOON - 1, NOON + 8]))
BACKWARD_SIGNS = Batch(Readings.empty(), signs=Signs(np.zeros(2, np.int32), np.array([NOON + 9, NOON + 8])))
EARLY_SIGN = Batch(Readings.empty(), signs=Signs(np.zeros(2, np.int32), np.array([NOON - 1, NOON + 8])))
EARLY_HEADER = Batch(Readings.empty(), (Header("gw-1", "00", 1, 1, NOON - 1),), (), NOON + 8)


@pytest.mark.parametrize(
    "entry",
    [
        Tick(NOON - 1),
        batch(NOON - 1),
        BACKWARDS,
        EARLY_READING,
        EARLY_HEADER,
        BACKWARD_SIGNS,
        EARLY_SIGN,
        Batch(Readings.empty()),
    ],
)
def test_arrival_never_decreases(journal: Journal, entry: Entry) -> None:
    with pytest.raises(JournalError, match="where time already is"):
        journal.append(entry)
    assert (journal.last, journal.last_arrival) == (1, NOON)
    assert journal.append(Tick(NOON)) == 2  # the same moment is no step back


def test_every_day_file_can_be_read_by_itself(journal: Journal, tmp_path: Path) -> None:
    changed = Configuration(NOON + 1, "[city] # two", "[[rule]]", ("rain-1",))
    late, early = batch(NOON + DAY_MS // 2 - 1), batch(NOON + DAY_MS // 2)
    journal.append_many([changed, late, early, Start(NOON + 3 * DAY_MS)])

    assert sorted(path.name for path in journal.folder.glob("*.sqlite")) == [
        "2022-10-14.sqlite",
        "2022-10-15.sqlite",
        "2022-10-17.sqlite",
    ]
    (tmp_path / "alone").mkdir()
    journal.close()
    shutil.copy(journal.folder / "2022-10-15.sqlite", tmp_path / "alone")
    (first, opening), (second, entry) = everything(tmp_path / "alone")
    assert (first, second) == (4, 5)
    assert same(entry, early)
    # The copy stands at the arrival of the entry before it: it carries no time, and hides none of a Start's.
    assert opening == Configuration(late.arrival, changed.city_toml, changed.rules_toml, changed.sensor_ids)


def test_a_day_that_opens_with_a_configuration_needs_no_copy(journal: Journal) -> None:
    changed = Configuration(NOON + DAY_MS, "[city] # two", "[[rule]]", ())
    journal.append(changed)
    assert everything(journal.folder) == [(1, CONFIGURATION), (2, changed)]


# --- crashes -------------------------------------------------------------------------------------------------------

APPENDER = """
    import os, sys
    from pathlib import Path
    from ingest.entries import Configuration, DeadLetter, Batch, Header
    from ingest.journal import Journal
    from ingest.readings import Readings

    journal = Journal.open(Path(sys.argv[1]))
    most = int(sys.argv[2])
    if not journal.last:
        journal.append(Configuration(0, "", "", ()))
    for n in range(most):
        arrival = journal.last_arrival + 3_600_000  # every 24th makes a new file
        refused = (DeadLetter(arrival, "t", b"raw", "not_json"),) * (n % 3)
        header = Header("gw-1", "00", arrival, None, arrival)
        readings = Readings.of(sensor=[n] * 50, t=[arrival] * 50, value=[arrival] * 50)
        position = journal.append(Batch(readings, (header,), refused))
        os.write(1, f"{position} {arrival}\\n".encode())
"""


def appender(folder: Path, most: int, *before: str) -> subprocess.Popen[str]:
    command = [*before, sys.executable, "-c", textwrap.dedent(APPENDER), str(folder), str(most)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told(output: str) -> dict[int, int]:
    """Position -> arrival of every append that returned (a last line may be torn by the kill)."""
    return {int(a): int(b) for a, b in (line.split() for line in output.split("\n")[:-1])}


def test_what_append_returned_for_survives_kill_nine(tmp_path: Path) -> None:
    promised: dict[int, int] = {}
    for n in range(20):
        with appender(tmp_path, 1_000_000) as child:
            assert child.stdout is not None
            head = "".join(child.stdout.readline() for _ in range(1 + n * 5))  # killed at another moment each time
            child.send_signal(signal.SIGKILL)
            promised |= told(head + child.stdout.read())

    found = everything(tmp_path)

    assert [position for position, _ in found] == list(range(1, len(found) + 1))
    arrivals = {position: entry.arrival for position, entry in found}
    assert len(promised) > 500
    assert {position: arrivals.get(position) for position in promised} == promised
    for _, entry in found:
        if isinstance(entry, Batch):
            assert entry.readings.value.tolist() == [entry.arrival] * 50


def test_a_reader_in_another_process_follows_the_writer(tmp_path: Path) -> None:
    with appender(tmp_path, 400) as child:
        assert child.stdout is not None
        child.stdout.readline()
        reader, seen = Journal.open(tmp_path, read_only=True), [ORIGIN]
        while child.poll() is None:
            seen += [position for position, _ in reader.read(seen[-1])]
        seen += [position for position, _ in reader.read(seen[-1])]
        assert child.returncode == 0

    assert seen == list(range(len(everything(tmp_path)) + 1))
    assert seen[-1] == 1 + 400 + 16  # the first configuration, the batches, a copy a day


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@needs_strace
def test_the_log_is_synced_before_append_returns(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with appender(
        tmp_path / "journal", 60, "strace", "-y", "-e", "trace=fdatasync,fsync,write", "-o", str(trace)
    ) as child:
        assert child.wait(timeout=60) == 0

    synced, promises = False, 0
    for line in trace.read_text().splitlines():
        if re.match(r"(fdatasync|fsync)\(\d+<.*\.sqlite-wal>\)\s*= 0", line):
            synced = True
        elif re.match(r'write\(1<[^>]*>, "\d+ \d+\\n"', line):
            assert synced, line
            synced, promises = False, promises + 1
    assert promises == 60


# --- a disk that refuses -------------------------------------------------------------------------------------------


class Broken:
    """A connection whose COMMIT reaches the disk and reports a failure all the same: the worst that fsync can do."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def execute(self, sql: str, *values: Any) -> Any:
        done = self.real.execute(sql, *values)
        if sql == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return done


@pytest.mark.parametrize("days", [0, 1])
def test_an_append_that_failed_and_was_repeated_stands_there_once(journal: Journal, days: int) -> None:
    journal.append(Start(NOON))
    journal._writer = Broken(journal._writer)  # type: ignore[assignment]
    with pytest.raises(JournalError, match="disk I/O error"):
        journal.append(batch(NOON + 1, refused=1))
    assert journal.last == 2
    journal._writer = journal._writer.real  # type: ignore[union-attr]

    again = batch(NOON + 1 + days * DAY_MS, refused=1)
    journal.append(again)

    found = everything(journal.folder)
    assert [position for position, _ in found] == list(range(1, len(found) + 1))
    assert [entry.arrival for _, entry in found if isinstance(entry, Batch)] == [again.arrival]
    assert len(journal.dead_letters(limit=9)) == 1


RETRIER = """
    import os, sys
    from pathlib import Path
    from ingest.entries import Configuration, Start
    from ingest.journal import Journal, JournalError

    journal = Journal.open(Path(sys.argv[1]))
    failures = 0
    for n in range(40):
        entry = Start(n * 4_000_000) if n else Configuration(0, "", "", ())
        for attempt in range(5):
            try:
                journal.append(entry)
                break
            except JournalError as error:
                failures += 1
        else:
            sys.exit("it never worked again")
    print(failures)
"""


@needs_strace
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_an_error_of_the_disk_is_told_and_loses_and_doubles_nothing(tmp_path: Path, call: str) -> None:
    fault = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when=3+29"]
    command = [*fault, sys.executable, "-c", textwrap.dedent(RETRIER), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3

    found = everything(tmp_path)
    assert [position for position, _ in found] == list(range(1, len(found) + 1))
    assert [entry.arrival for _, entry in found if isinstance(entry, Start)] == [n * 4_000_000 for n in range(1, 40)]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "tiny"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a tiny disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def accepted(journal: Journal, entry: Entry) -> bool:
    try:
        journal.append(entry)
    except JournalError as error:
        return "full" not in str(error)
    return True


@pytest.mark.parametrize("step_ms", [1, DAY_MS // 3])
def test_a_full_disk_is_told_and_the_same_entry_goes_in_once_there_is_room(tiny_disk: Path, step_ms: int) -> None:
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes(300_000))
    journal = Journal.open(tiny_disk / "journal")
    journal.append(CONFIGURATION)
    entries = (batch(NOON + n * step_ms, 30, refused=n % 2, payload=bytes(500)) for n in range(1000))
    refused = next(entry for entry in entries if not accepted(journal, entry))
    assert not accepted(journal, refused)

    filler.unlink()
    assert accepted(journal, refused)
    journal.close()

    arrivals = [kept.arrival for _, kept in everything(journal.folder) if isinstance(kept, Batch)]
    assert arrivals == list(range(NOON, refused.arrival + 1, step_ms))


def test_of_many_entries_of_one_day_all_are_kept_or_none(journal: Journal) -> None:
    journal.append(Start(NOON))
    assert journal._writer is not None
    journal._writer.execute("PRAGMA max_page_count=20")
    many = [batch(NOON + n, 30) for n in range(100)]
    with pytest.raises(JournalError, match="full") as failed:
        journal.append_many(many)
    assert (failed.value.appended, journal.last, len(everything(journal.folder))) == (0, 2, 2)

    journal._writer.execute("PRAGMA max_page_count=100000")
    assert journal.append_many(many) == 102


def test_an_entry_that_cannot_be_written_spoils_nothing_for_the_next(journal: Journal) -> None:
    journal.append(Start(NOON))
    torn = DeadLetter(NOON + 1, "t", b"", "not_json", "half a character: \ud800")
    for unwritable in (
        Batch(Readings.empty(), (), (torn,)),
        Batch(Readings.empty(), (Header("g", "00", 1 << 70, 1, NOON),)),
    ):
        with pytest.raises(JournalError, match=r"2022-10-14.sqlite: "):
            journal.append_many([Start(NOON), unwritable])

    assert journal.append(Tick(NOON + 10_000)) == 3
    assert [entry for _, entry in everything(journal.folder)] == [CONFIGURATION, Start(NOON), Tick(NOON + 10_000)]


def test_of_many_days_the_error_says_how_many_entries_are_kept(journal: Journal) -> None:
    (journal.folder / "2022-10-15.sqlite").mkdir()  # nothing can be written there
    many = [Start(NOON), Tick(NOON + 10_000), Start(NOON + DAY_MS)]
    with pytest.raises(JournalError, match="2022-10-15") as failed:
        journal.append_many(many)
    assert (failed.value.appended, journal.last) == (2, 3)

    (journal.folder / "2022-10-15.sqlite").rmdir()
    journal.append_many(many[2:])
    assert [entry for _, entry in everything(journal.folder)][1:3] == many[:2]
    assert journal.last == 5


def test_a_file_that_was_made_and_never_filled_is_no_obstacle(journal: Journal) -> None:
    journal.append(Start(NOON))
    journal._writer_of("2022-10-15")
    journal.close()

    again = Journal.open(journal.folder)
    assert (again.last, again.configuration) == (2, CONFIGURATION)
    assert again.retain(0, NOON + 9 * DAY_MS, Position(2)) == []
    again.append(Start(NOON + DAY_MS))
    assert [position for position, _ in again.read(ORIGIN)] == [1, 2, 3, 4]
    again.close()


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE entry SET body = zeroblob(length(body)) WHERE position = 3", "position 3: damaged"),
        ("UPDATE entry SET arrival = arrival + 1 WHERE position = 3", "position 3: damaged"),
        ("UPDATE entry SET kind = 'tick' WHERE position = 3", "position 3: damaged"),
        ("UPDATE dead_letter SET payload = x'00' WHERE position = 3", "position 3: batch: the dead letters"),
        ("DELETE FROM dead_letter WHERE position = 3", "position 3: batch: the dead letters"),
        ("DELETE FROM entry WHERE position = 3", "position 3 is missing"),
    ],
)
def test_damage_is_named_and_never_passed_over(journal: Journal, damage: str, what: str) -> None:
    journal.append_many([Start(NOON), batch(NOON + 1, refused=2), Start(NOON + 2)])
    journal.close()
    with sqlite3.connect(journal.folder / "2022-10-14.sqlite") as db:
        db.execute(damage)
    db.close()

    read = journal.read(ORIGIN)
    assert [next(read)[0], next(read)[0]] == [1, 2]
    with pytest.raises(JournalError, match=rf"2022-10-14.sqlite: {what}"):
        next(read)


def test_a_lost_day_is_named_and_never_passed_over(journal: Journal) -> None:
    journal.append_many([Start(NOON), Start(NOON + DAY_MS), Start(NOON + 2 * DAY_MS)])
    (journal.folder / "2022-10-15.sqlite").unlink()
    with pytest.raises(JournalError, match="position 3 is missing, position 5 is there"):
        list(journal.read(ORIGIN))
    with pytest.raises(JournalError, match="position 4 is missing, position 5 is there"):
        list(journal.read(Position(3)))


def test_a_file_that_is_no_database_is_named(journal: Journal) -> None:
    (journal.folder / "2022-10-15.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(JournalError, match=r"2022-10-15.sqlite: file is not a database"):
        Journal.open(journal.folder)


def test_an_unknown_schema_is_refused_at_the_door(journal: Journal) -> None:
    journal.append(Configuration(NOON, "", "", (), schema=SCHEMA_VERSION + 1))
    with pytest.raises(JournalError, match=f"written in schema {SCHEMA_VERSION + 1}; this program reads"):
        Journal.open(journal.folder)


def test_a_read_only_journal_writes_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "absent", read_only=True)
    with pytest.raises(JournalError, match="read-only"):
        journal.append(CONFIGURATION)
    assert list(tmp_path.iterdir()) == []


# --- dead letters and retention --------------------------------------------------------------------------------------


def test_dead_letters_are_paged_newest_first_over_the_days(journal: Journal) -> None:
    for n in range(6):
        journal.append(batch(NOON + n * DAY_MS // 2, refused=3))

    pages, before = [], None
    while page := journal.dead_letters(limit=4, before_id=before):
        pages.append([kept.id for kept in page])
        before = page[-1].id

    assert pages == [[18, 17, 16, 15], [14, 13, 12, 11], [10, 9, 8, 7], [6, 5, 4, 3], [2, 1]]
    assert journal.dead_letter_counts() == {"not_json": 18}
    assert journal.dead_letters(limit=1)[0].letter.payload == b"?"


@pytest.fixture
def week(journal: Journal) -> Journal:
    """Seven days, from 2022-10-14: position 2 n + 2 is the last of day n."""
    journal.append_many([Start(NOON + n * DAY_MS) for n in range(7)])
    return journal


def test_retention_unlinks_whole_days_and_what_is_left_is_readable(week: Journal) -> None:
    reader = sqlite3.connect(week.folder / "2022-10-14.sqlite")
    reader.execute("SELECT count(*) FROM entry").fetchall()  # leaves a log beside the file
    gone = week.retain(3, NOON + 6 * DAY_MS, week.last)
    reader.close()

    assert gone == ["2022-10-14.sqlite", "2022-10-15.sqlite", "2022-10-16.sqlite"]
    assert not [path.name for path in week.folder.iterdir() if path.name < "2022-10-17"]
    found = everything(week.folder)
    assert isinstance(found[0][1], Configuration)
    assert [position for position, _ in found] == list(range(7, 15))
    assert list(Journal.open(week.folder).read(Position(9))) == found[3:]


@pytest.mark.parametrize(("needed_from", "days"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (13, 6), (14, 6)])
def test_retention_keeps_what_is_still_needed_and_the_newest(week: Journal, needed_from: int, days: int) -> None:
    assert len(week.retain(0, NOON + 99 * DAY_MS, Position(needed_from))) == days
    assert [position for position, _ in week.read(Position(needed_from))] == list(range(needed_from + 1, 15))
    assert Journal.open(week.folder).last == 14


def test_reading_from_before_what_is_kept_is_an_error(week: Journal) -> None:
    week.retain(0, NOON + 6 * DAY_MS, Position(6))
    with pytest.raises(JournalError, match="position 4 is missing"):
        list(week.read(Position(3)))


def test_an_entry_is_known_again_by_its_checksum(week: Journal, tmp_path: Path) -> None:
    found = [week.checksum_at(position) for position, _ in week.read(ORIGIN)]
    assert None not in found
    assert len(set(found)) == len(found) == week.last
    assert (week.checksum_at(ORIGIN), week.checksum_at(Position(week.last + 1))) == (None, None)
    week.close()
    shutil.copytree(week.folder, tmp_path / "copy")
    copy = Journal.open(tmp_path / "copy", read_only=True)
    assert [copy.checksum_at(Position(n)) for n in range(1, week.last + 1)] == found
    week.retain(3, NOON + 6 * DAY_MS, week.last)
    assert [week.checksum_at(Position(n)) for n in range(1, week.last + 1)] == [None] * 6 + found[6:]


# --- the lock of the data folder -------------------------------------------------------------------------------------

HOLDER = """
    import sys, time
    from pathlib import Path
    from ingest.data_folder import lock_folder
    lock = lock_folder(Path(sys.argv[1]))
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_who_has_the_folder_until_that_one_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(FolderLockedError, match=f"{tmp_path}: in use by process {holder.pid};"):
            lock_folder(tmp_path)
        holder.kill()
    with lock_folder(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(FolderLockedError):
            lock_folder(tmp_path)
    lock_folder(tmp_path).release()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="file: cannot be used as data folder: File exists"):
        lock_folder(tmp_path / "file")
    with pytest.raises(FolderError, match="cannot be used as data folder: Not a directory"):
        lock_folder(tmp_path / "file" / "below")
