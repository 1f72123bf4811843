"""The post's queue on the way to one provider: what is due is judged, leased, handed out; answers are written down."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from alerts.delivery.channels.channel import Quota
from alerts.delivery.pace import Free
from alerts.delivery.parcel import Answer, Lane, Parcel, Status
from alerts.delivery.send import Claimed
from alerts.incidents.incident import DANGER, ENDS
from alerts.ledger.store import Store
from alerts.people.quiet import quiet_until
from alerts.post import schema
from alerts.post.compose import Compose, Recipient, UnfitError
from alerts.post.expand import fall_back
from alerts.post.judging import WAIT_MS, Row, Verdict, judge
from alerts.post.store import contact, resident
from alerts.post.telling import LIFE_MS, Telling
from alerts.residents import endings

_T, _M, _TOLD = schema.telling, schema.message, schema.told

Made: TypeAlias = tuple[Row, Status, str]  # a row, what it becomes, and why

_DUE: Final = (
    select(_M)
    .where(_M.c.via == bindparam("via"), _M.c.lane == bindparam("lane"), _M.c.next_try_at <= bindparam("now"))
    .order_by(_M.c.next_try_at, _M.c.id)
    .limit(bindparam("most"))
)
_INCIDENTS: Final = select(_T.c.incident).where(_T.c.seq.in_(bindparam("seqs", expanding=True))).distinct()
_TELLINGS: Final = select(_T).where(_T.c.incident.in_(bindparam("incidents", expanding=True))).order_by(_T.c.seq)
_OWN: Final = (
    select(_M)
    .where(_M.c.seq.in_(bindparam("seqs", expanding=True)), _M.c.contact.in_(bindparam("contacts", expanding=True)))
    .order_by(_M.c.seq)
)
_WITH: Final = select(_M).where(_M.c.leader.in_(bindparam("ids", expanding=True))).order_by(_M.c.seq)
_PEOPLE: Final = (
    select(contact.c.id, contact.c.channel, contact.c.address, contact.c.state, resident.c.lang, resident.c.quiet,
           resident.c.daily_cap, resident.c.proxy_for, resident.c.leads, contact.c.resident,
           resident.c.state.label("resident_state"))
    .join(resident, resident.c.id == contact.c.resident)
    .where(contact.c.id.in_(bindparam("contacts", expanding=True)))
)  # fmt: skip
_COUNTS: Final = select(_TOLD.c.contact, _TOLD.c.count).where(
    _TOLD.c.day == bindparam("of"), _TOLD.c.contact.in_(bindparam("contacts", expanding=True))
)
_CLOSED: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    status=bindparam("new_status"), next_try_at=None, leader=None, error=bindparam("new_error")
)  # fmt: skip
_HELD: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    next_try_at=bindparam("until"), expires_at=bindparam("end")
)  # fmt: skip
_LATER: Final = update(_M).where(_M.c.id == bindparam("key")).values(next_try_at=bindparam("at"))
_LED: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    status=bindparam("new_status"), leader=bindparam("by"), next_try_at=bindparam("at")
)  # fmt: skip
_LEASED: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    status=Status.SENDING.value, attempts=_M.c.attempts + 1, next_try_at=bindparam("until")
)  # fmt: skip
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
            round_ = _Round(db, due, now, self._zone)
            parcels = []
            for row in round_.judge():
                try:
                    parcels.append(self._parcel(round_, row))
                except UnfitError as error:
                    round_.unfit(row, error)
            round_.write(now + lease_ms, [one.id for one in parcels])
            if parcels and self._quota.per_day is not None:  # a try counts, whatever becomes of it
                db.execute(_SPENDING, {"via": self._via, "day": _day(now, self._zone), "count": len(parcels)})
        return Claimed(parcels, round_.became())

    def settle(self, answers: Sequence[Answer]) -> None:
        rows = [_settled(one) for one in answers]
        dead = [one.parcel.id for one in answers if one.status is Status.DEAD]
        gone = [int(one.parcel.recipient.removeprefix(CONTACT)) for one in answers if one.gone]
        day = _day(answers[0].at, self._zone)
        counted = [{"contact": int(one.parcel.recipient.removeprefix(CONTACT)), "day": day, "count": 1}
                   for one in answers if one.status is Status.SENT and _counts(one.parcel)]  # fmt: skip
        with self._store.writing() as db:
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
        spent = db.execute(_SPENT, {"via": self._via, "of": _day(now, self._zone)}).scalar() or 0
        kept = int(most * self._quota.reserve)
        return Free(max(0, min(free.urgent, most - spent)), max(0, min(free.others, most - spent - kept)))

    def _due(self, db: Connection, now: int, free: Free) -> list[Row]:
        rows: list[Row] = []
        for lane in Lane:
            most = free.urgent if lane is Lane.URGENT else min(free.others, free.urgent - len(rows))
            if most > 0:
                asked = {"via": self._via, "lane": int(lane), "now": now, "most": most}
                rows += [_row(one) for one in db.execute(_DUE, asked)]
        return rows

    def _parcel(self, round_: _Round, row: Row) -> Parcel:
        telling, to = round_.tellings[row.seq], round_.people[row.contact]
        seqs = sorted((row.seq, *(one.seq for one in round_.led[row.id])))
        address, body = self._compose(round_.db, seqs, to)
        return Parcel(
            row.id, row.attempts + 1, to.channel, f"{CONTACT}{row.contact}", telling.incident, telling.version, row.seq,
            telling.level, to.lang, body, row.created_at, row.expires_at, telling.lane, row.silent, address,
            telling.entry,
        )  # fmt: skip


CONTACT: Final = "contact "
GONE: Final = "the address is gone"


class _Round:
    """One claim: what is due, with all that its judging needs, read in a few statements."""

    def __init__(self, db: Connection, due: Sequence[Row], now: int, zone: ZoneInfo) -> None:
        self.db, self._due, self._now, self._zone = db, due, now, zone
        contacts = sorted({row.contact for row in due})
        with_them = [_row(one) for one in db.execute(_WITH, {"ids": [row.id for row in due]})]
        self.led: dict[int, list[Row]] = defaultdict(list)
        for one in with_them:
            assert one.leader is not None
            self.led[one.leader].append(one)
        incidents = db.execute(_INCIDENTS, {"seqs": sorted({row.seq for row in (*due, *with_them)})}).scalars().all()
        self.tellings = {row.seq: Telling(**row._asdict() | {"lane": Lane(row.lane)})
                         for row in db.execute(_TELLINGS, {"incidents": incidents})}  # fmt: skip
        self._of: dict[str, dict[int, Telling]] = defaultdict(dict)
        for seq, telling in self.tellings.items():
            self._of[telling.incident][seq] = telling
        self._own = self._read_own((*due, *with_them))
        self.people = {row.id: _recipient(row) for row in db.execute(_PEOPLE, {"contacts": contacts})}
        asked = {"of": _day(now, zone), "contacts": contacts}
        self._counts: dict[int, int] = {row.contact: row[1] for row in db.execute(_COUNTS, asked)}
        self._closed: dict[int, Made] = {}
        self._later: dict[int, int] = {}
        self._held: dict[int, dict[str, int]] = {}  # what waited until quiet hours began
        self._led: list[dict[str, Any]] = []

    def judge(self) -> list[Row]:
        """What is to be sent; each incident of a contact once."""
        send: dict[int, Row] = {}
        for row in self._due:
            if row.id in self._closed or row.id in send or row.id in self._later or row.id in self._held:
                continue
            to = self.people.get(row.contact)
            if to is None or not to.wants(row.seq):
                why = GONE if to is not None and to.state == "gone" else "not wanted any more"
                self._close([(one, Status.ENDED, why) for one in (row, *self.led[row.id])])
            else:
                chosen = self._group(row) if self.led[row.id] else self._single(row)
                if chosen is not None and (until := self._quiet_until(chosen)) is not None:
                    self._hold(chosen, until)
                elif chosen is not None and chosen.id not in send:
                    send[chosen.id] = chosen
                    self._counts[row.contact] = self._counts.get(row.contact, 0) + 1
        return list(send.values())

    def unfit(self, row: Row, error: UnfitError) -> None:
        if error.later:
            self._later[row.id] = self._now + WAIT_MS
        else:
            self._close([(row, Status.DEAD, str(error))])

    def write(self, lease_until: int, send: Iterable[int]) -> None:
        if self._closed:
            self.db.execute(_CLOSED, [{"key": row.id, "new_status": status.value, "new_error": why}
                                      for row, status, why in self._closed.values()])  # fmt: skip
            # Who has no address any more still wants to be warned.
            lost = [row.id for row, status, why in self._closed.values() if status is Status.DEAD or why == GONE]
            if lost:
                fall_back(self.db, lost, self._now)
        if self._later:
            self.db.execute(_LATER, [{"key": key, "at": at} for key, at in self._later.items()])
        if self._held:
            self.db.execute(_HELD, list(self._held.values()))
        if self._led:
            self.db.execute(_LED, self._led)
        if leased := [{"key": key, "until": lease_until} for key in send]:
            self.db.execute(_LEASED, leased)

    def became(self) -> Counter[tuple[Status, tuple[int | None, str, int]]]:
        counts = Counter[tuple[Status, tuple[int | None, str, int]]]()
        for row, status, _ in self._closed.values():
            telling = self.tellings[row.seq]
            counts[status, (telling.entry, telling.incident, telling.version)] += 1
        return counts

    def _single(self, row: Row) -> Row | None:
        verdict = self._verdict(row)
        self._close(verdict.close)
        self._later |= {one.id: verdict.at for one in verdict.later}
        return verdict.send

    def _group(self, row: Row) -> Row | None:
        """A message that speaks of several incidents: of those of which there is nothing newer for this contact.

        Once it has been tried it says the same again, whatever has come since: it has one key.
        """
        if row.attempts and self._now < row.expires_at:
            return row
        fit, close = list[Row](), list[Made]()
        for part in (row, *self.led[row.id]):
            asks = replace(part, status=Status.QUEUED, next_try_at=row.next_try_at)
            own = self._own[self.tellings[part.seq].incident, part.contact]
            own[own.index(part)] = asks
            verdict = self._verdict(asks)
            if verdict.later:
                self._later[row.id] = verdict.at
                return None
            close += verdict.close
            if verdict.send is asks:
                fit.append(part)
        self._close(close)
        if fit and fit[0] is row:
            self.led[row.id] = fit[1:]
            return row
        for one in fit:  # the one that carried the others is not told any more: another one does, next time
            first = one is fit[0]
            self._led.append({
                "key": one.id, "by": None if first else fit[0].id, "at": row.next_try_at if first else None,
                "new_status": (Status.QUEUED if first else Status.MERGED).value,
            })  # fmt: skip
        return None

    def _hold(self, row: Row, until: int) -> None:
        """What is held is told when they end, if it is still so; what is planned, if it has not begun."""
        planned = self.tellings[row.seq].from_any_level
        end = row.expires_at if planned else until + LIFE_MS
        self._held[row.id] = {"key": row.id, "until": until, "end": end}

    def _quiet_until(self, row: Row) -> int | None:
        """Quiet hours may begin while it waits for a retry, or for a provider that is down."""
        if not self.tellings[row.seq].holdable:
            return None
        return quiet_until(self.people[row.contact].quiet, self._now, self._zone)

    def _verdict(self, row: Row) -> Verdict:
        tellings = self._of[self.tellings[row.seq].incident]
        own = self._own[self.tellings[row.seq].incident, row.contact]
        capped = self._counts.get(row.contact, 0) >= self.people[row.contact].daily_cap
        return judge(row, own, tellings, self._now, capped=capped)

    def _close(self, made: Iterable[Made]) -> None:
        self._closed |= {one[0].id: one for one in made}

    def _read_own(self, rows: Iterable[Row]) -> dict[tuple[str, int], list[Row]]:
        contacts: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            contacts[self.tellings[row.seq].incident].add(row.contact)
        own: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for incident, whom in contacts.items():
            asked = {"seqs": list(self._of[incident]), "contacts": sorted(whom)}
            for one in self.db.execute(_OWN, asked):
                own[incident, one.contact].append(_row(one))
        return own


def release(store: Store, now: int) -> int:
    """What was under way when the process before this one ended is due again; how much that was."""
    again = update(_M).where(_M.c.status == Status.SENDING.value, _M.c.next_try_at.is_not(None))
    with store.writing() as db:
        # It may have arrived: who knows of a beginning is told the end.
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


def _row(one: Any) -> Row:
    return Row(
        one.id, one.seq, one.contact, Status(one.status), one.attempts, one.heard_only, one.silent, one.created_at,
        one.next_try_at, one.expires_at, one.sent_at is not None or one.maybe, one.leader,
    )  # fmt: skip


def _recipient(row: Any) -> Recipient:
    state = "ended" if row.resident_state == "ended" else row.state
    return Recipient(
        row.id, row.resident, row.channel, row.address, row.lang, row.quiet, row.daily_cap, row.proxy_for, row.leads,
        state,
    )  # fmt: skip


def _day(now: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).date().isoformat()
