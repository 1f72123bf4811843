"""A desk with a real ledger, a clock that a test sets, and a broker that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from cap_scenes import AT, CITY, RULES, wards
from faces import town_view
from sqlalchemy import insert

from alerts.delivery.cap import CapDesk, CapMeans
from alerts.incidents.decision import Outcome
from alerts.incidents.incident import ENDS, Confirmation, Hand, Incident, Member, Notice, Reason, Withheld
from alerts.incidents.verbs import OfficialLevel
from alerts.ledger import schema
from alerts.ledger.cap import CapStore
from alerts.ledger.ledger import Ledger
from ingest.entries import Position

MINUTE = 60_000
SENSOR = {"rain": "rain-cam-le", "flood": "tower-cam-le", "power": "meter-cam-le"}


class Broker:
    """Topics as a broker holds them; `documents` in the order in which they came. Down: nothing is taken."""

    def __init__(self, store: CapStore | None = None) -> None:
        self.retained: dict[str, bytes] = {}
        self.came: list[tuple[str, bytes, bool]] = []
        self.down = False
        self.store = store  # where every document has to be before it comes here

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self.down:
            raise TimeoutError("no PUBACK")
        if payload and self.store is not None:
            assert payload.decode() in {one.xml for one in self.store.unpublished()} | {
                one.xml for one in self.store.standing(0)
            }, "published before it was kept"
        self.came.append((topic, payload, retain))
        if retain and payload:
            self.retained[topic] = payload
        elif retain:
            self.retained.pop(topic, None)

    @property
    def documents(self) -> list[bytes]:
        return [payload for _, payload, _ in self.came if payload]


class Stage:
    def __init__(self, folder: Path, *, clock: str = "wall") -> None:
        self.folder, self.now = folder, AT
        self.view = replace(town_view(CITY, clock=clock, arrival=AT), rules=RULES)
        self.rows: dict[str, Incident] = {}
        self.shut = False
        self._position = 0
        self.broker = Broker()
        self.open()

    def open(self) -> None:
        """A start of the service: only the ledger and the broker are what they were."""
        self.ledger = Ledger.open(self.folder / "ledger.sqlite")
        self.store = CapStore(self.ledger.store)
        self.broker.store = self.store
        means = CapMeans(page_url="https://canhbao.example/", outlines=wards())
        self.desk = CapDesk(
            self.store, self.ledger, self.broker, lambda: self.view, means, now_ms=lambda: self.now,
            shut=lambda: self.shut,
        )  # fmt: skip

    def close(self) -> None:
        self.ledger.close()

    def turn(self) -> None:
        """Until there is nothing more to do."""
        while self.desk.turn():
            pass

    def version(
        self, reason: Reason, level: int, *, hazard: str = "flood", drill: bool = False, event: str = "",
        withheld: Withheld = Withheld.NO, hand: Hand | None = None, sole: bool = False, area: str = "20260",
    ) -> Notice:  # fmt: skip
        """The next version of the area's incident of this hazard, in the ledger as the spine writes it."""
        name = f"{hazard}.{area}.{'drill' if drill else '20251027T0400Z'}"
        was = self.rows.get(name)
        by = Confirmation.SOLE if sole else Confirmation.NEIGHBOUR
        ends = reason in ENDS
        sensor = SENSOR.get(hazard, "")
        cause = None if ends or not sensor else Member(sensor, "r", level, self.now, 0.4, self.now, level, level, by)
        row = Incident(
            name, hazard, area, level, max(level, was.peak if was else 0), (was.version if was else 0) + 1,
            was.opened_at if was else self.now, self.now, self.now if ends else None, (cause,) if cause else (),
            drill=drill, event=event, hand=hand,
        )  # fmt: skip
        notice = Notice(
            name, row.version, reason, hazard, area, level, was.level if was else 0, self.now, self.now, cause,
            withheld, row.peak, hand=hand, drill=drill, event=event,
        )  # fmt: skip
        self.rows[name] = row
        self.record([row], [notice])
        return notice

    def announced(self, level: OfficialLevel) -> None:
        body = msgspec.json.encode(level).decode()
        with self.ledger.store.writing() as db:
            db.execute(insert(schema.official_level), {"at": self.now, "by": "an", "body": body})

    def record(self, rows: Sequence[Incident], notices: Sequence[Notice] = ()) -> None:
        self._position += 1
        self.ledger.record(Position(self._position), self.now, incidents=rows, outcome=Outcome(list(notices)))

    @property
    def names(self) -> list[str]:
        """Identifiers of the documents that came, without what they have in common."""
        return [document.partition(b"<identifier>")[2].partition(b"</identifier>")[0].decode().replace(
            "20251027T0400Z.", "") for document in self.broker.documents]  # fmt: skip
