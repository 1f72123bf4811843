"""What must hold of everything that was told: versions, ends, messages, retained states. Each violation a sentence."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from sqlalchemy import select

from alerts.delivery.channels.mqtt import DRILL_TOPIC, TOPIC
from alerts.incidents.incident import ENDS, Notice, Reason
from alerts.ledger import schema
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Status

Key: TypeAlias = tuple[str, int, str]  # incident, version, recipient
Seen: TypeAlias = tuple[Key, Any]  # and the body


def ends(notices: Sequence[Notice], ledger: Ledger) -> Iterator[str]:
    """Versions without a gap, one end for each closing, and each incident as its last version says.

    Also an open one may have ended, or have no version at all: what it stands at is confirmed by nobody.
    """
    by_incident: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        by_incident[notice.incident].append(notice)
    yield from _planned([found for found in by_incident.values() if found[0].planned is not None])
    by_incident = defaultdict(list, {id_: found for id_, found in by_incident.items() if found[0].planned is None})
    rows = {row.id: row for drill in (False, True)
            for row in ledger.incidents(limit=10**9, drill=drill, unpublished=True)[0]}  # fmt: skip
    for id_ in rows.keys() | by_incident.keys():
        found, row = by_incident[id_], rows.get(id_)
        if [notice.version for notice in found] != list(range(1, len(found) + 1)):
            yield f"{id_}: its versions are {[notice.version for notice in found]}"
        elif row is None or row.version != len(found):
            yield f"{id_}: {len(found)} notices, and its row is at version {row and row.version}"
        elif (row.level > 0) != (found[-1:] != [] and found[-1].reason not in ENDS) or (row.closed_at and row.level):
            last = found[-1].reason if found else "missing"
            yield f"{id_}: at level {row.level}, closed at {row.closed_at}, and its last notice is {last}"
        reasons = [Reason.OVER, *(notice.reason for notice in found)]
        for before, after in pairwise(reasons):
            if (before in ENDS) != (after is Reason.FIRST):
                yield f"{id_}: {after} follows {before}"


def _planned(outages: Sequence[Sequence[Notice]]) -> Iterator[str]:
    """Of what is planned: versions without a gap, the same times told twice at most, and nothing after it was off."""
    for found in outages:
        id_, reasons = found[0].incident, [notice.reason for notice in found]
        times = [notice.planned and (notice.planned.begins, notice.planned.until) for notice in found]
        told = Counter(time for time, reason in zip(times, reasons, strict=True) if reason is Reason.PLANNED)
        if [notice.version for notice in found] != list(range(1, len(found) + 1)):
            yield f"{id_}: its versions are {[notice.version for notice in found]}"
        if reasons[0] is not Reason.PLANNED or Reason.CALLED_OFF in reasons[:-1]:
            yield f"{id_}: told in the order {reasons}"
        if max(told.values(), default=0) > 2:  # the day before and an hour before
            yield f"{id_}: told {told}"


def messages(received: Sequence[Seen], notices: Sequence[Notice], ledger: Ledger, channel: str) -> Iterator[str]:
    """Every notice has its messages, each was sent, and reached its receiver at least once under one key."""
    with ledger.store.reading() as db:
        rows = list(db.execute(select(schema.message)))
        fan_out = db.execute(select(schema.fan_out)).one()
        contents = db.execute(select(schema.content.c.seq, schema.content.c.body))
        bodies = {seq: json.loads(body) for seq, body in contents}
    last = ledger.last_seq()
    if (fan_out.seq, fan_out.channel) != (last, ""):
        yield f"messages are made up to notice {fan_out.seq} ({fan_out.channel}), the last one is {last}"
    newest = _newest_sent(rows)
    for row in rows:
        # What failed gives way to a newer version of the same, which has then to be sent.
        gave_way = row.status == Status.SUPERSEDED and (row.channel == "mqtt" or newest.get(_of(row), 0) > row.version)
        if row.status != Status.SENT and not gave_way:
            yield f"{row.channel} message of {row.incident} version {row.version} is {row.status}: {row.error}"
    own = [row for row in rows if row.channel == channel]
    gone = {(row.incident, row.version, row.recipient) for row in own if row.status == Status.SUPERSEDED}
    yield from _reached({(row.incident, row.version, row.recipient): bodies[row.seq] for row in own}, received, gone)
    people = [(channel, recipient) for recipient in {row.recipient for row in own}]
    made = {(row.incident, row.version, row.channel, row.recipient) for row in rows}
    for notice in notices:
        places = [*people, *([("mqtt", topic_of(notice))] if notice.planned is None else [])]
        for place in [*places, ("console", "operators")] if notice.told else places:
            if (notice.incident, notice.version, *place) not in made:
                yield f"no message to {place} of {notice.incident} version {notice.version}"


def _of(row: Any) -> tuple[str, str, str]:
    return row.incident, row.channel, row.recipient


def _newest_sent(rows: Iterable[Any]) -> dict[tuple[str, str, str], int]:
    newest: dict[tuple[str, str, str], int] = {}
    for row in rows:
        if row.status == Status.SENT:
            newest[_of(row)] = max(row.version, newest.get(_of(row), 0))
    return newest


def _reached(wanted: Mapping[Key, Any], received: Sequence[Seen], gone: Container[Key]) -> Iterator[str]:
    """`gone`: gave way to something newer, and may have come all the same."""
    came: dict[Key, list[Any]] = defaultdict(list)
    for key, body in received:
        came[key].append(body)
    for key in came.keys() - wanted.keys():
        yield f"came without a message in the ledger: {key}"
    for key, body in wanted.items():
        if key not in came and key not in gone:
            yield f"sent, says the ledger, and never came: {key}"
        elif any(one != body for one in came.get(key, ())):
            yield f"one key, several contents: {key}"


def states(
    heard: Sequence[tuple[str, bytes]], retained: Mapping[str, bytes], notices: Sequence[Notice], ledger: Ledger
) -> Iterator[str]:
    """The retained topics are the open incidents, and whatever was heard on them was some version of ours."""
    with ledger.store.reading() as db:
        query = select(schema.notice.c.incident, schema.notice.c.version, schema.content.c.body)
        rows = db.execute(query.join(schema.content, schema.content.c.seq == schema.notice.c.seq))
        bodies = {(row.incident, row.version): json.loads(row.body) for row in rows}
    newest = {topic_of(n): n for n in notices if n.planned is None}
    wanted = {topic: (n.incident, n.version) for topic, n in newest.items() if n.reason not in ENDS}
    there = {topic: _version(payload) for topic, payload in retained.items() if payload}
    for topic in wanted.keys() | there.keys():
        if wanted.get(topic) != there.get(topic):
            yield f"{topic}: the broker retains {there.get(topic)}, the ledger says {wanted.get(topic)}"
    for topic, payload in heard:
        if payload and bodies.get(_version(payload)) != json.loads(payload):
            yield f"{topic}: heard what the ledger does not say: {payload!r}"


def topic_of(notice: Notice) -> str:
    return (DRILL_TOPIC if notice.drill else TOPIC).format(area=notice.area, hazard=notice.hazard)


def _version(payload: bytes) -> tuple[str, int]:
    told = json.loads(payload)
    return told["incident"], told["version"]
