"""The ledger of decisions: how far the journal has been decided, and every decision, in one transaction a turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, not_, or_, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert  # PostgreSQL's has the same name and the same form

from alerts.acting import Acted
from alerts.incidents.decision import Call, Outcome
from alerts.incidents.incident import Incident, Notice
from alerts.incidents.publishing import CONTINUES_MS
from alerts.incidents.verbs import Act, OfficialLevel, Silence
from alerts.ledger import audit, schema, why
from alerts.ledger.rows import (
    health_row,
    incident_of,
    incident_row,
    late_breach_of,
    late_breach_row,
    notice_of,
    notice_row,
    transition_of,
    transition_row,
)
from alerts.ledger.store import LedgerError, Store
from alerts.ledger.verbs import answered, audited, official_level, standing_silences, write_verb
from alerts.ledger.why import Record, read
from ingest.disk import LOCAL, Disk
from ingest.entries import Position
from processing.transitions import HealthEvent, LateBreach, Transition

_POSITION: Final = select(schema.progress.c.position)  # these are made once, as in alerts.ledger.outbox
_MOVED: Final = (
    update(schema.progress)
    .where(schema.progress.c.position < bindparam("to"))
    .values(position=bindparam("to"), arrival=bindparam("at"))
)
_ACTED: Final = (
    update(schema.progress)
    .where(schema.progress.c.position <= bindparam("to"), schema.progress.c.arrival <= bindparam("at"))
    .values(position=bindparam("to"), arrival=bindparam("at"))
)
_ROWS: Final = [insert(table) for table in (schema.transition, schema.health, schema.late_breach)]
_NOTICES: Final = insert(schema.notice)
_SNAPSHOT: Final = insert(schema.snapshot)
_DIGITS_MOST: Final = 15  # of a time in ms, some 30,000 years
_NEW_INCIDENTS: Final = upsert(schema.incident)
_INCIDENTS: Final = _NEW_INCIDENTS.on_conflict_do_update(
    index_elements=["id"], set_={column.name: _NEW_INCIDENTS.excluded[column.name] for column in schema.incident.c}
)


@dataclass(frozen=True, slots=True)
class Counts:
    """For the metrics. `messages`: (channel, status) -> how many."""

    transitions: int
    notices: int
    open_incidents: int
    messages: Mapping[tuple[str, str], int]


class Ledger:
    """Written by the spine alone; read from any thread. Every method raises LedgerError when the store fails."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, path: Path, disk: Disk = LOCAL) -> Ledger:
        return cls(Store.open(path, disk))

    def close(self) -> None:
        self.store.close()

    def record(
        self, position: Position, arrival: int, *, transitions: Sequence[Transition] = (),
        incidents: Sequence[Incident] = (), outcome: Outcome | None = None, snapshot: str | None = None,
        late_breaches: Sequence[LateBreach] = (), health: Sequence[HealthEvent] = (),
    ) -> list[LateBreach]:  # fmt: skip
        """What one turn decided: all of it or nothing, on disk when it returns.

        `incidents`: every row that changed, also those that made no version. `snapshot`: the name of the engine's
        snapshot taken at this position. Returns the late breaches that were not known by (sensor, rule, at): only
        these are kept. Raises LedgerError unless `position` is after the one that stands.
        """
        with self.store.writing() as db:
            if db.execute(_MOVED, {"to": position, "at": arrival}).rowcount != 1:
                raise LedgerError(f"{self.store.path}: position {position} is not after the one it has")
            late = _unknown(db, late_breaches)
            rows = (
                [transition_row(t, position) for t in transitions],
                [health_row(event, position) for event in health],
                [late_breach_row(one, position) for one in late],
            )
            for into, values in zip(_ROWS, rows, strict=True):
                if values:
                    db.execute(into, values)
            _write(db, incidents, outcome, position)
            if snapshot is not None:
                db.execute(_SNAPSHOT, {"position": position, "name": snapshot})
        return late

    def record_act(
        self, position: Position, act: Act, answer: Acted, incidents: Sequence[Incident], outcome: Outcome,
        silences: Sequence[Silence],
    ) -> None:  # fmt: skip
        """A person's act with all that it made, and the audit of it, in one transaction.

        `position`: up to where the journal had been decided when it was done.
        """
        with self.store.writing() as db:
            db.execute(_ACTED, {"to": position, "at": act.at})
            _write(db, incidents, outcome, None)
            written, _ = audit.append(db, audited(act, answer, position))
            write_verb(db, act, silences)
        audit.tell(written)

    def name_snapshot(self, position: Position, name: str) -> None:
        """A snapshot of where the ledger stands already."""
        with self.store.writing() as db:
            db.execute(_SNAPSHOT, {"position": position, "name": name})

    def acted(self, by: str, key: str) -> Acted | None:
        """What became of the act of that person and key; None: it was never done."""
        with self.store.reading() as db:
            return answered(db, by, key)

    def silences(self) -> list[Silence]:
        """Those that are not long over, and planned outages, as an engine of incidents begins with them."""
        with self.store.reading() as db:
            arrival = db.execute(select(schema.progress.c.arrival)).scalar_one()
            return standing_silences(db, arrival)

    def announced(self) -> list[Notice]:
        """The newest word of each planned outage that is not over, in each of its areas."""
        table, found = schema.notice, list[Notice]()
        with self.store.reading() as db:
            arrival = db.execute(select(schema.progress.c.arrival)).scalar_one()
            for silence in standing_silences(db, arrival):
                if silence.announced:  # ids of its areas begin with its own and a point, and "/" follows the point
                    of_it = table.c.incident.between(f"{silence.id}.", f"{silence.id}/")
                    rows = db.execute(select(table).where(of_it).order_by(table.c.seq))
                    found += {notice.incident: notice for _, notice in map(notice_of, rows)}.values()
        return found

    def official_level(self, now: int) -> OfficialLevel | None:
        """The disaster-risk level that is in force at `now`, ms UTC."""
        with self.store.reading() as db:
            return official_level(db, now)

    def position(self) -> Position:
        """Up to where the journal has been decided; ORIGIN at first."""
        with self.store.reading() as db:
            return Position(db.execute(_POSITION).scalar_one())

    def passed(self) -> int:
        """Up to when time has been looked at, ms UTC: the arrival of the last entry, or the last act."""
        with self.store.reading() as db:
            return int(db.execute(select(schema.progress.c.arrival)).scalar_one())

    def snapshots(self, limit: int = 10) -> list[tuple[str, Position]]:
        """Names and positions, newest first."""
        table = schema.snapshot
        with self.store.reading() as db:
            rows = db.execute(select(table.c.name, table.c.position).order_by(table.c.position.desc()).limit(limit))
            return [(name, Position(position)) for name, position in rows]

    def restorable(self) -> list[Incident]:
        """What `Incidents` begins with after a restart: see there."""
        table = schema.incident
        with self.store.reading() as db:
            arrival = db.execute(select(schema.progress.c.arrival)).scalar_one()
            recent = or_(table.c.closed_at.is_(None), table.c.closed_at >= arrival - CONTINUES_MS, table.c.standing)
            return [incident_of(row) for row in db.execute(select(table).where(recent).order_by(table.c.id))]

    def open_incidents(self, *, drill: bool = False, unpublished: bool = False) -> list[Incident]:
        """Highest level first; those in earnest, or drills. `unpublished`: also those of which nothing is public."""
        table = schema.incident
        query = select(table).where(table.c.closed_at.is_(None)).order_by(table.c.level.desc(), table.c.id)
        query = query.where(*_shown(drill=drill, unpublished=unpublished))
        if not unpublished:
            query = query.where(table.c.level > 0)  # of one that reopens nothing is public until it is confirmed
        with self.store.reading() as db:
            return [incident_of(row) for row in db.execute(query)]

    def incident(self, id_: str) -> Incident | None:
        with self.store.reading() as db:
            row = db.execute(select(schema.incident).where(schema.incident.c.id == id_)).one_or_none()
            return None if row is None else incident_of(row)

    def incidents(
        self, *, active: bool | None = None, areas: Collection[str] | None = None,
        hazards: Collection[str] | None = None, since: int | None = None, cursor: str | None = None,
        limit: int = 100, drill: bool = False, unpublished: bool = False,
    ) -> tuple[list[Incident], str | None]:  # fmt: skip
        """The newest opened first, and the cursor of the next page (None: no more).

        `since` ms UTC: updated at or after it. In earnest, or the drills; `unpublished`: also those of which nothing is
        public. Raises ValueError for a cursor that is none of ours.
        """
        table = schema.incident
        query = select(table).order_by(table.c.opened_at.desc(), table.c.id.desc()).limit(limit + 1)
        query = query.where(*_shown(drill=drill, unpublished=unpublished))
        if active is not None:
            open_ = table.c.closed_at.is_(None) if unpublished else table.c.closed_at.is_(None) & (table.c.level > 0)
            query = query.where(open_ if active else not_(open_))
        if areas is not None:
            query = query.where(table.c.area.in_(areas))
        if hazards is not None:
            query = query.where(table.c.hazard.in_(hazards))
        if since is not None:
            query = query.where(table.c.updated_at >= since)
        if cursor is not None:
            opened_at, _, id_ = cursor.partition("~")
            if len(opened_at) > _DIGITS_MOST:
                raise ValueError(cursor)
            query = query.where(tuple_(table.c.opened_at, table.c.id) < (int(opened_at), id_))
        with self.store.reading() as db:
            found = [incident_of(row) for row in db.execute(query)]
        if len(found) <= limit:
            return found, None
        last = found[limit - 1]
        return found[:limit], f"{last.opened_at}~{last.id}"

    def notices(self, after_seq: int = 0, limit: int = 100) -> list[tuple[int, Notice]]:
        """Those after number `after_seq`, in order, each with its number."""
        table = schema.notice
        query = select(table).where(table.c.seq > after_seq).order_by(table.c.seq).limit(limit)
        with self.store.reading() as db:
            return [notice_of(row) for row in db.execute(query)]

    def numbered(self, after_seq: int, limit: int) -> list[tuple[int, Notice, int | None]]:
        """As `notices`, each with the position of the entry that called for it besides; None: a person's act did."""
        table = schema.notice
        query = select(table).where(table.c.seq > after_seq).order_by(table.c.seq).limit(limit)
        with self.store.reading() as db:
            return [(*notice_of(row), row.entry) for row in db.execute(query)]

    def notice(self, seq: int) -> Notice | None:
        """The one of that number."""
        with self.store.reading() as db:
            row = db.execute(select(schema.notice).where(schema.notice.c.seq == seq)).one_or_none()
        return None if row is None else notice_of(row)[1]

    def notices_of(self, incident: str) -> list[tuple[int, Notice]]:
        """Every version of one incident, in order, each with its number."""
        table = schema.notice
        with self.store.reading() as db:
            rows = db.execute(select(table).where(table.c.incident == incident).order_by(table.c.version))
            return [notice_of(row) for row in rows]

    def why(self, incident: str) -> Record:
        """Every decision about it that is kept, calls, and what became of its messages."""
        return read(self.store, incident)

    def calls(self, after_id: int, limit: int = 100) -> list[tuple[int, Call]]:
        """Calls of operators after that number, in order, each with its number."""
        return why.calls_after(self.store, after_id, limit)

    def last_seq(self) -> int:
        """The number of the newest notice; 0 where there is none."""
        with self.store.reading() as db:
            return db.execute(select(func.max(schema.notice.c.seq))).scalar() or 0

    def transitions(self, after_id: int = 0, limit: int = 1000) -> list[tuple[int, Transition]]:
        """Those after number `after_id` in the engine's order, each with its number."""
        table = schema.transition
        query = select(table).where(table.c.id > after_id).order_by(table.c.id).limit(limit)
        with self.store.reading() as db:
            return [transition_of(row) for row in db.execute(query)]

    def late_breaches(self, limit: int = 100) -> list[LateBreach]:
        """The newest first."""
        table = schema.late_breach
        query = select(table).order_by(table.c.id.desc()).limit(limit)
        with self.store.reading() as db:
            return [late_breach_of(row) for row in db.execute(query)]

    def counts(self) -> Counts:
        incident, message = schema.incident, schema.message
        by_status = select(message.c.channel, message.c.status, func.count()).group_by(
            message.c.channel, message.c.status
        )
        with self.store.reading() as db:
            return Counts(
                db.execute(select(func.count()).select_from(schema.transition)).scalar_one(),
                db.execute(select(func.count()).select_from(schema.notice)).scalar_one(),
                db.execute(select(func.count()).where(incident.c.closed_at.is_(None))).scalar_one(),
                {(channel, status): count for channel, status, count in db.execute(by_status)},
            )


