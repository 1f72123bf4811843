"""The history in InfluxDB, against a strict stand-in: equal to the journal, whatever the server does meanwhile."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from brokers import until
from conftest import Tally
from flux import Script, Time
from hypothesis import given
from hypothesis import strategies as st
from influx_server import Fault, InfluxServer

from ingest.entries import ORIGIN, Batch, Configuration, Position
from ingest.history import flux, follow, influx_client, lines
from ingest.history.follow import Follower
from ingest.history.influx import InfluxStore
from ingest.history.influx_client import Address, InfluxClient
from ingest.history.process import HistoryProcess
from ingest.history.store import DAY_MS, HOUR_MS, MINUTE_MS, READINGS_MAX, WORST_FIRST, Keep, Named, Rows, StoreError
from ingest.journal import Journal
from ingest.readings import Flag, Readings

TOKEN = "s3cret-t0ken-of-the-test"
NOON = 1_665_723_600_000  # 14 Oct 2022, 12:00 in Da Nang
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
NAMES = {
    0: Named("rain-1", "rain", "mm", "20242", "gw-1"),
    1: Named("river, of = 'x'", "water_level", "m", "20257", ""),
    2: Named("pm-1", "pm25", "µg/m3", "20242", "gw-2"),
    3: Named("gone-1", "", "", "", ""),
}
CITY = """
city.name = "Đà Nẵng"
[[area]]
code = "20242"
name = "Hải Châu"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[[sensor]]
id = "rain-1"
quantity = "rain"
area = "20242"
gateway = "gw-1"
[[sensor]]
id = "pm-1"
quantity = "pm25"
area = "20242"
gateway = "gw-2"
"""
Known = dict[tuple[str, int], tuple[float | None, float | None, int]]


@pytest.fixture
def server() -> Iterator[InfluxServer]:
    with InfluxServer(TOKEN) as running:
        yield running


@pytest.fixture
def opened(server: InfluxServer) -> Iterator[Callable[..., InfluxStore]]:
    """A store on the server, as a process would find it after a start."""
    stores = []

    def one(zone: ZoneInfo = ZONE, **other: str) -> InfluxStore:
        given = {"org": "city", "bucket": "readings", "token": TOKEN, **other}
        address = Address.of(f"influx+{server.url}?org={given['org']}&bucket={given['bucket']}", given["token"])
        stores.append(InfluxStore(InfluxClient(address), zone))
        return stores[-1]

    yield one
    for store in stores:
        store.close()


def batch(*rows: tuple[int, int, float] | tuple[int, int, float, int]) -> Readings:
    """Rows of sensor, minutes after noon, value and flag (1 unless given); raw is twice the value."""
    columns = list(zip(*[(*row, Flag.GOOD)[:4] for row in rows], strict=True)) or [(), (), (), ()]
    sensor, minute, value, flag = (list(column) for column in columns)
    t = [NOON + at * MINUTE_MS for at in minute]
    return Readings.of(sensor=sensor, t=t, value=value, raw=[2 * v for v in value], flag=flag,
                       arrival=[max(t, default=0)] * len(t))  # fmt: skip


def kept(store: InfluxStore, names: Mapping[int, Named] = NAMES) -> Known:
    """Everything that a scan finds, once."""
    found: Known = {}
    for rows in store.scan(0, NOON + 10 * DAY_MS):
        for series, t, value, raw, flag in zip(rows.series.tolist(), rows.t.tolist(), rows.value.tolist(),
                                               rows.raw.tolist(), rows.flag.tolist(), strict=True):  # fmt: skip
            assert rows.names[series] in names.values()
            assert (rows.names[series].id, t) not in found
            found[rows.names[series].id, t] = _some(value), _some(raw), flag
    return found


def firsts(batches: list[Readings]) -> Known:
    """The oracle: of each (sensor, t) the first that the journal has."""
    found: Known = {}
    for one in batches:
        for number, t, value, raw, flag in zip(one.sensor.tolist(), one.t.tolist(), one.value.tolist(),
                                               one.raw.tolist(), one.flag.tolist(), strict=True):  # fmt: skip
            found.setdefault((NAMES[number].id, t), (_some(value), _some(raw), flag))
    return found


def _some(value: float) -> float | None:
    return None if isnan(value) else value


def disorder(seed: int, count: int = 12) -> list[Readings]:
    """Batches in which readings come late, again and with other values, are missing and fail."""
    random = Random(seed)
    batches = []
    for number in range(count):
        rows = []
        for _ in range(random.randrange(8)):
            flag = random.choice(WORST_FIRST)
            value = nan if flag == Flag.MISSING else round(random.gauss(0, 1e3), random.randrange(12))
            minute = number - random.choice([0, 0, 1, 3, 100, 3000])
            rows.append((random.randrange(len(NAMES)), minute, value, flag))
        batches.append(batch(*rows))
    return batches


def test_what_is_appended_is_read_back_to_the_last_bit(tally: Tally) -> None:
    for seed in tally.seeds(few=3, many=200):
        with tally.trial(), InfluxServer(TOKEN) as server:
            batches = disorder(seed)
            restarts = Random(seed)
            store = None
            for number, one in enumerate(batches, 1):
                if store is None or restarts.random() < 0.3:
                    if store is not None:
                        store.close()
                    store = InfluxStore(InfluxClient(Address(server.url, "city", "readings", TOKEN)), ZONE)
                assert store.append(one, NAMES, Position(number)) == len(firsts(batches[:number])) - len(
                    firsts(batches[: number - 1])
                )
                assert store.append(one, NAMES, Position(number)) == 0
            assert store.position() == len(batches)
            assert kept(store) == firsts(batches)
            store.close()


def test_history_keeps_the_first_also_after_a_restart(opened: Callable[..., InfluxStore]) -> None:
    assert opened().append(batch((0, 5, 0.5)), NAMES, Position(1)) == 1
    store = opened()
    assert store.append(batch((0, 3, 0.3)), NAMES, Position(2)) == 1
    assert store.append(batch((0, 5, 9.5), (0, 3, 9.3), (0, 6, 0.6), (0, 6, 9.6)), NAMES, Position(3)) == 1
    points = opened().readings("rain-1", NOON, NOON + HOUR_MS)
    assert points.value.tolist() == [0.3, 0.5, 0.6]


def test_a_sensor_that_moved_to_another_area_keeps_its_readings(opened: Callable[..., InfluxStore]) -> None:
    store = opened()
    store.append(batch((0, 1, 0.1), (0, 2, 0.2)), NAMES, Position(1))
    moved = {0: Named("rain-1", "rain", "mm", "20257", "gw-9")}
    assert store.append(batch((0, 2, 9.2), (0, 3, 0.3), (0, 0, 0.0)), moved, Position(2)) == 2
    assert store.readings("rain-1", NOON, NOON + HOUR_MS).value.tolist() == [0.0, 0.1, 0.2, 0.3]
    assert store.readings("rain-1", NOON, NOON + HOUR_MS, limit=2).value.tolist() == [0.0, 0.1]
    other = {0: Named("rain-1", "water_level", "m", "20257", "gw-9")}
    store.append(batch((0, 4, 0.4)), other, Position(3))
    assert store.readings("rain-1", NOON, NOON + HOUR_MS, quantity="water_level").value.tolist() == [0.4]
    assert store.buckets(["rain-1"], NOON, NOON + HOUR_MS, HOUR_MS, "water_level").count.tolist() == [1]
    hour = store.buckets(["rain-1"], NOON, NOON + HOUR_MS, HOUR_MS, "rain")
    assert (hour.count.tolist(), hour.last.tolist(), hour.min.tolist()) == ([4], [0.3], [0.0])


def buckets_by_hand(known: Known, sensors: list[str], begins: list[int]) -> list[tuple[float, ...]]:
    """Textbook statistics of the buckets between each two of `begins`."""
    found = []
    for index, id_ in enumerate(sensors):
        for start, end in pairwise(begins):
            rows = [(t, *known[id_, t]) for sensor, t in sorted(known) if sensor == id_ and start <= t < end]
            v = [value for _, value, _, flag in rows if value is not None and flag not in (4, 9)]
            if rows:
                worst = min((flag for *_, flag in rows), key=[4, 3, 1, 2, 9].index)
                shape = (min(v), max(v), sum(v), v[-1]) if v else (nan, nan, 0.0, nan)
                found.append((index, start, len(v), sum(v) / len(v) if v else nan, *shape, worst))
    return found


@pytest.mark.parametrize("every_ms", [MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS])
@pytest.mark.parametrize("zone", ["Asia/Ho_Chi_Minh", "Europe/Paris", "Australia/Lord_Howe"])
def test_buckets_are_those_of_a_textbook(opened: Callable[..., InfluxStore], every_ms: int, zone: str) -> None:
    random = Random(every_ms)
    shift = 16 * DAY_MS if zone == "Europe/Paris" else -12 * DAY_MS  # clocks are set on 30 Oct and on 2 Oct 2022
    store, spread = opened(ZoneInfo(zone)), 12 * every_ms // MINUTE_MS
    one = batch(*((random.choice([0, 2]), random.randrange(spread), random.choice([-2.5, 0.25, nan, 1e-7, 3e12]),
                   random.choice(WORST_FIRST)) for _ in range(60)))  # fmt: skip
    one = Readings.of(sensor=one.sensor, t=one.t + shift, value=one.value, raw=one.raw, flag=one.flag)
    store.append(one, NAMES, Position(1))
    sensors = ["rain-1", "pm-1", "never heard of"]
    start, end = NOON + shift + 2 * every_ms + 1, NOON + shift + 10 * every_ms + 1
    got = store.buckets(sensors, start, end, every_ms)
    if every_ms == DAY_MS:
        midnight = datetime.fromtimestamp(start / 1000, ZoneInfo(zone)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        edges = [int((midnight + timedelta(days=n)).timestamp()) * 1000 for n in range(-2, 20)]
    else:
        edges = list(range((start // every_ms - 2) * every_ms, end + 3 * every_ms, every_ms))
    first = next(edge for edge in edges if edge >= start)
    last = next(edge for edge in edges if edge >= end)
    edges = [edge for edge in edges if first <= edge <= last]
    expected = buckets_by_hand(firsts([one]), sensors, edges)
    columns = (got.sensor, got.start, got.count, got.mean, got.min, got.max, got.sum, got.last, got.flag)
    found = list(zip(*(column.tolist() for column in columns), strict=True))
    assert expected
    assert len(found) == len(expected)
    for one_found, one_expected in zip(found, expected, strict=True):
        assert one_found == pytest.approx(one_expected, rel=1e-9, abs=1e-3, nan_ok=True)


def test_limits_are_said_and_empty_spans_are_empty(opened: Callable[..., InfluxStore]) -> None:
    store = opened()
    assert store.span() is None
    assert list(store.scan(0, NOON)) == []
    assert store.position() == ORIGIN
    assert len(store.readings("rain-1", NOON, NOON).t) == 0
    assert len(store.readings("rain-1", NOON + 1, NOON).t) == 0
    assert len(store.buckets(["rain-1"], NOON, NOON, HOUR_MS).start) == 0
    assert len(store.buckets([], NOON, NOON + HOUR_MS, HOUR_MS).start) == 0
    assert len(store.buckets(["rain-1"], NOON, NOON - 3 * DAY_MS, DAY_MS).start) == 0
    for limit in (0, READINGS_MAX + 1):
        with pytest.raises(ValueError, match="at a time"):
            store.readings("rain-1", 0, NOON, limit)
    for many, every_ms in ((1000, MINUTE_MS), (1, 0)):
        with pytest.raises(ValueError, match=r"at a time|last"):
            store.buckets(["a"] * many, 0, NOON, every_ms)
    store.append(batch((0, 1, 1.0), (1, 7, 1.0)), NAMES, Position(1))
    assert store.span() == (NOON + MINUTE_MS, NOON + 7 * MINUTE_MS)


def test_a_scan_is_in_order_and_in_bounded_parts(
    opened: Callable[..., InfluxStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.history.answers.READINGS_MAX", 50)
    monkeypatch.setattr("ingest.history.influx.SLICE_ROWS", 20)
    store = opened()
    store.append(batch(*((n % 3, n // 3 + 4000 * (n > 150), float(n)) for n in range(300))), NAMES, Position(1))
    parts: list[Rows] = list(store.scan(NOON + MINUTE_MS, NOON + 9 * DAY_MS))
    assert max(len(part.t) for part in parts) <= 50
    found = [(t, part.names[series].id) for part in parts
             for t, series in zip(part.t.tolist(), part.series.tolist(), strict=True)]  # fmt: skip
    assert found == sorted(found)
    assert len(found) == 297
    some = [row for part in store.scan(0, NOON + 9 * DAY_MS, ["rain-1", "nobody"]) for row in part.t.tolist()]
    assert len(some) == 100
    assert list(store.scan(0, NOON + 9 * DAY_MS, [])) == []


# -- what the server may do ------------------------------------------------------------------------------------------


def test_the_position_is_there_when_every_row_is(opened: Callable[..., InfluxStore], server: InfluxServer) -> None:
    """Killed after any request, half of one included: what is asked again completes it, and nothing is passed over."""
    batches = disorder(7, 6)
    for written in (0.0, 0.5, 1.0):
        for fatal in range(8):
            server.buckets["readings"].clear()
            left = iter(range(fatal, -1, -1))
            server.weather = lambda path, left=left, written=written: (
                Fault(written=written) if path.endswith("write") and next(left, 1) == 0 else None
            )
            store, done = opened(), 0
            for _ in range(40):
                try:
                    done = store.position()
                    while done < len(batches):
                        store.append(batches[done], NAMES, Position(done + 1))
                        done += 1
                    break
                except StoreError:
                    store = opened()  # another process: it knows what the server tells
                    reached = store.position()
                    assert firsts(batches[:reached]).items() <= kept(store).items()
            assert kept(store) == firsts(batches)


def test_rows_and_position_go_in_bounded_requests_the_position_last(
    opened: Callable[..., InfluxStore], server: InfluxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(influx_client, "LINES_MAX", 7)
    opened().append(batch(*((n % 3, n, 1.0) for n in range(30))), NAMES, Position(41))
    written = [body.splitlines() for path, body in server.requests if path == "/api/v2/write"]
    assert [len(one) for one in written] == [7, 7, 7, 7, 2, 1]
    assert written[-1] == [f"canhbao/position position=41i,mark=-1i {NOON + 29 * MINUTE_MS}"]


def test_the_mark_is_that_of_the_position_beside_it(opened: Callable[..., InfluxStore]) -> None:
    store = opened()
    assert store.mark() is None
    store._client.write([f"canhbao/position position=3i {NOON}"])  # somebody else's: nothing is known of it
    assert (opened().position(), opened().mark()) == (3, None)
    for position, mark in ((4, 0), (5, 2**32 - 1), (6, None)):  # none brings readings: all stand at the same time
        opened().append(batch(), NAMES, Position(position), mark)
        assert (opened().position(), opened().mark()) == (position, mark)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_a_store_that_is_away_says_so_and_how_long(
    opened: Callable[..., InfluxStore], server: InfluxServer, status: int
) -> None:
    store = opened()
    store.append(batch((0, 1, 1.0)), NAMES, Position(1))
    server.weather = lambda _: Fault(status, "17" if status in (429, 503) else "")
    for ask in (lambda: store.append(batch((0, 2, 1.0)), NAMES, Position(2)), store.span):
        with pytest.raises(StoreError, match=f"answers {status}") as away:
            ask()
        assert away.value.again_s == (17.0 if status in (429, 503) else 0.0)
    server.weather = lambda _: None
    assert store.position() == 1
    assert store.append(batch((0, 2, 1.0)), NAMES, Position(2)) == 1


@pytest.mark.parametrize("has_begun", [False, True])
def test_an_answer_that_fails_on_its_way_is_no_answer(
    opened: Callable[..., InfluxStore], server: InfluxServer, monkeypatch: pytest.MonkeyPatch, has_begun: bool
) -> None:
    """InfluxDB has said 200 by then: a table of its own tells the fault (its documents, "annotated CSV", errors)."""
    opened().append(batch((0, 1, 1.0), (0, 2, 2.0)), NAMES, Position(1))
    whole = server._query
    fault = ",error,reference\r\n,query ran out of memory,\r\n"
    with monkeypatch.context() as later:
        later.setattr(server, "_query", lambda asked: (whole(asked) if has_begun else "") + fault)
        store = opened()
        for ask in (
            store.position, store.span, lambda: store.readings("rain-1", 0, NOON * 2),
            lambda: list(store.scan(NOON, NOON + HOUR_MS)), lambda: store.buckets(["rain-1"], NOON, NOON + 1, HOUR_MS),
            lambda: store.append(batch((0, 1, 7.0)), NAMES, Position(2)),
        ):  # fmt: skip
            with pytest.raises(StoreError, match="query ran out of memory"):
                ask()
    assert store.append(batch((0, 1, 7.0)), NAMES, Position(2)) == 0
    assert store.readings("rain-1", 0, NOON * 2).value.tolist() == [1.0, 2.0]


def test_nobody_listens_wrong_names_and_a_wrong_token_without_telling_it(
    opened: Callable[..., InfluxStore], server: InfluxServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for other, match in (
        ({"token": TOKEN + "x"}, "401"),
        ({"org": "x"}, "404.*organization"),
        ({"bucket": "x"}, "404|400"),
    ):
        for ask in (lambda store: store.span(), lambda store: store._client.write(["rain flag=1i 1"])):
            with pytest.raises(StoreError, match=match) as refused:
                ask(opened(**other))
            said += [repr(refused.value), str(refused.value.__cause__), repr(opened(**other)._client.__dict__["_at"])]
    store = opened()
    server.down()
    with pytest.raises(StoreError, match="does not answer"):
        store.append(batch((0, 2, 1.0)), NAMES, Position(2))
    with pytest.raises(StoreError, match="does not answer"):
        store.position()
    server.up()
    assert store.append(batch((0, 2, 1.0)), NAMES, Position(2)) == 1
    assert TOKEN not in "".join(said) + caplog.text


def test_lines_that_are_refused_for_ever_are_named_and_the_rest_goes_in(
    opened: Callable[..., InfluxStore], caplog: pytest.LogCaptureFixture
) -> None:
    beyond = lines.NEWEST_MS + 1  # of int64 ns: the data's clock may bring it
    opened()._client.write(["water_level,sensor=other value=1i 1000"])  # somebody else took this field for integers
    store = opened()
    one = batch(*((0, n, float(n)) for n in range(40)), (1, 3, 0.3))
    t = one.t.copy()
    t[[5, 17]] = beyond, beyond + 1
    one = Readings.of(sensor=one.sensor, t=t, value=one.value, raw=one.raw, flag=one.flag, arrival=one.arrival)
    assert store.append(one, NAMES, Position(1)) == 41
    assert store.refused == 3
    assert f"rain,area=20242,gateway=gw-1,sensor=rain-1,unit=mm at {beyond} ms: unable to parse" in caplog.text
    assert "field type conflict" in caplog.text
    assert re.search(r"sensor=river\\,\\ of\\ \\=\\ 'x'\S* at \d+ ms", caplog.text)
    assert store.position() == 1
    assert len(kept(store)) == 38
    caplog.clear()
    one = Readings.of(sensor=[0] * 30, t=[beyond + n for n in range(30)], value=[1.0] * 30, arrival=[NOON] * 30)
    store.append(one, NAMES, Position(2))
    assert caplog.text.count("unable to parse") == influx_client.NAMED_MAX
    assert "20 more lines were refused" in caplog.text


def test_a_request_that_is_too_large_goes_in_parts() -> None:
    with InfluxServer(TOKEN, most_bytes=900) as small:
        store = InfluxStore(InfluxClient(Address(small.url, "city", "readings", TOKEN)), ZONE)
        store.append(batch(*((0, n, 0.25) for n in range(100))), NAMES, Position(1))
        assert (len(kept(store)), store.refused) == (100, 0)
        store.close()


def test_what_the_bucket_keeps_no_more_is_counted_and_holds_nothing_up(
    opened: Callable[..., InfluxStore], server: InfluxServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.keep_from = (NOON + 10 * MINUTE_MS) * 1_000_000
    store = opened()
    store.append(batch(*((0, n, 0.25) for n in range(30))), NAMES, Position(1))
    assert (len(kept(store)), store.refused, store.position()) == (20, 10, 1)
    assert "beyond retention policy dropped=10" in caplog.text
    assert len([path for path, _ in server.requests if path.endswith("write")]) == 2, "not one request a line"


def test_down_for_minutes_under_load_and_equal_to_the_journal_afterwards(
    opened: Callable[..., InfluxStore], server: InfluxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes of the test's clock: away, refusing, slowing down, cut in the middle, while the journal grows."""
    monkeypatch.setattr(follow, "READINGS_MOST", 20)
    batches, random, now = disorder(11, 60), Random(5), 0.0
    journal = Journal.open(tmp_path)
    journal.append(Configuration(0, CITY, "", tuple(name.id for name in NAMES.values())))
    assert journal.configuration is not None
    named = follow.names_of(journal.configuration)
    assert [named[number] == NAMES[number] for number in NAMES] == [True, False, True, True]
    followers = [Follower(tmp_path, opened(), Keep(1, 1), lambda: journal.last, Random(3))]
    server.weather = lambda _: None if now >= 300 else random.choice(
        [Fault(503, "20"), Fault(429, "30"), Fault(500), Fault(written=random.random())]
    )  # fmt: skip
    server.down()
    waits = []
    for n, one in enumerate(batches):
        arrival = np.full(len(one), NOON + n)
        journal.append(Batch(replace(one, arrival=arrival), arrival=NOON + n))
        if n == 10:
            server.up()
        if n == 40:
            followers.append(Follower(tmp_path, opened(), Keep(1, 1), lambda: journal.last, Random(3)))
        waits.append(followers[-1].turn())
        now += waits[-1]
    assert now > 300
    while followers[-1].counts.position < journal.last:
        followers[-1].turn()
    assert {20.0, 30.0} < set(waits), "what the server asks for is waited"
    assert max(waits) == 30.0
    assert kept(opened(), named) == firsts(batches)
    assert followers[-1].counts.fault == ""
    journal.close()


