"""The ledger of decisions: one transaction a turn, all of it or nothing, read from any thread."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.acting import Acted
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Incident, Member, Notice, Planned, Reason, Withheld
from alerts.incidents.publishing import CONTINUES_MS
from alerts.incidents.verbs import Act, Silence
from alerts.ledger.ledger import Ledger
from alerts.ledger.store import LedgerError
from ingest.entries import ORIGIN, Position
from processing.transitions import HealthEvent, LateBreach, Status, Transition

AT = 1_665_734_580_000
HOUR = 3_600_000
MEMBER = Member("tower", "depth", 2, AT, 0.1 + 0.2)
INCIDENT = Incident(
    "flood-A-1", "flood", "A", 2, 3, 2, AT, AT + 5, None, (MEMBER, replace(MEMBER, value=None)), 2, 7, 8
)
NOTICE = Notice("flood-A-1", 1, Reason.FIRST, "flood", "A", 2, 0, AT, AT + 1, MEMBER)
TRANSITION = Transition(AT, "tower", "depth", 0, 2, 0.1 + 0.2, AT + 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(path)
    yield opened
    opened.close()


def fill(ledger: Ledger, *rows: Incident) -> None:
    ledger.record(Position(ledger.position() + 1), AT + 10 * HOUR, incidents=rows)


def test_what_a_turn_decided_is_read_back_as_it_was(ledger: Ledger) -> None:
    over = replace(NOTICE, version=2, reason=Reason.OVER, cause=None, withheld=Withheld.UNMEASURED)
    ended = replace(TRANSITION, to=0, value=None)
    ledger.record(
        Position(7), AT, transitions=[TRANSITION, ended], incidents=[INCIDENT], outcome=Outcome([NOTICE, over]),
        health=[HealthEvent(AT, "tower", Status.OK, Status.SILENT)], snapshot="seven",
        late_breaches=[LateBreach("tower", "depth", AT, 3.5, AT + 1)],
    )  # fmt: skip

    assert ledger.position() == 7
    assert ledger.incident("flood-A-1") == INCIDENT
    assert ledger.open_incidents() == [INCIDENT]
    assert ledger.notices() == [(1, NOTICE), (2, over)]
    assert ledger.notices_of("flood-A-1") == [(1, NOTICE), (2, over)]
    assert ledger.transitions() == [(1, TRANSITION), (2, ended)]
    assert ledger.snapshots() == [("seven", 7)]
    assert ledger.last_seq() == 2
    counts = ledger.counts()
    assert (counts.transitions, counts.notices, counts.open_incidents) == (2, 2, 1)


def test_a_late_breach_is_one_row_however_often_its_reading_comes_again(ledger: Ledger) -> None:
    late = LateBreach("tower", "depth", AT, 3.5, AT + 1)
    others = [replace(late, at=AT + 1), replace(late, sensor="bridge"), replace(late, rule="rise")]

    assert ledger.record(Position(1), AT, late_breaches=[late, replace(late, value=9.0)]) == [late]
    again = [replace(late, arrival=AT + HOUR), others[0], *others]
    assert ledger.record(Position(2), AT, late_breaches=again) == others
    assert ledger.record(Position(3), AT, late_breaches=again) == []

    assert ledger.late_breaches() == [*reversed(others), late]


def test_a_ledger_of_another_version_is_refused_and_left_as_it_is(path: Path) -> None:
    Ledger.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE progress SET schema_version = 1")
        db.execute("DROP TABLE message")

    with pytest.raises(LedgerError, match="schema version 1, this program knows 3"):
        Ledger.open(path)
    with sqlite3.connect(path) as db:
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'message'").fetchone()


def test_a_new_ledger_is_empty_and_stands_before_the_first_entry(ledger: Ledger) -> None:
    assert ledger.position() == ORIGIN
    assert ledger.restorable() == []
    assert ledger.snapshots() == []
    assert ledger.incident("nothing") is None
    assert ledger.last_seq() == 0


def test_a_ledger_is_found_again_as_it_was_left(path: Path) -> None:
    first = Ledger.open(path)
    first.record(Position(3), AT, outcome=Outcome([NOTICE]), incidents=[INCIDENT])
    first.close()

    again = Ledger.open(path)
    assert (again.position(), again.open_incidents(), again.notices()) == (3, [INCIDENT], [(1, NOTICE)])
    again.close()


@pytest.mark.parametrize("position", [5, 4])
def test_the_position_only_grows(ledger: Ledger, position: int) -> None:
    ledger.record(Position(5), AT)

    with pytest.raises(LedgerError, match="not after"):
        ledger.record(Position(position), AT, transitions=[TRANSITION])
    assert ledger.transitions() == []


def test_a_turn_that_fails_in_the_middle_leaves_nothing_behind(ledger: Ledger) -> None:
    ledger.record(Position(1), AT, outcome=Outcome([NOTICE]))

    with pytest.raises(LedgerError, match=r"UNIQUE constraint failed: notice\.incident, notice\.version"):
        ledger.record(
            Position(2), AT, transitions=[TRANSITION], incidents=[INCIDENT], outcome=Outcome([NOTICE]), snapshot="s"
        )

    assert ledger.position() == 1
    assert ledger.transitions() == []
    assert ledger.open_incidents() == []
    assert ledger.snapshots() == []
    ledger.record(Position(2), AT, transitions=[TRANSITION])  # and the ledger goes on


def test_a_full_disk_is_an_error_that_leaves_nothing_behind_and_passes(ledger: Ledger) -> None:
    ledger.record(Position(1), AT)
    with ledger.store.writing() as db:
        pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
        db.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    many = [replace(TRANSITION, at=i) for i in range(2000)]
    with pytest.raises(LedgerError, match="full"):
        ledger.record(Position(2), AT, transitions=many)
    assert (ledger.position(), ledger.transitions()) == (1, [])

    with ledger.store.writing() as db:
        db.exec_driver_sql("PRAGMA max_page_count=1000000")
    ledger.record(Position(2), AT, transitions=many)
    assert ledger.counts().transitions == 2000


def test_an_incident_is_one_row_that_its_versions_rewrite(ledger: Ledger) -> None:
    fill(ledger, INCIDENT)
    fill(ledger, replace(INCIDENT, level=4, version=3))

    assert ledger.open_incidents() == [replace(INCIDENT, level=4, version=3)]


def test_a_restart_begins_with_open_incidents_and_those_that_a_rise_would_continue(ledger: Ledger) -> None:
    now = AT + 10 * HOUR
    recent = replace(INCIDENT, id="recent", closed_at=now - CONTINUES_MS)
    old = replace(INCIDENT, id="old", closed_at=now - CONTINUES_MS - 1, members=())
    stood_in = replace(INCIDENT, id="stood_in", closed_at=now - CONTINUES_MS - 1)
    fill(ledger, INCIDENT, recent, old, stood_in)

    assert ledger.restorable() == [INCIDENT, recent, stood_in]


def test_incidents_are_found_by_what_is_asked_and_page_by_page(ledger: Ledger) -> None:
    rows = [replace(INCIDENT, id=f"i{n}", opened_at=AT + n // 2, updated_at=AT + n) for n in range(7)]
    rows[2] = replace(rows[2], area="B", closed_at=AT)
    rows[3] = replace(rows[3], hazard="rain")
    fill(ledger, *rows)

    def ids(**asked: object) -> list[str]:
        found, cursor = ledger.incidents(**asked)  # type: ignore[arg-type]
        assert cursor is None
        return [row.id for row in found]

    assert ids() == ["i6", "i5", "i4", "i3", "i2", "i1", "i0"]
    assert ids(active=False) == ["i2"]
    assert ids(active=True, areas=["B"]) == []
    assert ids(hazards=["rain"]) == ["i3"]
    assert ids(since=AT + 5) == ["i6", "i5"]

    paged: list[str] = []
    cursor = None
    while True:
        page, cursor = ledger.incidents(cursor=cursor, limit=2)
        paged += [row.id for row in page]
        if cursor is None:
            break
    assert paged == ids()
    with pytest.raises(ValueError, match="invalid literal"):
        ledger.incidents(cursor="drop table")


def test_notices_are_resumed_after_the_last_one_seen(ledger: Ledger) -> None:
    ledger.record(Position(1), AT, outcome=Outcome([replace(NOTICE, version=v) for v in range(1, 6)]))

    assert [seq for seq, _ in ledger.notices(2, limit=2)] == [3, 4]
    assert ledger.notices(5) == []
    assert [number for number, _ in ledger.transitions(0)] == []


def test_reading_from_other_threads_sees_whole_turns_and_never_stops_the_writer(ledger: Ledger) -> None:
    stop, torn, failed = threading.Event(), [], []

    def read() -> None:
        try:
            while not stop.is_set():
                with ledger.store.reading() as db:
                    position = db.exec_driver_sql("SELECT position FROM progress").scalar_one()
                    notices = db.exec_driver_sql("SELECT count(*) FROM notice").scalar_one()
                if notices != position:
                    torn.append((position, notices))
        except LedgerError as error:
            failed.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for i in range(1, 101):
        ledger.record(Position(i), AT, outcome=Outcome([replace(NOTICE, version=i)]))
    stop.set()
    for reader in readers:
        reader.join()

    assert (torn, failed) == ([], [])


def test_the_file_is_kept_safe_by_wal_and_full_synchronisation(ledger: Ledger) -> None:
    with ledger.store.writing() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert db.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    with ledger.store.reading() as db, pytest.raises(Exception, match="readonly"):
        db.exec_driver_sql("DELETE FROM notice")


def test_a_file_that_is_no_ledger_is_named_in_the_error(tmp_path: Path) -> None:
    broken = tmp_path / "ledger.sqlite"
    broken.write_bytes(b"no database at all, but long enough to be read as one" * 20)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: file is not a database"):
        Ledger.open(broken)

    with pytest.raises(LedgerError, match="Not a directory"):
        Ledger.open(broken / "below" / "ledger.sqlite")


KILLED = """
import sys
from pathlib import Path
from alerts.acting import Acted
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason
from alerts.ledger.ledger import Ledger
from processing.transitions import Transition

