"""From tellings to messages, a chunk of contacts a transaction: the urgent first, and a crash resumes where it was.

Every contact has a number, and messages are made in the order of these. A chunk is the contacts from where the last one
ended up to a number that bounds it to about CHUNK messages; the statements that fill it are SQL's own work, so that a
hundred thousand messages cost little more than writing them down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Insert,
    Integer,
    Select,
    bindparam,
    false,
    func,
    literal,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from alerts.delivery.parcel import Lane, Status
from alerts.ledger.store import Store
from alerts.post import schema
from alerts.post.store import target
from alerts.post.telling import Telling
from ingest.city import City

CHUNK: Final = 1000  # messages a transaction: whoever else writes to the file waits for no more than that
HAZARDS_MOST: Final = 50  # of one area; a city has some ten
LEVEL_MOST: Final = 4  # no resident wants to hear only of more

_T, _M = schema.telling, schema.message
_LAST: Final = 2**62
_OPEN: Final = select(_T).where(_T.c.after.is_not(None)).order_by(_T.c.lane, _T.c.seq).limit(1)
_GROUP: Final = select(_T).where(_T.c.leader == bindparam("of")).order_by(_T.c.seq)
_VERSIONS: Final = select(_T.c.seq).where(_T.c.incident == bindparam("of")).order_by(_T.c.seq)
_MOVED: Final = update(_T).where(_T.c.seq == bindparam("of")).values(after=bindparam("to"))
_HAZARDS: Final = select(func.min(target.c.hazard)).where(
    target.c.area == bindparam("area"), target.c.hazard > bindparam("last")
)
# Where contacts come from, in the order of their numbers: those who chose a place, and those who were told before.
_CHOSEN: Final = select(target.c.contact, target.c.via).where(
    target.c.area == bindparam("area"), target.c.hazard == bindparam("hazard"), target.c.floor <= bindparam("level"),
    target.c.contact > bindparam("after"), target.c.contact <= bindparam("upto"),
).order_by(target.c.contact)  # fmt: skip
_TOLD: Final = select(_M.c.contact, _M.c.via).where(
    _M.c.seq == bindparam("before"), _M.c.contact > bindparam("after"), _M.c.contact <= bindparam("upto")
).order_by(_M.c.contact)  # fmt: skip
_QUEUED: Final = literal(Status.QUEUED.value)
COLUMNS: Final = (
    "seq", "contact", "via", "lane", "status", "attempts", "heard_only", "leader", "created_at", "since",
    "next_try_at", "expires_at", "sent_at", "received_at", "provider_id", "maybe", "fell_back", "error",
)  # fmt: skip


class Source(NamedTuple):
    """Contacts of one telling: those who chose it, or those who were told an earlier version of it."""

    told: bool
    asks: Mapping[str, Any]


class Expander:
    """`city` says which areas are part of which."""

    def __init__(self, store: Store, city: City, *, chunk: int = CHUNK) -> None:
        self._store, self._city, self._chunk = store, city, chunk
        self.made = 0  # messages since the start

    def turn(self, now: int) -> bool:
        """Messages for the next chunk of the most urgent telling that lacks some; False: there is none.

        Raises LedgerError.
        """
        with self._store.reading() as db:
            first = db.execute(_OPEN).one_or_none()
        if first is None:
            return False
        with self._store.writing() as db:
            tellings = [_telling(row) for row in db.execute(_GROUP, {"of": first.seq})]
            sources = [(one, source) for one in tellings for source in self._sources(db, one)]
            left = [(one, source) for one, source in sources if _end(db, source, first.after, 1) is not None]
            share = max(1, self._chunk // max(1, len(left)))
            upto = min((e for _, s in left if (e := _end(db, s, first.after, share)) is not None), default=_LAST)
            for one, source in left:
                self.made += _fill(db, one, source, (first.after, upto), now)
            if len(tellings) > 1:
                _merge(db, [one.seq for one in tellings], (first.after, upto))
            db.execute(_MOVED, {"of": first.seq, "to": None if upto == _LAST else upto})
        return True

    def _sources(self, db: Connection, one: Telling) -> list[Source]:
        """None where a newer version is there: the rest hears that one."""
        versions = db.execute(_VERSIONS, {"of": one.incident}).scalars().all()
        if versions[-1] > one.seq:
            return []
        # Whoever wants to hear of a place hears what is said of a part of it, or of a whole that it belongs to.
        areas = () if one.ends else dict.fromkeys((*self._city.lineage(one.area), *self._city.within(one.area)))
        level = LEVEL_MOST if one.from_any_level or one.to_all else one.level
        chosen = [Source(False, {"area": a, "hazard": h, "level": level})
                  for a in areas for h in (_chosen_in(db, a) if one.to_all else (one.hazard,))]  # fmt: skip
        return chosen + [Source(True, {"before": seq}) for seq in versions[:-1]]


def _chosen_in(db: Connection, area: str) -> list[str]:
    """The hazards that somebody has chosen there, with a look at an index for each."""
    found, last = list[str](), ""
    while len(found) < HAZARDS_MOST and (last := db.execute(_HAZARDS, {"area": area, "last": last}).scalar() or ""):
        found.append(last)
    return found


def _end(db: Connection, source: Source, after: int, share: int) -> int | None:
    """The contact that a share of the source ends with; None: it has fewer left."""
    place = {**source.asks, "after": after, "upto": _LAST, "skip": share - 1}
    return db.execute(_nth(told=source.told), place).scalar()


@cache
def _nth(*, told: bool) -> Select[Any]:
    return (_TOLD if told else _CHOSEN).limit(1).offset(bindparam("skip"))


def _fill(db: Connection, one: Telling, source: Source, span: tuple[int, int], now: int) -> int:
    """One statement; whoever has his message already keeps that one. How many were made."""
    values = {
        "of": one.seq, "lane": int(one.lane), "now": now, "expires_at": one.expires_at, "after": span[0],
        "upto": span[1], **source.asks,
    }  # fmt: skip
    return db.execute(_filling(told=source.told), values).rowcount


@cache  # to make a statement anew costs more than to run it
def _filling(*, told: bool) -> Insert:
    inner = (_TOLD if told else _CHOSEN).subquery()
    now = bindparam("now", type_=BigInteger)
    values = (
        bindparam("of", type_=BigInteger), inner.c.contact, inner.c.via, bindparam("lane", type_=Integer), _QUEUED,
        literal(0), true() if told else false(), null(), now, now, now, bindparam("expires_at", type_=BigInteger),
        null(), null(), literal(""), false(), false(), literal(""),
    )  # fmt: skip
    chosen = select(*values).select_from(inner).where(true())
    return upsert(_M).from_select(COLUMNS, chosen, include_defaults=False).on_conflict_do_nothing()


def _merge(db: Connection, seqs: Sequence[int], span: tuple[int, int]) -> None:
    """Of one contact's messages of a group the first carries the others."""
    first = _M.alias()
    leader = (
        select(func.min(first.c.id))
        .where(first.c.seq.in_(seqs), first.c.contact == _M.c.contact, first.c.status == _QUEUED)
        .correlate(_M)
        .scalar_subquery()
    )
    ours = (_M.c.seq.in_(seqs), _M.c.contact > span[0], _M.c.contact <= span[1], _M.c.status == _QUEUED,
            _M.c.id != leader)  # fmt: skip
    db.execute(update(_M).where(*ours).values(leader=leader, status=Status.MERGED.value, next_try_at=None))


def _telling(row: Any) -> Telling:
    return Telling(**row._asdict() | {"lane": Lane(row.lane)})
