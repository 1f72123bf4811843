"""The post's queue on the way to one provider: what is due is judged, leased, handed out; answers are written down."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from alerts.delivery.channels.channel import Quota
from alerts.delivery.pace import Free
from alerts.delivery.parcel import Answer, Lane, Parcel, Status
from alerts.delivery.send import Claimed
from alerts.incidents.incident import DANGER, ENDS
from alerts.ledger.store import LedgerError, Store
from alerts.post import schema
from alerts.post.claiming import Round, local_day, row_of
from alerts.post.compose import Compose, UnfitError
from alerts.post.fallback import fall_back
from alerts.post.judging import Row
from alerts.residents import endings

log = logging.getLogger(__name__)

_T, _M, _TOLD = schema.telling, schema.message, schema.told

_DUE: Final = (
    select(_M)
    .where(_M.c.via == bindparam("via"), _M.c.lane == bindparam("lane"), _M.c.next_try_at <= bindparam("now"))
    .order_by(_M.c.next_try_at, _M.c.id)
    .limit(bindparam("most"))
)
_FIELDS: Final = ("status", "next_try_at", "sent_at", "provider_id", "error")
_SETTLED: Final = (
    update(_M)
    .where(_M.c.id == bindparam("key"), _M.c.status == Status.SENDING.value, _M.c.attempts == bindparam("attempt"))
    .values({name: bindparam(f"new_{name}") for name in _FIELDS} | {"maybe": or_(_M.c.maybe, bindparam("perhaps"))})
)
_SETTLED_WITH: Final = (
    update(_M).where(_M.c.leader == bindparam("key"))
    .values(sent_at=bindparam("new_sent_at"), maybe=or_(_M.c.maybe, bindparam("perhaps")))
)  # fmt: skip
_COUNTED: Final = insert(_TOLD).on_conflict_do_update(
    index_elements=["contact", "day"], set_={"count": _TOLD.c.count + 1}
)  # fmt: skip
_SPENT: Final = select(schema.spent.c.count).where(
    schema.spent.c.via == bindparam("via"), schema.spent.c.day == bindparam("of")
)
_SPEND: Final = insert(schema.spent)
_SPENDING: Final = _SPEND.on_conflict_do_update(
    index_elements=["via", "day"], set_={"count": schema.spent.c.count + _SPEND.excluded["count"]}
)
UNBOUNDED: Final = Quota()


class PostQueue:
    """`via`: the provider. `zone`: whose days count. Every method is a transaction and raises LedgerError."""

    def __init__(
        self, store: Store, via: str, compose: Compose, zone: ZoneInfo, quota: Quota = UNBOUNDED
    ) -> None:  # fmt: skip
        self._store, self._via, self._compose, self._zone, self._quota = store, via, compose, zone, quota

    def claim(self, now: int, free: Free, lease_ms: int) -> Claimed:
        with self._store.writing() as db:
            due = self._due(db, now, self._left_today(db, now, free))
            if not due:
                return Claimed(())
            round_ = Round(db, due, now, self._zone)
            parcels = []
            for row in round_.judge():
                try:
                    parcels.append(self._parcel(round_, row))
                except UnfitError as error:
                    round_.unfit(row, error)
                except (LedgerError, SQLAlchemyError):
                    raise
                except Exception as error:  # noqa: BLE001  # a bug in one message must not stop the others
                    # Not the error's own text, which may hold what is sealed.
                    where = "".join(traceback.format_tb(error.__traceback__))
                    log.error("message %d: %s at\n%s", row.id, type(error).__name__, where)  # noqa: TRY400
                    round_.unfit(row, UnfitError(f"its words could not be made: {type(error).__name__}"))
            round_.write(now + lease_ms, [one.id for one in parcels])
            if parcels and self._quota.per_day is not None:  # a try counts, whatever becomes of it
                db.execute(_SPENDING, {"via": self._via, "day": local_day(now, self._zone), "count": len(parcels)})
        return Claimed(parcels, round_.became(), round_.put_off)

    def settle(self, answers: Sequence[Answer]) -> None:
        rows = [_settled(one) for one in answers]
        dead = [one.parcel.id for one in answers if one.status is Status.DEAD]
        gone = [int(one.parcel.recipient.removeprefix(CONTACT)) for one in answers if one.gone]
        day = local_day(answers[0].at, self._zone)
        counted = [{"contact": int(one.parcel.recipient.removeprefix(CONTACT)), "day": day, "count": 1}
                   for one in answers if one.status is Status.SENT and _counts(one.parcel)]  # fmt: skip
        with self._store.writing_all() if gone else self._store.writing() as db:
            db.execute(_SETTLED, rows)
            db.execute(_SETTLED_WITH, [{k: row[k] for k in ("key", "new_sent_at", "perhaps")} for row in rows])
            if counted:
                db.execute(_COUNTED, counted)
            for contact_id in gone:
                endings.gone(db, contact_id, answers[0].at)
            if dead:
                fall_back(db, dead, max(one.at for one in answers))

    def _left_today(self, db: Connection, now: int, free: Free) -> Free:
        """What is beyond the provider's number a day waits for the next; the last of it is kept for what is urgent."""
        most = self._quota.per_day
        if most is None:
            return free
        spent = db.execute(_SPENT, {"via": self._via, "of": local_day(now, self._zone)}).scalar() or 0
        kept = int(most * self._quota.reserve)
        return Free(max(0, min(free.urgent, most - spent)), max(0, min(free.others, most - spent - kept)))

    def _due(self, db: Connection, now: int, free: Free) -> list[Row]:
        rows: list[Row] = []
        others = free.others
        for lane in Lane:
            most = free.urgent if lane is Lane.URGENT else min(others, free.urgent - len(rows))
            if most > 0:
                asked = {"via": self._via, "lane": int(lane), "now": now, "most": most}
                found = [row_of(one) for one in db.execute(_DUE, asked)]
                rows += found
                others -= 0 if lane is Lane.URGENT else len(found)
        return rows

    def _parcel(self, round_: Round, row: Row) -> Parcel:
        telling, to = round_.tellings[row.seq], round_.people[row.contact]
        seqs = sorted((row.seq, *(one.seq for one in round_.led[row.id])))
        address, body = self._compose(round_.db, seqs, to)
        silent = telling.ends and round_.quiet_until(row) is not None  # that it is over wakes nobody
        return Parcel(
            row.id, row.attempts + 1, to.channel, f"{CONTACT}{row.contact}", telling.incident, telling.version, row.seq,
            telling.level, to.lang, body, row.created_at, row.expires_at, telling.lane, silent, address,
            telling.entry,
        )  # fmt: skip


