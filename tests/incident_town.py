"""A small town for the life of incidents: sensors that can and cannot bear witness, and news given minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from alerts.incidents.decision import Decision, Outcome
from alerts.incidents.heard import Heard
from alerts.incidents.incident import Incident, Notice
from alerts.incidents.life_cycle import Incidents
from alerts.incidents.verbs import Act, Verb
from ingest.city import Area, City, Sensor
from ingest.quantity import CATALOGUE
from processing.rules import EndsWhen, Hazard, Judgement, Rule, Rules, Statistic
from processing.transitions import HealthEvent, Status, StepResult, Transition

MINUTE = 60_000
START = 1_665_734_580_000  # 2022-10-14 15:03 in Da Nang
KM = 1 / 111.2  # degrees of latitude
QUIET, APPROVE = 30, 10  # minutes
CHAIN = (("an", "binh"), ("chi",), ("dung",))


def sensor(id_: str, quantity: str, area: str, km: float = 0.0, **more: Any) -> Sensor:
    """`km` north of the town's middle; what no kilometre tells apart stands 100 km away from everybody."""
    return Sensor(
        id_, CATALOGUE[quantity], area, more.pop("affects", (area,)), lat=16.0 + km * KM, lon=108.0,
        period_ms=more.pop("period_ms", MINUTE), **more,
    )  # fmt: skip


SENSORS = (
    sensor("tower-1", "street_depth", "A", 0.0),
    sensor("tower-2", "street_depth", "A", 10.0),  # of the same ward, not near
    sensor("tower-near", "street_depth", "B", 1.5),  # of another ward, near tower-1
    sensor("lonely", "street_depth", "C", 200.0),
    sensor("station", "street_depth", "D", 300.0, trust="reference"),
    sensor("dumb", "street_depth", "E", 400.0),
    sensor("dead", "street_depth", "E", 400.1, period_ms=None),  # nobody would notice its silence
    sensor("gauge", "rain", "C", 200.0),
    sensor("meter", "power", "G", 500.0),
    *(sensor(f"far-{n}", "street_depth", f"F{n}", 1000.0 + 10 * n) for n in range(25)),
)
_LEVELS = (0.1, 0.2, 0.3, 1.2)
DEPTH = Judgement(Statistic.LAST, 0, True, _LEVELS, tuple(0.9 * x for x in _LEVELS))  # type: ignore[arg-type]
SUM = Judgement(Statistic.SUM, 3_600_000, True, (20.0, 30.0, 50.0, 80.0), (18.0, 27.0, 45.0, 72.0))
ENDING = Judgement(Statistic.SUM, 3_600_000, True, (5.0, *(float("nan"),) * 3), (5.0, *(float("nan"),) * 3))
OFF = Judgement(Statistic.LAST, 0, False, (0.0, 0.0, -1.0, -2.0), (0.5, 0.5, 0.5, 0.5))
RULES = Rules(
    (Rule("depth", "flood", "street_depth", DEPTH), Rule("rain-1h", "rain", "rain", SUM),
     Rule("power-off", "power", "power", OFF)),
    {
        "power": Hazard("power", quiet_ms=QUIET * MINUTE, approve_within_ms=APPROVE * MINUTE),
        "flood": Hazard("flood", confirm_by=("rain",), quiet_ms=QUIET * MINUTE, approve_within_ms=APPROVE * MINUTE),
        "rain": Hazard("rain", quiet_ms=QUIET * MINUTE, approve_within_ms=APPROVE * MINUTE,
                       ends_when=EndsWhen(Statistic.SUM, 3_600_000, 5.0, 2 * 60 * MINUTE)),
    },
    (Rule("ends_when.rain.rain", "rain", "rain", ENDING),),
)  # fmt: skip
CITY = City(
    "Town", ZoneInfo("Asia/Ho_Chi_Minh"), {s.area: Area(s.area, f"Ward {s.area}") for s in SENSORS}, {},
    {s.id: s for s in SENSORS},
)  # fmt: skip


def ms(minute: float) -> int:
    return START + int(minute * MINUTE)


