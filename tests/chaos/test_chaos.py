"""Storms over the whole service as processes: nothing receipted is lost, nothing is told otherwise than it was decided.

A trial is one storm; its seed repeats what is planned, though not where the processes are when it strikes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from chaos.doomed import MOMENTS, Doom
from chaos.storm import Outcome, Storm, run
from conftest import Tally

KINDS: Final = ("nats", "mosquitto")
Blow = Callable[[Storm], Outcome]


@dataclass(frozen=True, slots=True)
class Trap:
    """How a mistake is brought to light: what has to happen, and the violation that says so."""

    found: str
    how: dict[str, Any]


TRAPS: Final = {
    # The broker must not bring the message again, so it loses all it has: only the gateway could, and it was told.
    "receipt_before_commit": Trap("lost, though receipted", {"always": (Doom("before_commit", 3),), "wiped": True}),
    # Devices without numbers never send again what the broker has acknowledged.
    "puback_before_commit": Trap("lost, though acknowledged", {"always": (Doom("before_commit", 3),)}),
    # While the disk hangs, the connection is lost and made anew: the same numbers mean other messages now, which wait
    # in the inbox while they are acknowledged, and die there. (Twice: a new session numbers from 1.)
    "ack_without_epoch": Trap("lost, though acknowledged", {
        "plans": ((Doom("before_commit", 2, "SLEEP", 2.0), Doom("before_commit", 4, "SLEEP", 5.0),
                   Doom("before_commit", 5)),) * 3,
        "kills": 4, "cut_while_asleep": True}),
    # Gateways that are killed, or whose connection breaks, send again what is on disk already.
    "no_identity_check": Trap("2 times in the journal", {"others": True, "outside": True}),
    "snapshot_outside_transaction": Trap("transitions, ledger and replay", {"always": (Doom("wrong_step", 2),)}),
    "notice_outside_transaction": Trap("notices, ledger and replay", {"always": (Doom("wrong_step", 2),)}),
    "mark_before_send": Trap("sent, says the ledger, and never came", {"always": (Doom("before_send", 3),)}),
}  # fmt: skip


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
            outcome = strike(replace(calm, mutation=name, heal_s=15.0, **trap.how))
            assert any(trap.found in violation for violation in outcome.violations)
        else:
            assert strike(replace(calm, **trap.how)).violations == []
