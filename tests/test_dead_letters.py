"""Driving dead letters again: the way of a reading, the mark after the commit, and what a crash leaves between."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import Tally
from listening import wait_until
from test_spine import CITY, MINUTE, NOON, CrashError, World

from alerts import letters as letters_module
from alerts.driving import WAITING_MOST, BusyError, Desk, Drive, UnsureError
from alerts.ledger import schema
from alerts.ledger.marks import Marks
from alerts.ledger.store import LedgerError
from alerts.letters import SOME_MOST, CutLetterError, Letter, Letters
from alerts.spine import Spine
from ingest.day_file import Wanted
from ingest.entries import Batch, Position
from ingest.inbox import Message
from ingest.journal import JournalError

BOOT = "9f0c31d2a7b84e65"
NEW = '[[sensor]]\nid = "new"\nquantity = "water_level"\narea = "20242"\ngateway = "gw-1"\nperiod = "60s"\n'
METER = ('[[sensor]]\nid = "meter"\nquantity = "rain"\narea = "20242"\ngateway = "gw-1"\nperiod = "60s"\n'
         "counter = true\n")  # fmt: skip


def payload(*readings: tuple[str, int, float | str | None], seq: int | None = None) -> bytes:
    numbering = {} if seq is None else {"boot": BOOT, "seq": seq, "first": 1}
    return json.dumps({**numbering, "readings": [{"sensor": s, "t": t, "v": v} for s, t, v in readings]}).encode()


class Office(World):
    """A world with an operator in it: a desk, and letters over journal and ledger."""

    def open(self) -> Spine:
        self.desk = Desk(lambda: None)
        self.asked = self.desk.take
        spine = self.start()
        assert self.stores is not None
        self.letters = Letters(self.stores.journal, Marks(self.stores.ledger.store), self.desk)
        return spine

    def refuse(self, spine: Spine, *payloads: bytes, topic: str = "canhbao/v1/gw-1/readings") -> None:
        """These come from the broker, one after the other."""
        for one in payloads:
            self.waiting = [Message(topic, one, False, 1, 1, 1)]
            spine.turn()
        self.waiting = []

    def all(self, wanted: Wanted = Wanted()) -> Sequence[Letter]:  # noqa: B008  # frozen
        return self.letters.page(wanted, before_id=None, limit=1000).letters

    def readings(self) -> list[tuple[int, int, float]]:
        """(sensor number, t, value) of the journal, in order."""
        return [row for entry in self.entries() if isinstance(entry, Batch)
                for row in zip(entry.readings.sensor.tolist(), entry.readings.t.tolist(),
                               entry.readings.value.tolist(), strict=True)]  # fmt: skip

    @contextmanager
    def turning(self, spine: Spine) -> Iterator[None]:
        """The spine's thread."""
        ended = threading.Event()

        def turn() -> None:
            while not ended.wait(0.002):
                spine.turn()

        thread = threading.Thread(target=turn)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.end()


def known_now(office: Office, *readings: tuple[str, int, float | None], more: str = NEW) -> Spine:
    """Readings of a sensor that was not in the registry, and then was."""
    spine = office.open()
    office.refuse(spine, *(payload(one, seq=n) for n, one in enumerate(readings, 1)))
    office.city = CITY + more
    office.now += MINUTE
    return office.open()


def test_a_letter_of_an_unknown_sensor_goes_the_way_of_a_reading_once_the_sensor_is_known(office: Office) -> None:
    spine = known_now(office, ("new", NOON, 1.2))
    (letter,) = office.all()
    assert (letter.kept.letter.reason, letter.settled) == ("unknown_sensor", False)

    with office.turning(spine):
        driven = office.letters.drive(letter, "operator")

    assert (driven.accepted, driven.duplicates, driven.refused, driven.at) == (1, 0, {}, office.now)
    assert office.readings() == [(2, NOON, 1.2)]
    assert spine.way.journal.last == driven.position
    assert [line for line in office.told() if '"sensor":"new"' in line] != [], "it is fresh, so it is judged"
    (letter,) = office.all()
    assert letter.settled
    assert list(letter.drivings) == [driven]
    assert spine.counters["canhbao_driven_total"] == 1


