"""Delivery: every notice becomes its messages, each is sent at least once, and marked only after the answer."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from brokers import Client, Mosquitto, until

from alerts.delivery.channels import KINDS
from alerts.delivery.channels.channel import ChannelError, Quota
from alerts.delivery.channels.console import Console
from alerts.delivery.channels.mqtt import Mqtt
from alerts.delivery.delivery import Delivery
from alerts.delivery.desk import LIFE_MS, DeskQueue
from alerts.delivery.fan_out import FanOut
from alerts.delivery.pace import LAST_RETRY_MS, retry_delay_ms
from alerts.delivery.parcel import Parcel
from alerts.delivery.send import Sender
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import ENDS, Notice, Planned, Reason, Withheld
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox, Status
from alerts.ledger.store import LedgerError
from alerts.words.message import bare_message
from ingest.entries import Position
from ingest.mqtt.publisher import MqttPublisher

AT = 1_665_734_580_000
FIRST = Notice("flood-A-1", 1, Reason.FIRST, "flood", "A", 2, 0, AT, AT, None)
TOPIC = "canhbao/v1/alerts/A/flood"
DRILL_TOPIC = "canhbao/v1/drill/alerts/A/flood"


def compose(notice: Notice) -> dict[str, Any]:
    text = f"{notice.incident} v{notice.version}"
    return {"version": notice.version, "reason": notice.reason.value, "texts": {"vi": text, "en": text}}


async def takes_it(_: Parcel) -> None:
    await asyncio.sleep(0)


async def is_down(_: Parcel) -> None:
    raise ChannelError("the provider is down")


class People:
    """A channel to people that remembers what it was sent, and fails as it is told to."""

    name = "people"
    carries_state = False
    timeout_s = 30.0
    quota = Quota()

    def __init__(self, recipients: Sequence[str] = ("an",), *, at_once: int = 1) -> None:
        self.everybody = sorted(recipients)
        self.at_once = at_once
        self.got: list[tuple[str, int, str]] = []
        self.answer: Callable[[Parcel], Awaitable[None]] = takes_it
        self.reached = asyncio.Event()

    def recipients(self, notice: Notice) -> Sequence[str]:
        return self.everybody if notice.told else ()

    async def send(self, parcel: Parcel) -> str:
        await self.answer(parcel)
        self.got.append((parcel.incident, parcel.version, parcel.recipient))
        self.reached.set()
        return ""

    async def close(self) -> None:
        pass


class Broker:
    """The retained topics of a broker; publishing fails while it is down."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.published: list[tuple[str, bytes]] = []
        self.down = False

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert retain
        if self.down:
            raise TimeoutError("no PUBACK")
        self.published.append((topic, payload))
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def outbox(ledger: Ledger) -> Outbox:
    return Outbox(ledger.store)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def mqtt(broker: Broker) -> Iterator[Mqtt]:
    channel = Mqtt(broker)
    yield channel
    asyncio.run(channel.close())


def sending(outbox: Outbox, channel: Any, now: int = AT) -> Sender:
    return Sender(DeskQueue(outbox, channel), channel, Random(1), lambda: now)


def decide(ledger: Ledger, *notices: Notice) -> None:
    ledger.record(Position(ledger.position() + 1), AT, outcome=Outcome(list(notices)))


def deliver(outbox: Outbox, *channels: Any, now: int = AT, turns: int = 100) -> None:
    """Until nothing is due at `now`."""
    fan_out = FanOut(outbox, channels, compose)
    senders = [sending(outbox, channel, now) for channel in channels]

    async def run() -> None:
        for _ in range(turns):
            done = int(fan_out.turn(now))
            for sender in senders:
                done += await sender.turn()
            if not done:
                return
        raise AssertionError("there is no end of it")

    asyncio.run(run())


def rows(ledger: Ledger) -> list[tuple[str, int, str]]:
    with ledger.store.reading() as db:
        found = db.exec_driver_sql("SELECT status, attempts, error FROM message ORDER BY id").all()
    return [(row[0], row[1], row[2]) for row in found]


