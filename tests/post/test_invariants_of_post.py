"""The judge of the storms finds nothing in a night that went well, and each thing that went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from post.invariants import Night, Row, violations
from post.provider import Accepted
from post.script import EVENING, MORNING
from post.town import Contact, Person

from alerts.incidents.incident import Notice, Reason

MINUTE = 60_000
NOON = EVENING - 9 * 3_600_000
WANTS = {("A", "flood"): 2}
NINA = Person(
    1, "vi", "", 20, WANTS, (Contact(1, "bell", "east:+84900000001"), Contact(2, "horn", "+84900000002", True))
)
TAM = Person(2, "vi", "22:00-07:00", 20, WANTS, (Contact(3, "bell", "+84900000003"),))


def notice(version: int, reason: Reason, level: int, at: int) -> Notice:
    return Notice("inc-1", version, reason, "flood", "A", level, 0, at, at, None)


def came(n: Notice, to: Contact, at: int, key: str = "") -> Accepted:
    name = key or f"{n.version}{to.id}"
    return Accepted(
        at, "east", name, to.address, n.incident, n.version, n.reason, n.level, False, f"say {name}", "fine"
    )


def row(seq: int, contact: int, status: str = "sent", **more: object) -> Row:
    whole = Row(seq * 10 + contact, seq, contact, status, 1, None, NOON, NOON + 360 * MINUTE, False, False, "")
    return replace(whole, **more)  # type: ignore[arg-type]


FIRST, WORSE = notice(1, Reason.FIRST, 2, NOON), notice(2, Reason.WORSE, 3, NOON + 10 * MINUTE)
OVER = notice(3, Reason.OVER, 0, NOON + 20 * MINUTE)
NIGHTLY = notice(1, Reason.FIRST, 2, EVENING + 30 * MINUTE)


def well() -> Night:
    """Two neighbours heard of a flood, that it became worse, and that it was over."""
    people, notices = (NINA, TAM), {1: FIRST, 2: WORSE, 3: OVER}
    firsts = [one.contacts[0] for one in people]
    accepted = tuple(came(n, to, n.arrival + 1000) for n in notices.values() for to in firsts)
    rows = tuple(row(seq, to.id) for seq in notices for to in firsts)
    return Night(people, notices, accepted, rows, frozenset(), {}, {}, 1000, MORNING, MORNING + MINUTE)


def without(night: Night, version: int, contact: int, status: str = "superseded") -> Night:
    """One message less, whose row stands with another status."""
    address = night.owner[contact][1].address
    kept = tuple(one for one in night.accepted if (one.version, one.to) != (version, address))
    rows = tuple(replace(one, status=status, error="x") if (one.seq, one.contact) == (version, contact) else one
                 for one in night.rows)  # fmt: skip
    return replace(night, accepted=kept, rows=rows)


def changed(night: Night, seq: int, contact: int, **what: object) -> Night:
    rows = tuple(replace(one, **what) if (one.seq, one.contact) == (seq, contact) else one for one in night.rows)  # type: ignore[arg-type]
    return replace(night, rows=rows)


def also(night: Night, *accepted: Accepted) -> Night:
    return replace(night, accepted=(*night.accepted, *accepted))


def at_night() -> Night:
    held = Night((TAM,), {1: NIGHTLY}, (), (row(1, 3, expires_at=MORNING + 60 * MINUTE),), frozenset(), {}, {}, 1000,
                 MORNING, MORNING + MINUTE)  # fmt: skip
    return also(held, came(NIGHTLY, TAM.contacts[0], MORNING + 1000))


NINAS, SPARE, TAMS = *NINA.contacts, TAM.contacts[0]


def tried_twice(seq: int, again: Accepted) -> Night:
    return also(changed(well(), seq, 1, attempts=2), again)


def unreachable() -> Night:
    """Nina's first contact is nobody's, and her other one was not told."""
    still = {1: FIRST, 2: WORSE}
    night = without(without(replace(well(), notices=still), 1, 1, "dead"), 2, 1, "dead")
    left = tuple(one for one in night.accepted if one.version < 3), tuple(one for one in night.rows if one.seq < 3)
    return replace(
        night, accepted=left[0], rows=left[1], unreachable=frozenset([NINAS.address]), over=NOON + 30 * MINUTE
    )


def first_is(**what: object) -> Night:
    return replace(well(), notices={**well().notices, 1: replace(FIRST, **what)})  # type: ignore[arg-type]


WRONG: dict[str, tuple[Callable[[], Night], str]] = {
    "left": (lambda: without(well(), 3, 1, "queued"), "rows:"),
    "dead without need": (
        lambda: changed(without(well(), 3, 1, "dead"), 3, 1, expires_at=MORNING + 60 * MINUTE),
        "though nothing was against it",
    ),
    "dead, no reason": (lambda: changed(well(), 3, 1, status="dead", error=""), "dead without a reason"),
    "marked, not sent": (lambda: without(well(), 3, 1, "sent"), "never was"),
    "never made": (lambda: replace(unreachable(), unreachable=frozenset(), rows=()), "never made"),
    "two keys": (lambda: tried_twice(3, came(OVER, NINAS, NOON + 21 * MINUTE, "x")), "2 keys"),
    "untold tries": (lambda: also(well(), came(OVER, NINAS, NOON + 21 * MINUTE)), "2 times in 1 tries"),
    "old after new": (lambda: tried_twice(1, came(FIRST, NINAS, NOON + 30 * MINUTE)), "came after v3"),
    "end of nothing": (lambda: without(without(well(), 1, 3), 2, 3), "an end to one who heard nothing"),
    "no end": (lambda: without(well(), 3, 3, "unheard"), "never of its end"),
    "woken": (lambda: replace(at_night(), accepted=(came(NIGHTLY, TAMS, NIGHTLY.arrival + 5000),)), "woke him"),
    "not in the morning": (
        lambda: changed(without(at_night(), 1, 3, "dead"), 1, 3, expires_at=MORNING - MINUTE),
        "was so in the morning",
    ),
    "danger held": (lambda: replace(at_night(), notices={1: replace(NIGHTLY, level=3)}), "waited for the morning"),
    "expired": (lambda: changed(well(), 2, 1, expires_at=NOON + 10 * MINUTE - 5000), "after it had expired"),
    "after his end": (lambda: replace(well(), ended={1: NOON + 15 * MINUTE}), "after he had ended it"),
    "capped danger": (lambda: without(well(), 2, 3, "capped"), "held by the daily number"),
    "spare way": (
        lambda: also(replace(well(), rows=(*well().rows, row(2, 2))), came(WORSE, SPARE, NOON + 11 * MINUTE)),
        "without need",
    ),
    "no spare way": (unreachable, "the others failed"),
    "none of his": (lambda: first_is(area="B"), "none of his"),
    "below his floor": (lambda: first_is(level=1), "below his floor"),
    "a drill": (lambda: first_is(drill=True), "none of his"),
    "gave way to nothing": (lambda: without(well(), 3, 1), "gave way to nothing"),
}


@pytest.mark.parametrize("night", [well, at_night])
def test_nothing_is_wrong_with_a_night_that_went_well(night: Callable[[], Night]) -> None:
    assert violations(night()) == []


@pytest.mark.parametrize("name", WRONG)
def test_each_thing_that_went_wrong_is_found(name: str) -> None:
    night, said = WRONG[name]
    found = violations(night())
    assert any(said in one for one in found), found
