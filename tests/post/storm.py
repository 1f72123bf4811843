"""A storm over the post: it is killed again and again while its providers fail and people come and go.

`blow` plays one and gives back all that happened, to be judged by post.invariants. It begins in the evening, crosses
the beginning of quiet hours, and when all that may go out at night is out, it is morning.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Final

from post.faults import OFTEN, Plan
from post.invariants import Night
from post.lives import MOMENTS, Life
from post.pace import Pace
from post.processes import Post, ProviderProcess
from post.provider import accepted
from post.rows import left, rows
from post.script import EVENING, MINUTE_MS, MORNING, Writer, script
from post.town import ADDRESS_BEGINS, AREAS, Contact, Person, Residents, people

from alerts.incidents.incident import Notice

SCALE: Final = 100.0

LASTS_MS: Final = 60_000  # of the storm's clock: 0.6 s in which a request may be under way on a busy machine
SOON_MS: Final = 40 * MINUTE_MS  # what is due later than that is held over the night


@dataclass(frozen=True, slots=True)
class Storm:
    seed: int
    kills: int
    people: int = 250
    areas: int = 6
    incidents: int = 36
    span_ms: int = 16 * MINUTE_MS  # in which it is told of
    moments: Sequence[str] = tuple(MOMENTS)
    outside: float = 0.4  # the part of the lives that end at any time, and at no planned moment
    one_leaves_of: int = 20
    down_ms: int = 60 * MINUTE_MS  # one provider
    often: dict[str, int] = field(default_factory=lambda: {str(fault): n for fault, n in OFTEN.items()})
    mutation: str = ""
    heal_s: float = 90.0  # of the wall's clock: the most that each of its two ends takes; what is left is found


@dataclass(slots=True)
class Outcome:
    folder: Path
    night: Night
    deaths: Counter[str]
    statuses: Counter[str]


class _Town:
    """What changes while the storm blows: notices, subscriptions, ends."""

    def __init__(self, storm: Storm, data: Path) -> None:
        random = Random(storm.seed)
        areas = AREAS[: storm.areas]
        self.people = people(storm.seed, storm.people, areas)
        self.notices = script(storm.seed, storm.incidents, areas, EVENING + MINUTE_MS, storm.span_ms)
        late = set(random.sample(range(storm.people), storm.people // 20))
        self._residents, self.writer = Residents(data), Writer(data)
        self._residents.add([one for n, one in enumerate(self.people) if n not in late], EVENING)
        self._coming = [(EVENING + random.randrange(storm.span_ms), self.people[n]) for n in sorted(late)]
        staying = [one for n, one in enumerate(self.people) if n not in late]
        leaving = random.sample(staying, storm.people // storm.one_leaves_of)
        self._leaving = [(EVENING + random.randrange(storm.span_ms), one, one.primary()[0]) for one in leaving]
        self.joined: dict[int, int] = {}
        self.ended: dict[int, int] = {}
        at = (list(group) for _, group in groupby(self.notices, key=lambda notice: notice.arrival))
        self._tellings = list(at)

    def unreachable(self, seed: int) -> tuple[list[str], list[str]]:
        """Addresses that are refused, and that are nobody's any more."""
        firsts = [contact.address for one in self.people for contact in one.primary()]
        some = Random(seed).sample(firsts, len(firsts) // 10)
        return some[::2], some[1::2]

    def turn(self, pace: Pace) -> bool:
        """Whether anything is still to come."""
        now = pace.now_ms()
        while self._tellings and self._tellings[0][0].arrival <= now:
            self._write(self._tellings.pop(0), now)
        for at, person in [*self._coming]:
            if at <= now:
                self._coming.remove((at, person))
                self._residents.add([person], now)
                self.joined |= {contact.id: pace.now_ms() for contact in person.contacts}
        for at, person, contact in [*self._leaving]:
            if at <= now:
                self._leaving.remove((at, person, contact))
                self._end(person, contact, pace)
        return bool(self._tellings or self._coming or self._leaving)

    def _write(self, notices: Sequence[Notice], now: int) -> None:
        self.writer.write([replace(notice, arrival=now) for notice in notices], now)

    def _end(self, person: Person, contact: Contact, pace: Pace) -> None:
        ended = self._residents.end(person, contact)
        self.ended |= dict.fromkeys(ended, pace.now_ms())

    def close(self) -> None:
        self._residents.close()
        self.writer.close()


def blow(storm: Storm, folder: Path, port: int) -> Outcome:
    data = folder / "data"
    data.mkdir(parents=True)
    pace = Pace(time.time(), EVENING, SCALE)
    town = _Town(storm, data)
    refused, gone = town.unreachable(storm.seed)
    down = {"west": [(EVENING + 4 * MINUTE_MS, EVENING + 4 * MINUTE_MS + storm.down_ms)]}
    plan = Plan(storm.seed, storm.often, refused, gone, down)
    deaths: Counter[str] = Counter()
    provider, post = ProviderProcess(folder, port, plan, pace), Post(folder)
    life = Life(str(data), f"http://127.0.0.1:{port}", str(pace), mutation=storm.mutation)
    try:
        _kill(storm, post, town, life, pace, deaths)
        _heal(post, town, life, storm.heal_s, pace.now_ms() + SOON_MS)
        provider.close()
        post.strike()
        morning = pace.at(MORNING)
        provider = ProviderProcess(folder, port, plan, morning)
        _heal(post, town, replace(life, pace=str(morning)), storm.heal_s, None)
        over = morning.now_ms()
    finally:
        post.close()
        provider.close()
        town.close()
    return _outcome(town, plan, folder, over, deaths)


def told_of_addresses(folder: Path) -> list[str]:
    """Files of the post in which an address stands in plain: everything but what the provider itself keeps."""
    providers = ("accepted.jsonl", "plan.json")
    own = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in providers]
    return [file.name for file in own if ADDRESS_BEGINS.encode() in file.read_bytes()]