@dataclass
class Town:
    """Incidents and what they told. Every verb and every news item may follow a restart from the rows alone."""

    restarts: bool = False
    incidents: Incidents = field(default_factory=lambda: Incidents(chain_of=lambda *_: CHAIN))
    city: City = CITY
    rules: Rules = RULES
    rows: dict[str, Incident] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    calls: list[tuple[float, str, tuple[str, ...], str]] = field(default_factory=list)
    asleep: set[str] = field(default_factory=set)
    wet: set[tuple[str, str]] = field(default_factory=set)
    level: dict[tuple[str, str], int] = field(default_factory=dict)
    since: int = 0

    def at(self, minute: float, down_ms: int = 0) -> list[tuple[str, str, int, bool]]:
        return self._step(minute, StepResult(), (), down_ms)

    def read(
        self, minute: float, sensor_: str, value: float, to: int | None = None, *, flag: int = 1, rule: str = "depth"
    ) -> list[tuple[str, str, int, bool]]:
        """A fresh reading; `to`: the level that it takes its sensor to."""
        when, pair = ms(minute), (sensor_, rule)
        before = self.level.get(pair, 0)
        moved = ()
        if to is not None and to != before:
            moved = (Transition(when, *pair, before, to, value, when),)
            self.level[pair] = to
        heard = [Heard(0, sensor_, when, flag, when, value)]
        said_ = self._step(minute, StepResult(moved, order=(0,) * len(moved)), heard)
        if rule.startswith("ends_when"):
            (self.wet.add if to else self.wet.discard)((sensor_, rule.split(".")[1]))
        return said_

    def stands(self, minute: float, sensor_: str, value: float, to: int, *, minutes: int = 6) -> list[Any]:
        """A reading a minute, all of them at the level."""
        found = [self.read(minute + n, sensor_, value, to) for n in range(minutes + 1)]
        return [one for some in found for one in some]

    def health(self, minute: float, sensor_: str, status: Status) -> list[tuple[str, str, int, bool]]:
        before = Status.SILENT if sensor_ in self.asleep else Status.OK
        event = HealthEvent(ms(minute), sensor_, before, status)
        said_ = self._step(minute, StepResult(health=(event,), health_order=(0,)), ())
        (self.asleep.discard if status is Status.OK else self.asleep.add)(sensor_)
        return said_

    def act(self, minute: float, verb: Verb, by: str = "an") -> str:
        """Why it was refused; "": it was done."""
        self._restart()
        done = self.incidents.act(Act(verb, by, ms(minute), f"{by}-{minute}-{verb}"), self.city, self.rules)
        self._keep(done.outcome)
        self.since = ms(minute)
        return done.refused

    def said(self, since: float = -1.0) -> list[tuple[str, str, int, bool]]:
        return [said(n) for n in self.notices if n.arrival >= ms(since)]

    def row(self, hazard: str = "flood", area: str = "A") -> Incident:
        return next(r for r in reversed(list(self.rows.values())) if (r.hazard, r.area) == (hazard, area))

    def _step(
        self, minute: float, result: StepResult, heard: Sequence[Heard], down_ms: int = 0
    ) -> list[tuple[str, str, int, bool]]:
        self._restart()
        outcome = self.incidents.step(result, ms(minute), self.city, self.rules, heard=heard, down_ms=down_ms)
        self._keep(outcome)
        self.since = ms(minute)
        return [said(n) for n in outcome.notices]

    def _keep(self, outcome: Outcome) -> None:
        self.rows |= {row.id: row for row in self.incidents.changed}
        self.notices += outcome.notices
        self.decisions += outcome.decisions
        self.calls += [((c.at - START) / MINUTE, c.incident, c.to, c.asks) for c in outcome.calls]

    def _restart(self) -> None:
        if self.restarts:
            self.incidents = Incidents(
                self.rows.values(), self.incidents.silences, self.asleep, self.wet, since=self.since,
                chain_of=lambda *_: CHAIN, announced=self.incidents.announced,
            )  # fmt: skip


def said(notice: Notice) -> tuple[str, str, int, bool]:
    return notice.area, notice.reason.value, notice.level, notice.told


def without(city: City, *names: str) -> City:
    return replace(city, sensors={k: v for k, v in city.sensors.items() if k not in names})