ledger = Ledger.open(Path(sys.argv[1]))
position = ledger.position()
while True:
    position += 1
    notice = Notice("i", position, Reason.WORSE, "flood", "A", 2, 1, position, position, None)
    transitions = [Transition(n, "s", "r", 0, 1, 1.0, position) for n in range(20)]
    ledger.record(position, position, transitions=transitions, outcome=Outcome([notice]))
    print(position, flush=True)
"""


def test_what_was_recorded_survives_kill_minus_nine(path: Path) -> None:
    """Ten kills at moments that nobody chose: nothing said to be recorded is lost, no turn is there by half."""
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [int(child.stdout.readline()) for _ in range(7)]
            child.send_signal(signal.SIGKILL)
            said += [int(line) for line in child.stdout.read().split()]
        ledger = Ledger.open(path)
        position, counts = ledger.position(), ledger.counts()
        ledger.close()

        assert position >= said[-1]
        assert (counts.notices, counts.transitions) == (position, 20 * position)


def test_a_silence_that_ends_at_the_very_moment_of_the_last_entry_is_known_after_a_restart(ledger: Ledger) -> None:
    ending = Silence("works", AT, AT + HOUR, "why", "an")
    ledger.record_act(ORIGIN, Act(ending, "an", AT, "key"), Acted(AT), (), Outcome(), [ending])

    ledger.record(Position(7), AT + HOUR)
    assert ledger.silences() == [ending]  # time has been passed up to there, and not beyond

    ledger.record(Position(8), AT + HOUR + 1)
    assert ledger.silences() == []


def test_of_planned_outages_the_newest_word_in_each_area_is_known_again_until_they_are_over(ledger: Ledger) -> None:
    def said(id_: str, area: str, version: int) -> Notice:
        planned = Planned(AT + HOUR, AT + 2 * HOUR, "PC")
        return replace(NOTICE, incident=f"{id_}.{area}", area=area, version=version, planned=planned, event=id_)

    def planned(id_: str, until: int) -> Silence:
        return Silence(id_, AT, until, "PC", "an", hazard="power", areas=("A", "B"), planned=True)

    notices = [said("outage-1", "A", 1), said("outage-1", "B", 1), said("outage-1", "A", 2), said("outage-10", "A", 1),
               said("outage-2", "A", 1), NOTICE]  # fmt: skip
    ledger.record(Position(1), AT, outcome=Outcome(notices))
    standing = (planned("outage-1", AT + HOUR), planned("outage-10", AT + HOUR), planned("outage-2", AT + 1))
    for one in standing:
        act = Act(one, "an", AT + 2, one.id)
        ledger.record_act(Position(1), act, Acted(AT + 2, (), ()), (), Outcome(), standing)

    assert [(n.incident, n.version) for n in ledger.announced()] == [
        ("outage-1.A", 2), ("outage-1.B", 1), ("outage-10.A", 1),
    ]  # fmt: skip
