"""Messages that are told with another one, their leader: what is known of both, and what becomes of them without it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from alerts.delivery.parcel import Status
from alerts.post import schema

_T, _M = schema.telling, schema.message
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_PARTS: Final = (
    select(_M.c.id, _M.c.leader).where(_M.c.leader.in_(_IDS), _M.c.status == Status.MERGED.value).order_by(_M.c.id)
)
_LEADING: Final = select(_M.c.leader).where(_M.c.leader.in_(_IDS)).distinct()
_SENDING: Final = select(_M.c.id).where(_M.c.id.in_(_IDS), _M.c.status == Status.SENDING.value)
LED: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    status=bindparam("new_status"), leader=bindparam("by"), next_try_at=bindparam("at")
)  # fmt: skip
HELD_WITH: Final = update(_M).where(_M.c.leader == bindparam("key")).values(expires_at=bindparam("end"))


def leading(db: Connection, ids: Collection[int]) -> set[int]:
    """Those of the messages that carry others."""
    return {one for one in db.execute(_LEADING, {"ids": list(ids)}).scalars() if one is not None} if ids else set()


def under_way(db: Connection, ids: Collection[int]) -> set[int]:
    """Those of the messages that are being sent."""
    return set(db.execute(_SENDING, {"ids": list(ids)}).scalars()) if ids else set()


def set_free(db: Connection, closed: Collection[int], now: int) -> None:
    """What was to be told with messages that are closed is told without them: the first of it carries the others."""
    parts: Mapping[int, list[int]] = defaultdict(list)
    for one in db.execute(_PARTS, {"ids": list(closed)}):
        parts[one.leader].append(one.id)
    if rows := [row for ids in parts.values() for row in carried(ids, now)]:
        db.execute(LED, rows)


def carried(ids: Sequence[int], due: int | None) -> list[dict[str, Any]]:
    """The rows of LED by which the first carries the others."""
    first = {"key": ids[0], "by": None, "at": due, "new_status": Status.QUEUED.value}
    return [first, *({"key": id_, "by": ids[0], "at": None, "new_status": Status.MERGED.value} for id_ in ids[1:])]


def join(db: Connection, made: Sequence[Any], now: int) -> None:
    """Of new messages (id, seq, contact) those of one contact that their tellings say as one become one."""
    seqs = sorted({one.seq for one in made})
    of = {row.seq: row.leader for row in db.execute(select(_T.c.seq, _T.c.leader).where(_T.c.seq.in_(seqs)))}
    groups: Mapping[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for one in made:
        groups[one.contact, of[one.seq]].append((one.seq, one.id))
    several = ([id_ for _, id_ in sorted(group)] for group in groups.values() if len(group) > 1)
    if rows := [row for ids in several for row in carried(ids, now)]:
        db.execute(LED, rows)
