"""The rate of a sender: a flood is left out, and what waited at the broker while we were away is not a flood."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest
from brokers import CityMosquitto, Client, Mosquitto, Nats, until
from hypothesis import given
from hypothesis import strategies as st
from test_mqtt import until_read

from alerts.works import _limited
from ingest import rate_limit
from ingest.formats import said_by
from ingest.inbox import Inbox
from ingest.mqtt.source import COLLECTOR_TOPICS, MqttSource
from ingest.rate_limit import AWAY_MOST_S, AWAY_START_LEAST_S, CATCH_UP_LEAST_S, Moment, RateLimit, away_before_start_s

READINGS = "canhbao/v1/gw-1/readings"
Peer = Mosquitto | Nats


def admitted(limit: RateLimit, sender: str, now_s: float, most: int = 100_000) -> int:
    """How many messages it may send at once; the one beyond is counted as left out."""
    return next((n for n in range(most) if not limit.admits(sender, now_s)), most)


# --- the bucket ------------------------------------------------------------------------------------------------------


def test_what_was_said_while_we_were_away_comes_on_top_of_the_burst_for_known_and_unknown_senders() -> None:
    limit = RateLimit(per_s=10, burst=5)
    assert admitted(limit, "known", 0.0) == 5
    limit.allow(30.0, 100.0)
    assert [admitted(limit, name, 100.0) for name in ("known", "unknown")] == [305, 305]
    assert [admitted(limit, name, 100.2) for name in ("known", "unknown")] == [2, 2]
    limit.allow(1.0, 100.2)
    assert admitted(limit, "known", 100.2) == 10


def test_what_was_not_used_is_forgotten_so_that_a_later_flood_does_not_find_it() -> None:
    limit = RateLimit(per_s=10, burst=5)
    limit.allow(30.0, 0.0)
    assert limit.admits("kept on", 0.0)
    assert admitted(limit, "early", CATCH_UP_LEAST_S - 1) == 305
    assert [admitted(limit, name, CATCH_UP_LEAST_S) for name in ("kept on", "new")] == [5, 5]

    limit.allow(4 * CATCH_UP_LEAST_S, 1e6)
    assert admitted(limit, "slow", 1e6 + 4 * CATCH_UP_LEAST_S - 1) == 40 * CATCH_UP_LEAST_S + 5
    assert admitted(limit, "new", 1e6 + 4 * CATCH_UP_LEAST_S) == 5


@pytest.mark.parametrize("away_s", [[inf], [1e12], [AWAY_MOST_S, AWAY_MOST_S]])
def test_however_long_it_was_there_is_a_bound(away_s: list[float]) -> None:
    limit = RateLimit(per_s=0.01, burst=5)
    for one in away_s:
        limit.allow(one, 0.0)
    assert admitted(limit, "gw", 0.0) == 0.01 * AWAY_MOST_S + 5


def test_a_negative_absence_takes_nothing_away() -> None:
    limit = RateLimit(per_s=10, burst=5)
    limit.allow(-100.0, 0.0)
    assert admitted(limit, "gw", 0.0) == 5


RATE, MOST_AT_ONCE = 10, 20


@given(
    gaps=st.lists(st.integers(0, 3_000), min_size=1, max_size=300),
    away=st.tuples(st.integers(0, 20_000), st.integers(0, 60_000)),
    pace=st.lists(st.integers(0, 200), min_size=1, max_size=20),
)
def test_who_keeps_to_his_rate_loses_nothing_however_the_broker_delivers(
    gaps: list[int], away: tuple[int, int], pace: list[int]
) -> None:
    """Times in ms. Messages leave when the sender's own bucket lets them, wait for us, and come in any bunches."""
    begin, length = away
    sent, at, tokens = list[int](), 0, float(MOST_AT_ONCE)
    for gap in gaps:
        at, tokens = at + gap, min(MOST_AT_ONCE, tokens + gap * RATE / 1000)
        if tokens >= 1.0:
            tokens -= 1.0
            sent.append(at)
    limit = RateLimit(RATE, MOST_AT_ONCE + 1)  # one more, for what fractions are rounded to
    back, came, is_back = begin + length, 0, False
    for n, leaves in enumerate(sent):
        if leaves < begin:
            came = leaves
        else:
            came = max(leaves, back, min(came + pace[n % len(pace)], leaves + length))
            if not is_back:
                limit.allow(length / 1000, back / 1000)
                is_back = True
        assert limit.admits("gw", came / 1000), f"message {n} of {len(sent)}"


