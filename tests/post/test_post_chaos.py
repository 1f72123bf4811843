"""Killed a thousand times under failing providers, the post tells everybody what he is to hear, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from conftest import Tally
from post.invariants import violations
from post.mutations import MUTATIONS
from post.script import MINUTE_MS
from post.storm import Outcome, Storm, blow, told_of_addresses

pytestmark = pytest.mark.slow
Blow: TypeAlias = Callable[[Storm], Outcome]
SHORT: Final = 8 * MINUTE_MS  # an hour of a provider is 36 s of ours: in `make test` it is down for less


@pytest.fixture
def strike(tmp_path: Path, free_port: Callable[[], int]) -> Blow:
    def struck(storm: Storm) -> Outcome:
        return blow(storm, tmp_path / f"storm-{storm.seed}", free_port())

    return struck


@dataclass(frozen=True, slots=True)
class Trap:
    """How a mistake is caught: what the judge says of it, and what the storm needs besides."""

    found: str
    how: Mapping[str, Any] = field(default_factory=dict)


CALM: Final = Storm(0, kills=4, people=120, incidents=24, down_ms=0, span_ms=8 * MINUTE_MS)
NIGHTLONG: Final = 8 * 60 * MINUTE_MS
TRAPS: Final[Mapping[str, Trap]] = {
    "mark_before_send": Trap("stands as sent and never was", {"moments": ("wrong_step",), "outside": 0.0}),
    "no_key": Trap("keys"),
    "all_clear_to_everybody": Trap("an end to one who heard nothing"),
    "quiet_hours_on_danger": Trap(  # most of it after 22:00
        "waited for the morning", {"span_ms": 20 * MINUTE_MS, "incidents": 48, "people": 200}
    ),
    "claim_without_lease": Trap("times in"),
    "expiry_ignored": Trap("after it had expired", {"down_ms": NIGHTLONG, "heal_s": 6.0}),
    "place_not_taken": Trap("gave way to nothing"),
    "older_after_newer": Trap("came after v"),
    "fallback_never": Trap("the others failed"),
    "ended_all_the_same": Trap("after he had ended it", {"one_leaves_of": 2}),
    "not_released": Trap("is left sending", {"moments": ("before_send",), "outside": 0.0}),
}


def test_of_the_mistakes_each_has_its_trap() -> None:
    assert set(TRAPS) == set(MUTATIONS)


def test_some_kills(strike: Blow, tally: Tally) -> None:
    """In `make proof` a thousand of them, with a provider that is down for an hour."""
    deaths = 0
    for seed in tally.seeds(1, 17):
        storm = (
            Storm(seed, 60, people=1_500, areas=24, incidents=120, span_ms=25 * MINUTE_MS)
            if tally.full
            else Storm(seed, 15, down_ms=SHORT)
        )
        with tally.trial():
            outcome = strike(storm)
            assert violations(outcome.night) == []
            assert outcome.deaths.total() >= storm.kills
            assert told_of_addresses(outcome.folder) == []
            assert {"sent", "dead", "superseded", "unheard"} <= set(outcome.statuses)  # all of it was tried
        deaths += outcome.deaths.total()
    print(f"kills of the post: n={deaths} failures=0 3/n={3 / deaths:.2g}")


@pytest.mark.proof
@pytest.mark.parametrize("name", TRAPS)
def test_every_mistake_is_caught(name: str, strike: Blow, tally: Tally) -> None:
    trap = TRAPS[name]
    with tally.trial():
        outcome = strike(replace(CALM, seed=tally.seed, mutation=name, **{"heal_s": 15.0, **trap.how}))
        assert any(trap.found in violation for violation in violations(outcome.night))


@pytest.mark.proof
def test_the_same_storms_find_nothing_without_a_mistake(strike: Blow, tally: Tally) -> None:
    with tally.trial():
        assert violations(strike(replace(CALM, seed=tally.seed)).night) == []


def test_an_address_in_plain_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "accepted.jsonl").write_text('{"to": "+84900000001"}')
    assert told_of_addresses(tmp_path) == []
    (tmp_path / "data" / "post.sqlite-wal").write_bytes(b"\0east:+84900000001\0")
    assert told_of_addresses(tmp_path) == ["post.sqlite-wal"]
