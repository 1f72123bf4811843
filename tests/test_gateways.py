"""Gateways as citizens: who is there, whose clock is wrong, and that none can take the room of another."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from brokers import Client, until
from hypothesis import given
from hypothesis import strategies as st
from test_run import metrics_of
from test_service import service
from test_spine import CITY, RULES

from ingest.formats import RefusedError, is_status, status
from ingest.gateways import OFFSET_WINDOW_MS, GatewayBook
from ingest.rate_limit import RateLimit

NOON = 1_665_723_600_000


def test_a_clock_that_is_ahead_shows_at_its_first_reading_and_one_that_is_behind_by_its_fastest() -> None:
    book = GatewayBook(["ahead", "behind"])
    for n, delay_ms in enumerate([4_000, 200, 9_000]):
        now = NOON + n * 60_000
        book.message("ahead", now, readings=1, refused=0, newest_t=now + 90_000 - delay_ms)
        book.message("behind", now, readings=1, refused=0, newest_t=now - 120_000 - delay_ms)

    assert [state.clock_offset_ms for state in book.states()] == [89_800, -120_200]


def test_a_clock_that_was_set_right_is_right_again_after_two_windows() -> None:
    book = GatewayBook(["gw"])
    offsets = []
    for n in range(4):
        now = NOON + n * OFFSET_WINDOW_MS
        book.message("gw", now, readings=1, refused=0, newest_t=now + (90_000 if n == 0 else -100))
        offsets.append(book.states()[0].clock_offset_ms)
    assert offsets == [90_000, 90_000, -100, -100]


def test_only_who_was_heard_is_looked_at_again() -> None:
    book = GatewayBook(["tasmota/a", "tasmota/b"])
    before = book.states()
    book.status("tasmota/b", online=False, now=NOON)
    book.message("tasmota/b", NOON, readings=1, refused=0, newest_t=None)
    after = book.states()
    assert after[0] is before[0]
    assert (after[1].online, after[1].messages) == (False, 1)
    assert book.states() == after


def test_what_strangers_say_is_remembered_nowhere() -> None:
    book = GatewayBook(["gw"])
    book.message("stranger", NOON, readings=1, refused=0, newest_t=NOON)
    book.status("stranger", online=True, now=NOON)
    book.repeated("stranger", duplicates=1, conflicts=0)
    assert [state.id for state in book.states()] == ["gw"]
    assert book.states()[0].heard_at is None


@pytest.mark.parametrize("payload", [b"online", b"offline", b" Online\n"])
def test_a_status_is_read_as_it_is_written(payload: bytes) -> None:
    assert status.decode(payload) == (b"n" in payload[:3])
    assert status.decode(status.encode(online=True))


@given(st.binary(max_size=200))
def test_any_other_status_is_refused(payload: bytes) -> None:
    if payload.strip().lower() not in (b"online", b"offline"):
        with pytest.raises(RefusedError, match="wrong_shape"):
            status.decode(payload)


def test_only_a_gateways_own_topic_is_a_status() -> None:
    assert is_status("canhbao/v1/gw-1/status")
    assert not any(map(is_status, ["canhbao/v1/gw-1/status/x", "canhbao/v1/gw-1/readings/status", "x/y/z/status"]))


def test_a_gateway_may_say_a_burst_and_then_its_rate() -> None:
    limit = RateLimit(per_s=10, burst=5)
    assert [limit.admits("gw", 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert limit.admits("other", 0.0)
    assert not limit.admits("gw", 0.05)
    assert limit.admits("gw", 0.1)
    assert [limit.admits("gw", 100.0) for _ in range(6)] == [True] * 5 + [False]


def test_a_flood_from_one_gateway_is_left_out_and_another_is_heard_at_once(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY.replace('id = "gw-1"', 'id = "gw-1"\n[[gateway]]\nid = "gw-2"', 1))
    (tmp_path / "rules.toml").write_text(RULES)
    now = time.time_ns() // 1_000_000
    with service(tmp_path) as (page, url):
        port = int(url.rpartition(":")[2])
        with (
            Client(port) as mad,
            Client(port, "canhbao/v1/gw-1/receipt") as gateway,
        ):
            gateway.publish("canhbao/v1/gw-1/status", b"online", retain=True)
            flood = [json.dumps({"sensor": "nobody", "t": now + n, "v": 1}).encode() for n in range(6_000)]
            for payload in flood:
                mad.client.publish("canhbao/v1/gw-2/readings", payload, 1)
            body = {"boot": "b" * 16, "seq": 1, "first": 1, "readings": [{"sensor": "river", "t": now, "v": 0.5}]}
            gateway.publish("canhbao/v1/gw-1/readings", json.dumps(body).encode())
            until(lambda: gateway.heard, "no receipt while another floods", wait_s=30.0)
            until(lambda: 'canhbao_rate_limited_total{gateway="gw-2"}' in metrics_of(page), wait_s=60.0)
        said = metrics_of(page)
    assert 'canhbao_rate_limited_total{gateway="gw-1"}' not in said
    assert 'canhbao_gateway_online{gateway="gw-1"} 1' in said


def test_a_gateway_that_leaves_is_seen_to_and_its_wrong_clock_is_shown(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    with service(tmp_path) as (page, url), Client(int(url.rpartition(":")[2])) as gateway:
        for _ in range(2):
            t = time.time_ns() // 1_000_000 + 100_000
            gateway.publish("canhbao/v1/gw-1/readings", json.dumps({"sensor": "river", "t": t, "v": 0.5}).encode())
        gateway.publish("canhbao/v1/gw-1/status", b"offline", retain=True)
        until(lambda: 'canhbao_gateway_online{gateway="gw-1"} 0' in metrics_of(page))
        offset = next(line for line in metrics_of(page).splitlines() if "clock_offset_seconds{" in line)

        gateway.publish("canhbao/v1/gw-1/status", b"who knows")
        until(lambda: 'canhbao_refused_total{reason="wrong_shape"} 1' in metrics_of(page))
    assert 95 < float(offset.split()[-1]) <= 100


def test_one_mad_time_does_not_hide_how_far_the_clock_is_off() -> None:
    book = GatewayBook(["gw-1"])
    for newest_t in (10**320, 4_102_444_800_000, 1_665_723_600_000 + 1_500):  # of no year, of 2100, and a clock ahead
        book.message("gw-1", 1_665_723_600_000, readings=0, refused=1, newest_t=newest_t)
    assert book.states()[0].clock_offset_ms == 1_500
