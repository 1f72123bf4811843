"""How the groups that a warning concerns stand: who was told, who answered what, who is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from alerts.delivery.parcel import Status
from alerts.ledger.store import Store
from alerts.people.group import GROUPS_MOST, Group
from alerts.people.group_state import Said, State, state_of
from alerts.post.schema import message, telling
from alerts.residents import group_rows as rows
from alerts.residents import leader_rows
from alerts.residents.answers import answers_of
from alerts.residents.seal import Seal

_HEAD: Final = message.alias("head")  # the message that it was told with, or itself
_SENT: Final = (
    select(
        message.c.contact, message.c.created_at, _HEAD.c.status, _HEAD.c.maybe, _HEAD.c.sent_at, _HEAD.c.received_at,
        _HEAD.c.error,
    )
    .join(telling, telling.c.seq == message.c.seq)
    .join(_HEAD, _HEAD.c.id == func.coalesce(message.c.leader, message.c.id))
    .where(
        telling.c.incident == bindparam("of_incident"), telling.c.version == bindparam("of_version"),
        message.c.contact.in_(bindparam("contacts", expanding=True)),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the message to one contact. Times ms UTC. `maybe`: it may have arrived, nobody answered."""

    status: Status
    maybe: bool
    created_at: int
    sent_at: int | None
    received_at: int | None
    error: str

    @property
    def out(self) -> bool:
        return self.status is Status.SENT or self.maybe


@dataclass(frozen=True, slots=True)
class Standing:
    """One group. `sent`: by contact, of the newest version that asks for an answer."""

    group: Group
    state: State
    said: tuple[Said, ...]
    sent: Mapping[int, Sent]


@dataclass(frozen=True, slots=True)
class Count:
    groups: int
    households: int


def overview(
    store: Store, post: Store, areas: Collection[str], incident: str, asked: int, *, notes: Seal, ends: Seal | None
) -> list[Standing]:
    """Those in `areas`, who has to be seen to first before the others, then by area and name.

    `asked`: the newest version that asks for an answer, 0: none. `ends` None: neither addresses nor notes are shown.
    Raises LedgerError, SealError.
    """
    with store.reading() as db:
        found = rows.listed(db, areas, after=0, limit=GROUPS_MOST)
        leaders = leader_rows.leaders_of(db, [row.id for row in found], ends)
        said = answers_of(db, notes, incident, {row.id for row in found})
    groups = [rows.group_of(row, leaders) for row in found]
    with post.reading() as db:
        sent = _sent(db, incident, asked, [contact.id for group in groups for contact in group.contacts])
    if ends is None:  # a note says who needs help, and where he lives
        said = {group: [replace(one, note="") for one in words] for group, words in said.items()}
    standings = [_standing(group, tuple(said.get(group.id, ())), sent, asked) for group in groups]
    order = {state: n for n, state in enumerate(State)}
    return sorted(standings, key=lambda one: (order[one.state], one.group.area, one.group.name))


def counted(standings: Sequence[Standing]) -> dict[State, Count]:
    """Every state, also those that no group is in."""
    groups = Counter(one.state for one in standings)
    households: Counter[State] = Counter()
    for one in standings:
        households[one.state] += one.group.households
    return {state: Count(groups[state], households[state]) for state in State}


def _standing(group: Group, said: tuple[Said, ...], sent: Mapping[int, Sent], asked: int) -> Standing:
    mine = {contact.id: sent[contact.id] for contact in group.contacts if contact.id in sent}
    return Standing(group, state_of(said, asked, reached=any(one.out for one in mine.values())), said, mine)


def _sent(db: Connection, incident: str, version: int, contacts: Sequence[int]) -> dict[int, Sent]:
    found: dict[int, Sent] = {}
    for some in rows.chunks(contacts):
        given = {"of_incident": incident, "of_version": version, "contacts": some}
        for row in db.execute(_SENT, given):
            found[row.contact] = Sent(
                Status(row.status), row.maybe, row.created_at, row.sent_at, row.received_at, row.error
            )
    return found