def test_buckets_and_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "SENDERS_MOST", 3)
    monkeypatch.setattr(rate_limit, "COUNTED_MOST", 2)
    limit = RateLimit(per_s=0.001, burst=2)
    assert [admitted(limit, name, 0.0) for name in ("a", "b", "c", "d")] == [2, 2, 2, 2]
    assert len(limit._buckets) == 3
    assert limit.limited == {"a": 1, "b": 1, "": 2}
    assert not limit.admits("d", 0.0)
    assert limit.admits("a", 0.0), "the one unheard for longest starts anew"
    limit.to_tell("stranger", 0.0)
    assert set(limit._told_s) <= {"a", "b", ""}


def test_operators_are_told_once_a_minute_of_each() -> None:
    limit = RateLimit(per_s=0.001, burst=1)
    told = [
        (name, second, limit.to_tell(name, float(second)))
        for second in range(121)
        for name in ("a", "b")
        if not limit.admits(name, float(second))
    ]
    assert [row for row in told if row[2]] == [(name, second, second) for second in (1, 61) for name in ("a", "b")]


def test_what_comes_again_is_counted_once() -> None:
    limit = RateLimit(per_s=0.001, burst=2)
    for _ in range(10):
        assert limit.admits("gw", 0.0)
        limit.give_back("gw")
    limit.give_back("stranger")
    assert admitted(limit, "gw", 0.0) == 2


# --- who, and how long -----------------------------------------------------------------------------------------------


def test_each_gateway_and_each_foreign_device_speaks_for_itself() -> None:
    foreign = [
        "application/1/device/0102030405060708/event/up", "application/1/device/0102030405060709/event/up",
        "v3/app@tenant/devices/mast-1/up", "v3/app@tenant/devices/mast-2/up", "v3/other@tenant/devices/mast-1/up",
        "tele/mains/SENSOR", "tele/Trạm bơm/SENSOR", "shelly-1/events/rpc", "shelly-2/events/rpc",
    ]  # fmt: skip
    assert [said_by(topic) for topic in foreign] == [f"topic {topic}" for topic in foreign]
    ours = ("readings", "readings/cbor", "status", "backfill")
    assert {said_by(f"canhbao/v1/gw-1/{kind}") for kind in ours} == {"gateway gw-1"}
    nobodys = ["canhbao/v1/G W/readings", "canhbao/v1//readings", f"tele/{'x' * 1000}/SENSOR", "tele/a\nb/SENSOR"]
    assert {said_by(topic) for topic in nobodys} == {""}


@pytest.mark.parametrize(
    ("alive_ms", "now_ms", "away_s"),
    [
        (0, 1_000, inf),  # a fresh folder
        (1_000_001, 1_000_000, inf),  # the clock was set back
        (1_000_000, 1_000_000, AWAY_START_LEAST_S),  # it may have stood still with the machine
        (1_000_000, 1_000_000 + 86_400_000, 86_400.0),
    ],
)
def test_how_long_nobody_listened_before_a_start(alive_ms: int, now_ms: int, away_s: float) -> None:
    assert away_before_start_s(alive_ms, now_ms) == away_s


def test_of_two_clocks_the_one_that_says_more_is_believed() -> None:
    lost = Moment(100.0, 1_000.0)
    assert lost.until(Moment(130.0, 1_030.0)) == 30.0
    assert lost.until(Moment(101.0, 4_600.0)) == 3_600.0  # the machine slept
    assert lost.until(Moment(130.0, 500.0)) == 30.0  # the wall's clock was set back
    assert lost.until(Moment(100.0, 500.0)) == 0.0


def test_operators_see_gateways_and_topics_of_both_lanes() -> None:
    live = SimpleNamespace(limited={"gateway gw-1": 1, 'topic tele/a"b c/SENSOR': 2, "": 3})
    assert _limited(live, SimpleNamespace(limited={"gateway gw-1": 4})) == {  # type: ignore[arg-type]
        'canhbao_rate_limited_total{gateway="gw-1"}': 5,
        'canhbao_rate_limited_total{topic="tele/a\\"b c/SENSOR"}': 2,
        'canhbao_rate_limited_total{gateway="unknown"}': 3,
    }


