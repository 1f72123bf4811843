"""The engine against the slow twin: the same transitions to the byte, however the journal is cut."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pytest
import twin
from conftest import Tally
from engine_player import Player, regrouped
from hypothesis import example, given
from hypothesis import strategies as st
from twin import Twin
from world_rules import MINUTE, city_toml
from worlds import World, play, world

from ingest.entries import Entry
from processing import acceptance
from processing.engine import Engine
from processing.kernels.codes import PARTIALS
from processing.kernels.statistic import fsum
from processing.rules import DEFAULT_RULES_FILE

OFFERS = 300


def told(one: Twin | Player) -> tuple[list[Any], list[Any], list[Any]]:
    if isinstance(one, Twin):
        return one.lines(), one.health, one.late_breaches
    health = [(e.at, e.sensor, str(e.from_), str(e.to)) for e in one.health]
    late = [(e.sensor, e.rule, e.at, e.value, e.arrival) for e in one.late_breaches]
    return one.lines(), health, late


def played(a_world: World, batch: int, restarts: Random | None = None) -> Player:
    player = Player(batch, restarts)
    play(a_world, player)
    player.flush()
    return player


def twin_of(a_world: World) -> Twin:
    twin = Twin()
    play(a_world, twin)
    return twin


def engine_lines(journal: list[Entry]) -> list[str]:
    engine = Engine()
    return [one.to_json() for entry in journal for one in engine.step(entry).transitions]


def test_the_engine_says_what_the_twin_says_in_any_batching_and_with_restarts_at_any_cut(tally: Tally) -> None:
    for seed in tally.seeds(60, 5_000):
        with tally.trial():
            a_world = world(seed, 400)
            expected = told(twin_of(a_world))
            assert told(played(a_world, 1)) == expected
            assert told(played(a_world, 7, Random(seed))) == expected
            assert told(played(a_world, 100_000)) == expected


@example(3606, 90, 1)  # a station with other levels, come and gone
@example(20262522, 400, 1)  # two nights of a schedule overlap where summer time begins
@given(st.integers(0, 2**32), st.integers(1, 120), st.integers(1, 50))
def test_a_world_that_hypothesis_picks_is_told_alike(seed: int, size: int, batch: int) -> None:
    a_world = world(seed, size)

    assert told(played(a_world, batch, Random(seed))) == told(twin_of(a_world))


def test_the_engine_says_what_the_twin_says_where_identities_are_few(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptance, "IDENTITIES_MOST", 9)
    monkeypatch.setattr(twin, "IDENTITIES_MOST", 9)
    floors = 0
    for seed in tally.seeds(8, 1_000):
        with tally.trial():
            a_world = world(seed, 200)
            slow = twin_of(a_world)
            assert told(played(a_world, 7, Random(seed))) == told(slow)
            floors += sum(sensor.floor is not None for sensor in slow.sensors.values())
    assert floors


@pytest.mark.parametrize("seed", range(12))
def test_a_journal_says_the_same_however_its_readings_are_grouped(seed: int) -> None:
    player = played(world(seed, OFFERS), 13)

    for size in (1, 7, 100_000):
        assert engine_lines(regrouped(player.journal, size)) == player.lines()


@pytest.mark.parametrize("seed", range(12))
def test_what_acceptance_remembers_can_be_had_again_from_the_journal(seed: int) -> None:
    player = played(world(seed, OFFERS), 5)

    engine, acceptance = Engine(), type(player.acceptance)()
    for entry in player.journal:
        engine.step(entry)
        if type(entry).__name__ == "Configuration":
            acceptance.configure(engine.plan)
        elif type(entry).__name__ == "Batch":
            acceptance.recall(entry.readings)

    assert acceptance.to_state() == player.acceptance.to_state()
    assert engine.to_state() == player.engine.to_state()


def test_a_flood_that_comes_behind_live_readings_is_shown_to_operators_by_the_bundled_rules() -> None:
    noon = 1_665_723_600_000
    of_both: dict[str, Any] = {"area": "20242", "period": "60s", "station": "cam_le", "quality": {"off": "all"}}
    rows = [
        {"id": "tower", "quantity": "street_depth"} | of_both,
        {"id": "bridge", "quantity": "water_level"} | of_both,
    ]
    live = [("offer", row["id"], at, 0.0, 2, at) for at in range(noon, noon + 5 * MINUTE, MINUTE) for row in rows]
    back, hour_ago = noon + 5 * MINUTE, noon - 60 * MINUTE
    spooled = [("tower", 0.29), ("tower", 0.5), ("tower", 0.3), ("bridge", 2.4), ("bridge", 2.6)]
    old = [("offer", name, hour_ago + n * MINUTE, value, 2, back) for n, (name, value) in enumerate(spooled)]
    a_world = World(noon, city_toml("UTC", rows), DEFAULT_RULES_FILE.read_text("utf-8"), (*live, *old))

    lines, _, late = told(played(a_world, 1))

    assert late == [
        ("tower", "street-depth", hour_ago + 1 * MINUTE, 0.5, back),
        ("tower", "street-depth", hour_ago + 2 * MINUTE, 0.3, back),
        ("bridge", "river-level", hour_ago + 4 * MINUTE, 2.6, back),
    ]
    assert lines == [], "residents hear nothing of it"
    assert told(twin_of(a_world))[2] == late


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300), max_size=200))
def test_a_sum_is_the_exact_one_rounded_once(values: list[float]) -> None:
    found = fsum(np.array(values, np.float64), np.empty(PARTIALS))

    assert found == math.fsum(values)