def test_driven_twice_is_a_duplicate_and_changes_nothing(office: Office) -> None:
    spine = known_now(office, ("new", NOON, 1.2))
    with office.turning(spine):
        office.letters.drive(office.all()[0], "operator")
        before = spine.way.journal.last
        again = office.letters.drive(office.all()[0], "operator")
        assert spine.way.journal.last == before

    assert (again.accepted, again.duplicates, again.position, again.settled) == (0, 1, None, True)
    assert len(office.all()[0].drivings) == 2


def test_a_letter_with_old_readings_is_stored_and_rings_no_bell(office: Office) -> None:
    spine = known_now(office, ("new", NOON, 3.0))
    office.now += 16 * MINUTE
    with office.turning(spine):
        assert office.letters.drive(office.all()[0], "operator").accepted == 1

    assert office.readings() == [(2, NOON, 3.0)]
    assert office.told() == []
    assert len(office.rows(schema.late_breach)) == 1, "operators see that it would have been one"


def test_what_was_accepted_of_the_message_is_not_taken_for_new(office: Office) -> None:
    spine = office.open()
    office.refuse(spine, payload(("river", NOON, 0.4), ("new", NOON, 0.5), ("new", NOON + 1, "x")))
    assert sorted(letter.kept.letter.reason for letter in office.all()) == ["not_a_number", "unknown_sensor"]
    office.city = CITY + NEW
    spine = office.open()

    with office.turning(spine):
        first, second = (office.letters.drive(letter, "operator") for letter in reversed(office.all()))

    assert (first.accepted, first.duplicates, first.refused) == (1, 1, {"not_a_number": 1})
    assert (second.accepted, second.duplicates, second.refused) == (0, 2, {"not_a_number": 1})
    assert office.readings() == [(0, NOON, 0.4), (2, NOON, 0.5)]


def test_what_was_measured_just_now_was_measured_when_the_letter_came_and_not_when_it_is_driven(office: Office) -> None:
    spine = office.open()
    office.refuse(spine, b'[{"n":"new","u":"m","v":1.2}]', topic="canhbao/v1/gw-1/readings/senml")
    came = office.now
    office.city = CITY + NEW
    office.now += 24 * 60 * MINUTE
    spine = office.open()
    with office.turning(spine):
        driven = [office.letters.drive(office.all()[0], "operator") for _ in range(2)]

    assert [(one.accepted, one.duplicates) for one in driven] == [(1, 0), (0, 1)]
    assert office.readings() == [(2, came, 1.2)]
    assert office.told() == [], "it is a day old: no warning of now"


def test_what_is_refused_again_stays_one_letter_and_says_why(office: Office) -> None:
    spine = office.open()
    office.refuse(spine, payload(("new", NOON, 0.5)))
    with office.turning(spine):
        driven = office.letters.drive(office.all()[0], "operator")

    assert (driven.refused, driven.settled, driven.position) == ({"unknown_sensor": 1}, False, None)
    (letter,) = office.all()
    assert not letter.settled
    assert len(letter.drivings) == 1


def test_a_corrected_payload_and_topic_are_what_is_sent_and_the_letter_keeps_what_came(office: Office) -> None:
    spine = office.open()
    office.refuse(spine, b"river 0.7", topic="canhbao/v1/gw-9/readings")
    with office.turning(spine):
        driven = office.letters.drive(
            office.all()[0], "operator", topic="canhbao/v1/gw-1/readings", payload=payload(("river", NOON, 0.7))
        )

    assert driven.corrected
    assert driven.accepted == 1
    (letter,) = office.all()
    assert (letter.kept.letter.payload, letter.kept.letter.topic) == (b"river 0.7", "canhbao/v1/gw-9/readings")


