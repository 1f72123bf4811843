"""What gateways are owed: never leave to delete what is not on disk, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.entries import Header
from ingest.receipts import BOOTS_MAX, GATEWAYS_MAX, ONLY_MAX, Lost, Owed, Receipts
from ingest.seqs import ASKED_EVERY_MS, FIRST_ASKED_AFTER_MS, HOLES_MAX, MISSING_MAX, REQUESTS_MAX, Seqs

A, B = "a" * 16, "b" * 16
SECOND = 1_000


def said(seq: int, first: int | None = 1, *, boot: str = A, gateway: str = "gw-1", arrival: int = 0) -> Header:
    return Header(gateway, boot, seq, first, arrival)


def payloads(owed: Owed) -> list[dict[str, Any]]:
    return [receipt.payload for receipt in owed.receipts]


def missing(owed: Owed) -> list[list[int]]:
    return [payload["missing"] for payload in payloads(owed) if "missing" in payload]


def test_a_receipt_reaches_through_what_came_without_a_hole() -> None:
    receipts = Receipts()

    assert payloads(receipts.step([said(1), said(2), said(3)], 0)) == [{"boot": A, "seq": 3}]
    assert payloads(receipts.step([said(4, 2)], 1)) == [{"boot": A, "seq": 4}]


def test_every_numbered_message_is_answered_again_when_it_comes_again() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(2)], 0)

    assert payloads(receipts.step([said(1)], 5)) == [{"boot": A, "seq": 2}]


def test_a_hole_holds_the_receipt_back_until_it_is_filled() -> None:
    receipts = Receipts()

    assert payloads(receipts.step([said(1), said(4)], 0)) == [{"boot": A, "seq": 1}]
    assert payloads(receipts.step([said(3)], 1)) == [{"boot": A, "seq": 1}]
    assert payloads(receipts.step([said(2)], 2)) == [{"boot": A, "seq": 4}]


def test_a_first_message_late_in_a_boot_promises_nothing_below_it() -> None:
    receipts = Receipts()

    assert payloads(receipts.step([said(9, 7)], 0)) == [{"boot": A, "seq": 6}]
    assert missing(receipts.tick(FIRST_ASKED_AFTER_MS)) == [[7, 8]]


def test_a_gateway_without_a_spool_hears_exactly_what_it_sent() -> None:
    receipts = Receipts()

    owed = receipts.step([said(7, None), said(9, None), said(7, None)], 0)

    assert payloads(owed) == [{"boot": A, "only": [7, 9]}]
    assert not receipts.tick(10**9).receipts


def test_many_single_receipts_are_cut_into_several() -> None:
    owed = Receipts().step([said(seq, None) for seq in range(1, ONLY_MAX + 2)], 0)

    assert [len(payload["only"]) for payload in payloads(owed)] == [ONLY_MAX, 1]


def test_gateways_and_boots_are_answered_apart() -> None:
    owed = Receipts().step([said(1), said(1, gateway="gw-2"), said(5, 5, boot=B), said(2)], 0)

    assert [(r.gateway, r.payload["boot"], r.payload["seq"]) for r in owed.receipts] == [
        ("gw-1", A, 2), ("gw-2", A, 1), ("gw-1", B, 5),
    ]  # fmt: skip


def test_a_hole_is_asked_for_after_ten_seconds_and_then_each_minute() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(4)], 0)

    asked = [(now // SECOND, missing(receipts.tick(now))) for now in range(0, 190 * SECOND, SECOND)]

    assert [(at, what) for at, what in asked if what] == [(10, [[2, 3]]), (70, [[2, 3]]), (130, [[2, 3]])]


def test_a_hole_that_closes_in_ten_seconds_is_never_asked_for() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)
    receipts.step([said(2)], FIRST_ASKED_AFTER_MS - 1)

    assert receipts.tick(FIRST_ASKED_AFTER_MS) == Owed()


def test_traffic_carries_the_requests_as_well_as_ticks_do() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)

    assert payloads(receipts.step([said(4)], FIRST_ASKED_AFTER_MS)) == [
        {"boot": A, "seq": 1}, {"boot": A, "missing": [2]},
    ]  # fmt: skip


def test_what_three_requests_did_not_bring_is_lost_and_the_receipt_passes_it() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)
    for now in (10, 70, 130):
        assert missing(receipts.tick(now * SECOND)) == [[2]]
    receipts.step([said(4)], 140 * SECOND)

    assert receipts.tick(190 * SECOND - 1) == Owed()
    owed = receipts.tick(190 * SECOND)

    assert owed.lost == (Lost("gw-1", A, 2, 2),)
    assert payloads(owed) == [{"boot": A, "seq": 4}]


def test_a_gateway_that_cannot_hear_the_requests_keeps_what_it_has() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)
    for now in range(0, 7200, 10):
        assert not receipts.tick(now * SECOND).lost

    back = receipts.step([said(4)], 7200 * SECOND)

    assert payloads(back) == [{"boot": A, "seq": 1}, {"boot": A, "missing": [2]}]
    assert payloads(receipts.step([said(2)], 7210 * SECOND)) == [{"boot": A, "seq": 4}]


def test_a_gateway_that_is_back_and_does_not_answer_has_lost_it() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)
    for now in range(0, 7200, 10):
        receipts.tick(now * SECOND)
    receipts.step([said(4)], 7200 * SECOND)

    assert receipts.tick(7260 * SECOND).lost == (Lost("gw-1", A, 2, 2),)


def test_first_moving_past_a_hole_gives_it_up() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(4)], 0)

    owed = receipts.step([said(6, 3)], 1)

    assert owed.lost == (Lost("gw-1", A, 2, 2),)
    assert payloads(owed) == [{"boot": A, "seq": 2}]


def test_first_moving_past_what_never_came_gives_that_up_too() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)

    owed = receipts.step([said(12, 10)], 1)

    assert owed.lost == (Lost("gw-1", A, 2, 2), Lost("gw-1", A, 4, 9))
    assert payloads(owed) == [{"boot": A, "seq": 9}]


def test_first_never_goes_back() -> None:
    receipts = Receipts()
    receipts.step([said(9, 9)], 0)

    assert payloads(receipts.step([said(5, 4)], 1)) == [{"boot": A, "seq": 9}]


def test_a_wide_hole_is_asked_for_piece_by_piece_oldest_first() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(252)], 0)

    first = missing(receipts.tick(10 * SECOND))
    receipts.step([said(seq) for seq in range(2, 52)], 11 * SECOND)
    second = missing(receipts.tick(12 * SECOND))

    assert first == [list(range(2, 102))]
    assert second == []  # asked for in the step at 11 s, as soon as there was room
    assert sum(len(hole) for hole in seqs_of(receipts).holes if hole.asked) == MISSING_MAX


def test_what_was_never_asked_for_is_never_given_up() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(252)], 0)

    lost: list[Lost] = []
    for now in range(10, 200, 10):
        lost += receipts.step([said(253)], now * SECOND).lost

    assert lost == [Lost("gw-1", A, 2, 101)]


def test_a_hole_of_any_width_costs_a_range() -> None:
    receipts = Receipts()

    owed = receipts.step([said(1), said(2**53 - 1)], 0)

    assert payloads(owed) == [{"boot": A, "seq": 1}]
    assert missing(receipts.tick(10 * SECOND)) == [list(range(2, 102))]


def test_too_many_holes_leave_a_message_unreceipted_but_never_the_other_way_round() -> None:
    receipts = Receipts()
    every_other = [said(seq) for seq in range(1, 2 * HOLES_MAX + 20, 2)]
    receipts.step(every_other, 0)
    assert len(seqs_of(receipts).holes) == HOLES_MAX
    top = seqs_of(receipts).top

    receipts.step([said(seq) for seq in range(2, top, 2)], 1)

    assert payloads(receipts.step([said(1)], 2)) == [{"boot": A, "seq": top}]
    assert top == 2 * HOLES_MAX + 1


def test_a_hole_cannot_be_cut_into_more_pieces_than_are_remembered() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(10_000)], 0)

    owed = receipts.step([said(seq) for seq in range(3, 9_000, 2)], 1)

    assert payloads(owed) == [{"boot": A, "seq": 1}]
    assert len(seqs_of(receipts).holes) == HOLES_MAX


def test_a_forgotten_boot_starts_anew_and_promises_only_what_it_sees() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(2), said(5)], 0)
    for n in range(BOOTS_MAX):
        receipts.step([said(1, boot=f"{n:016x}")], 1)

    assert payloads(receipts.step([said(3)], 2)) == [{"boot": A, "seq": 0}]


def test_gateways_are_bounded_too() -> None:
    receipts = Receipts()
    receipts.step([said(1), said(3)], 0)
    receipts.step([said(1, gateway=f"g{n}") for n in range(GATEWAYS_MAX)], 1)

    assert len(receipts.to_state()) == GATEWAYS_MAX
    assert receipts.tick(100 * SECOND) == Owed()


def test_a_new_boot_is_no_alternation() -> None:
    receipts = Receipts()

    told = [receipts.step([said(n, boot=A if n < 5 else B)], n).alternating for n in range(1, 10)]

    assert not any(told)


def test_two_boots_that_take_turns_are_told_once_an_hour() -> None:
    receipts = Receipts()

    told = [
        minute for minute in range(1, 181)
        if receipts.step([said(minute, boot=(A, B)[minute % 2])], minute * 60 * SECOND).alternating
    ]  # fmt: skip

    assert told == [4, 64, 124]


def test_old_messages_that_a_broker_brings_again_are_no_alternation() -> None:
    receipts = Receipts()
    receipts.step([said(seq) for seq in range(1, 10)], 0)

    told = [receipts.step([said(n, boot=B), said(n)], n).alternating for n in range(1, 9)]

    assert not any(told)


def seqs_of(receipts: Receipts) -> Seqs:
    return receipts._gateways["gw-1"].boots[A]


@dataclass
class Naive:
    """The same once more with sets, one seq at a time, for one boot of one gateway."""

    first: int | None = None
    newest: int = 0
    heard: int = 0
    on_disk: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    seen: dict[int, int] = field(default_factory=dict)
    asked: dict[int, list[int]] = field(default_factory=dict)

    def open(self) -> list[int]:
        if self.first is None:
            return []
        return [seq for seq in range(self.first, self.newest) if seq not in self.on_disk | self.gone]

    def step(self, messages: Sequence[tuple[int, int]], now: int) -> tuple[list[dict[str, Any]], set[int]]:
        through = self.through()
        lost = {seq for seq in self.open() if self.unanswered(seq, now) and self.heard >= self.asked[seq][-1]}
        self.gone |= lost
        for seq, first in messages:
            lost |= self.take(seq, first, now)
        payloads = []
        if messages or self.through() > through:
            payloads.append({"boot": A, "seq": self.through()})
        request = list(self.requests(now))
        for seq in request:
            self.asked.setdefault(seq, []).append(now)
        return payloads + ([{"boot": A, "missing": request}] if request else []), lost

    def take(self, seq: int, first: int, now: int) -> set[int]:
        for gap in self.open():
            if self.unanswered(gap, now) and self.heard < self.asked[gap][-1]:
                del self.asked[gap][0]
        if self.first is None:
            self.first = first
        dropped = set(range(self.first, first)) - self.on_disk - self.gone
        self.gone |= dropped
        self.first, self.heard, self.newest = max(self.first, first), now, max(self.newest, seq)
        self.on_disk.add(seq)
        for gap in self.open():
            self.seen.setdefault(gap, now)
        return dropped

    def unanswered(self, seq: int, now: int) -> bool:
        times = self.asked.get(seq, [])
        return len(times) == REQUESTS_MAX and now >= times[-1] + ASKED_EVERY_MS

    def requests(self, now: int) -> Iterator[int]:
        room = MISSING_MAX - sum(seq in self.asked for seq in self.open())
        for seq in self.open():
            times = self.asked.get(seq, [])
            if times and len(times) < REQUESTS_MAX and now >= times[-1] + ASKED_EVERY_MS:
                yield seq
            elif not times and room and now >= self.seen[seq] + FIRST_ASKED_AFTER_MS:
                room -= 1
                yield seq

    def through(self) -> int:
        if self.first is None:
            return 0
        seq = self.first - 1
        while seq + 1 in self.on_disk | self.gone:
            seq += 1
        return seq


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[int, list[tuple[int, int]]]]:
    """Steps, each at a time and with some (seq, first); the time may be set back, as a wall's clock is."""
    now = 0
    story = []
    most = draw(st.sampled_from([12, 300]))
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([-600_000, 0, 1, 5_000, 10_000, 30_000, 60_000, 61_000, 600_000]))
        seqs = draw(st.lists(st.integers(1, most), max_size=4))
        story.append((now, [(seq, draw(st.integers(1, min(seq, draw(st.sampled_from([1, seq])))))) for seq in seqs]))
    return story


