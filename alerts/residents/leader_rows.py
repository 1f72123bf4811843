"""Leaders of ward groups as rows. Every function works within a transaction of who calls it.

A leader is a resident whom a user has appointed: nobody confirms anything, the consent log says who appointed him, and
he hears of every hazard of his group's area. When he ends, his address is overwritten; nothing but his number stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from alerts.delivery.channels.channel import Reached
from alerts.people.group import LEADERS_FLOOR, Contact, Leader, shown_end
from alerts.residents import schema
from alerts.residents.group_rows import chunks
from alerts.residents.seal import Seal
from alerts.residents.targets import retarget
from alerts.words.names import Lang

QUIET: Final = (
    "22:00-07:00"  # for what is below danger; nothing holds up danger, worsening and ends (CONTRACTS section 6)
)
DAILY_CAP: Final = 20  # of what is neither danger nor an end: one ward has no more on the worst of days
APPOINTED, ENDED = "appointed", "ended"  # in the log of consent
_GROUP, _RESIDENT, _CONTACT = schema.group, schema.resident, schema.contact
_SUBSCRIPTION, _TARGET, _CONSENT = schema.subscription, schema.target, schema.consent
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

    def digest(self, seal: Seal) -> bytes:
        return seal.digest(self.channel, self.reached.address)


@dataclass(frozen=True, slots=True)
class Appointed:
    """A new leader of a group, which lies in `area`."""

    group: int
    area: str
    lang: Lang
    doors: tuple[Door, ...]


@dataclass(frozen=True, slots=True)
class Leading:
    """A contact by which a leader is reached."""

    contact: int
    resident: int
    group: int


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


def by_address(db: Connection) -> dict[tuple[str, bytes], Leading]:
    """Every way to a leader by channel and digest."""
    query = (
        select(_CONTACT.c.id, _CONTACT.c.channel, _CONTACT.c.digest, _CONTACT.c.resident, _RESIDENT.c.leads)
        .join(_RESIDENT, _RESIDENT.c.id == _CONTACT.c.resident)
        .where(*_LEADING)
    )
    rows = db.execute(query)
    return {(row.channel, row.digest): Leading(row.id, row.resident, row.leads) for row in rows}


def contacts_of(db: Connection, resident: int) -> list[int]:
    return list(db.execute(select(_CONTACT.c.id).where(_CONTACT.c.resident == resident)).scalars())


def leaders(db: Connection) -> Counter[int]:
    """How many each group has."""
    active = (_RESIDENT.c.state == "active", _RESIDENT.c.leads.is_not(None))
    query = select(_RESIDENT.c.leads, func.count()).where(*active).group_by(_RESIDENT.c.leads)
    return Counter({row[0]: row[1] for row in db.execute(query)})


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


def add_leaders(
    db: Connection, seal: Seal, new: Sequence[Appointed], hazards: Collection[str], by: str, now_ms: int
) -> None:  # fmt: skip
    """They are told from the next notice on. Many at once, since a city brings thousands, and others wait to write."""
    if not new:
        return
    numbers = _add_people(db, new, now_ms)
    led = [(resident, one, door) for resident, one in zip(numbers, new, strict=True) for door in one.doors]
    contacts = _add_contacts(db, seal, [(resident, door) for resident, _, door in led], now_ms)
    heard = [{"area": one.area, "hazard": hazard, "floor": LEADERS_FLOOR, "resident": resident}
             for resident, one in zip(numbers, new, strict=True) for hazard in sorted(hazards)]  # fmt: skip
    told = [{"area": one.area, "hazard": hazard, "floor": LEADERS_FLOOR, "contact": contact, "via": door.via}
            for contact, (_, one, door) in zip(contacts, led, strict=True) if not door.fallback
            for hazard in sorted(hazards)]  # fmt: skip
    for table, found in ((_SUBSCRIPTION, heard), (_TARGET, told)):
        if found:
            db.execute(insert(table), found)
    db.execute(insert(_CONSENT), [_consent(resident, APPOINTED, f"appointed by {by}", one.lang, now_ms)
                                  for resident, one in zip(numbers, new, strict=True)])  # fmt: skip


def _add_people(db: Connection, new: Sequence[Appointed], now_ms: int) -> list[int]:
    made = insert(_RESIDENT).returning(_RESIDENT.c.id, sort_by_parameter_order=True)
    people = [{"state": "active", "lang": one.lang, "quiet": QUIET, "daily_cap": DAILY_CAP, "leads": one.group,
               "created_at": now_ms, "confirmed_at": now_ms} for one in new]  # fmt: skip
    return list(db.execute(made, people).scalars())


def _add_contacts(db: Connection, seal: Seal, doors: Sequence[tuple[int, Door]], now_ms: int) -> list[int]:
    """`doors`: each with the number of whom it reaches. What seals an address holds its own number: it comes after."""
    made = insert(_CONTACT).returning(_CONTACT.c.id, sort_by_parameter_order=True)
    found = [{"resident": resident, "channel": door.channel, "via": door.via, "address": b"",
              "digest": door.digest(seal), "fallback": door.fallback, "state": "active", "created_at": now_ms,
              "confirmed_at": now_ms} for resident, door in doors]  # fmt: skip
    numbers = list(db.execute(made, found).scalars())
    db.execute(_SEALED, [{"of": contact, "sealed": seal.close(door.reached.address, f"contact {contact}")}
                         for contact, (_, door) in zip(numbers, doors, strict=True)])  # fmt: skip
    return numbers


def end_leader(db: Connection, resident: int, why: str, now_ms: int) -> None:
    """At once: the next message is not made, and those under way find no address."""
    lang = db.execute(select(_RESIDENT.c.lang).where(_RESIDENT.c.id == resident)).scalar_one()
    aim(db, resident, "", ())
    gone = {"state": "ended", "address": b"", "digest": b"", "ended_at": now_ms}
    db.execute(update(_CONTACT).where(_CONTACT.c.resident == resident).values(**gone))
    db.execute(update(_RESIDENT).where(_RESIDENT.c.id == resident).values(state="ended", ended_at=now_ms))
    db.execute(insert(_CONSENT), _consent(resident, ENDED, why, lang, now_ms))


def aim(db: Connection, resident: int, area: str, hazards: Iterable[str]) -> None:
    """What a leader hears of, in place of what he heard of before: his subscriptions, and the post's rows of them."""
    db.execute(delete(_SUBSCRIPTION).where(_SUBSCRIPTION.c.resident == resident))
    heard = [{"resident": resident, "area": area, "hazard": hazard, "floor": LEADERS_FLOOR}
             for hazard in sorted(set(hazards))]  # fmt: skip
    if heard:
        db.execute(insert(_SUBSCRIPTION), heard)
    retarget(db, resident)


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


def _consent(resident: int, what: str, text: str, lang: str, now_ms: int) -> dict[str, Any]:
    return {"resident": resident, "at": now_ms, "what": what, "text": text, "lang": lang}
