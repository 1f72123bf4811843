"""Ward groups and their leaders as rows. Every function works within a transaction of who calls it.

A leader is a resident whom a user has appointed: nobody confirms anything, the consent log says who appointed him, and
he hears of every hazard of his group's area. When he ends, his address is overwritten; nothing but his number stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from alerts.delivery.channels.channel import Reached
from alerts.people.group import LEADERS_FLOOR, Contact, Group, Leader, NewGroup, shown_end
from alerts.residents import schema
from alerts.residents.seal import Seal
from alerts.words.names import Lang

QUIET: Final = (
    "22:00-07:00"  # for what is below danger; nothing holds up danger, worsening and ends (CONTRACTS section 6)
)
DAILY_CAP: Final = 20  # of what is neither danger nor an end: one ward has no more in the worst of weeks
APPOINTED, ENDED = "appointed", "ended"  # in the log of consent
_GROUP, _RESIDENT, _CONTACT = schema.group, schema.resident, schema.contact
_SUBSCRIPTION, _TARGET, _CONSENT = schema.subscription, schema.target, schema.consent
_CHUNK: Final = 500  # numbers in one statement
_SEALED: Final = update(_CONTACT).where(_CONTACT.c.id == bindparam("of")).values(address=bindparam("sealed"))
_LEADING: Final = (_CONTACT.c.state == "active", _RESIDENT.c.state == "active", _RESIDENT.c.leads.is_not(None))
_LEADS: Final = (
    select(_CONTACT.c.id, _RESIDENT.c.id.label("resident"), _RESIDENT.c.leads)
    .join(_RESIDENT, _RESIDENT.c.id == _CONTACT.c.resident)
    .where(_CONTACT.c.channel == bindparam("channel_"), _CONTACT.c.digest == bindparam("digest_"), *_LEADING)
)


@dataclass(frozen=True, slots=True)
class Door:
    """One way to reach a leader, checked: `reached` is how it is kept."""

    channel: str
    reached: Reached = field(repr=False)
    fallback: bool = False

    @property
    def via(self) -> str:
        return f"{self.channel}:{self.reached.provider}" if self.reached.provider else self.channel


@dataclass(frozen=True, slots=True)
class Leading:
    """A contact by which a leader is reached."""

    contact: int
    resident: int
    group: int


def group_at(db: Connection, id_: int) -> Row[Any] | None:
    """None: there is none that is active."""
    return db.execute(select(_GROUP).where(_GROUP.c.id == id_, _GROUP.c.active)).one_or_none()


def named(db: Connection, area: str, name: str) -> Row[Any] | None:
    """Also one that has ended."""
    return db.execute(select(_GROUP).where(_GROUP.c.area == area, _GROUP.c.name == name)).one_or_none()


def count(db: Connection) -> int:
    return db.execute(select(func.count()).select_from(_GROUP)).scalar_one()


def listed(
    db: Connection, areas: Collection[str] | None, *, after: int, limit: int
) -> list[Row[Any]]:  # fmt: skip
    """Active groups of `areas` (None: of all) with a greater number than `after`, by number."""
    query = select(_GROUP).where(_GROUP.c.active, _GROUP.c.id > after).order_by(_GROUP.c.id).limit(limit)
    return list(db.execute(query if areas is None else query.where(_GROUP.c.area.in_(areas))))


def add_group(db: Connection, new: NewGroup, now_ms: int) -> int:
    """Its number. One of the same area and name that has ended begins again."""
    row = {"households": new.households, "active": True}
    if (known := named(db, new.area, new.name)) is not None:
        db.execute(update(_GROUP).where(_GROUP.c.id == known.id).values(**row))
        return int(known.id)
    made = db.execute(insert(_GROUP), {"area": new.area, "name": new.name, "created_at": now_ms, **row})
    return _number(made)


def change_group(db: Connection, id_: int, **values: Any) -> None:
    db.execute(update(_GROUP).where(_GROUP.c.id == id_).values(**values))


def leading(db: Connection, seal: Seal, channel: str, address: str) -> Leading | None:
    """Whose address it is. `address` as its channel keeps it."""
    given = {"channel_": channel, "digest_": seal.digest(channel, address)}
    row = db.execute(_LEADS, given).first()
    return None if row is None else Leading(row.id, row.resident, row.leads)


def leader_by(db: Connection, contact: int) -> Leading | None:
    """None: no leader has this contact any more."""
    query = (
        select(_CONTACT.c.id, _RESIDENT.c.id.label("resident"), _RESIDENT.c.leads)
        .join(_RESIDENT, _RESIDENT.c.id == _CONTACT.c.resident)
        .where(_CONTACT.c.id == contact, *_LEADING)
    )
    row = db.execute(query).one_or_none()
    return None if row is None else Leading(row.id, row.resident, row.leads)


def contacts_of(db: Connection, resident: int) -> list[int]:
    return list(db.execute(select(_CONTACT.c.id).where(_CONTACT.c.resident == resident)).scalars())


def leaders_of(db: Connection, groups: Sequence[int], seal: Seal | None) -> dict[int, tuple[Leader, ...]]:
    """By group, those who have not ended. `seal` None: nothing is shown of their addresses."""
    found: dict[int, dict[int, Leader]] = {}
    for some in chunks(groups):
        query = (
            select(_CONTACT, _RESIDENT.c.leads, _RESIDENT.c.lang, _RESIDENT.c.created_at.label("since"))
            .join(_RESIDENT, _RESIDENT.c.id == _CONTACT.c.resident)
            .where(_RESIDENT.c.leads.in_(some), _RESIDENT.c.state == "active")
            .order_by(_RESIDENT.c.id, _CONTACT.c.id)
        )
        for row in db.execute(query):
            ends = "" if seal is None or not row.address else shown_end(seal.open(row.address, f"contact {row.id}"))
            contact = Contact(row.id, row.channel, ends, row.fallback, row.state == "active")
            of_group = found.setdefault(row.leads, {})
            before = of_group[row.resident].contacts if row.resident in of_group else ()
            of_group[row.resident] = Leader(row.resident, row.lang, row.since, (*before, contact))
    return {group: tuple(leaders.values()) for group, leaders in found.items()}


def group_of(row: Row[Any], leaders: Mapping[int, tuple[Leader, ...]]) -> Group:
    return Group(row.id, row.area, row.name, row.households, leaders.get(row.id, ()))


def add_leader(
    db: Connection, seal: Seal, group: int, lang: Lang, doors: Sequence[Door], hazards: Iterable[str], by: str,
    now_ms: int,
) -> int:  # fmt: skip
    """His number. He is told from the next notice on."""
    area = db.execute(select(_GROUP.c.area).where(_GROUP.c.id == group)).scalar_one()
    person = {"state": "active", "lang": lang, "quiet": QUIET, "daily_cap": DAILY_CAP, "leads": group,
              "created_at": now_ms, "confirmed_at": now_ms}  # fmt: skip
    resident = _number(db.execute(insert(_RESIDENT), person))
    for door in doors:
        row = {"resident": resident, "channel": door.channel, "via": door.via, "address": b"",
               "digest": seal.digest(door.channel, door.reached.address), "fallback": door.fallback,
               "state": "active", "created_at": now_ms, "confirmed_at": now_ms}  # fmt: skip
        contact = _number(db.execute(insert(_CONTACT), row))
        db.execute(_SEALED, {"of": contact, "sealed": seal.close(door.reached.address, f"contact {contact}")})
    aim(db, resident, area, hazards)
    _log(db, resident, APPOINTED, f"appointed by {by}", lang, now_ms)
    return resident


def end_leader(db: Connection, resident: int, why: str, now_ms: int) -> None:
    """At once: the next message is not made, and those under way find no address."""
    lang = db.execute(select(_RESIDENT.c.lang).where(_RESIDENT.c.id == resident)).scalar_one()
    aim(db, resident, "", ())
    gone = {"state": "ended", "address": b"", "digest": b""}
    db.execute(update(_CONTACT).where(_CONTACT.c.resident == resident).values(**gone))
    db.execute(update(_RESIDENT).where(_RESIDENT.c.id == resident).values(state="ended"))
    _log(db, resident, ENDED, why, lang, now_ms)


def aim(db: Connection, resident: int, area: str, hazards: Iterable[str]) -> None:
    """What a leader hears of, in place of what he heard of before: his subscriptions, and the post's rows of them."""
    mine = _SUBSCRIPTION.c.resident == resident
    contacts = list(db.execute(select(_CONTACT).where(_CONTACT.c.resident == resident)))
    db.execute(delete(_TARGET).where(_TARGET.c.contact.in_([contact.id for contact in contacts])))
    db.execute(delete(_SUBSCRIPTION).where(mine))
    new = [{"area": area, "hazard": hazard, "floor": LEADERS_FLOOR} for hazard in sorted(set(hazards))]
    if not new:
        return
    db.execute(insert(_SUBSCRIPTION), [{"resident": resident, **row} for row in new])
    told = [{"contact": contact.id, "via": contact.via, **row}
            for row in new for contact in contacts if contact.state == "active" and not contact.fallback]  # fmt: skip
    if told:
        db.execute(insert(_TARGET), told)