@given(stories())
def test_ranges_say_what_sets_say(story: list[tuple[int, list[tuple[int, int]]]]) -> None:
    receipts, naive = Receipts(), Naive()
    for now, messages in story:
        owed = receipts.step([said(seq, first) for seq, first in messages], now)
        wanted, lost = naive.step(messages, now)

        assert payloads(owed) == wanted
        assert {seq for some in owed.lost for seq in range(some.low, some.high + 1)} == lost


@given(stories())
def test_no_receipt_covers_what_never_came(story: list[tuple[int, list[tuple[int, int]]]]) -> None:
    receipts = Receipts()
    came: set[int] = set()
    gone: set[int] = set()
    below = 0
    for now, messages in story:
        owed = receipts.step([said(seq, first) for seq, first in messages], now)
        came |= {seq for seq, _ in messages}
        gone |= {seq for some in owed.lost for seq in range(some.low, some.high + 1)}
        below = max([below, *(first for _, first in messages)])
        for payload in payloads(owed):
            assert set(range(below, payload.get("seq", 0) + 1)) <= came | gone
        assert not came & {seq for asked in missing(owed) for seq in asked}


@given(stories(), st.data())
def test_a_snapshot_goes_on_as_if_nothing_had_happened(
    story: list[tuple[int, list[tuple[int, int]]]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(story)))
    whole = Receipts()
    for now, messages in story[:cut]:
        whole.step([said(seq, first) for seq, first in messages], now)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(whole.to_state()))
    restored = Receipts.from_state(stored)
    for now, messages in story[cut:]:
        headers = [said(seq, first) for seq, first in messages]
        assert restored.step(headers, now) == whole.step(headers, now)
    assert restored.to_state() == whole.to_state()


@pytest.mark.parametrize("order", [(A, B), (B, A)])
def test_a_snapshot_keeps_which_boot_is_the_older(order: tuple[str, str]) -> None:
    receipts = Receipts()
    for at, boot in enumerate(order):
        receipts.step([said(1, boot=boot)], at)
    restored = Receipts.from_state(msgspec.msgpack.decode(msgspec.msgpack.encode(receipts.to_state())))
    for n in range(BOOTS_MAX - 1):
        restored.step([said(1, boot=f"{n:016x}")], 5)

    assert order[0] not in restored.to_state()["gw-1"][-1]
    assert order[1] in restored.to_state()["gw-1"][-1]
