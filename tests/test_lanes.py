"""Old spools have a lane of their own: they arrive, and hold up nothing that is new."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from brokers import Client, until
from test_run import alerts, metrics_of
from test_service import service
from test_spine import CITY, RULES

from ingest.entries import Header
from ingest.inbox import Inbox, Message
from ingest.lanes import BUSY_MESSAGES, BUSY_SLICE_EVERY_S, SLICE_BYTES, SLICE_EVERY_S, Lanes
from ingest.receipts import Receipts


class Ear:
    """A source that is filled by hand."""

    connected = True

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.acknowledged: list[Message] = []

    def acknowledge(self, messages: Iterable[Message]) -> None:
        self.acknowledged += messages

    def hear(self, topic: str, count: int, size: int = 100) -> None:
        for n in range(count):
            assert self.inbox.put(Message(f"canhbao/v1/gw-1/{topic}", bytes(size), False, 1, n, 1))


class Both:
    """The two lanes and the clock between them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.live, self.old = Ear(), Ear()
        self.lanes = Lanes(self.live, self.old, lambda: self.now_s)  # type: ignore[arg-type]

    def takes_old(self, new: int) -> bool:
        """In a turn that brings so many new messages."""
        self.live.hear("readings", new)
        return any("backfill" in message.topic for message in self.lanes.drain(0.0))


def test_a_slice_of_what_is_old_follows_what_is_new() -> None:
    both = Both()
    live, old, lanes = both.live, both.old, both.lanes
    live.hear("readings", 3)
    old.hear("backfill", 100, size=4_000)
    messages = lanes.drain(0.0)

    assert [message.topic[-8:] for message in messages[:3]] == ["readings"] * 3
    assert 0 < sum(len(message.payload) for message in messages[3:]) <= SLICE_BYTES
    lanes.acknowledge(messages)
    assert live.acknowledged == messages[:3]
    assert old.acknowledged == messages[3:]


@pytest.mark.parametrize(("new", "every_s"), [(1, SLICE_EVERY_S), (BUSY_MESSAGES, BUSY_SLICE_EVERY_S)])
def test_what_is_old_keeps_its_pace_and_a_slower_one_while_much_is_new(new: int, every_s: float) -> None:
    both = Both()
    both.old.hear("backfill", 1_000, size=SLICE_BYTES)
    taken_s = []
    for ms in range(0, 5_000, 10):
        both.now_s = ms / 1_000
        if both.takes_old(new):
            taken_s.append(both.now_s)

    assert min(later - before for before, later in pairwise(taken_s)) >= every_s
    assert len(taken_s) > 0.8 * 5 / every_s


def test_where_much_waits_slices_grow_so_that_it_is_taken_before_it_comes_again() -> None:
    both = Both()
    both.old.hear("backfill", 4_000, size=SLICE_BYTES - 200)
    for ms in range(0, 60_000, 100):
        both.now_s = ms / 1_000
        both.lanes.drain(0.0)
    assert len(both.old.inbox) < 4_000 / math.e


def test_while_nothing_is_new_the_old_waits_for_its_time_alone() -> None:
    live, old = Ear(), Ear()
    lanes = Lanes(live, old, time.monotonic)  # type: ignore[arg-type]
    old.hear("backfill", 2, size=SLICE_BYTES)
    began_s = time.monotonic()
    assert [len(lanes.drain(5.0)), len(lanes.drain(5.0))] == [1, 1]
    assert SLICE_EVERY_S <= time.monotonic() - began_s < 2.0


def test_a_gateway_that_empties_its_old_spool_is_not_taken_for_two() -> None:
    receipts, told = Receipts(), []
    for seq in range(1, 20):
        for boot, backfill in (("a" * 16, False), ("b" * 16, True)):
            told += receipts.step([Header("gw-1", boot, seq, 1, 0, backfill)], seq * 1_000).alternating
    assert told == []


def test_old_readings_are_stored_and_receipted_and_ring_no_bell(tmp_path: Path) -> None:
    (tmp_path / "city.toml").write_text(CITY)
    (tmp_path / "rules.toml").write_text(RULES)
    now = time.time_ns() // 1_000_000
    old = [{"sensor": "river", "t": now - 5 * 3_600_000 + n, "v": 3.0} for n in range(100)]
    with (
        service(tmp_path) as (page, url),
        Client(int(url.rpartition(":")[2]), "canhbao/v1/gw-1/receipt") as gateway,
    ):
        body = {"boot": "b" * 16, "seq": 1, "first": 1, "readings": old}
        gateway.publish("canhbao/v1/gw-1/backfill", json.dumps(body).encode())
        until(lambda: gateway.heard, "no receipt")
        fresh = {"sensor": "river", "t": now, "v": 0.5}
        gateway.publish("canhbao/v1/gw-1/readings", json.dumps(fresh).encode())
        until(lambda: "canhbao_readings_total 101" in metrics_of(page))

        assert json.loads(gateway.heard[0][1]) == {"boot": "b" * 16, "seq": 1}
        assert "canhbao_backfill_messages_total 1" in metrics_of(page)
        assert alerts(page) == []
