"""What the post reads is what residents chose, whatever they did and in whatever order."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from faces import AREAS, NOW, town_city
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import select

from alerts.people.resident import Choice, State, Subscription, Wanted
from alerts.residents import endings
from alerts.residents.book import Asked, Book
from alerts.residents.end_keys import end_key
from alerts.residents.errands import opened
from alerts.residents.limits import SignUpLimits
from alerts.residents.schema import contact, errand, resident, subscription, target
from alerts.residents.seal import Seal
from alerts.residents.store import open_residents

CITY, SEAL = town_city(), Seal(bytes(range(32)))
ADDRESSES = st.sampled_from([f"{name}@example.vn" for name in ("lan", "nam", "sáu")])
CHOICES = st.lists(
    st.tuples(st.sampled_from(list(AREAS)), st.sampled_from(["flood", "rain", "storm"]), st.integers(1, 4)),
    min_size=1, max_size=5, unique_by=lambda row: row[:2],
).map(lambda rows: Choice(tuple(Subscription(*row) for row in rows)))  # fmt: skip
WANTED = st.lists(st.tuples(ADDRESSES, st.booleans()), min_size=1, max_size=3, unique_by=lambda row: row[0]).map(
    lambda rows: [Wanted("mail", "mail", address, fallback and n > 0) for n, (address, fallback) in enumerate(rows)]
)


class Residents(RuleBasedStateMachine):
    asked = Bundle("asked")
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.store, self.now = open_residents(Path(self._folder.name)), NOW
        self.hours = 0.0
        self.book = Book(self.store, SEAL, SignUpLimits(self._seconds), "https://x.vn/")

    def _seconds(self) -> float:
        """Nobody waits here for another code."""
        self.hours += 1
        return self.hours * 3_600

    def teardown(self) -> None:
        self.store.close()
        self._folder.cleanup()

    @rule(target=asked, choice=CHOICES, wanted=WANTED, times=st.integers(1, 2))
    def sign_up(self, choice: Choice, wanted: list[Wanted], times: int) -> object:
        return multiple(*(one for _ in range(times) for one in self.book.sign_up(choice, wanted, CITY, self.now)))

    @rule(target=tokens, asked=consumes(asked))
    def confirm(self, asked: Asked) -> object:
        return multiple(*self._confirm(asked))

    @initialize(target=tokens, choice=CHOICES, wanted=WANTED)
    def begin(self, choice: Choice, wanted: list[Wanted]) -> object:
        return self.subscribe(choice, wanted)

    @rule(target=tokens, choice=CHOICES, wanted=WANTED)
    def subscribe_at_once(self, choice: Choice, wanted: list[Wanted]) -> object:
        return self.subscribe(choice, wanted)

    def subscribe(self, choice: Choice, wanted: list[Wanted]) -> object:
        """With every contact at once: else few walks come as far as two that are active."""
        asked = self.book.sign_up(choice, wanted, CITY, self.now)
        return multiple(*(token for one in asked for token in self._confirm(one)))

    def _confirm(self, asked: Asked) -> list[str]:
        with self.store.reading() as db:
            rows = db.execute(select(errand).where(errand.c.contact == asked.contact, errand.c.kind == "confirm")).all()
        if not rows:
            return []  # it was already subscribed, or the address had its codes
        code = opened(SEAL, rows[0].id, rows[0].body)["code"]
        done = self.book.confirm(id_=asked.id, code=code, now_ms=self.now, city=CITY)
        return [done.token] if done is not None and done.token else []

    @rule(target=asked, token=tokens, choice=CHOICES, add=st.one_of(st.just([]), WANTED), data=st.data())
    def change(self, token: str, choice: Choice, add: list[Wanted], data: st.DataObject) -> object:
        mine = self.book.shown(token, self.now)
        end = data.draw(st.lists(st.sampled_from([one.id for one in mine.contacts]), unique=True)) if mine else []
        try:
            done = self.book.change(token, lambda _: choice, add, end, CITY, self.now)
        except ValueError:
            return multiple()
        return multiple(*([] if done is None else done[1]))

    @rule(token=tokens)
    def end(self, token: str) -> None:
        self.book.end(token, self.now)

    @rule(token=tokens)
    def delete(self, token: str) -> None:
        self.book.delete(token, self.now)

    @precondition(lambda self: self._active())
    @rule(data=st.data())
    def one_click(self, data: st.DataObject) -> None:
        self.book.end_by_key(end_key(SEAL, data.draw(st.sampled_from(self._active()))), self.now)

    @precondition(lambda self: self._active())
    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        with self.store.writing() as db:
            endings.gone(db, data.draw(st.sampled_from(self._active())), self.now)

    def _active(self) -> Sequence[int]:
        with self.store.reading() as db:
            return db.execute(select(contact.c.id).where(contact.c.state == State.ACTIVE)).scalars().all()

    @rule(hours=st.sampled_from([0.2, 1, 49, 24 * 31]))
    def later(self, hours: float) -> None:
        self.now += int(hours * 3_600_000)
        self.book.sweep(self.now)

    @invariant()
    def the_post_reads_what_was_chosen(self) -> None:
        with self.store.reading() as db:
            people = {row.id: row for row in db.execute(select(resident))}
            contacts = db.execute(select(contact)).all()
            chosen = db.execute(select(subscription)).all()
            read = {(row.area, row.hazard, row.contact, row.floor, row.via) for row in db.execute(select(target))}
        expected = set()
        for one in people.values():
            active = [row for row in contacts if row.resident == one.id and row.state == State.ACTIVE]
            first = [row for row in active if not row.fallback] or active
            if one.state == State.ACTIVE:
                expected |= {(wish.area, wish.hazard, row.id, wish.floor, row.via)
                             for wish in chosen if wish.resident == one.id for row in first}  # fmt: skip
        assert read == expected

    @invariant()
    def an_address_is_told_by_one_resident_and_none_is_kept_of_whom_has_ended(self) -> None:
        with self.store.reading() as db:
            rows = db.execute(select(contact)).all()
            ended = set(db.execute(select(resident.c.id).where(resident.c.state == State.ENDED)).scalars())
        active = [bytes(row.digest) for row in rows if row.state == State.ACTIVE]
        assert len(active) == len(set(active))
        assert all((row.state == State.ENDED) == (not row.address) == (not row.digest) for row in rows)
        assert all(row.state == State.ENDED for row in rows if row.resident in ended)


TestResidents = Residents.TestCase
# An example is some thirty commits to disk: a quarter of the usual number of them.
TestResidents.settings = settings(
    max_examples=settings().max_examples // 4,
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
