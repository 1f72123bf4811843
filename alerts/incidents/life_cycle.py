"""The life of incidents: opened, confirmed, worse, eased, over; one per hazard and area, and told once.

Time is the arrival of what the journal knows, and the time of persons' acts. A rise is published as soon as it is
confirmed. What falls is judged only when time has moved past it, so that one sensor easing in the same millisecond in
which another one rises makes no version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from alerts.incidents.acting import act
from alerts.incidents.book import Book
from alerts.incidents.decision import Outcome
from alerts.incidents.escalating import Steps
from alerts.incidents.heard import Heard, hear, in_order
from alerts.incidents.incident import Incident, Notice
from alerts.incidents.moving import regroup, take
from alerts.incidents.settling import pass_time, settle
from alerts.incidents.verbs import Act, RefusedError, Silence
from ingest.city import City
from ingest.readings import Readings
from processing.rules import Rules
from processing.transitions import StepResult


def nobody(_hazard: str, _area: str) -> Steps:
    return ()


class Incidents:
    """Every open incident, and the last closed one of each hazard and area.

    `step` and `act` are functions of the news in their order and of time: how they are grouped changes nothing.
    `chain_of(hazard, area)`: who is called, step by step; asked once when a chain begins, kept in the row from then on.
    """

    def __init__(
        self, rows: Iterable[Incident] = (), silences: Iterable[Silence] = (), asleep: Iterable[str] = (),
        wet: Iterable[tuple[str, str]] = (), *, since: int = 0, chain_of: Callable[[str, str], Steps] = nobody,
        announced: Iterable[Notice] = (),
    ) -> None:  # fmt: skip
        """As the ledger's rows say: the open ones, those closed at most CONTINUES_MS ago, those in which sensors still
        stand (a person closed it, or it has long rained little); and the silences.

        `asleep`: the sensors whose status is not ok; `wet`: (sensor, hazard) whose short statistic of `ends_when` is
        not below its limit. Both as the engine has them at the same entry. `since` ms UTC: time had been passed up to
        there. `announced`: the newest word of each planned outage that is not over, in each of its areas.
        """
        self._book = Book(rows, silences, asleep, wet, chain_of, since, announced)

    @property
    def open(self) -> tuple[Incident, ...]:
        return tuple(row for row in self._book.latest.values() if row.closed_at is None and row.id)

    @property
    def changed(self) -> tuple[Incident, ...]:
        """The rows that the last step changed, also those whose change made no version: the ledger keeps them all."""
        return tuple(row for id_, row in self._book.changed.items() if id_)

    @property
    def announced(self) -> tuple[Notice, ...]:
        """The newest word of what is planned, in each area."""
        return tuple(self._book.announced.values())

    @property
    def silences(self) -> tuple[Silence, ...]:
        return tuple(self._book.standing.silences.values())

    def hear(self, result: StepResult, readings: Readings, sensor_ids: Sequence[str], city: City) -> list[Heard]:
        """The readings of an entry that are evidence: of sensors that stand above 0, or come to in it."""
        which: Collection[str] = self._book.where.keys() | {one.sensor for one in result.transitions}
        return hear(readings, sensor_ids, which, city)

    def step(
        self, result: StepResult, now: int, city: City, rules: Rules, *, heard: Sequence[Heard] = (), down_ms: int = 0
    ) -> Outcome:
        """What follows from one entry. `now` ms UTC, at or after everything in it; `heard`: see `hear`.

        `down_ms`: at a start, how long nobody listened before it. That time is no evidence of quiet, ends nothing and
        calls nobody.
        """
        book = self._book
        moved = self._begin(city, rules, now)
        if down_ms:
            _stay_awake(book, down_ms)
            book.passed = max(book.passed, now)  # what became due meanwhile (a silence, a warning by hand) is seen now
        for news in in_order(result, heard):
            pass_time(book, news.arrival)
            take(book, news)
            settle(book, news.arrival)
        pass_time(book, now)
        if moved:
            regroup(book, now)
        settle(book, now)
        return book.out

    def act(self, one: Act, city: City, rules: Rules) -> Done:
        """What a person's act changes; refused, it changes nothing, and only what time brought has happened.

        The same act again changes nothing more.
        """
        book = self._book
        self._begin(city, rules, one.at)
        pass_time(book, one.at)
        try:
            about = act(book, one)
        except RefusedError as error:
            return Done((), book.out, str(error))
        settle(book, one.at, one.by)
        return Done(about, book.out)

    def _begin(self, city: City, rules: Rules, now: int) -> bool:
        """Whether the registry or the rules have changed since the last step. What is due up to then is old law."""
        book = self._book
        book.changed, book.out = {}, Outcome()
        if city is book.city and rules is book.rules:
            return False
        if book.begun:
            pass_time(book, now)
        book.configure(city, rules, now)
        return True


@dataclass(frozen=True, slots=True)
class Done:
    """The incidents that an act was about, and what it made. `refused`: why it did not fit; "": it did."""

    incidents: tuple[str, ...]
    outcome: Outcome
    refused: str = ""


def _stay_awake(book: Book, down_ms: int) -> None:
    for row in list(book.latest.values()):
        if row.closed_at is None and row.id:
            chain = replace(row.chain, since=row.chain.since + down_ms) if row.chain is not None else None
            asked = tuple(at + down_ms if at else 0 for at in row.asked_at)
            members = tuple(
                m if m.calm_since is None else replace(m, calm_since=m.calm_since + down_ms) for m in row.members
            )
            after = replace(row, chain=chain, asked_at=(asked[0], asked[1]), members=members)
            book.keep(replace(after, changed_arrival=row.changed_arrival + down_ms, free_at=row.free_at + down_ms))