# --- with brokers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def mosquitto(tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str]) -> Iterator[Mosquitto]:
    broker = Mosquitto(program("mosquitto"), tmp_path, free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    broker = Nats(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture(params=["nats", pytest.param("mosquitto", marks=pytest.mark.server("mosquitto"))])
def broker(request: pytest.FixtureRequest) -> Peer:
    peer: Peer = request.getfixturevalue(request.param)
    return peer


Begin = Callable[..., MqttSource]


@pytest.fixture
def begin() -> Iterator[Begin]:
    begun: list[MqttSource] = []

    def source(peer: Peer | CityMosquitto, inbox: Inbox, limit: RateLimit, away_s: float = inf) -> MqttSource:
        made = MqttSource(peer.url, peer.username, peer.password, "collector-5eed", COLLECTOR_TOPICS, inbox,
                          away_s=away_s)  # fmt: skip
        made._limit = limit
        made.start()
        begun.append(made)
        return made

    yield source
    for source_ in begun:
        source_.stop()


def taken(source: MqttSource, count: int, wait_s: float = 15.0) -> list[bytes]:
    """Drained and acknowledged, until `count` different ones have come."""
    found = dict.fromkeys(list[bytes]())
    deadline = time.monotonic() + wait_s
    while len(found) < count and time.monotonic() < deadline:
        messages = source.inbox.drain(0.1)
        found |= dict.fromkeys(message.payload for message in messages)
        source.acknowledge(messages)
    return list(found)


def numbers(count: int) -> list[bytes]:
    return [b"%04d" % n for n in range(count)]


def test_a_flood_is_left_out_is_told_and_does_not_come_again_while_another_gateway_is_heard(
    broker: Peer, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    source = begin(broker, Inbox(), RateLimit(per_s=0.001, burst=20))
    with Client(broker.port) as mad, Client(broker.port) as other:
        mad.publish(READINGS, *numbers(60))
        other.publish("canhbao/v1/gw-2/readings", b"heard")
        assert taken(source, 21) == [*numbers(20), b"heard"]
        until(lambda: source.limited == {"gateway gw-1": 40})
    assert [line for line in caplog.messages if "more than it may" in line] == [
        "gateway gw-1 sends more than it may; 1 messages left out so far"
    ]
    assert source.counters["received"] == 61
    source.stop()
    until_read(broker, 61)
    assert taken(begin(broker, Inbox(), RateLimit()), 1, wait_s=0.5) == []


def test_what_a_session_kept_while_the_collector_was_away_is_taken_and_a_new_session_has_kept_nothing(
    broker: Peer, begin: Begin
) -> None:
    first = begin(broker, Inbox(), RateLimit(per_s=0.001, burst=5))
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *numbers(20))
        assert len(taken(first, 20, wait_s=1.0)) == 5, "a new session: nothing had waited"
        first.stop()
        gateway.publish(READINGS, *numbers(400))
    assert taken(begin(broker, Inbox(), RateLimit(per_s=10, burst=5), 45.0), 400) == numbers(400)


def test_what_waited_through_a_lost_connection_is_taken(broker: Peer, begin: Begin) -> None:
    source = begin(broker, Inbox(), RateLimit(per_s=10, burst=5))
    source._client.cut()
    until(lambda: not source.connected)
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *numbers(300))
        assert taken(source, 300) == numbers(300)
    assert (source.counters["reconnects"], source.limited) == (1, {})


def test_what_a_full_inbox_sheds_is_counted_once_however_often_it_comes(broker: Peer, begin: Begin) -> None:
    source = begin(broker, Inbox(most=10), RateLimit(per_s=0.001, burst=25))
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *numbers(25))
        assert sorted(taken(source, 25, wait_s=40.0)) == numbers(25)
    assert (source.counters["shed"] > 0, source.limited) == (True, {})


def test_what_was_under_way_when_the_connection_was_lost_is_counted_once(broker: Peer, begin: Begin) -> None:
    source = begin(broker, Inbox(), RateLimit(per_s=0.001, burst=60))
    with Client(broker.port) as gateway:
        gateway.publish(READINGS, *numbers(60))
        until(lambda: len(source.inbox) == 60)
        source._client.cut()
        until(lambda: source.counters["received"] >= 120)
    assert sorted(taken(source, 60)) == numbers(60)
    assert source.limited == {}


@pytest.mark.server("mosquitto")
def test_what_waits_behind_a_collector_that_stands_still_is_taken(
    tmp_path: Path, free_port: Callable[[], int], program: Callable[[str], str], begin: Begin
) -> None:
    """The connection stays, and the broker holds back what it may not send before the first are acknowledged."""

    def few(conf: str) -> str:
        return conf.replace("max_inflight_messages 2000", "max_inflight_messages 20")

    broker = CityMosquitto(program("mosquitto"), tmp_path / "mosquitto", free_port(), ["gw-1"], few)
    broker.start()
    try:
        source = begin(broker, Inbox(), RateLimit(per_s=100, burst=20))
        with Client(broker.port, username="gw-1", password=broker.password_of("gw-1")) as gateway:
            gateway.publish(READINGS, *numbers(150))
            until(lambda: len(source.inbox) == 20)
            time.sleep(1.6)
            assert taken(source, 150, wait_s=5.0) == numbers(150)
        assert (source.counters["reconnects"], source.limited) == (0, {})
        source.stop()
    finally:
        broker.stop()