def test_no_letter_gives_a_gateway_leave_to_delete(office: Office) -> None:
    spine = office.open()
    office.refuse(spine, payload(("new", NOON, 0.5), seq=1))
    heard, state = list(office.published), spine.way.folds.receipts.to_state()
    with office.turning(spine):
        office.letters.drive(office.all()[0], "operator", payload=payload(("river", NOON, 0.5), seq=9))
        office.letters.drive(office.all()[0], "operator")

    assert len(office.readings()) == 1
    assert office.published == heard, "a receipt for 9 would let the gateway forget 2 to 8"
    assert spine.way.folds.receipts.to_state() == state


def test_a_letter_that_was_cut_is_driven_only_with_its_whole_payload(office: Office) -> None:
    spine = office.open()
    office.refuse(spine, payload(("river", NOON, 0.5)) + b" " * 20_000)
    (letter,) = office.all()
    assert letter.cut

    with office.turning(spine):
        with pytest.raises(CutLetterError, match="16001"):
            office.letters.drive(letter, "operator")
        tour = office.letters.drive_some(Wanted(), "operator", after_id=0, limit=10)
        assert (tour.driven, tour.cut) == (0, 1)
        assert office.letters.drive(letter, "operator", payload=payload(("river", NOON, 0.5))).accepted == 1


@pytest.mark.parametrize(
    ("topic", "retained", "reason"),
    [("canhbao/v1/gw-1/readings", True, "retained"), ("canhbao/v1/gw-1/elsewhere", False, "wrong_shape"),
     ("application/a/device/x/event/up", False, "unknown_sensor")],
)  # fmt: skip
def test_a_letter_that_was_cut_says_so_whatever_it_was_refused_for(
    office: Office, topic: str, retained: bool, reason: str
) -> None:
    office.prefixes = {"chirpstack": "application"}
    spine = office.open()
    most = 65_536 if reason == "unknown_sensor" else 16_000
    for size in (most, most + 1, 2 * most):
        office.waiting = [Message(topic, payload(("river", NOON, 0.5)).ljust(size), retained, 1, 1, 1)]
        spine.turn()

    assert {letter.kept.letter.reason for letter in office.all()} == {reason}
    assert [letter.cut for letter in reversed(office.all())] == [False, True, True]


UPLINK = "application/a/device/24e124713c141234/event/up"
SWL = ('[[sensor]]\nid = "swl"\nquantity = "street_depth"\narea = "20242"\n'
       'decoder = { network = "chirpstack", id = "24e124713c141234", field = "depth", unit = "cm" }\n')  # fmt: skip


def uplink(gateways: int) -> bytes:
    """What ChirpStack says of a frame that so many gateways heard."""
    heard = {"gatewayId": "0016c001f153a14c", "uplinkId": 4217106255, "nsTime": "2022-10-14T05:00:00.123456789+00:00",
             "rssi": -57, "snr": 10.0, "channel": 2, "location": {"latitude": 16.06, "longitude": 108.21},
             "context": "E3OWOQ==", "crcStatus": "CRC_OK"}  # fmt: skip
    return json.dumps(
        {"time": "2022-10-14T05:00:00+00:00", "object": {"depth": 12.0}, "rxInfo": [heard] * gateways}
    ).encode()


def test_an_uplink_that_many_gateways_heard_is_driven_as_it_came_once_its_device_is_known(office: Office) -> None:
    office.prefixes = {"chirpstack": "application"}
    spine = office.open()
    sent = uplink(85)
    assert 20_000 < len(sent) < 25_000
    office.refuse(spine, sent, topic=UPLINK)
    (letter,) = office.all()
    assert (letter.kept.letter.reason, letter.kept.letter.payload, letter.cut) == ("unknown_sensor", sent, False)
    office.city = CITY + SWL
    spine = office.open()

    with office.turning(spine):
        driven = office.letters.drive(letter, "operator")

    assert (driven.accepted, driven.refused) == (1, {})
    assert office.readings() == [(2, NOON, pytest.approx(0.12))]


