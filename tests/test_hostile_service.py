"""Rubbish in every format through the whole service, good readings in its midst: each message is stored or refused with
its reason, what is good counts, and nothing is told but what the readings say that were taken.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import pytest
from conftest import Tally
from test_foreign import CITY, NOW, PREFIXES
from test_hostile import FORMATS, IN_TIME, NETWORKS, OURS, RULES, damaged, structured
from test_service import twin_over
from test_spine import World

from ingest.city import parse_city
from ingest.entries import Batch, DeadLetter
from ingest.formats import RefusedError, decode, largest, sender_of
from ingest.inbox import Message
from ingest.lookup import Lookup

NEIGHBOUR: Final = '[[gateway]]\nid = "gw-2"\n[[sensor]]\nid = "rain-2"\nquantity = "rain"\narea = "1"\nperiod = "1s"\n'
REGISTRY: Final = parse_city(CITY + OURS + NEIGHBOUR)
LOOKUP: Final = Lookup(REGISTRY, list(REGISTRY.sensors))
GOOD: Final = "canhbao/v1/gw-2/readings"
TURNS: Final = 10
RUBBISH: Final = 20  # messages a turn


def rubbish(random: Random) -> tuple[str, Message]:
    """A format, and a message of it that is wrong somewhere; one in twenty stands on another format's topic.

    One in fifty is right, and reaches a level.
    """
    name = random.choice(list(FORMATS))
    if random.random() < 0.02:
        return name, Message(FORMATS[name].topic, FORMATS[name].dumps(IN_TIME[name][1]), False, 1, 0, 1)
    payload = random.choice((structured, damaged))(random, FORMATS[name])
    name = random.choice(list(FORMATS)) if random.random() < 0.05 else name
    return name, Message(FORMATS[name].topic, payload, random.random() < 0.05, random.choice((0, 1)), 0, 1)


def good(turn: int) -> Message:
    payload = f'{{"sensor":"rain-2","t":{NOW + 1000 * turn},"v":{turn % 3 / 10}}}'
    return Message(GOOD, payload.encode(), False, 1, 0, 1)


def alone(message: Message, now: int) -> tuple[set[tuple[int, int]], set[str]]:
    """What a message gives that comes alone: its readings as (sensor number, t), and the reasons of its refusals."""
    try:
        decoded = decode(message.topic, message.payload, retained=message.retained, networks=NETWORKS, arrival=now)
    except RefusedError as error:
        return set(), {error.reason}
    found = LOOKUP.resolve(decoded, arrival=now, clock_mode="wall", previous_arrival=now)
    return (
        set(zip(found.sensor.tolist(), found.t.tolist(), strict=True)),
        {refusal.reason for refusal in found.refused},
    )


def is_kept(message: Message, reason: str, letters: set[tuple[str, bytes, str]]) -> bool:
    most = largest(sender_of(message.topic, NETWORKS)) + 1
    return (message.topic, message.payload[:most], reason) in letters


def told_apart(letter: DeadLetter) -> tuple[str, bytes, str]:
    return letter.topic, letter.payload, letter.reason


def goes_through(seed: int) -> int:
    """How often a level changed, of what was right among the rubbish."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), city=CITY + OURS + NEIGHBOUR, rules=RULES, now=NOW, prefixes=PREFIXES)
        spine = world.start()
        sent: list[tuple[str, Message, int]] = []
        for turn in range(TURNS):
            world.now = NOW + 1000 * turn
            messages = [rubbish(random) for _ in range(RUBBISH)]
            messages.insert(random.randrange(RUBBISH), ("native", good(turn)))
            messages = [(name, replace(one, mid=n)) for n, (name, one) in enumerate(messages, turn * RUBBISH * 2)]
            sent += [(name, one, world.now) for name, one in messages]
            world.waiting = [one for _, one in messages]
            spine.turn()
            assert world.waiting == []  # all of it is on disk
        told = world.told()
        world.end()

        batches = [entry for entry in world.entries() if isinstance(entry, Batch)]
        letters = {told_apart(letter) for batch in batches for letter in batch.refused}
        kept = {
            identity
            for batch in batches
            for identity in zip(batch.readings.sensor.tolist(), batch.readings.t.tolist(), strict=True)
        }
        told_by_twin = twin_over(Path(folder) / "journal").lines()

    assert not [name for name in spine.counters if name.startswith("canhbao_errors")]
    expected: set[tuple[int, int]] = set()
    for _, message, now in sent:
        readings, reasons = alone(message, now)
        expected |= readings
        assert all(is_kept(message, reason, letters) for reason in reasons), (message, reasons)
    assert kept >= expected
    ids = list(REGISTRY.sensors)
    others = {identity for identity in kept - expected if ids[identity[0]] not in OVERLAID}
    assert not others
    neighbours = {t for number, t in kept if ids[number] == "rain-2"}
    assert neighbours == {NOW + 1000 * turn for turn in range(TURNS)}
    assert told == told_by_twin
    return len(told)


OVERLAID: Final = frozenset(id_ for id_, sensor in REGISTRY.sensors.items()
                            if sensor.decoder is not None and sensor.decoder.network == "shelly")  # fmt: skip


@pytest.mark.slow
def test_rubbish_in_every_format_costs_no_neighbour_and_tells_nothing_false(tally: Tally) -> None:
    tally.all_hold(goes_through, few=50, many=5_000)
