"""Answers of ward groups: by a leader's link, or written down by a user who talked to one.

Notes are sealed: they name people who need help, and where they live.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select

from alerts.ledger.store import Store
from alerts.people.group import Group
from alerts.people.group_state import Said, Says
from alerts.people.user import User
from alerts.residents import group_rows as rows
from alerts.residents import leader_rows, schema
from alerts.residents.answer_keys import contact_in, opens
from alerts.residents.ground import Ground, NoGroupError
from alerts.residents.leader_rows import Leading
from alerts.residents.seal import Seal
from alerts.residents.told import Asked, asked_lately
from alerts.words.names import one_line

LINKS_LIVE_MS: Final = 72 * 3_600_000  # a link opens for so long after its warning
NOTE_MOST: Final = 500
_ANSWER: Final = schema.answer
_OF_ONE: Final = (
    select(_ANSWER)
    .where(_ANSWER.c.incident == bindparam("of_incident"), _ANSWER.c.group == bindparam("of_group"))
    .order_by(_ANSWER.c.id.desc())
)


@dataclass(frozen=True, slots=True)
class Given:
    """What was taken: of which group, on which incidents."""

    group: int
    area: str
    name: str
    says: Says
    incidents: tuple[str, ...]


def answer_by_link(store: Store, post: Store, seal: Seal, key: str, says: Says, note: str, now_ms: int) -> Given | None:
    """None: it opens nothing, or nothing any more; what is wrong with it is not told. Raises LedgerError."""
    contact = contact_in(key)
    if contact is None:
        return None
    with store.reading() as db:
        if leader_rows.leader_by(db, contact) is None:
            return None
    lately = asked_lately(post, [contact], now_ms - LINKS_LIVE_MS)
    meant = (together for together in lately if any(opens(seal, key, contact, one.incident) for one in together))
    if (together := next(meant, None)) is None:
        return None
    with store.writing() as db:
        leader = leader_rows.leader_by(db, contact)  # he may have ended meanwhile
        return None if leader is None else write(db, seal, leader, together, says, note, now_ms)


def write(
    db: Connection, seal: Seal, leader: Leading, together: Sequence[Asked], says: Says, note: str, now_ms: int
) -> Given:  # fmt: skip
    """The same from the same leader again, as a second tap sends it, adds nothing."""
    by = f"contact {leader.contact}"
    for one in together:
        said = Said(now_ms, says, one.version, by, leader.resident, one_line(note, NOTE_MOST))
        _write(db, seal, leader.group, one.incident, said)
    group = rows.group_at(db, leader.group)
    assert group is not None  # who leads an ended group has ended with it
    return Given(leader.group, group.area, group.name, says, tuple(one.incident for one in together))


def answers_of(db: Connection, seal: Seal, incident: str, groups: Collection[int]) -> dict[int, list[Said]]:
    """By group, in the order in which it was said."""
    found: dict[int, list[Said]] = {}
    query = select(_ANSWER).where(_ANSWER.c.incident == incident).order_by(_ANSWER.c.group, _ANSWER.c.id)
    for row in db.execute(query):
        if row.group in groups:
            found.setdefault(row.group, []).append(_said(seal, row))
    return found


class AnswersByUsers:
    """What users write down after they talked to a leader: audited, and over all that was said before."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground

    def write(
        self, group: int, areas: Collection[str], asked: Asked, says: Says, note: str, by: User, key: str
    ) -> Group:
        """`areas`: that the warning concerns. Raises NoGroupError, OutsideError, GroupError, LedgerError."""
        with self._on.changing() as (db, told):
            row = rows.group_at(db, group)
            if row is None or row.area not in areas:
                raise NoGroupError(f"the warning concerns no group {group}")
            self._on.check_area(by, row.area)
            said = Said(self._on.now_ms(), says, asked.version, by.name, None, one_line(note, NOTE_MOST))
            if _write(db, self._on.seal, group, asked.incident, said):
                detail = {"incident": asked.incident, "version": asked.version, "says": says.value}
                self._on.note(told, self._on.by(by, key), "group_answer", f"group/{group}", detail)
            return rows.group_of(row, {})


def _write(db: Connection, seal: Seal, group: int, incident: str, said: Said) -> bool:
    """False: the newest word of the group on it is the same, from the same."""
    newest = db.execute(_OF_ONE.limit(1), {"of_incident": incident, "of_group": group}).first()
    if newest is not None:
        before = _said(seal, newest)
        if (before.says, before.version, before.by, before.note) == (said.says, said.version, said.by, said.note):
            return False
    row = {"group": group, "incident": incident, "version": said.version, "at": said.at, "says": said.says.value,
           "resident": said.resident, "by": said.by}  # fmt: skip
    db.execute(insert(_ANSWER), row | {"note": seal.close(said.note, _place(group, incident))})
    return True


def _said(seal: Seal, row: Any) -> Said:
    note = seal.open(row.note, _place(row.group, row.incident))
    return Said(row.at, Says(row.says), row.version, row.by, row.resident, note)


def _place(group: int, incident: str) -> str:
    return f"answer {group} {incident}"
