"""The promises, over thousands of worlds where everything goes wrong; and the proof that such worlds see mistakes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import pytest
from chaos.mutations import MUTATIONS, mutated
from conftest import CI, Tally
from simulated import sqlite_vfs
from simulated.process import Killed
from simulated.world import World, simulated

STEPS = (20, 60)  # of a run, at least and at most
WRITES = 500

pytestmark = pytest.mark.skipif(
    not (CI or sqlite_vfs.available()), reason="this Python's sqlite3 has SQLite built in: there is no way to its disk"
)


def found_in(seed: int, prepare: Callable[[World], object] = lambda _: None, mistake: str = "") -> list[str]:
    """What does not hold in the world of a seed."""
    with simulated(seed) as world, mutated(mistake, partial(_gap, world)) if mistake else nullcontext():
        prepare(world)
        world.play(world.random.randint(*STEPS))
        world.heal()
        return world.violations()


def _gap(world: World) -> None:
    """After a wrong step: the process often dies here."""
    if world.rough and world.process.alive and world.random.random() < 0.5:
        world.process.kill()
        raise Killed


def keeps_every_promise(seed: int) -> None:
    found = found_in(seed)
    assert not found, found


@pytest.mark.timeout(0)
def test_no_promise_is_broken_in_any_world(tally: Tally) -> None:
    tally.all_hold(keeps_every_promise, few=120, many=10_000)


def full_at(seed: int) -> list[str]:
    """The disk is full from its n-th write on, for a while. If it refuses one, somebody says so; all else holds."""

    def only_that(world: World) -> None:
        world.kill_chance = world.io_error_chance = 0.0
        world.full_at = 1 + seed % WRITES

    with simulated(seed) as world:
        only_that(world)
        while world.full_at:
            world.play(5)
        world.play(10)
        world.heal()
        told = any("full" in said or "No space" in said for said in world.process.said)
        silent = world.disk.refusals > 0 and not told
        return ["nobody was told that the disk is full"] * silent + world.violations()


@pytest.mark.timeout(0)
def test_a_disk_that_is_full_at_any_write_loses_nothing_and_is_told(tally: Tally) -> None:
    for seed in tally.seeds(15, WRITES):
        with tally.trial():
            assert not full_at(seed * 37 if not tally.full else seed), f"seed {seed}"


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_a_mistake_is_found_in_some_world(mistake: str) -> None:
    tried = range(1_000)
    assert any(found_in(seed, mistake=mistake) for seed in tried), "no world shows it"