# -- no text leaves its literal --------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\${}\n\r\t) |>'), max_size=30)


@given(texts)
def test_a_text_is_one_literal_and_nothing_else(text: str) -> None:
    calls = list(Script(f"from(bucket: {flux.literal(text)}) |> yield(name: {flux.literal(text[::-1])})").statements())
    assert calls == [[("from", {"bucket": text}), ("yield", {"name": text[::-1]})]]


@given(st.integers(0, lines.NEWEST_MS))
def test_a_time_is_itself(moment: int) -> None:
    calls = list(Script(f"range(start: {flux.time_literal(moment)})").statements())
    assert calls == [[("range", {"start": Time(moment * 1_000_000)})]]


def test_what_a_caller_asks_cannot_become_part_of_the_question(opened: Callable[..., InfluxStore]) -> None:
    store = opened()
    store.append(batch((0, 1, 1.0), (1, 1, 1.0)), NAMES, Position(1))
    for wicked in (
        'rain-1" or r.sensor != "',
        'x") |> drop(columns: ["_time"',
        "${from(bucket: 1)}",
        "\\",
        '\\" or 1 == 1',
    ):
        assert len(store.readings(wicked, NOON, NOON + HOUR_MS).t) == 0
        assert len(store.buckets([wicked], NOON, NOON + HOUR_MS, HOUR_MS).start) == 0
    assert len(store.readings("river, of = 'x'", NOON, NOON + HOUR_MS).t) == 1