def _write(db: Connection, incidents: Sequence[Incident], outcome: Outcome | None, entry: Position | None) -> None:
    """What incidents became. `entry`: the position that called for it; None: a person's act did."""
    if incidents:
        db.execute(_INCIDENTS, [incident_row(incident) for incident in incidents])
    if outcome is not None and outcome.notices:
        db.execute(_NOTICES, [notice_row(notice, entry) for notice in outcome.notices])
    if outcome is not None:
        why.write(db, outcome.decisions, outcome.calls, entry)


def _shown(*, drill: bool, unpublished: bool) -> list[ColumnElement[bool]]:
    table = schema.incident
    return [table.c.drill.is_(drill), *([] if unpublished else [table.c.version > 0])]


def _unknown(db: Connection, late_breaches: Sequence[LateBreach]) -> list[LateBreach]:
    """The first of each (sensor, rule, at) that has no row yet, in order."""
    times: dict[tuple[str, str], list[int]] = {}
    for late in late_breaches:
        times.setdefault((late.sensor, late.rule), []).append(late.at)
    table = schema.late_breach
    known = {
        (sensor, rule, at)
        for (sensor, rule), ats in times.items()
        for (at,) in db.execute(
            select(table.c.at).where(
                table.c.sensor == sensor, table.c.rule == rule, table.c.at.between(min(ats), max(ats))
            )
        )
    }
    first: dict[tuple[str, str, int], LateBreach] = {}
    for late in late_breaches:
        first.setdefault((late.sensor, late.rule, late.at), late)
    return [late for key, late in first.items() if key not in known]