class Dying(Marks):
    def mark(self, *_: Any) -> None:
        raise CrashError


def test_a_crash_before_the_mark_leaves_a_letter_that_is_driven_again_and_a_reading_that_is_there_once(
    office: Office,
) -> None:
    spine = known_now(office, ("new", NOON, 1.2))
    assert office.stores is not None
    spine._marks = Dying(office.stores.ledger.store)
    letter = office.all()[0]
    (asked,) = office.desk.ask([drive(letter)])
    with pytest.raises(CrashError):
        spine.turn()
    assert not asked.answer.done(), "answered before it was marked"
    assert len(office.readings()) == 1

    spine = office.open()
    assert not office.all()[0].settled
    with office.turning(spine):
        again = office.letters.drive(office.all()[0], "operator")
    assert (again.accepted, again.duplicates) == (0, 1)
    assert office.all()[0].settled
    assert len(office.readings()) == 1


def drive(letter: Letter) -> Drive:
    kept = letter.kept
    return Drive(kept.id, kept.position, kept.letter.arrival, kept.letter.topic, kept.letter.payload, "operator")


def test_a_crash_before_the_journal_has_it_leaves_no_mark(office: Office) -> None:
    spine = known_now(office, ("new", NOON, 1.2))
    assert office.stores is not None
    office.stores.journal.append = _crash  # type: ignore[method-assign]
    office.desk.ask([drive(office.all()[0])])
    with pytest.raises(CrashError):
        spine.turn()

    office.open()
    assert office.readings() == []
    assert office.all()[0].drivings == ()


def _crash(_: object) -> Position:
    raise CrashError


def _crash_after(append: Callable[[Any], Position]) -> Callable[[Any], Position]:
    def then_crash(entry: Any) -> Position:
        append(entry)
        raise CrashError

    return then_crash


def test_while_the_ledger_refuses_the_mark_nobody_is_told_that_it_is_done(office: Office) -> None:
    spine = known_now(office, ("new", NOON, 1.2))
    refusals = [3]
    mark = spine._marks.mark

    def refusing(*arguments: Any) -> None:
        assert not asked.answer.done()
        if refusals[0]:
            refusals[0] -= 1
            raise LedgerError("database or disk is full")
        mark(*arguments)

    spine._marks.mark = refusing  # type: ignore[method-assign]
    (asked,) = office.desk.ask([drive(office.all()[0])])
    spine.turn()

    assert asked.answer.result(0).accepted == 1
    assert office.all()[0].settled


def test_while_the_journal_refuses_a_call_ends_and_what_waited_is_not_driven_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters_module, "WAIT_S", 0.1)
    spine = known_now(office, ("new", NOON, 1.2))
    letter = office.all()[0]
    with pytest.raises(BusyError):  # nobody turns
        office.letters.drive(letter, "operator")
    spine.turn()
    assert office.readings() == []

    append, refusing = spine.way.journal.append, threading.Event()

    def full(entry: Any) -> Position:
        if refusing.is_set():
            raise JournalError("database or disk is full")
        return append(entry)

    spine.way.journal.append = full  # type: ignore[method-assign]
    object.__setattr__(spine._clock, "pause", lambda _: refusing.wait(0.001) and False)
    refusing.set()
    with office.turning(spine):
        with pytest.raises(UnsureError):
            office.letters.drive(letter, "operator")
        refusing.clear()
    assert office.all()[0].settled, "it was under way, and the mark tells what became of it"


