"""What sensors do to incidents: they rise and fall, are heard, fall asleep; silences cover them, registries change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from alerts.incidents.book import Book
from alerts.incidents.decision import Decided
from alerts.incidents.heard import News
from alerts.incidents.incident import DANGER, WARNING, Incident, Key, Member, Pair
from alerts.incidents.members import heard, moved, supported_by
from alerts.incidents.publishing import opened
from processing.rules import is_ending
from processing.transitions import Status, Transition


def take(book: Book, news: News) -> None:
    """Puts what became known together into the rows."""
    if news.health is not None:
        _sleep_or_wake(book, news.health.sensor, news.health.at, asleep=news.health.to is not Status.OK)
    for transition in news.transitions:
        if is_ending(transition.rule):
            _wet_or_dry(book, transition)
        else:
            _move(book, transition)
    one = news.heard
    if one is not None:
        _each_of(book, one.sensor, lambda member: heard(member, one.t, one.flag, _supports(book, member, one.value)))


def _supports(book: Book, member: Member, value: float) -> int:
    judgement = book.who.judgement(member.sensor, member.rule)
    return supported_by(value, judgement) if judgement is not None else 0


def _move(book: Book, transition: Transition) -> None:
    pair = (transition.sensor, transition.rule)
    before = book.keys(pair)
    after = keys_of(book, pair) if transition.to else frozenset()
    for hazard in sorted({key[0] for key in before | after}):
        within_ms = book.who.hazard(hazard).confirm_within_ms
        fallen = book.standing.move(hazard, *pair, transition.to, transition.arrival, within_ms)
        for key in sorted(key for key in before | after if key[0] == hazard):
            row = _placed(book, key, transition, stays=key in after)
            others = tuple(f for f in row.fallen if f.sensor != pair[0])
            book.keep(replace(row, fallen=(*others, *fallen)))
        ask_around(book, hazard, pair[0])
    book.stand(pair, after)


def keys_of(book: Book, pair: Pair) -> frozenset[Key]:
    """Where a sensor under a rule belongs; nowhere where either has vanished: nobody measures it then."""
    hazard = book.who.hazard_of.get(pair[1])
    return frozenset((hazard, area, False) for area in book.who.areas(pair[0])) if hazard else frozenset()


def _placed(book: Book, key: Key, transition: Transition, *, stays: bool) -> Incident:
    row, pair, arrival = book.row(key), (transition.sensor, transition.rule), transition.arrival
    was = next((m for m in row.members if m.pair == pair), None)
    rises = transition.to > (was.level if was is not None else 0)
    member = moved(was or Member(*pair, 0, transition.at, None), transition)
    if stays:
        if member.calm_since is None and book.standing.is_dry(pair[0], key[0], book.who):
            member = replace(member, calm_since=arrival)
        member = replace(member, silenced=book.standing.covering(pair[0], *key[:2], arrival))
        if member.counted:
            row = opened(row, arrival)
        if rises and row.level and not row.wanted:  # a new wave before the end: its first rise eases nothing
            row = replace(row, free_at=arrival + book.who.hazard(key[0]).quiet_ms)
    others = tuple(m for m in row.members if m.pair != pair)
    row = replace(row, members=(*others, member) if stays else others)
    row = with_danger(row, member) if stays else row
    if (was.counts if was is not None else 0) != (member.counts if stays else 0):  # else it held nothing up any more
        measured = transition.value is not None
        row = replace(row, changed_at=transition.at, changed_arrival=arrival, measured=measured)
    row = replace(row, approved=min(row.approved, row.measured_level))
    book.decide(
        row, arrival, Decided.ROSE if rises else Decided.FELL, "" if transition.value is not None else "not measured",
        member, value=transition.value, measured_at=transition.at,
    )  # fmt: skip
    if member.silenced and rises:
        book.decide(row, arrival, Decided.SILENCED, member.silenced, member)
    return row


def with_danger(row: Incident, member: Member) -> Incident:
    """The sensor holds it at danger or above: it has to be heard before an all-clear."""
    if member.counted < DANGER or member.sensor in row.danger_by:
        return row
    return replace(row, danger_by=(*row.danger_by, member.sensor))


def ask_around(book: Book, hazard: str, sensor: str) -> None:
    """Whoever this sensor could be a witness of is looked at again; and who it is itself."""
    book.dirty |= dict.fromkeys((hazard, area, False) for area in book.who.stands_in(sensor))
    if not book.where:
        return  # a whole city that falls silent in the dry
    for other in book.who.near(sensor, hazard):
        for keys in book.where.get(other, {}).values():
            book.dirty |= dict.fromkeys(key for key in keys if key[0] == hazard)


def _each_of(book: Book, sensor: str, change: Callable[[Member], Member], hazard: str = "") -> None:
    """Every member of the sensor (in incidents of `hazard`), changed where `change` gives another one."""
    for key in sorted({key for keys in book.where.get(sensor, {}).values() for key in keys}):
        row = book.latest[key]
        members = tuple(change(m) if m.sensor == sensor else m for m in row.members)
        if members != row.members and hazard in ("", key[0]):
            book.keep(replace(row, members=members))


def _wet_or_dry(book: Book, transition: Transition) -> None:
    """The short statistic of `ends_when` has reached its limit, or fallen below it; or watches the sensor no more."""
    hazard = transition.rule.split(".")[1]
    if transition.to:
        book.standing.wet.add((transition.sensor, hazard))
    else:
        book.standing.wet.discard((transition.sensor, hazard))
    dry = not transition.to and transition.value is not None and transition.sensor not in book.standing.asleep
    since = transition.arrival if dry else None
    _set_calm(book, transition.sensor, hazard, since)
    ask_around(book, hazard, transition.sensor)  # what is dry bears no witness


def _set_calm(book: Book, sensor: str, hazard: str, since: int | None) -> None:
    _each_of(book, sensor, lambda member: replace(member, calm_since=since), hazard)


def _sleep_or_wake(book: Book, sensor: str, at: int, *, asleep: bool) -> None:
    """Silence is no evidence: who is not heard confirms nothing, contradicts nothing, and is not calm."""
    (book.standing.asleep.add if asleep else book.standing.asleep.discard)(sensor)
    for hazard in book.who.hazards(sensor):
        if not asleep and book.standing.is_dry(sensor, hazard, book.who):
            _set_calm(book, sensor, hazard, at)
        elif asleep:
            _set_calm(book, sensor, hazard, None)
        ask_around(book, hazard, sensor)
    for key, row in book.latest.items():
        if sensor in row.danger_by:
            book.dirty[key] = None


def cover(book: Book, now: int, *, ended: str = "") -> None:
    """After a silence begins or ends: which members it covers. `ended`: the one that a person has ended."""
    for key in sorted(book.latest):
        row = book.latest[key]
        members = tuple(_covered(book, m, key, now, ended) for m in row.members)
        if members == row.members:
            continue
        for before, after in zip(row.members, members, strict=True):
            if after.silenced and not before.silenced:
                book.decide(row, now, Decided.SILENCED, after.silenced, after)
        book.keep(replace(row, members=members, free_at=now))
    book.dirty |= dict.fromkeys(book.latest)  # who is covered bears no witness, and who is not does again


def _covered(book: Book, member: Member, key: Key, now: int, ended: str) -> Member:
    """What a planned outage explained up to its announced end, and still stands, has outlasted it."""
    before = book.standing.silences.get(member.silenced)
    after = replace(member, silenced=book.standing.covering(member.sensor, *key[:2], now))
    if before is None or after.silenced or before.id == ended or not before.announced:
        return after
    return replace(after, overran=before.until) if member.counted >= WARNING else after  # a low voltage is no outage


def regroup(book: Book, now: int) -> None:
    """After a change of rules or registry: members stand where they belong now, though no level changed.

    Of whom `ends_when` watches no more, nothing is known to be calm.
    """
    for key, row in list(book.latest.items()):
        members = tuple(
            m if m.calm_since is None or book.who.ends(m.sensor, key[0]) else replace(m, calm_since=None)
            for m in row.members
        )
        if members != row.members:
            book.keep(replace(row, members=members))
    pairs = sorted((sensor, rule) for sensor, rules in book.where.items() for rule in rules)
    for pair in pairs:
        before, after = book.keys(pair), keys_of(book, pair)
        if after == before:
            continue
        known = [m for key in sorted(before) for m in book.latest[key].members if m.pair == pair]
        gravest = max(known, key=lambda m: (m.counted, m.confirmed))  # persons may have eased it in some of its areas
        for key in sorted(before ^ after):
            book.keep(_comes(book, key, gravest, now) if key in after else _goes(book, key, pair, now))
        book.standing.regroup(pair, gravest.level, {key[0] for key in before}, {key[0] for key in after})
        book.stand(pair, after)
        book.dirty |= dict.fromkeys(book.latest)  # also whoever stands near what has moved


def _comes(book: Book, key: Key, member: Member, now: int) -> Incident:
    row = book.row(key)
    if member.counted or not row.id:
        row = opened(row, now)
    member = replace(member, silenced=book.standing.covering(member.sensor, *key[:2], now))
    row = replace(row, members=(*row.members, member), changed_at=now, changed_arrival=now)
    return with_danger(row, member)


def _goes(book: Book, key: Key, pair: Pair, now: int) -> Incident:
    """Nobody measures there what it said last: no all-clear."""
    row = book.latest[key]
    row = replace(row, members=tuple(m for m in row.members if m.pair != pair), changed_at=now, changed_arrival=now,
                  measured=False)  # fmt: skip
    return replace(row, approved=min(row.approved, row.measured_level))
