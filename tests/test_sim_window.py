"""What a gateway sends next, told receipt by receipt and minute by minute."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.window import ON_WIRE_MAX, RESEND_MS, RESEND_MS_MAX, SENDS_MAX, Window

BOOT = "9f0c31d2a7b84e65"


def _window(offered: int) -> Window:
    window = Window(BOOT)
    for seq in range(1, offered + 1):
        window.offered(seq)
    return window


def _seqs(window: Window, now_ms: int) -> list[int]:
    return [send.seq for send in window.due(now_ms).sends]


def test_at_most_32_messages_are_on_the_wire_without_a_receipt():
    window = _window(100)

    assert _seqs(window, 0) == list(range(1, ON_WIRE_MAX + 1))
    assert _seqs(window, 1) == []
    assert window.receipt({"boot": BOOT, "seq": 10}, 2) == list(range(1, 11))
    assert _seqs(window, 2) == list(range(33, 43))


def test_first_is_the_lowest_seq_still_in_the_spool():
    window = _window(5)
    assert window.first == 1
    window.due(0)

    window.receipt({"boot": BOOT, "only": [2, 3]}, 1)
    assert window.first == 1
    window.receipt({"boot": BOOT, "only": [1]}, 1)
    assert window.first == 4
    window.receipt({"boot": BOOT, "seq": 5}, 1)
    assert window.first == 6
    assert len(window) == 0


def test_a_message_goes_again_after_60_s_doubling_and_after_five_sends_it_goes_empty():
    window = _window(1)
    sent, parked, now_ms = [], [], 0

    for now_ms in range(0, 70 * 60_000, 1_000):
        due = window.due(now_ms)
        sent += [now_ms // 1000 for _ in due.sends]
        parked += [(now_ms // 1000, seq) for seq in due.park]

    assert sent[:5] == [0, 60, 180, 420, 900]
    assert parked == [(1860, 1)]
    assert sent[5:] == [1860, 1920, 2040, 2280, 2760, 3720]
    assert window.receipt({"boot": BOOT, "seq": 1}, now_ms) == [1]


def test_a_hole_is_answered_at_once_with_the_message_or_empty_where_it_is_gone():
    window = _window(4)
    window.due(0)
    window.receipt({"boot": BOOT, "seq": 2}, 1)

    assert window.receipt({"boot": BOOT, "missing": [1, 3]}, 2) == []
    sends = window.due(2).sends

    assert [(send.seq, send.gone) for send in sends] == [(1, True), (3, False)]
    assert all(send.first <= send.seq for send in sends)


def test_a_hole_is_answered_even_while_the_wire_is_full():
    window = Window(BOOT, 101, range(50, 101))
    assert len(_seqs(window, 0)) == ON_WIRE_MAX

    window.receipt({"boot": BOOT, "missing": [49]}, 1)

    assert [(send.seq, send.gone) for send in window.due(1).sends] == [(49, True)]


def test_what_never_went_out_is_not_a_hole():
    window = _window(2)

    window.receipt({"boot": BOOT, "missing": [1, 2, 3, 99]}, 0)

    assert _seqs(window, 0) == [1, 2]


def test_receipts_that_are_not_ours_or_make_no_sense_change_nothing():
    window = _window(3)
    window.due(0)

    nonsense = [
        {}, {"boot": "0" * 16, "seq": 3}, {"boot": BOOT}, {"boot": BOOT, "seq": 4}, {"boot": BOOT, "seq": "3"},
        {"boot": BOOT, "seq": True}, {"boot": BOOT, "seq": 0}, {"boot": BOOT, "only": 1},
        {"boot": BOOT, "only": ["1"]}, {"boot": BOOT, "missing": {}}, {"boot": BOOT, "seq": 1e3},
    ]  # fmt: skip
    assert [window.receipt(told, 1) for told in nonsense] == [[]] * len(nonsense)

    assert window.unusable == len(nonsense)
    assert len(window) == 3


def test_a_new_connection_sends_again_and_never_parks_by_itself():
    window = _window(1)

    for now_ms in range(SENDS_MAX * 3):
        window.reconnected(now_ms)
        due = window.due(now_ms)
        assert [send.seq for send in due.sends] == [1]
        assert due.park == ()


def test_what_a_full_spool_dropped_is_not_sent_any_more_and_first_says_so():
    window = _window(50)
    window.due(0)

    window.dropped(40)

    assert window.first == 41
    assert _seqs(window, RESEND_MS) == list(range(41, 51))


_ACTIONS = st.one_of(
    st.tuples(st.just("offer"), st.integers(1, 40)),
    st.tuples(st.just("pass"), st.integers(1, 200_000)),
    st.tuples(st.just("receipt"), st.integers(0, 2)),
    st.tuples(st.just("reconnect"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
)


class _World:
    """A gateway, a network that loses, and what has arrived at the other end."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.window, self.now_ms = Window(BOOT), 0
        self.arrived: set[int] = set()
        self.settled: set[int] = set()

    def act(self, action: str, amount: int) -> None:
        if action == "offer":
            for _ in range(amount):
                self.window.offered(self.window.head)
        elif action == "pass":
            self.now_ms += amount
        elif action == "receipt":
            self.told(amount)
        elif action == "reconnect":
            self.window.reconnected(self.now_ms)
        else:
            self.window = Window(BOOT, self.window.head, [seq for seq in self.all() if seq not in self.settled])

    def all(self) -> range:
        return range(1, self.window.head)

    def send(self, loss: float) -> None:
        for message in self.window.due(self.now_ms).sends:
            assert message.first <= message.seq
            assert message.first <= min(set(self.all()) - self.settled, default=self.window.head)
            if self.random.random() >= loss:
                self.arrived.add(message.seq)
        assert len(self.window._wire) <= ON_WIRE_MAX
        assert not self.settled & set(self.window._wire)

    def told(self, kind: int) -> None:
        through = next(seq for seq in range(1, self.window.head + 1) if seq not in self.arrived) - 1
        told: dict[str, object] = {"boot": BOOT}
        if kind == 0 and through:
            told["seq"] = through
        elif kind == 1 and self.arrived:
            told["only"] = sorted(self.arrived)[-5:]
        else:
            told["missing"] = [seq for seq in self.all() if seq not in self.arrived]
        self.settled.update(self.window.receipt(told, self.now_ms))
        assert self.settled <= self.arrived


@given(st.lists(_ACTIONS, max_size=60), st.randoms(use_true_random=False))
def test_whatever_is_lost_on_the_way_everything_arrives_in_the_end(actions: list[tuple[str, int]], random: Random):
    world = _World(random)
    for action, amount in actions:
        world.act(action, amount)
        world.send(loss=0.4)

    for _ in range(2 * world.window.head):
        world.now_ms += RESEND_MS_MAX
        world.send(loss=0)
        world.told(0)

    assert len(world.window) == 0
    assert world.settled == set(world.all())