def test_many_letters_are_driven_in_the_order_they_came_and_what_is_settled_is_passed_over(office: Office) -> None:
    """In any other order a counter's older totals would be late and book nothing."""
    totals = [("meter", NOON - (9 - n) * MINUTE, 0.2 * n) for n in range(9)]
    spine = known_now(office, *totals, more=METER)
    with office.turning(spine):
        tours = [office.letters.drive_some(Wanted(), "operator", after_id=0, limit=4)]
        while (after := tours[-1].after) is not None:
            tours.append(office.letters.drive_some(Wanted(), "operator", after_id=after, limit=4))
        again = office.letters.drive_some(Wanted(), "operator", after_id=0, limit=SOME_MOST)

    assert [(tour.driven, tour.accepted) for tour in tours] == [(4, 4), (4, 4), (1, 1)]
    assert (again.driven, again.skipped, again.after) == (0, 9, None)
    values = [value for *_, value in office.readings()]
    assert values[1:] == pytest.approx([0.2] * 8), "the first total books nothing"


def test_a_total_that_cannot_be_is_stored_as_failing_and_told_as_refused(office: Office) -> None:
    spine = known_now(office, ("meter", NOON, 100.0), ("meter", NOON + MINUTE, 900.0), more=METER)
    with office.turning(spine):
        tour = office.letters.drive_some(Wanted(), "operator", after_id=0, limit=SOME_MOST)

    first, second = (letter.drivings[-1] for letter in sorted(office.all(), key=lambda letter: letter.kept.id))
    assert (tour.driven, first.accepted, first.refused) == (2, 1, {})
    assert (second.accepted, second.refused, second.settled) == (0, {"out_of_bounds": 1}, False)
    flags = [flag for entry in office.entries() if isinstance(entry, Batch) for flag in entry.readings.flag.tolist()]
    assert flags == [9, 4]
    assert spine.counters['canhbao_quality_total{test="gross",flag="4"}'] == 1


def test_letters_are_found_by_reason_gateway_and_time(office: Office) -> None:
    spine = office.open()
    for n in range(4):
        office.refuse(spine, payload(("new", NOON, n)))
        office.now += 12 * 3_600_000  # the journal's day changes
    office.refuse(spine, b"x")
    office.refuse(spine, b"y", topic="elsewhere")

    def ids(**wanted: Any) -> list[int]:
        return [letter.kept.id for letter in office.all(Wanted(**wanted))]

    assert ids() == [6, 5, 4, 3, 2, 1]
    assert ids(reason="unknown_sensor") == [4, 3, 2, 1]
    assert ids(gateway="") == [6]
    assert ids(gateway="gw-1", reason="not_json") == [5]
    assert ids(since=NOON + 12 * 3_600_000) == [6, 5, 4, 3, 2]
    assert ids(since=NOON + 36 * 3_600_000 + 1) == [6, 5]
    first = office.letters.page(Wanted(reason="unknown_sensor"), before_id=None, limit=3)
    rest = office.letters.page(Wanted(reason="unknown_sensor"), before_id=first.after, limit=3)
    assert ([one.kept.id for one in first.letters], first.after) == ([4, 3, 2], 2)
    assert ([one.kept.id for one in rest.letters], rest.after) == ([1], None)
    assert office.letters.one(3) is not None
    assert office.letters.one(7) is None


def test_a_letter_that_got_the_number_of_a_forgotten_one_is_not_taken_for_it(office: Office) -> None:
    spine = known_now(office, ("new", NOON, 1.2))
    with office.turning(spine):
        office.letters.drive(office.all()[0], "operator")
    office.now += 500 * 86_400_000
    spine = office.open()
    spine.end()  # a snapshot; older days are not needed any more, and forgotten
    assert office.all() == []
    spine = office.open()
    office.refuse(spine, b"x")

    (letter,) = office.all()
    assert letter.kept.id == 1
    assert letter.drivings == ()


