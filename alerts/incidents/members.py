"""What happens to a member: it rises, falls, is heard again, counts for less. Pure functions from member to member."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from alerts.incidents.incident import Confirmation, Member
from processing.rules import Judgement, Statistic
from processing.transitions import Transition

GOOD: Final = 1  # QARTOD
SOLE_READINGS: Final = 3  # CONTRACTS section 6, (d): so many good readings in a row
SOLE_MS: Final = 300_000  # over at least so long


def moved(before: Member, transition: Transition) -> Member:
    """At the level that `transition` takes it to. A rise counts whatever eased it before."""
    to = transition.to
    rises = to > before.level
    return replace(
        _without_above(before, to), level=to, at=transition.at, value=transition.value, arrival=transition.arrival,
        counted=to if rises else min(before.counted, to),
        calm_since=transition.arrival if rises and before.calm_since is not None else before.calm_since,
    )  # fmt: skip


def heard(member: Member, t: int, flag: int, supports: int) -> Member:
    """After a fresh reading of its sensor, measured at `t`: how long good ones have held each level (the (d) of above).

    `supports`: the highest level that the reading itself does not speak against (`supported_by`). The same object where
    nothing changes, which is nearly always.
    """
    supports = supports if flag == GOOD else 0
    if supports < member.stood:  # it holds no more; what is confirmed by it stays so
        stood = max(min(member.stood, supports), min(member.stood, member.confirmed))
        member = member if stood == member.stood else replace(member, stood=stood, good=(), since=())
    levels = member.level - member.stood
    if levels <= 0:
        return member
    before = (*member.good, *(0,) * (levels - len(member.good)))
    good = tuple(min(n + 1, SOLE_READINGS) if member.stood + i < supports else 0 for i, n in enumerate(before))
    if not any(good):
        return replace(member, good=(), since=()) if any(member.good) else member
    since = tuple(old if n else t for n, old in zip(before, (*member.since, *(0,) * levels), strict=False))
    held = [n >= SOLE_READINGS and t - first >= SOLE_MS for n, first in zip(good, since, strict=True)]
    more = held.index(False) if False in held else len(held)
    if not more and (good, since) == (member.good, member.since):
        return member
    return replace(member, good=good[more:], since=since[more:], stood=member.stood + more)


def supported_by(value: float, judgement: Judgement) -> int:
    """The highest level that a reading of `value` does not speak against: those whose clear value it still reaches.

    A level stands for a while after the water has gone (`hold_clear`); readings of a dry street confirm nothing. What
    is summed, counted or sloped over a window says nothing reading by reading: every one supports all.
    """
    if judgement.statistic in (Statistic.SUM, Statistic.COUNT, Statistic.RISE):
        return len(judgement.clears)
    if math.isnan(value):
        return 0
    reached = [value >= x if judgement.above else value <= x for x in judgement.clears]
    return max((level for level, yes in enumerate(reached, 1) if yes), default=0)  # NaN, no such level: never reached


def last_was_good(member: Member) -> bool:
    """Whether its newest reading at this level was good: what (c) asks of a reference station."""
    return member.stood >= member.level or (len(member.good) == member.level - member.stood and member.good[-1] > 0)


def limited(member: Member, level: int) -> Member:
    """It counts for at most `level` until it rises."""
    if member.counted <= level:
        return member
    kept = _confirmed_to(member, level)
    return replace(kept, counted=level)


def _without_above(member: Member, level: int) -> Member:
    if level >= member.level:
        return member
    levels = max(level - member.stood, 0)
    return replace(
        _confirmed_to(member, level), stood=min(member.stood, level), good=member.good[:levels],
        since=member.since[:levels],
    )  # fmt: skip


def _confirmed_to(member: Member, level: int) -> Member:
    if member.confirmed <= level:
        return member
    by, witness = (member.by, member.witness) if level else (Confirmation.NONE, "")
    return replace(member, confirmed=level, by=by, witness=witness)
