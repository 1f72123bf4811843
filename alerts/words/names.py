"""Names that residents read, in Vietnamese and English: levels, hazards, numbers, times, places."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from ingest.city import Area, City
from ingest.quantity import Quantity

Lang: TypeAlias = Literal["vi", "en"]
LANGS: Final[tuple[Lang, ...]] = ("vi", "en")

# Never "cấp N" or "báo động": those are the words of the hydromet office for its own scales.
LEVELS: Final[Mapping[Lang, tuple[str, ...]]] = {
    "vi": ("", "Chú ý", "Đề phòng", "Nguy hiểm", "Khẩn cấp"),
    "en": ("", "Advisory", "Warning", "Danger", "Emergency"),
}
HAZARDS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {"rain": "mưa lớn", "flood": "ngập lụt", "power": "sự cố điện", "school": "môi trường trường học kém",
           "toilet": "sự cố nhà vệ sinh công cộng"},
    "en": {"rain": "heavy rain", "flood": "flooding", "power": "power trouble", "school": "poor school environment",
           "toilet": "public toilet trouble"},
}  # fmt: skip
# What no sensor measures: a person says it (alerts/words/hand.py).
HAND_HAZARDS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {"storm": "bão", "landslide": "sạt lở đất", "reservoir": "hồ chứa xả nước", "evacuation": "yêu cầu sơ tán",
           "school_closure": "học sinh nghỉ học"},
    "en": {"storm": "storm", "landslide": "landslide", "reservoir": "reservoir release",
           "evacuation": "order to evacuate", "school_closure": "schools closed"},
}  # fmt: skip
_UNITS: Final = ((3_600_000, "giờ", "hour"), (60_000, "phút", "minute"), (1000, "giây", "second"))
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NAME_MOST: Final = 48  # longer names are cut: the short form of a warning has 360 characters


def level_word(level: int, lang: Lang) -> str:
    """The word of a level 1-4; levels have no number in front of residents. Empty for 0."""
    return LEVELS[lang][level]


def hazard_name(hazard: str, lang: Lang) -> str:
    """As inside a sentence; a hazard of a deployment's own keeps the name that its rules give it."""
    return HAZARDS[lang].get(hazard) or HAND_HAZARDS[lang].get(hazard) or one_line(hazard)


def area_name(area: Area, lang: Lang) -> str:
    return one_line(area.name_en if lang == "en" and area.name_en else area.name) or one_line(area.code)


def area_of(city: City, code: str) -> Area:
    """The area, or one named by its code where the registry no longer has it: an open warning must stay readable."""
    return city.areas.get(code) or Area(code, code)


def quantity_name(quantity: Quantity, lang: Lang) -> str:
    """As inside a sentence: "mực nước sông", but "PM2.5" and "CO₂" as they are."""
    name = one_line((quantity.name_vi if lang == "vi" else quantity.name_en) or quantity.name)
    return name[:1].lower() + name[1:] if name[1:2].islower() or name[1:2] == " " else name


def number(value: float, decimals: int, lang: Lang) -> str:
    """Decimal comma in Vietnamese, point in English; no sign before a zero."""
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"
    return text.replace(".", ",") if lang == "vi" else text


def duration(ms: int, lang: Lang) -> str:
    """A span as people say it: "10 phút", "1 giờ", "24 hours"."""
    unit_ms, vi, en = next((unit for unit in _UNITS if ms % unit[0] == 0), _UNITS[-1])
    count = ms // unit_ms
    return f"{count} {vi}" if lang == "vi" else f"{count} {en}{'' if count == 1 else 's'}"


def local_time(ms: int, zone: ZoneInfo, lang: Lang) -> str:
    """`ms` UTC in the city's zone: "15:03 14/10", "15:03, 14 Oct"."""
    then = datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone)
    return f"{then:%H:%M %d/%m}" if lang == "vi" else f"{then:%H:%M}, {then.day} {_MONTHS[then.month - 1]}"


def local_clock(ms: int, zone: ZoneInfo) -> str:
    """`ms` UTC in the city's zone, the time of day alone: "15:03"."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone):%H:%M}"


def one_line(text: str, most: int = NAME_MOST) -> str:
    """A name from a file, fit for a sentence: composed accents, one line, no markup, at most `most` long."""
    text = unicodedata.normalize("NFC", text)
    visible = "".join(c if unicodedata.category(c)[0] != "C" and c not in "<>" else " " for c in text)
    clean = " ".join(visible.split())
    return clean if len(clean) <= most else clean[: most - 1].rstrip() + "…"
