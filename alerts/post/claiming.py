"""One claim of the post: what is due, judged with all that has to be known of it, and written down."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, bindparam, select, update

from alerts.delivery.parcel import Lane, Status
from alerts.people.quiet import quiet_until
from alerts.post import schema
from alerts.post.compose import UnfitError
from alerts.post.fallback import fall_back
from alerts.post.judging import WAIT_MS, Row, Verdict, judge
from alerts.post.recipients import recipients
from alerts.post.telling import LIFE_MS, Telling
from alerts.post.together import HELD_WITH, LED, carried, leading, set_free, under_way

_T, _M, _TOLD = schema.telling, schema.message, schema.told
GONE: Final = "the address is gone"

Made: TypeAlias = tuple[Row, Status, str]  # a row, what it becomes, and why

_INCIDENTS: Final = select(_T.c.incident).where(_T.c.seq.in_(bindparam("seqs", expanding=True))).distinct()
_TELLINGS: Final = select(_T).where(_T.c.incident.in_(bindparam("incidents", expanding=True))).order_by(_T.c.seq)
_OWN: Final = (
    select(_M)
    .where(_M.c.seq.in_(bindparam("seqs", expanding=True)), _M.c.contact.in_(bindparam("contacts", expanding=True)))
    .order_by(_M.c.seq)
)
_WITH: Final = select(_M).where(_M.c.leader.in_(bindparam("ids", expanding=True))).order_by(_M.c.seq)
_COUNTS: Final = select(_TOLD.c.contact, _TOLD.c.count).where(
    _TOLD.c.day == bindparam("of"), _TOLD.c.contact.in_(bindparam("contacts", expanding=True))
)
_CLOSED: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    status=bindparam("new_status"), next_try_at=None, leader=None, error=bindparam("new_error")
)  # fmt: skip
_HELD: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    next_try_at=bindparam("until"), expires_at=bindparam("end")
)  # fmt: skip
_SINCE: Final = update(_M).where(_M.c.id == bindparam("key")).values(since=bindparam("oldest"))
_LATER: Final = update(_M).where(_M.c.id == bindparam("key")).values(next_try_at=bindparam("at"))
_LEASED: Final = update(_M).where(_M.c.id == bindparam("key")).values(
    status=Status.SENDING.value, attempts=_M.c.attempts + 1, next_try_at=bindparam("until")
)  # fmt: skip


class Round:
    """One claim: what is due, with all that its judging needs, read in a few statements."""

    def __init__(self, db: Connection, due: Sequence[Row], now: int, zone: ZoneInfo) -> None:
        self.db, self._due, self._now, self._zone = db, due, now, zone
        contacts = sorted({row.contact for row in due})
        with_them = [row_of(one) for one in db.execute(_WITH, {"ids": [row.id for row in due]})]
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
        newest = {own[-1].id for own in self._own.values() if own[-1].waits}
        self._leading = leading(db, newest - {row.id for row in due})
        self.people = recipients(db, contacts)
        asked = {"of": local_day(now, zone), "contacts": contacts}
        self._counts: dict[int, int] = {row.contact: row[1] for row in db.execute(_COUNTS, asked)}
        self._closed: dict[int, Made] = {}
        self._later: dict[int, int] = {}
        self._held: dict[int, dict[str, int]] = {}  # by quiet hours
        self._quiet: dict[str, int | None] = {}  # quiet hours -> their end, where it is now within them
        self._led: list[dict[str, Any]] = []
        self._since: dict[int, int] = {}  # of those that take the place of others
        self._send: dict[int, Row] = {}

    def judge(self) -> list[Row]:
        """What is to be sent; each incident of a contact once."""
        for row in self._due:
            if any(row.id in known for known in (self._closed, self._send, self._later, self._held)):
                continue
            to = self.people.get(row.contact)
            if to is None or not to.wants(row.seq):
                why = GONE if to is not None and to.state == "gone" else "not wanted any more"
                self._close([(one, Status.ENDED, why) for one in (row, *self.led[row.id])])
            else:
                chosen = self._group(row) if self.led[row.id] else self._single(row)
                if chosen is not None and chosen.id not in self._send and not self._held_back(chosen):
                    self._begin(chosen)
        return list(self._send.values())

    def _begin(self, row: Row) -> None:
        self._send[row.id] = row
        for part in self.led[row.id]:  # nothing overtakes it
            own = self._own_of(part)
            own[:] = [replace(one, status=Status.SENDING) if one.id == part.id else one for one in own]
        if self.tellings[row.seq].holdable:
            self._counts[row.contact] = self._counts.get(row.contact, 0) + 1

    def unfit(self, row: Row, error: UnfitError) -> None:
        if error.later:
            self._later[row.id] = self._now + WAIT_MS
        elif parts := self.led[row.id]:  # what cannot be told together is told one by one
            self._led += [carried([one.id], self._now)[0] for one in parts]
            self._later[row.id] = self._now
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
            self.db.execute(HELD_WITH, [{"key": one["key"], "end": one["end"]} for one in self._held.values()])
        if self._since:
            self.db.execute(_SINCE, [{"key": key, "oldest": since} for key, since in self._since.items()])
        if self._led:
            self.db.execute(LED, self._led)
        if self._closed:
            set_free(self.db, self._closed, self._now)
        if leased := [{"key": key, "until": lease_until} for key in send]:
            self.db.execute(_LEASED, leased)

    @property
    def put_off(self) -> int:
        """How many are to be looked at again, later."""
        return len(self._later) + len(self._held)

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
        if (newer := verdict.send) is not None and newer.id != row.id:
            if self.led[newer.id]:  # it brings others: its own turn comes
                return None
            if newer.id in self._leading:  # and soon, in the place of this one
                self._later[newer.id] = row.next_try_at or self._now
                return None
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
            own = self._own_of(part)
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
        if fit:  # the one that carried the others is not told any more: another one does, next time
            self._led += carried([one.id for one in fit], row.next_try_at)
        return None

    def quiet_until(self, row: Row) -> int | None:
        """When the quiet hours of its recipient end that it is in; None: it is in none."""
        quiet = self.people[row.contact].quiet
        if quiet not in self._quiet:
            self._quiet[quiet] = quiet_until(quiet, self._now, self._zone)
        return self._quiet[quiet]

    def _held_back(self, row: Row) -> bool:
        """What is held is told when quiet hours end, if it is still so; what is planned, if it has not begun."""
        telling = self.tellings[row.seq]
        until = self.quiet_until(row) if telling.holdable else None
        if until is None:
            return False
        if telling.from_any_level and until >= row.expires_at:
            self._close([(row, Status.CAPPED, "it begins within their quiet hours")])
        else:
            end = row.expires_at if telling.from_any_level else until + LIFE_MS
            self._held[row.id] = {"key": row.id, "until": until, "end": end}
        return True

    def _verdict(self, row: Row) -> Verdict:
        tellings = self._of[self.tellings[row.seq].incident]
        capped = self._counts.get(row.contact, 0) >= self.people[row.contact].daily_cap
        return judge(row, self._own_of(row), tellings, self._now, capped=capped)

    def _own_of(self, row: Row) -> list[Row]:
        return self._own[self.tellings[row.seq].incident, row.contact]

    def _close(self, made: Sequence[Made]) -> None:
        self._closed |= {one[0].id: one for one in made}
        for row, status, _ in made:
            if status is Status.SUPERSEDED:
                newest = self._own[self.tellings[row.seq].incident, row.contact][-1]
                self._since[newest.id] = min(row.since, self._since.get(newest.id, newest.since))

    def _read_own(self, rows: Iterable[Row]) -> dict[tuple[str, int], list[Row]]:
        contacts: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            contacts[self.tellings[row.seq].incident].add(row.contact)
        own: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for incident, whom in contacts.items():
            asked = {"seqs": list(self._of[incident]), "contacts": sorted(whom)}
            for one in self.db.execute(_OWN, asked):
                own[incident, one.contact].append(row_of(one))
        leaders = {one.leader for rows in own.values() for one in rows if one.leader is not None}
        sending = under_way(self.db, leaders)  # and what is told with them
        return {
            key: [replace(one, status=Status.SENDING) if one.leader in sending else one for one in rows]
            for key, rows in own.items()
        }


def row_of(one: Any) -> Row:
    return Row(
        one.id, one.seq, one.contact, Status(one.status), one.attempts, one.heard_only, one.created_at, one.since,
        one.next_try_at, one.expires_at, one.sent_at is not None or one.maybe, one.leader,
    )  # fmt: skip


def local_day(now: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).date().isoformat()
