"""What a storm's town is told: the versions of many incidents, made from a seed, and the ledger that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from post.town import HAZARDS
from sqlalchemy import insert, select

from alerts.incidents.decision import Outcome
from alerts.incidents.incident import Notice, Reason, Withheld
from alerts.ledger import schema
from alerts.ledger.ledger import Ledger
from alerts.words.message import bare_message

ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
EVENING: Final = int(datetime(2025, 10, 27, 21, 52, tzinfo=ZONE).timestamp() * 1000)
MORNING: Final = int(datetime(2025, 10, 28, 7, 1, tzinfo=ZONE).timestamp() * 1000)
# What one incident does: reason, level, and why residents are not sent it.
_F, _W, _E, _O, _X = Reason.FIRST, Reason.WORSE, Reason.EASED, Reason.OVER, Reason.WITHDRAWN
SHAPES: Final[Sequence[Sequence[tuple[Reason, int, Withheld]]]] = (
    ((_F, 2, Withheld.NO), (_W, 3, Withheld.NO), (_E, 1, Withheld.NO), (_O, 0, Withheld.NO)),
    ((_F, 3, Withheld.NO), (_O, 0, Withheld.NO)),
    ((_F, 2, Withheld.NO), (_X, 0, Withheld.NO)),
    ((_F, 3, Withheld.NO), (_W, 4, Withheld.NO), (_E, 2, Withheld.NO), (_O, 0, Withheld.NO)),
    ((_F, 1, Withheld.NO), (_W, 2, Withheld.NO), (_O, 0, Withheld.NO)),
    ((_F, 2, Withheld.NO), (_E, 1, Withheld.ONE_LEVEL), (_W, 2, Withheld.HEARD), (_O, 0, Withheld.NO)),
    ((_F, 4, Withheld.NO),),
    ((_F, 2, Withheld.NO), (Reason.UPDATED, 2, Withheld.NO), (_O, 0, Withheld.NO)),
    ((_F, 2, Withheld.NO), (_O, 0, Withheld.UNMEASURED)),
)
DRILL: Final = ((_F, 3, Withheld.NO), (Reason.STOPPED, 0, Withheld.NO))
MINUTE_MS: Final = 60_000
GAPS_MS: Final = (0, 5_000, MINUTE_MS, 4 * MINUTE_MS, 8 * MINUTE_MS, 12 * MINUTE_MS)  # between two versions


def script(seed: int, incidents: int, areas: tuple[str, ...], begins: int, span_ms: int) -> list[Notice]:
    """In the order of arrival; of an incident, in the order of its versions."""
    random, found = Random(seed), []
    for n in range(incidents):
        shape = DRILL if n % 12 == 11 else random.choice(SHAPES)
        at = begins + random.randrange(max(1, span_ms // 2))
        area, hazard = random.choice(areas), random.choice(HAZARDS)
        found += _incident(random, f"inc-{n}", hazard, area, shape, at, drill=shape is DRILL)
    for n in range(max(1, incidents // 20)):  # one event of several areas, each ending by itself
        at = begins + random.randrange(max(1, span_ms // 2))
        for area in random.sample(areas, max(4, len(areas) // 2)):
            found += _incident(random, f"inc-c{n}-{area}", "flood", area, SHAPES[1], at, event=f"event-{n}")
    return sorted(found, key=lambda notice: notice.arrival)


def _incident(
    random: Random, name: str, hazard: str, area: str, shape: Sequence[tuple[Reason, int, Withheld]], at: int, *,
    drill: bool = False, event: str = "",
) -> list[Notice]:  # fmt: skip
    made, was, peak = [], 0, 0
    for version, (reason, level, withheld) in enumerate(shape, 1):
        peak = max(peak, level)
        made.append(Notice(
            name, version, reason, hazard, area, level, was, at, at, None, withheld, peak, drill=drill,
            event=event,
        ))  # fmt: skip
        was, at = level, at + random.choice(GAPS_MS)
    return made


class Writer:
    """The service's part: a notice is in the ledger, and what it says soon after."""

    def __init__(self, data: Path) -> None:
        self.ledger = Ledger.open(data / "ledger.sqlite")
        self._position = 0
        self.seqs: dict[tuple[str, int], int] = {}
        self.written: list[Notice] = []

    def write(self, notices: Sequence[Notice], now: int) -> None:
        """Those of one moment, in one transaction; the contents in another one, as the desk makes them."""
        self._position += 1
        self.ledger.record(self._position, now, outcome=Outcome(notices=list(notices)))
        with self.ledger.store.writing() as db:
            numbers = select(schema.notice.c.seq, schema.notice.c.incident, schema.notice.c.version)
            rows = db.execute(numbers.order_by(schema.notice.c.seq)).all()
            new = {(row.incident, row.version): row.seq for row in rows[-len(notices) :]}
            self.seqs |= new
            self.written += notices
            db.execute(insert(schema.content), [
                {"seq": new[n.incident, n.version], "body": msgspec.json.encode(bare_message(n)).decode(), "code": None}
                for n in notices
            ])  # fmt: skip

    def close(self) -> None:
        self.ledger.close()