def test_the_desk_takes_all_of_a_call_or_nothing_and_forgets_who_left() -> None:
    desk = Desk(lambda: None, most=3)
    one = Drive(1, Position(1), 0, "t", b"", "operator")
    first = desk.ask([one, one])
    with pytest.raises(BusyError):
        desk.ask([one, one])
    assert first[0].answer.cancel()
    desk.ask([one, one])
    taken = desk.take()
    assert len(taken) == 3
    assert not taken[0].answer.cancel(), "it is under way"
    taken[0].answer.cancel()

    waiting = desk.ask([one])[0]
    desk.close()
    assert waiting.answer.cancelled()
    with pytest.raises(UnsureError):
        taken[0].answer.result(0)
    with pytest.raises(BusyError, match="ends"):
        desk.ask([one])


def test_a_full_desk_is_taken_from_in_turns_that_readings_do_not_wait_long_behind() -> None:
    woken = [0]

    def wake() -> None:
        woken[0] += 1

    desk = Desk(wake)
    desk.ask([Drive(n, Position(1), 0, "t", b"", "operator") for n in range(WAITING_MOST)])
    turns = 0
    while taken := desk.take():
        assert len(taken) <= 16
        turns += 1
    assert turns == WAITING_MOST // 16
    assert woken[0] >= turns, "the next turn would wait for a message"


def test_a_fifth_caller_is_sent_away(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_module, "WAIT_S", 120.0)  # a busy machine takes its time to start four threads
    spine = known_now(office, ("new", NOON, 1.2))
    letter = office.all()[0]
    with ThreadPoolExecutor(4) as callers:
        try:
            waiting = [callers.submit(office.letters.drive, letter, "operator") for _ in range(4)]
            wait_until(lambda: len(office.desk._waiting) == 4, within_s=60)
            monkeypatch.setattr(office.desk, "ask", _crash)  # a fifth that came so far would wait
            with pytest.raises(BusyError, match="others"):
                office.letters.drive(letter, "operator")
            spine.turn()
            assert sorted(one.result().accepted for one in waiting) == [0, 0, 0, 1]
        finally:
            office.desk.close()  # else who waits would wait on after a failure


def test_whatever_order_letters_and_deaths_come_in_each_reading_is_there_once_and_no_mark_is_wrong(
    tmp_path: Path, tally: Tally
) -> None:
    for seed in tally.seeds(few=6, many=300):
        with tally.trial():
            story(Office(tmp_path / str(seed)), seed)


def story(office: Office, seed: int) -> None:
    r = Random(seed)
    spine = office.open()
    count = r.randint(1, 6)
    office.refuse(spine, *(payload(("new", NOON + n, 0.1 * n), seq=n + 1) for n in range(count)))
    office.city = CITY + NEW
    spine = office.open()
    for _ in range(r.randint(1, 8)):
        assert office.stores is not None
        journal, store = office.stores.journal, office.stores.ledger.store
        at = r.randint(0, 4)
        if at == 1:
            journal.append = _crash  # type: ignore[method-assign]
        elif at == 2:
            journal.append = _crash_after(journal.append)  # type: ignore[method-assign]
        elif at == 3:
            spine._marks = Dying(store)
        chosen = r.sample(list(office.all()), r.randint(1, count))
        asked = office.desk.ask([drive(letter) for letter in chosen])
        try:
            spine.turn()
        except CrashError:
            spine = office.open()
            continue
        finally:
            there = office.readings()
            assert len({t for _, t, _ in there}) == len(there), "a reading is there twice"
            for one in asked:
                if one.answer.done():
                    t = json.loads(one.what.payload)["readings"][0]["t"]
                    assert (2, t) in {(sensor, at) for sensor, at, _ in there}, "answered, and not there"
    there = {t for _, t, _ in office.readings()}
    for letter in office.all():
        t = json.loads(letter.kept.letter.payload)["readings"][0]["t"]
        assert t in there or not letter.settled, "marked, and not there"
    office.end()
