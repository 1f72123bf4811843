"""The CAP desk: exactly one document a version, kept before it goes out, a chain that a stranger can follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from brokers import Client, Mosquitto, until
from cap_reader import Receiver
from cap_scenes import AT, CITY, HOUR, OFFICIAL, SQUARE, own_faults
from cap_schema import schema_faults
from cap_stage import MINUTE, Stage
from conftest import Tally

from alerts.delivery.cap import CapDesk, CapMeans
from alerts.delivery.cap_topics import DRILL_TOPIC, TOPIC
from alerts.incidents.incident import Hand, Planned, Reason, Withheld
from alerts.ledger.cap import CapStore, Kept
from alerts.ledger.store import LedgerError
from alerts.words.cap_in import received
from ingest.mqtt.publisher import MqttPublisher

FIRST, WORSE, EASED, OVER = Reason.FIRST, Reason.WORSE, Reason.EASED, Reason.OVER
HERE, DRILL_HERE = TOPIC.format(area="20260"), DRILL_TOPIC.format(area="20260")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def kinds(stage: Stage) -> list[str]:
    return [received(document).msg_type for document in stage.broker.documents]


# -- which versions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hazard", "level", "told"),
    [("rain", 2, True), ("flood", 3, True), ("power", 4, True), ("flood", 1, False), ("school", 4, False),
     ("toilet", 3, False)],
)  # fmt: skip
def test_public_hazards_are_told_from_warning(stage: Stage, hazard: str, level: int, told: bool) -> None:
    stage.version(FIRST, level, hazard=hazard)
    stage.turn()
    assert kinds(stage) == (["Alert"] if told else [])


def test_what_a_person_warns_of_is_told_whatever_it_is(stage: Stage) -> None:
    stage.version(FIRST, 3, hazard="landslide", hand=Hand("landslide", 3, AT + HOUR, "an", (("Nơi", "Hải Vân"),)))
    stage.turn()
    (document,) = stage.broker.documents
    assert received(document).infos[0].event_codes == (("OET:v1.2", "OET-119"),)


def test_a_version_has_one_document_and_versions_make_a_chain(stage: Stage) -> None:
    for minute, (reason, level) in enumerate([(FIRST, 1), (WORSE, 2), (WORSE, 4), (EASED, 3), (EASED, 1), (OVER, 0)]):
        stage.now = AT + minute * 10 * MINUTE
        stage.version(reason, level)
        stage.turn()
    assert stage.names == [f"flood.20260.{version}.0" for version in (2, 3, 4, 5, 6)]
    assert kinds(stage) == ["Alert", "Update", "Update", "Update", "Update"]
    assert received(stage.broker.documents[-1]).infos[0].response_types == ("AllClear",)


def test_what_is_only_planned_is_no_alert_nor_is_its_end(stage: Stage) -> None:
    was = stage.version(FIRST, 3, hazard="power")
    planned = Planned(AT + HOUR, AT + 2 * HOUR, "PC: feeder 471")
    told = replace(was, incident="outage-1.20260", reason=Reason.PLANNED, level=1, cause=None, planned=planned)
    off = replace(told, version=2, reason=Reason.CALLED_OFF, level=0)
    stage.record([], [told, off])
    stage.turn()
    assert kinds(stage) == ["Alert"]


def test_an_end_of_what_was_never_told_is_not_told(stage: Stage) -> None:
    stage.version(FIRST, 1)
    stage.version(OVER, 0)
    stage.turn()
    assert stage.broker.came == []


def test_an_end_that_nobody_measured_is_no_all_clear(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.turn()
    stage.version(OVER, 0, withheld=Withheld.UNMEASURED)
    stage.turn()
    assert kinds(stage) == ["Alert"]
    assert stage.store.standing(stage.now)
    stage.now += 2 * HOUR
    stage.turn()
    assert (kinds(stage), stage.store.standing(stage.now), stage.broker.retained) == (["Alert"], [], {})


def test_what_residents_are_spared_is_still_told_to_machines(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.version(EASED, 2, withheld=Withheld.ONE_LEVEL)
    stage.turn()
    assert kinds(stage) == ["Alert", "Update"]


def test_what_should_never_have_been_said_is_cancelled(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.version(Reason.WITHDRAWN, 0)
    stage.turn()
    assert kinds(stage) == ["Alert", "Cancel"]


def test_a_drill_has_its_own_topic_and_a_real_incident_ends_it(stage: Stage) -> None:
    stage.version(FIRST, 3, drill=True)
    stage.turn()
    assert {topic for topic, _, _ in stage.broker.came} == {DRILL_HERE}
    stage.version(Reason.STOPPED, 0, drill=True)
    stage.version(FIRST, 3)
    stage.turn()
    begun, stopped, real = (received(document) for document in stage.broker.documents)
    assert [begun.status, stopped.status, real.status] == ["Exercise", "Exercise", "Actual"]
    assert (stopped.msg_type, stopped.infos[0].response_types) == ("Update", ("AllClear",))
    assert (real.msg_type, real.references) == ("Alert", ())


def test_on_the_clock_of_the_data_everything_is_an_exercise(tmp_path: Path) -> None:
    stage = Stage(tmp_path, clock="data")
    stage.version(FIRST, 3)
    stage.turn()
    stage.close()
    (document,) = stage.broker.documents
    assert received(document).status == "Exercise"
    assert received(document).infos[1].headline.startswith("EXERCISE. ")


def test_an_end_holds_where_the_warning_held(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.version(OVER, 0)
    stage.turn()
    first, last = (received(document).infos[0].areas[0] for document in stage.broker.documents)
    assert first.circles == last.circles != ()
    assert first.polygons == last.polygons != ()


def test_the_official_level_stands_in_what_is_said_while_it_holds(stage: Stage) -> None:
    stage.announced(OFFICIAL)
    stage.version(FIRST, 3)
    stage.turn()
    stage.announced(replace(OFFICIAL, level=0))
    stage.version(WORSE, 4)
    stage.turn()
    with_it, without = (dict(received(document).infos[0].parameters) for document in stage.broker.documents)
    assert with_it["vn:capDoRuiRo"] == "3"
    assert without == {}


def test_one_that_is_announced_for_tomorrow_leaves_in_force_what_holds_today(stage: Stage) -> None:
    stage.announced(OFFICIAL)
    tomorrow = replace(OFFICIAL, level=4, valid_from=stage.now + 60 * MINUTE)
    stage.announced(tomorrow)
    assert stage.store.official(stage.now) == OFFICIAL
    assert stage.store.official(tomorrow.valid_from) == tomorrow
    assert stage.store.official(tomorrow.valid_until) is None
    stage.announced(replace(OFFICIAL, level=0))
    assert stage.store.official(stage.now) is None


# -- renewal and time ----------------------------------------------------------------------------------------------


def test_a_warning_is_renewed_at_half_life_while_it_is_open(stage: Stage) -> None:
    stage.version(FIRST, 3)
    for minute in range(0, 5 * 60 + 1, 5):
        stage.now = AT + minute * MINUTE
        stage.turn()
    assert stage.names == [f"flood.20260.1.{renewal}" for renewal in range(6)]
    times = [datetime.fromisoformat(received(document).sent) for document in stage.broker.documents]
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {3600}
    assert stage.desk.counters["canhbao_cap_faulty_total"] == 0
    stage.version(OVER, 0)
    for minute in range(5 * 60, 8 * 60, 5):
        stage.now = AT + minute * MINUTE
        stage.turn()
    assert stage.names[6:] == ["flood.20260.2.0"]
    assert stage.broker.retained == {}


def test_after_a_long_silence_of_ours_a_warning_begins_anew(stage: Stage) -> None:
    """What expired is gone for everybody: an update of it would update nothing."""
    stage.version(FIRST, 3)
    stage.turn()
    stage.now += 3 * HOUR
    stage.turn()
    assert kinds(stage) == ["Alert", "Alert"]
    stage.now += 3 * HOUR
    stage.version(OVER, 0)
    stage.turn()
    last = received(stage.broker.documents[-1])
    assert last.msg_type == "Update"
    assert [reference.split(",")[1] for reference in last.references] == ["flood.20260.20251027T0400Z.1.1"]


def test_versions_that_newer_ones_followed_hours_ago_are_not_told_any_more(stage: Stage) -> None:
    for level in (2, 3, 4):
        stage.version(WORSE if level > 2 else FIRST, level)
    stage.now += 3 * HOUR
    stage.turn()
    assert stage.names == ["flood.20260.3.0"]


def test_a_clock_that_was_set_back_sends_nothing_before_its_predecessors(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.turn()
    stage.now -= HOUR
    stage.rows["flood.20260.20251027T0400Z"]  # it is there
    stage.version(WORSE, 4)
    stage.turn()
    first, second = (received(document) for document in stage.broker.documents)
    assert (second.msg_type, second.sent) == ("Update", first.sent)
    assert len(second.references) == 1


def test_a_day_of_pulses_read_by_a_stranger(tally: Tally) -> None:
    """The reader is written from the standard: whenever one looks exactly what stands is in force, and nothing else."""
    tally.all_hold(_day, few=1, many=100)


def _day(seed: int) -> None:
    random, reader, level = Random(seed), Receiver(), 0
    with TemporaryDirectory() as folder, closing(Stage(Path(folder))) as stage:
        for minute in range(0, 26 * 60, 4):
            stage.now = AT + minute * MINUTE
            wanted = _pulse(minute)
            if wanted != level and (wanted > level or random.random() < 0.3):
                reason = OVER if not wanted else FIRST if not level else WORSE if wanted > level else EASED
                stage.version(reason, wanted)
                level = wanted
            stage.turn()
            for document in stage.broker.documents[len(reader.held) :]:
                reader.take(document)
            now = datetime.fromtimestamp(stage.now / 1000, UTC)
            in_force = [one.severity for one in reader.in_force(now)]
            assert in_force == ([["Minor", "Moderate", "Severe", "Extreme"][level - 1]] if level else []), minute
        assert all(schema_faults(document) == [] == own_faults(document) for document in stage.broker.documents[::5])
    assert reader.problems == []
    assert len(reader.held) > 40


def _pulse(minute: int) -> int:
    """Four hours of flood that comes and goes, an hour of nothing; the level of each minute, never 1 at first."""
    hour, part = divmod(minute, 60)
    if hour % 5 == 4:
        return 0
    return (2, 3, 2, 4, 3, 1)[(hour + part // 12) % 6] if minute % 300 > 10 else 2


# -- crashes, faults, full disks ------------------------------------------------------------------------------------


def test_a_crash_before_publishing_sends_the_same_document_and_makes_no_other(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.broker.down = True
    with pytest.raises(TimeoutError):
        stage.turn()
    (kept,) = stage.store.unpublished()
    stage.close()
    stage.now += 7 * MINUTE
    stage.broker.down = False
    stage.open()
    stage.turn()
    assert stage.broker.documents == [kept.xml.encode()]
    assert stage.broker.retained == {HERE: kept.xml.encode()}


def test_a_crash_after_publishing_repeats_the_same_document(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.version(FIRST, 3)
    with monkeypatch.context() as patch:
        patch.setattr(CapStore, "mark_published", _full)
        with pytest.raises(LedgerError):
            stage.turn()
    stage.close()
    stage.open()
    stage.turn()
    assert set(stage.names) == {"flood.20260.1.0"}
    assert len(set(stage.broker.documents)) == 1


def _full(*_: object, **__: object) -> None:
    raise LedgerError("disk full")


def test_while_the_ledger_takes_nothing_nothing_is_said_and_nothing_is_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.version(FIRST, 3)
    with monkeypatch.context() as patch:
        patch.setattr(CapStore, "keep", _full)
        with pytest.raises(LedgerError):
            stage.turn()
    assert stage.broker.came == []
    stage.turn()
    assert stage.names == ["flood.20260.1.0"]


def test_wherever_it_is_interrupted_each_version_has_one_document(tally: Tally) -> None:
    """Calls of the ledger fail in turn, and it starts again; the reader finds no hole and no double."""
    tally.all_hold(_interrupted, few=4, many=200)


def _interrupted(seed: int) -> None:
    random, reader, interruptions = Random(seed), Receiver(), 0
    versions = [(FIRST, 2), (WORSE, 3), (WORSE, 4), (EASED, 2), (OVER, 0)]
    with TemporaryDirectory() as folder, closing(Stage(Path(folder))) as stage:
        for n, (reason, level) in enumerate(versions):
            stage.now = AT + n * 20 * MINUTE
            stage.version(reason, level)
            for _ in range(3):
                with pytest.MonkeyPatch.context() as patch:
                    name = random.choice(["keep", "mark_published", "standing", "unpublished", "newest", "cursor"])
                    patch.setattr(CapStore, name, _full)
                    try:
                        stage.desk.turn()
                    except LedgerError:
                        interruptions += 1
                stage.close()
                stage.open()
        stage.turn()
    for document in stage.broker.documents:
        reader.take(document)
    assert reader.problems == []
    assert interruptions >= 5
    assert [key[1].rsplit(".", 2)[1:] for key in reader.held] == [[str(n), "0"] for n in range(1, 6)]


def test_while_delivery_is_held_after_a_restore_nothing_is_made(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.shut = True
    stage.turn()
    assert (stage.broker.came, stage.store.standing(stage.now)) == ([], [])
    stage.shut = False
    stage.turn()
    assert kinds(stage) == ["Alert"]


def test_a_document_that_is_faulty_loses_its_outline_first(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    crossed = (SQUARE[0], SQUARE[2], SQUARE[1], SQUARE[3], SQUARE[4])
    desk = _desk(stage, CapMeans(outlines={"20260": (crossed,)}))
    stage.version(FIRST, 3)
    with caplog.at_level(logging.ERROR):
        desk.turn()
    (document,) = stage.broker.documents
    assert (received(document).infos[0].areas[0].polygons, own_faults(document)) == ((), [])
    assert "polygon crosses itself" in caplog.text
    assert desk.counters["canhbao_cap_faulty_total"] == 1


def test_a_document_that_stays_faulty_does_not_leave_and_holds_up_nothing(stage: Stage) -> None:
    desk = _desk(stage, CapMeans(sender="no, not this"))
    stage.version(FIRST, 3)
    stage.version(FIRST, 3, hazard="rain")
    while desk.turn():
        pass
    assert stage.broker.came == []
    assert desk.counters["canhbao_cap_faulty_total"] >= 2
    assert stage.store.cursor() == 2


def test_a_text_that_cannot_be_made_holds_up_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.version(FIRST, 3)
    with monkeypatch.context() as patch:
        patch.setattr("alerts.delivery.cap.cap_texts", lambda *_, **__: {}["no text"])
        stage.turn()
    stage.version(WORSE, 4)
    stage.turn()
    assert kinds(stage) == ["Alert"]


def _desk(stage: Stage, means: CapMeans) -> CapDesk:
    return CapDesk(stage.store, stage.ledger, stage.broker, lambda: stage.view, means, now_ms=lambda: stage.now)


# -- topics --------------------------------------------------------------------------------------------------------


def retained(stage: Stage) -> str:
    return received(stage.broker.retained[HERE]).identifier.replace("20260.20251027T0400Z.", "")


def test_retained_is_what_warns_before_what_ends(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.turn()
    stage.version(FIRST, 2, hazard="rain")
    stage.turn()
    assert retained(stage) == "rain.1.0"
    stage.version(OVER, 0, hazard="rain")
    stage.turn()
    assert retained(stage) == "flood.1.0"
    assert stage.broker.came[-2][2] is False  # the end of the rain was told, and is not what stands
    stage.version(OVER, 0)
    stage.turn()
    assert retained(stage) == "flood.2.0"
    stage.now += HOUR
    stage.turn()
    assert stage.broker.retained == {}


def test_after_a_lost_session_everything_that_stands_is_told_again(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.turn()
    stage.broker.retained = {DRILL_HERE: b"left by somebody"}
    stage.version(FIRST, 3, drill=True)
    stage.version(OVER, 0, drill=True)
    stage.turn()
    stage.now += HOUR - MINUTE
    stage.broker.retained = {DRILL_HERE: b"long over"}
    stage.now += 2 * MINUTE
    stage.desk.session_lost()
    stage.turn()
    assert set(stage.broker.retained) == {HERE}
    assert retained(stage) == "flood.1.1"


@pytest.mark.server("mosquitto")
def test_on_a_real_broker_a_late_listener_finds_what_stands(
    stage: Stage, tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]
) -> None:
    port = free_port()
    broker = Mosquitto(program("mosquitto"), tmp_path, port)
    broker.start()
    publisher = MqttPublisher(broker.url, "collector-out", "")
    publisher.start()
    try:
        until(lambda: publisher.connected)
        desk = CapDesk(stage.store, stage.ledger, publisher, lambda: stage.view, CapMeans(), now_ms=lambda: stage.now)
        publisher.on_session = desk.session_lost
        stage.version(FIRST, 3)
        stage.version(FIRST, 3, drill=True)
        desk.turn()
        desk.turn()
        _finds(port, {HERE: "Actual", DRILL_HERE: "Exercise"})
        broker.kill()
        broker.start()  # it has forgotten everything
        until(lambda: publisher.connected and _tried(desk))
        _finds(port, {HERE: "Actual", DRILL_HERE: "Exercise"})
        stage.version(OVER, 0)
        stage.version(OVER, 0, drill=True)
        while desk.turn():
            pass
        stage.now += HOUR
        desk.turn()
        _finds(port, {})
    finally:
        publisher.stop()
        broker.kill()


def _tried(desk: CapDesk) -> bool:
    desk.turn()
    return True


def _finds(port: int, wanted: dict[str, str]) -> None:
    with Client(port, "canhbao/v1/cap/+", "canhbao/v1/drill/cap/+", "canhbao/v1/end") as listener:
        with Client(port) as other:
            other.publish("canhbao/v1/end", b"end")
        until(lambda: any(topic.endswith("/end") for topic, _, _ in listener.heard))
        found = {topic: received(payload).status for topic, payload, _ in listener.heard if payload != b"end"}
    assert found == wanted


# -- limits --------------------------------------------------------------------------------------------------------


def test_renewals_are_forgotten_after_a_month_and_versions_are_not(stage: Stage) -> None:
    stage.version(FIRST, 3)
    stage.turn()
    stage.now += HOUR
    stage.turn()
    stage.now += HOUR
    stage.turn()
    assert stage.store.forget(stage.now + 40 * 24 * HOUR) == 1  # the newest stands
    assert [stage.store.document(f"flood.20260.20251027T0400Z.1.{n}") is not None for n in range(3)] == [
        True, False, True
    ]  # fmt: skip


def test_of_what_comes_from_elsewhere_the_newest_stay(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.ledger.cap.RECEIVED_MOST", 20)
    for n in range(25):
        assert stage.store.receive(("s", str(n), "t"), Kept(n, "an", f"<{n}/>"))
    assert not stage.store.receive(("s", "20", "t"), Kept(0, "an", "again"))
    kept = stage.store.received(100)
    assert (len(kept), kept[0].at, kept[-1].at) == (20, 24, 5)


def test_a_city_in_danger_is_told_in_one_night(stage: Stage) -> None:
    """94 wards at once: a document each, all of one event, none of them too large for a broker."""
    for area in CITY.areas:
        stage.version(FIRST, 3, area=area, event="city.20251027T0400Z")
    stage.turn()
    assert len(stage.broker.retained) == len(CITY.areas) == 94
    assert {received(document).incidents for document in stage.broker.documents} == {("city.20251027T0400Z",)}
    assert max(map(len, stage.broker.documents)) < 60_000
