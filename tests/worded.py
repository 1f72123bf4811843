"""A small city and its notices, for tests of texts."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from alerts.incidents.incident import ENDS, Confirmation, Hand, Member, Notice, Planned, Reason
from alerts.words.names import LANGS, Lang
from alerts.words.texts import Texts, compose
from ingest.city import Area, City, Sensor
from ingest.quantity import CATALOGUE
from processing.rules import Judgement, Rule, Rules, Statistic

AT = 1_665_734_580_000  # 15:03 on 14 October 2022 in Da Nang
AREA = Area("20242", "Hải Châu", "Hai Chau")
# Hazard of the tables -> hazard of the notice, and what measures it.
MEASURED = {
    "rain": ("rain", "rain"),
    "flood": ("flood", "street_depth"),
    "river": ("flood", "water_level"),
    "power": ("power", "voltage"),
    "school": ("school", "co2"),
    "toilet": ("toilet", "ammonia"),
    "of our own": ("cháy rừng", "temperature"),
}
# Every level in every state: reason, level, level before.
STATES = (
    *((Reason.FIRST, level, 0) for level in (1, 2, 3, 4)),
    *((Reason.WORSE, level, before) for level in (2, 3, 4) for before in range(1, level)),
    *((Reason.EASED, level, before) for before in (2, 3, 4) for level in range(1, before)),
    *((reason, 0, before) for reason in ENDS if reason is not Reason.CALLED_OFF for before in (1, 2, 3, 4)),
)
HANDS = {
    "seen": {"where": "cầu Hòa Xuân"},
    "storm": {"name": "bão số 12 (Kalmaegi)", "where": "ven biển", "from": "2022-10-14T18:00:00+07:00"},
    "landslide": {"where": "đèo Hải Vân, km 905", "where_en": "Hai Van pass, km 905"},
    "reservoir": {"name": "A Vương", "river": "sông Vu Gia", "where": "hạ du", "from": "2022-10-14T18:00:00+07:00"},
    "evacuation": {"where": "tổ 12, 13", "shelter": "Trường THCS Lê Lợi", "before": "2022-10-14T18:00:00+07:00"},
    "school_closure": {
        "where": "mọi trường", "from": "2022-10-15T06:00:00+07:00", "until": "2022-10-16T06:00:00+07:00",
    },
}  # fmt: skip


def sensor(quantity: str, place: str = "Hồ Thạc Gián", *, public: bool = True) -> Sensor:
    return Sensor("s", CATALOGUE[quantity], AREA.code, (AREA.code,), place=place, public=public)


def city(*sensors: Sensor, area: Area = AREA, name: str = "Đà Nẵng") -> City:
    return City(name, ZoneInfo("Asia/Ho_Chi_Minh"), {area.code: area}, {}, {s.id: s for s in sensors})


def rules(hazard: str, quantity: str, statistic: Statistic = Statistic.MEAN, window_ms: int = 180_000) -> Rules:
    nan4 = (float("nan"),) * 4
    return Rules((Rule("r", hazard, quantity, Judgement(statistic, window_ms, True, nan4, nan4)),))


def notice(
    reason: Reason, level: int, before: int = 0, hazard: str = "flood", by: Confirmation = Confirmation.NEIGHBOUR
) -> Notice:
    cause = None if reason in ENDS else Member("s", "r", level, AT, 0.324, by=by)
    return Notice("i", 1, reason, hazard, AREA.code, level, before, AT, AT + 1_800_000, cause, peak=max(level, before))


def by_hand(template: str, reason: Reason, level: int, before: int = 0, **fields: str) -> Notice:
    hand = Hand(template, level or before, AT + 36_000_000, "an", tuple((HANDS[template] | fields).items()))
    hazard = "flood" if template == "seen" else template
    return replace(notice(reason, level, before, hazard), cause=None, by="an", hand=hand)


def outage(
    reason: Reason, *, hours: float = 3.5, late: bool = False, why: str = "PC Đà Nẵng: thay máy biến áp", **more: object
) -> Notice:
    """Planned for the next day at 08:00; `late`: the word comes after it has begun."""
    planned = Planned(AT + 61_020_000, AT + 61_020_000 + int(hours * 3_600_000), why, **more)  # type: ignore[arg-type]
    told = planned.begins + 3_600_000 if late else AT
    off = reason is Reason.CALLED_OFF
    return Notice("outage-1.20242", 1, reason, "power", AREA.code, 0 if off else 1, int(off),
                  told if off else planned.begins, told, None, event="outage-1", planned=planned)  # fmt: skip


def composed(told: Notice, there: City, law: Rules, *, page_url: str = "", code: str = "") -> dict[Lang, Texts]:
    return {lang: compose(told, there, law, lang, page_url=page_url, code=code) for lang in LANGS}