CONTACT: Final = "contact "


def release(store: Store, now: int) -> int:
    """What was under way when the process before this one ended is due again; how much that was."""
    lost = (_M.c.status == Status.SENDING.value, _M.c.next_try_at.is_not(None))
    again = update(_M).where(*lost)
    with_it = update(_M).where(_M.c.leader.in_(select(_M.c.id).where(*lost))).values(maybe=True)
    with store.writing() as db:
        # It may have arrived, with what is told with it: who knows of a beginning is told the end.
        db.execute(with_it)
        return db.execute(again.values(status=Status.FAILED.value, next_try_at=now, maybe=True)).rowcount


def _counts(parcel: Parcel) -> bool:
    """Whether it is one of those that a daily number bounds; see Telling.holdable."""
    return parcel.seq > 0 and parcel.level < DANGER and parcel.body["reason"] not in ENDS


def _settled(answer: Answer) -> dict[str, Any]:
    sent = answer.status is Status.SENT
    return {
        "key": answer.parcel.id, "attempt": answer.parcel.attempt, "new_status": answer.status.value,
        "new_next_try_at": answer.retry_at, "new_sent_at": answer.at if sent else None,
        "new_provider_id": answer.provider_id, "new_error": answer.error, "perhaps": answer.maybe,
    }  # fmt: skip
