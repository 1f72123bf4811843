"""Storms over the whole service as processes: nothing receipted is lost, nothing is told otherwise than it was decided.

A trial is one storm; its seed repeats what is planned, though not where the processes are when it strikes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from chaos.doomed import ACT_MOMENTS, MOMENTS, Doom
from chaos.storm import Outcome, Storm, run
from conftest import Tally

KINDS: Final = ("nats", "mosquitto")
Blow = Callable[[Storm], Outcome]


@dataclass(frozen=True, slots=True)
class Trap:
    """How a mistake is brought to light: what has to happen, and the violation that says so."""

    found: str
    how: dict[str, Any]
    by_kind: dict[str, dict[str, Any]] = field(default_factory=dict)

    def set_for(self, kind: str) -> dict[str, Any]:
        return self.how | self.by_kind.get(kind, {})


def _hanging(first_s: float, second_s: float, times: int) -> tuple[tuple[Doom, ...], ...]:
    """Lives whose disk hangs twice, and that die before the third commit."""
    return ((Doom("before_commit", 2, "SLEEP", first_s), Doom("before_commit", 3, "SLEEP", second_s),
             Doom("before_commit", 4)),) * times  # fmt: skip


TRAPS: Final = {
    # The broker must not bring the message again, so it loses all it has: only the gateway could, and it was told.
    "receipt_before_commit": Trap("lost, though receipted", {"always": (Doom("before_commit", 3),), "wiped": True}),
    # Devices without numbers never send again what the broker has acknowledged.
    "puback_before_commit": Trap("lost, though acknowledged", {"always": (Doom("before_commit", 3),)}),
    # While the disk hangs, the connection is lost and made anew: the same numbers mean other messages now, which wait
    # in the inbox while they are acknowledged, and die there. Twice, as a new session numbers from 1: what came during
    # the first wait is many messages, and all of them are acknowledged late. Mosquitto, killed, is sent more at once by
    # the gateways, before the devices come; nats-server sends again itself what it misses for 5 s.
    "ack_without_epoch": Trap(
        "lost, though acknowledged", {"kills": 4, "cut_while_asleep": True},
        {"mosquitto": {"plans": _hanging(6.0, 4.0, times=3)},
         "nats": {"plans": _hanging(3.0, 4.0, times=5), "readings_a_s": 300.0}},
    ),
    # Gateways that are killed, or whose connection breaks, send again what is on disk already.
    "no_identity_check": Trap("2 times in the journal", {"others": True, "outside": True}),
    # Eight entries lie before a snapshot: a busy machine takes its time to come there.
    "snapshot_outside_transaction": Trap("transitions, ledger and replay", {
        "always": (Doom("wrong_step", 1),), "every_s": (0.05, 5.0)}),
    "notice_outside_transaction": Trap("notices, ledger and replay", {"always": (Doom("wrong_step", 2),)}),
    "mark_before_send": Trap("sent, says the ledger, and never came", {"always": (Doom("before_send", 3),)}),
}  # fmt: skip
# A life does some acts and dies in the next one, which is asked for again.
ACT_TRAPS: Final = {
    "audit_outside_transaction": Trap("ledger and replay", {"always": (Doom("wrong_step", 3),)}),
    "act_without_look_up": Trap("ledger and replay", {"always": (Doom("before_answer", 3),)}),
    "act_notices_outside_transaction": Trap("notices, ledger and replay", {"always": (Doom("wrong_step", 2),)}),
}


@pytest.fixture
def strike(
    tmp_path: Path, program: Callable[[str], str], free_port: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> Blow:
    """Runs a storm and prints what came of it, also where nobody asked for it."""

    def strike(storm: Storm) -> Outcome:
        mosquitto = program("mosquitto") if storm.kind == "mosquitto" else ""
        outcome = run(storm, tmp_path / f"{storm.kind}-{storm.seed}", mosquitto, free_port)
        with capsys.disabled():
            print(f"\n{outcome}", flush=True)
        return outcome

    return strike


@pytest.mark.slow
@pytest.mark.server("mosquitto")
@pytest.mark.parametrize("kind", KINDS)
def test_a_storm_loses_nothing_and_tells_everything_once(kind: Any, strike: Blow, tally: Tally) -> None:
    for seed in tally.seeds(1, 5):
        with tally.trial():
            each_once = tuple((Doom(moment, 1),) for moment in MOMENTS)
            outcome = strike(Storm(kind, seed, kills=16, broker_kills=2, readings=800, plans=each_once))
            assert outcome.violations == []
            assert {f"KILL {moment}" for moment in MOMENTS} <= outcome.ends.keys()


@pytest.mark.slow
def test_what_people_do_in_a_storm_is_done_once_and_nothing_of_it_is_lost(strike: Blow, tally: Tally) -> None:
    for seed in tally.seeds(1, 2):
        with tally.trial():
            each_once = tuple((Doom(moment, 2),) for moment in ACT_MOMENTS)
            outcome = strike(Storm(
                "nats", seed, kills=7, verbs=20, readings=60, readings_a_s=60.0, every_s=(0.2, 1.0), others=False,
                plans=each_once,
            ))  # fmt: skip
            assert outcome.violations == []
            assert {f"KILL {moment}" for moment in ACT_MOMENTS} <= outcome.ends.keys()


@pytest.mark.proof
@pytest.mark.server("mosquitto")
@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_kills_of_the_service_and_two_hundred_of_the_broker(kind: Any, strike: Blow, tally: Tally) -> None:
    """In ten storms, each a trial; what no kill of a storm has broken, none of its kills has."""
    done: Counter[str] = Counter()
    for seed in tally.seeds(1, 10):
        with tally.trial():
            outcome = strike(Storm(kind, seed, kills=100, broker_kills=20, readings=10_000))
            assert outcome.violations == []
        done.update(service=outcome.kills, broker=outcome.broker_kills, readings=outcome.counts["readings"])
    for what in ("service", "broker"):
        print(f"{kind}, kills of the {what} under {done['readings']} readings: n={done[what]} failures=0 "
              f"3/n={3 / done[what]:.2g}")  # fmt: skip


@pytest.mark.proof
@pytest.mark.server("mosquitto")
@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_kills_under_what_people_do(kind: Any, strike: Blow, tally: Tally) -> None:
    """Verbs over HTTP by six people, who ask until they are answered; each storm a trial."""
    done: Counter[str] = Counter()
    for seed in tally.seeds(1, 2):
        with tally.trial():
            outcome = strike(Storm(kind, seed, kills=55, broker_kills=6, readings=2_500, verbs=200, every_s=(0.1, 1.2)))
            assert outcome.violations == []
        done.update(kills=outcome.kills, verbs=outcome.counts["verbs"], done=outcome.counts["done"])
    print(f"{kind}, kills of the service under {done['verbs']} verbs, {done['done']} of them done: n={done['kills']} "
          f"failures=0 3/n={3 / done['kills']:.2g}")  # fmt: skip


@pytest.mark.proof
@pytest.mark.parametrize("name", ACT_TRAPS)
@pytest.mark.parametrize("mistaken", [True, False], ids=["mistaken", "right"])
def test_every_mistake_with_acts_is_caught_by_a_storm_that_finds_nothing_without_it(
    name: str, mistaken: bool, strike: Blow, tally: Tally
) -> None:
    trap = ACT_TRAPS[name]
    calm = Storm("nats", tally.seed, kills=10, readings=100, verbs=20, others=False, outside=False, every_s=(0.5, 2.0))
    with tally.trial():
        if mistaken:
            outcome = strike(replace(calm, mutation=name, heal_s=30.0, **trap.how))
            assert any(trap.found in violation for violation in outcome.violations)
        else:
            assert strike(replace(calm, kills=4, **trap.how)).violations == []


@pytest.mark.proof
@pytest.mark.server("mosquitto")
@pytest.mark.parametrize("name", TRAPS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mistaken", [True, False], ids=["mistaken", "right"])
def test_every_mistake_is_caught_by_a_storm_that_finds_nothing_without_it(
    kind: Any, name: str, mistaken: bool, strike: Blow, tally: Tally
) -> None:
    trap = TRAPS[name]
    calm = Storm(kind, tally.seed, kills=12, readings=400, others=False, outside=False)
    with tally.trial():
        if mistaken:  # what was lost by it is not waited for
            outcome = strike(replace(calm, mutation=name, heal_s=15.0, **trap.set_for(kind)))
            assert any(trap.found in violation for violation in outcome.violations)
        else:
            assert strike(replace(calm, **trap.set_for(kind))).violations == []