# -- the whole process -----------------------------------------------------------------------------------------------


def test_the_process_of_the_history_follows_into_influxdb_and_answers(
    server: InfluxServer, opened: Callable[..., InfluxStore], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The token goes by the environment, since arguments are seen by everybody, and into no log."""
    caplog.set_level(logging.DEBUG)
    batches = disorder(3)
    journal = Journal.open(tmp_path / "journal")
    journal.append(Configuration(0, CITY, "", tuple(name.id for name in NAMES.values())))
    for one in batches:
        journal.append(Batch(replace(one, arrival=np.full(len(one), NOON)), arrival=NOON))
    arguments = ["--data", str(tmp_path), "--url", f"influx+{server.url}?org=city&bucket=readings", "--zone", ZONE.key]
    history = HistoryProcess(arguments, {**os.environ, "CANHBAO_HISTORY__TOKEN": TOKEN}, lambda: journal.last)
    history.start()
    try:
        until(lambda: history.progress.position == journal.last, wait_s=30)
        points = history.client.readings("rain-1", NOON - 9 * DAY_MS, NOON + DAY_MS)
        assert points.t.tolist() == sorted(t for id_, t in firsts(batches) if id_ == "rain-1")
        span = opened().span()
        assert history.client.span() == span
        assert sum(len(rows.t) for rows in history.client.scan(0, NOON + DAY_MS)) == len(firsts(batches))
    finally:
        history.stop()
    assert TOKEN not in caplog.text
    assert history.counters["canhbao_history_refused_total"] == 0
    assert len(kept(opened(), follow.names_of(journal.configuration))) == len(firsts(batches))
    journal.close()