def _kill(storm: Storm, post: Post, town: _Town, life: Life, pace: Pace, deaths: Counter[str]) -> None:
    random = Random(storm.seed)
    coming = True
    while coming or deaths.total() < storm.kills:
        inside = deaths.total() < storm.kills and random.random() > storm.outside
        moment = random.choice(storm.moments) if inside else ""
        post.begin(replace(life, moment=moment, nth=random.randint(1, 6)))
        until = time.monotonic() + (random.uniform(0.5, 1.5) if moment else random.uniform(0.05, 1.0))
        while not (ended := post.wait(0.005)) and (time.monotonic() < until or deaths.total() >= storm.kills):
            coming = town.turn(pace)
            if not coming and deaths.total() >= storm.kills:
                break
        if not ended:
            post.strike()
        deaths[moment if ended else "any"] += 1


def _heal(post: Post, town: _Town, life: Life, heal_s: float, until: int | None) -> None:
    """A life that nobody ends, until nothing is left that is due by `until`, or (None) nothing at all."""
    post.begin(life)
    deadline, last = time.monotonic() + heal_s, max(town.writer.seqs.values())
    while left(Path(life.data), last, until) and time.monotonic() < deadline:
        assert not post.wait(0.1), post.log


def _outcome(town: _Town, plan: Plan, folder: Path, over: int, deaths: Counter[str]) -> Outcome:
    found = rows(folder / "data")
    notices = {town.writer.seqs[one.incident, one.version]: one for one in town.writer.written}
    night = Night(
        tuple(town.people), notices, tuple(accepted(folder / "accepted.jsonl")), tuple(found),
        frozenset((*plan.refused, *plan.gone)), town.ended, town.joined, LASTS_MS, MORNING, over,
    )  # fmt: skip
    return Outcome(folder, night, deaths, Counter(row.status for row in found))
