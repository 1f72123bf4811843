"""Notices and documents for the tests of CAP: the bundled registry, and outlines where the shared data has them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from conftest import SHARED_DATA

from alerts.incidents.incident import Confirmation, Hand, Member, Notice, Reason
from alerts.incidents.verbs import OfficialLevel
from alerts.words.cap import Place, Reference, Telling, document
from alerts.words.cap_place import Ring, box_of, circle_of, outlines
from alerts.words.cap_rules import faults
from alerts.words.cap_texts import cap_texts
from alerts.words.cap_voice import voice_of
from alerts.words.texts import is_exercise
from ingest.city import DEFAULT_CITY_FILE, City, parse_city
from processing.rules import DEFAULT_RULES_FILE, Rules, parse_rules

AT = 1_761_537_600_000  # 27 October 2025, 11:00 in Da Nang
HOUR = 3_600_000
SENSORS = """
[[sensor]]
id = "rain-cam-le"
quantity = "rain"
area = "20260"
lat = 16.012
lon = 108.196
place = "UBND Cẩm Lệ"
[[sensor]]
id = "tower-cam-le"
quantity = "street_depth"
area = "20260"
lat = 16.018
lon = 108.203
place = "Cầu Cẩm Lệ"
[[sensor]]
id = "meter-cam-le"
quantity = "voltage"
area = "20260"
lat = 16.0153
lon = 108.2071
"""
CITY: City = parse_city(DEFAULT_CITY_FILE.read_text("utf-8") + SENSORS)
RULES: Rules = parse_rules(DEFAULT_RULES_FILE.read_text("utf-8"))
VOICE = voice_of(CITY, contact="1022", web="https://canhbao.example/")
OFFICIAL = OfficialLevel(3, "Đài KTTV TP Đà Nẵng", "DNAN-12/2025", AT - HOUR, AT + 24 * HOUR)
SQUARE: Ring = ((16.0, 108.1), (16.0, 108.2), (16.1, 108.2), (16.1, 108.1), (16.0, 108.1))
SENSOR = {"rain": "rain-cam-le", "power": "meter-cam-le"}
TEMPLATES = ("storm", "landslide", "reservoir", "evacuation", "school_closure")


@lru_cache
def wards() -> dict[str, tuple[Ring, ...]]:
    """The outlines of the 94 units; a square in the place of them where there is no shared data."""
    path = SHARED_DATA / "danang_wards_2025.geojson"
    if not path.exists():
        return dict.fromkeys(CITY.areas, (SQUARE,))
    return outlines(path.read_text("utf-8"))


@dataclass(frozen=True)
class Scene:
    """One version, as the desk would have it said."""

    hazard: str = "flood"
    reason: Reason = Reason.FIRST
    level: int = 3
    drill: bool = False
    sole: bool = False
    event: str = ""
    template: str = ""
    official: OfficialLevel | None = None
    references: tuple[Reference, ...] = ()
    area: str = "20260"

    @property
    def notice(self) -> Notice:
        before = {Reason.FIRST: 0, Reason.WORSE: self.level - 1}.get(self.reason, 3)
        hand = Hand(self.template, self.level, AT + HOUR, "an", (("where", "đèo Hải Vân"),)) if self.template else None
        cause = None if hand or not self.level else self.member
        return Notice(
            f"{self.hazard}.{self.area}.20251027T0400Z", 2, self.reason, self.hazard, self.area, self.level, before,
            AT, AT, cause, hand=hand, drill=self.drill, event=self.event, peak=3,
        )  # fmt: skip

    @property
    def member(self) -> Member:
        sensor = SENSOR.get(self.hazard, "tower-cam-le")
        by = Confirmation.SOLE if self.sole else Confirmation.NEIGHBOUR
        return Member(sensor, "rain-1h", self.level, AT, 62.5, AT, self.level, self.level, by)

    def telling(self, sent: int = AT) -> Telling:
        place = Place(circle_of([self.member.sensor], self.area, CITY), wards().get(self.area, ()))
        return Telling(
            self.notice, 0, sent, is_exercise(self.notice, exercise=False), self.references, place, self.official
        )

    def xml(self, sent: int = AT) -> bytes:
        texts = cap_texts(self.notice, CITY, RULES, page_url=VOICE.web, exercise=False)
        return document(self.telling(sent), CITY, VOICE, texts)


def own_faults(xml: bytes) -> list[str]:
    return faults(xml, CITY.timezone, box_of(CITY, wards()))


BEFORE = (
    Reference(VOICE.id, "flood.20260.20251027T0400Z.1.0", "2025-10-27T10:00:00+07:00"),
    Reference(VOICE.id, "flood.20260.20251027T0400Z.1.1", "2025-10-27T10:59:30+07:00"),
)