# ---- fan-out ----------------------------------------------------------------------------------------------------


def test_a_notice_becomes_one_message_for_everybody_whom_it_concerns(ledger: Ledger, outbox: Outbox) -> None:
    people = People(["an", "binh", "chi"])
    decide(ledger, FIRST)
    deliver(outbox, people)

    assert people.got == [("flood-A-1", 1, name) for name in ("an", "binh", "chi")]
    assert ledger.counts().messages == {("people", "sent"): 3}


def test_a_version_that_is_not_told_is_sent_to_no_person_but_moves_the_topic(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:
    people = People()
    decide(ledger, FIRST, replace(FIRST, version=2, reason=Reason.EASED, level=1, withheld=Withheld.ONE_LEVEL))
    deliver(outbox, people, mqtt)

    assert people.got == [("flood-A-1", 1, "an")]
    assert json.loads(broker.retained[TOPIC])["version"] == 2


def test_fan_out_makes_chunks_and_resumes_after_a_crash_in_the_middle(ledger: Ledger, outbox: Outbox) -> None:
    people = People([f"r{n:02}" for n in range(25)])
    decide(ledger, FIRST, replace(FIRST, incident="flood-B-1"))

    turns = 0
    while FanOut(outbox, [people], compose, chunk=10).turn(AT):  # a new one each time: only the ledger remembers
        turns += 1
    assert turns == 6

    deliver(outbox, people)
    assert sorted(people.got) == sorted((i, 1, r) for i in ("flood-A-1", "flood-B-1") for r in people.everybody)


@pytest.mark.parametrize(("chunk", "turns"), [(1, 2), (2, 1)])
def test_a_chunk_of_exactly_the_last_recipients_is_not_made_twice(
    ledger: Ledger, outbox: Outbox, chunk: int, turns: int
) -> None:
    decide(ledger, FIRST)
    fan_out = FanOut(outbox, [People(["an", "binh"])], compose, chunk=chunk)

    assert [fan_out.turn(AT) for _ in range(turns + 1)] == [True] * turns + [False]
    assert ledger.counts().messages == {("people", "queued"): 2}


def test_what_a_version_says_is_made_once_and_then_stays(ledger: Ledger, outbox: Outbox, mqtt: Mqtt) -> None:
    made: list[int] = []

    def once(notice: Notice) -> dict[str, Any]:
        made.append(notice.version)
        return {**compose(notice), "made": len(made)}

    decide(ledger, FIRST)
    fan_out = FanOut(outbox, [People(["an", "binh"]), mqtt], once, chunk=1)
    while fan_out.turn(AT):
        pass
    FanOut(outbox, [mqtt], once).renew(AT)

    assert made == [1]
    assert {message.body["made"] for name in ("people", "mqtt") for message in outbox.due(name, AT, 9)} == {1}


# ---- sending ----------------------------------------------------------------------------------------------------


def test_a_failed_message_is_tried_again_later_and_sent_once(ledger: Ledger, outbox: Outbox) -> None:
    people = People()
    people.answer = is_down
    decide(ledger, FIRST)
    deliver(outbox, people)
    assert rows(ledger) == [("failed", 1, "the provider is down")]

    people.answer = takes_it
    deliver(outbox, people, now=AT + 1000)
    deliver(outbox, people, now=AT + 10_000_000)
    assert people.got == [("flood-A-1", 1, "an")]
    assert rows(ledger) == [("sent", 2, "")]


def test_a_wrong_address_is_given_up_at_once_and_says_why(
    ledger: Ledger, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    people = People()

    async def gone(_: Parcel) -> None:
        raise ChannelError("no such number", permanent=True)

    people.answer = gone
    decide(ledger, FIRST)
    with caplog.at_level(logging.CRITICAL):
        deliver(outbox, people)
        deliver(outbox, people, now=AT + 10_000_000)
    assert rows(ledger) == [("dead", 1, "no such number")]


def test_news_too_old_to_help_is_given_up(
    ledger: Ledger, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    people = People()
    people.answer = is_down
    decide(ledger, FIRST)
    with caplog.at_level(logging.CRITICAL):
        deliver(outbox, people)
        deliver(outbox, people, now=AT + LIFE_MS)
    assert [status for status, _, _ in rows(ledger)] == ["dead"]


def test_a_bug_in_a_channel_and_a_hanging_provider_are_failures_like_others(
    ledger: Ledger, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    people = People(["bug", "hang", "well"], at_once=3)

    async def answer(message: Parcel) -> None:
        if message.recipient == "bug":
            raise ZeroDivisionError
        if message.recipient == "hang":
            await asyncio.sleep(60)

    people.answer = answer
    decide(ledger, FIRST)
    FanOut(outbox, [people], compose).turn(AT)
    with caplog.at_level(logging.CRITICAL):
        people.timeout_s = 0.05
        asyncio.run(sending(outbox, people).turn())
    assert [row[0] for row in rows(ledger)] == ["failed", "failed", "sent"]
    assert "no answer for 0.05 s" in rows(ledger)[1][2]


def test_never_more_than_at_once_are_under_way(ledger: Ledger, outbox: Outbox) -> None:
    people = People([f"r{n}" for n in range(9)], at_once=4)
    under_way, most = 0, 0

    async def answer(_: Parcel) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    people.answer = answer
    decide(ledger, FIRST)
    deliver(outbox, people)
    assert most == 4
    assert ledger.counts().messages == {("people", "sent"): 9}


def test_what_was_sent_and_could_not_be_marked_is_marked_later_and_not_sent_again(
    ledger: Ledger, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People()
    decide(ledger, FIRST)
    FanOut(outbox, [people], compose).turn(AT)
    sender, mark = sending(outbox, people), outbox.mark

    def full(_: Sequence[Any]) -> None:
        raise LedgerError("database or disk is full")

    async def turns() -> None:
        monkeypatch.setattr(outbox, "mark", full)
        for _ in range(3):
            with pytest.raises(LedgerError):
                await sender.turn()
        monkeypatch.setattr(outbox, "mark", mark)
        await sender.turn()

    asyncio.run(turns())
    assert people.got == [("flood-A-1", 1, "an")]
    assert rows(ledger) == [("sent", 1, "")]


def test_retries_spread_over_the_whole_of_a_bound_that_doubles() -> None:
    random = Random(7)
    for attempts, bound in ((0, 1000), (3, 8000), (10, LAST_RETRY_MS), (5000, LAST_RETRY_MS)):
        delays = [retry_delay_ms(attempts, random) for _ in range(500)]
        assert 0 <= min(delays) < bound / 20
        assert bound * 0.95 < max(delays) <= bound


# ---- crashes ----------------------------------------------------------------------------------------------------

CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from random import Random
from alerts.delivery.fan_out import FanOut
from alerts.delivery.channels.channel import Quota
from alerts.delivery.desk import DeskQueue
from alerts.delivery.send import Sender
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox

data, when = Path(sys.argv[1]), sys.argv[2]

class Provider:
    name, carries_state, at_once, timeout_s, quota = "people", False, 1, 30.0, Quota()
    def recipients(self, notice): return ("an", "binh")
    async def send(self, message):
        if when == "before": os.kill(os.getpid(), signal.SIGKILL)
        with (data / "provider").open("a") as got:
            got.write(f"{message.incident} {message.version} {message.channel} {message.recipient}\\n")
            got.flush(); os.fsync(got.fileno())
        if when == "after": os.kill(os.getpid(), signal.SIGKILL)
        return ""

outbox = Outbox(Ledger.open(data / "ledger.sqlite").store)
provider = Provider()
FanOut(outbox, [provider], lambda notice: {}).turn(1000)
sender = Sender(DeskQueue(outbox, provider), provider, Random(1), lambda: 1000)
async def all_of_it():
    while await sender.turn(): pass
asyncio.run(all_of_it())
"""


@pytest.mark.parametrize(("when", "first"), [("before", 1), ("after", 2)])
def test_kill_minus_nine_around_a_send_repeats_the_key_and_loses_nothing(
    tmp_path: Path, ledger: Ledger, when: str, first: int
) -> None:
    decide(ledger, FIRST)

    def child(moment: str) -> int:
        return subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), moment], check=False).returncode

    assert child(when) == -9
    assert [row[0] for row in rows(ledger)] == ["queued", "queued"]
    assert child("never") == 0
    got = (tmp_path / "provider").read_text().splitlines()
    assert got == ["flood-A-1 1 people an"] * first + ["flood-A-1 1 people binh"]
    assert [row[0] for row in rows(ledger)] == ["sent", "sent"]


# ---- console ----------------------------------------------------------------------------------------------------


def test_the_console_prints_one_line_a_warning(ledger: Ledger, outbox: Outbox) -> None:
    stream = io.StringIO()
    console = Console(stream, "en")
    decide(
        ledger,
        FIRST,
        replace(FIRST, version=2, withheld=Withheld.ONE_LEVEL),
        replace(FIRST, version=3, reason=Reason.OVER),
    )
    deliver(outbox, console)
    asyncio.run(console.close())

    assert stream.getvalue() == "flood-A-1 v1\nflood-A-1 v3\n"


def test_a_closed_standard_output_is_no_crash(
    ledger: Ledger, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    stream = io.StringIO()
    stream.close()
    decide(ledger, FIRST)
    console = Console(stream)
    with caplog.at_level(logging.CRITICAL):
        deliver(outbox, console)
    asyncio.run(console.close())
    assert rows(ledger)[0][0] == "dead"


# ---- mqtt -------------------------------------------------------------------------------------------------------


def test_the_topic_holds_the_newest_state_and_is_empty_after_the_end(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:
    decide(ledger, FIRST)
    deliver(outbox, mqtt)
    assert json.loads(broker.retained[TOPIC]) == compose(FIRST)

    decide(ledger, replace(FIRST, version=2, reason=Reason.OVER, level=0))
    deliver(outbox, mqtt)
    assert broker.retained == {}
    assert broker.published[-1] == (TOPIC, b"")


def test_what_is_planned_leaves_the_state_of_a_place_alone_also_after_a_lost_session(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:
    planned = replace(FIRST, incident="outage-1.A", reason=Reason.PLANNED, level=1, planned=Planned(AT, AT + 1, "PC"))
    decide(ledger, FIRST, planned)
    deliver(outbox, mqtt)
    assert json.loads(broker.retained[TOPIC]) == compose(FIRST)

    broker.retained.clear()
    FanOut(outbox, [mqtt], compose).renew(AT)
    deliver(outbox, mqtt)
    assert json.loads(broker.retained[TOPIC]) == compose(FIRST)
    assert outbox.content(2) == compose(planned), "it has its words and its code"


@pytest.mark.parametrize("reason", ENDS)
def test_a_drill_is_told_on_topics_of_its_own_and_leaves_the_others_alone(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt, reason: Reason
) -> None:
    drill = replace(FIRST, incident="drill-A-1", drill=True, level=4)
    decide(ledger, FIRST, drill)
    deliver(outbox, mqtt)
    assert {topic: json.loads(payload)["texts"]["vi"] for topic, payload in broker.retained.items()} == {
        TOPIC: "flood-A-1 v1",
        DRILL_TOPIC: "drill-A-1 v1",
    }

    decide(ledger, replace(drill, version=2, reason=reason, level=0))
    deliver(outbox, mqtt)
    assert list(broker.retained) == [TOPIC]
    FanOut(outbox, [mqtt], compose).renew(AT)  # a lost session brings back neither
    deliver(outbox, mqtt)
    assert list(broker.retained) == [TOPIC]


def test_a_warning_that_was_taken_back_stands_on_no_topic(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:
    decide(ledger, FIRST, replace(FIRST, version=2, reason=Reason.WITHDRAWN, level=0))
    deliver(outbox, mqtt)
    assert broker.retained == {}


def test_a_line_of_a_drill_begins_with_the_word(ledger: Ledger, outbox: Outbox) -> None:
    stream = io.StringIO()
    console = Console(stream)
    decide(ledger, replace(FIRST, drill=True))
    while FanOut(outbox, [console], bare_message).turn(AT):
        pass
    deliver(outbox, console)
    asyncio.run(console.close())

    assert stream.getvalue() == "DIỄN TẬP. Đề phòng: ngập lụt, A.\n"


def test_an_older_state_never_comes_after_a_newer_one(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:  # fmt: skip
    broker.down = True
    decide(ledger, FIRST)
    deliver(outbox, mqtt)
    broker.down = False
    decide(ledger, replace(FIRST, version=2, reason=Reason.OVER))
    deliver(outbox, mqtt)  # at the same time: the first is not due again yet
    deliver(outbox, mqtt, now=AT + LAST_RETRY_MS)

    assert broker.published == [(TOPIC, b"")]
    assert [(status, error) for status, _, error in rows(ledger)] == [
        (Status.SUPERSEDED, "by notice 2"), (Status.SENT, "")
    ]  # fmt: skip


def test_a_state_is_never_given_up(ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt) -> None:
    broker.down = True
    decide(ledger, FIRST)
    deliver(outbox, mqtt)
    deliver(outbox, mqtt, now=AT + LIFE_MS)
    broker.down = False
    deliver(outbox, mqtt, now=AT + 2 * LIFE_MS)

    assert list(broker.retained) == [TOPIC]


def test_after_a_start_open_warnings_are_published_and_ended_ones_cleared(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:
    ended = replace(FIRST, incident="rain-B-1", hazard="rain", area="B")
    decide(ledger, FIRST, ended, replace(ended, version=2, reason=Reason.OVER))
    deliver(outbox, mqtt)
    broker.retained = {"canhbao/v1/alerts/B/rain": b"the broker came back with an old state"}
    deliver(outbox, mqtt, now=AT + 1)
    assert TOPIC not in broker.retained

    FanOut(outbox, [mqtt, People()], compose).renew(AT + 2)
    deliver(outbox, mqtt, now=AT + 2)
    assert {topic: json.loads(payload) for topic, payload in broker.retained.items()} == {TOPIC: compose(FIRST)}


def test_a_session_that_is_lost_while_a_state_is_being_published_publishes_it_again(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(ledger, FIRST)
    fan_out, mark = FanOut(outbox, [mqtt], compose), outbox.mark
    fan_out.turn(AT)

    def lost_before(messages: Sequence[Any]) -> None:
        broker.retained.clear()
        fan_out.renew(AT)
        mark(messages)

    monkeypatch.setattr(outbox, "mark", lost_before)
    asyncio.run(sending(outbox, mqtt).turn())
    monkeypatch.setattr(outbox, "mark", mark)
    deliver(outbox, mqtt)
    assert list(broker.retained) == [TOPIC]


def test_a_topic_is_published_at_the_start_also_if_mqtt_was_off_when_the_warning_came(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt
) -> None:
    decide(ledger, FIRST)
    deliver(outbox, People())
    deliver(outbox, mqtt)
    assert broker.retained == {}

    FanOut(outbox, [mqtt], compose).renew(AT)
    deliver(outbox, mqtt)
    assert list(broker.retained) == [TOPIC]


@pytest.mark.server("mosquitto")
def test_a_real_broker_that_loses_its_retained_topics_gets_them_again(
    ledger: Ledger, outbox: Outbox, tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]
) -> None:
    mosquitto = Mosquitto(program("mosquitto"), tmp_path, free_port())
    mosquitto.start()
    publisher = MqttPublisher(mosquitto.url, "collector-out", "any")
    publisher.start()
    mqtt = Mqtt(publisher)
    try:
        decide(ledger, FIRST)
        deliver(outbox, mqtt)
        mosquitto.kill()
        until(lambda: not publisher.connected)
        decide(ledger, replace(FIRST, version=2, reason=Reason.WORSE, level=3))
        deliver(outbox, mqtt)
        assert [row[0] for row in rows(ledger)] == ["sent", "failed"]

        mosquitto.start()  # it kept nothing
        until(lambda: publisher.connected)
        FanOut(outbox, [mqtt], compose).renew(AT)
        deliver(outbox, mqtt)
        with Client(mosquitto.port, "canhbao/v1/alerts/#") as listener:
            until(lambda: listener.heard)
            ((topic, payload, retained),) = listener.heard
        assert (topic, json.loads(payload)["version"], retained) == (TOPIC, 2, True)
    finally:
        asyncio.run(mqtt.close())
        publisher.stop()
        mosquitto.kill()


def test_the_table_names_every_channel() -> None:
    assert [kind.name for kind in KINDS.values()] == list(KINDS)
    folder = Path(sys.modules["alerts.delivery.channels"].__path__[0])
    assert {file.stem for file in folder.glob("*.py")} - {"__init__", "channel"} == set(KINDS)


# ---- the whole, running -----------------------------------------------------------------------------------------


def test_running_delivery_is_woken_by_the_spine_and_stops_when_told(
    ledger: Ledger, outbox: Outbox, broker: Broker, mqtt: Mqtt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.delivery.delivery.POLL_S", 3600.0)  # only a wake can help
    people = People()
    delivery = Delivery(outbox, [people, mqtt], compose, now_ms=lambda: AT, random=Random(1))

    def spine() -> None:
        decide(ledger, FIRST)
        delivery.wake()

    async def story() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(delivery.run(stop))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(spine)
        await asyncio.wait_for(people.reached.wait(), 10)
        await asyncio.to_thread(until, lambda: broker.retained)
        broker.retained.clear()
        delivery.session_lost()
        await asyncio.to_thread(until, lambda: broker.retained)
        stop.set()
        await asyncio.wait_for(running, 10)

    asyncio.run(story())
    assert people.got == [("flood-A-1", 1, "an")]
    assert delivery.failures == 0
    delivery.wake()  # nothing runs any more: nothing happens


def test_a_channel_that_hangs_holds_up_no_other(ledger: Ledger, outbox: Outbox) -> None:
    people, stuck = People(), People()
    stuck.name = "stuck"

    async def story() -> None:
        stop, let_go = asyncio.Event(), asyncio.Event()

        async def hang(_: Parcel) -> None:
            await let_go.wait()

        stuck.answer = hang
        delivery = Delivery(outbox, [stuck, people], compose, now_ms=lambda: AT, random=Random(1))
        decide(ledger, FIRST)
        running = asyncio.create_task(delivery.run(stop))
        await asyncio.wait_for(people.reached.wait(), 10)
        stop.set()
        let_go.set()
        await asyncio.wait_for(running, 5)

    asyncio.run(story())
    assert ledger.counts().messages == {("people", "sent"): 1, ("stuck", "sent"): 1}


def test_a_loop_that_fails_is_counted_and_goes_on(
    ledger: Ledger, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    people, due, broken = People(), outbox.due, [LedgerError("disk I/O error")]

    def sometimes(*asked: Any, **more: Any) -> list[Any]:
        if broken:
            raise broken.pop()
        return due(*asked, **more)

    monkeypatch.setattr(outbox, "due", sometimes)
    monkeypatch.setattr("alerts.delivery.send.POLL_S", 0.01)
    delivery = Delivery(outbox, [people], compose, now_ms=lambda: AT, random=Random(1))
    decide(ledger, FIRST)

    async def story() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(delivery.run(stop))
        await asyncio.wait_for(people.reached.wait(), 10)
        stop.set()
        await asyncio.wait_for(running, 5)

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(story())
    assert delivery.failures == 1
    assert rows(ledger) == [("sent", 1, "")]


def test_turn_by_turn_everything_due_is_done(ledger: Ledger, outbox: Outbox) -> None:
    people = People(["an", "binh"])
    delivery = Delivery(outbox, [people], compose, now_ms=lambda: AT, random=Random(1))
    decide(ledger, FIRST, replace(FIRST, version=2))

    async def until_done() -> None:
        while await delivery.turn():
            pass

    asyncio.run(until_done())
    assert len(people.got) == 4
