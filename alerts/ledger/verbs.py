"""What persons set that stands beside incidents: silences, planned outages, the official disaster-risk level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert  # PostgreSQL's has the same name and the same form

from alerts.acting import Acted
from alerts.incidents.verbs import Act, EndSilence, OfficialLevel, Reschedule, Silence
from alerts.ledger import audit, schema
from ingest.entries import Position

_ENTERED_MOST: Final = 20  # official levels that are looked through: bulletins come every few hours
_NEW_SILENCE: Final = upsert(schema.silence)
_SILENCE: Final = _NEW_SILENCE.on_conflict_do_update(
    index_elements=["id"], set_={name: _NEW_SILENCE.excluded[name] for name in ("until", "body")}
)


def write_verb(db: Connection, act: Act, silences: Sequence[Silence]) -> None:
    """`silences`: as they stand after the act."""
    verb = act.verb
    match verb:
        case Silence() | EndSilence() | Reschedule():
            for silence in silences:
                if silence.id == verb.id:
                    body = msgspec.json.encode(silence).decode()
                    row = {"id": silence.id, "until": silence.until, "planned": silence.planned, "body": body}
                    db.execute(_SILENCE, row)
        case OfficialLevel():
            body = msgspec.json.encode(verb).decode()
            db.execute(insert(schema.official_level), {"at": act.at, "by": act.by, "body": body})
        case _:
            pass


def audited(act: Act, answer: Acted, position: Position) -> audit.Entry:
    """The act as the audit keeps it: what it was about, all that it said, when, and what came of it.

    `position`: up to where the journal had been decided when it was done.
    """
    verb = act.verb
    about = getattr(verb, "incident", "") or getattr(verb, "event", "") or getattr(verb, "id", "")
    detail = {**msgspec.to_builtins(verb), "why": act.why, "position": position}
    return audit.Entry(
        act.at, act.by, type(verb).__name__.lower(), about or " ".join(answer.incidents), act.key, detail,
        msgspec.to_builtins(answer),
    )  # fmt: skip


def answered(db: Connection, by: str, key: str) -> Acted | None:
    """What became of the act of that person and key; None: it was never done."""
    known = audit.find(db, by, key)
    return None if known is None else msgspec.convert(dict(known.entry.answer), Acted).again()


def standing_silences(db: Connection, now: int) -> list[Silence]:
    """Those that are not over at `now`, ms UTC, and those that end then: nobody has seen to that yet."""
    table = schema.silence
    rows = db.execute(select(table.c.body).where(table.c.until >= now).order_by(table.c.id))
    return [msgspec.json.decode(row.body, type=Silence) for row in rows]


def official_level(db: Connection, now: int) -> OfficialLevel | None:
    """Of those that have begun the one that was entered last, as long as it is in force at `now`, ms UTC."""
    table = schema.official_level
    rows = db.execute(select(table.c.body).order_by(table.c.id.desc()).limit(_ENTERED_MOST))
    entered = (msgspec.json.decode(row.body, type=OfficialLevel) for row in rows)
    level = next((one for one in entered if one.valid_from <= now), None)
    return level if level is not None and level.level and now < level.valid_until else None