def misaimed(db: Connection, hazards: Collection[str]) -> list[tuple[int, str]]:
    """Leaders who do not hear of exactly `hazards`, with the area of their group."""
    heard = select(_SUBSCRIPTION.c.hazard).where(_SUBSCRIPTION.c.resident == _RESIDENT.c.id)
    wanted = heard.where(_SUBSCRIPTION.c.hazard.in_(hazards))
    counts = (select(func.count()).select_from(one.subquery()).scalar_subquery() for one in (heard, wanted))
    all_, right = counts
    query = (
        select(_RESIDENT.c.id, _GROUP.c.area)
        .join(_GROUP, _GROUP.c.id == _RESIDENT.c.leads)
        .where(_RESIDENT.c.state == "active", (all_ != len(hazards)) | (right != len(hazards)))
    )
    return [(row.id, row.area) for row in db.execute(query)]


def chunks(numbers: Sequence[int]) -> Iterable[list[int]]:
    """As many as one statement takes."""
    return (list(numbers[k : k + _CHUNK]) for k in range(0, len(numbers), _CHUNK))


def _log(db: Connection, resident: int, what: str, text: str, lang: str, now_ms: int) -> None:
    db.execute(insert(_CONSENT), {"resident": resident, "at": now_ms, "what": what, "text": text, "lang": lang})


def _number(made: Any) -> int:
    return int(made.inserted_primary_key[0])
