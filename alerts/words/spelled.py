"""Words as loudspeakers say them: numbers, units, times and names written out, no digit, sign or abbreviation left.

Our own, and not num2words: its Vietnamese reads 0,05 as "không phẩy năm", five tenths.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from alerts.words.names import Lang
from ingest.quantity import Quantity

_DIGITS: Final[Mapping[Lang, tuple[str, ...]]] = {
    "vi": ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"),
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
_TEENS: Final = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
                 "nineteen")  # fmt: skip
_TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS: Final = {1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth"}
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
                  "November", "December")  # fmt: skip
_PARTS_OF_DAY: Final = ((4, "at night"), (12, "in the morning"), (18, "in the afternoon"), (22, "in the evening"),
                        (24, "at night"))  # fmt: skip
# What is said of a measurement; a quantity that is not here is not told by loudspeaker.
_QUANTITIES: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {"rain": "lượng mưa", "water_level": "mực nước sông", "street_depth": "nước ngập đường sâu",
           "temperature": "nhiệt độ"},
    "en": {"rain": "rain of", "water_level": "a river level of", "street_depth": "water on the road, depth",
           "temperature": "a temperature of"},
}  # fmt: skip
_UNITS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {"mm": "mi-li-mét", "cm": "xăng-ti-mét", "m": "mét", "°C": "độ C"},
    "en": {"mm": "millimetres", "cm": "centimetres", "m": "metres", "°C": "degrees Celsius"},
}
_SPANS: Final = ((3_600_000, "giờ", "hour"), (60_000, "phút", "minute"), (1000, "giây", "second"))
_SIGNS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "vi": {"%": " phần trăm ", "&": " và ", "/": " trên ", "+": " cộng "},
    "en": {"%": " percent ", "&": " and ", "/": " over ", "+": " plus "},
}
_ABBREVIATIONS: Final[Mapping[str, str]] = {
    "TP": "thành phố", "P": "phường", "Q": "quận", "Đ": "đường", "UBND": "Ủy ban nhân dân",
    "THCS": "trung học cơ sở", "THPT": "trung học phổ thông",
}  # fmt: skip
_SHORTENED: Final = re.compile(r"\b(?:(TP|P|Q|Đ)\.\s*|(UBND|THCS|THPT)\b)")
_PHONES: Final = ("112", "113", "114", "115")  # said digit by digit
_NUMBER: Final = re.compile(r"\s*(\d+)\s*")
_SPACED: Final = re.compile(r"\s+(?=[.,!?:;])|[\s,:;]+(?=[.!?])")
_WEAK: Final = re.compile(r"([.,!?:;])(?:\s*[,:;])+")
_CLAUSE: Final = re.compile(r"; (\w)")
_KEPT: Final = ".,!?:;-"


def whole(number: int, lang: Lang) -> str:
    """A whole number in words; from a million on digit by digit."""
    if number < 0:
        return f"{'âm' if lang == 'vi' else 'minus'} {whole(-number, lang)}"
    if number >= 1_000_000:
        return digits(str(number), lang)
    return _vietnamese(number) if lang == "vi" else _english(number)


def digits(text: str, lang: Lang) -> str:
    """One by one, as telephone numbers are said."""
    return " ".join(_DIGITS[lang][int(c)] for c in text)


def _vietnamese(number: int) -> str:
    say = _DIGITS["vi"]
    if number < 10:
        return say[number]
    if number < 100:
        tens, one = divmod(number, 10)
        last = {0: "", 1: "một" if tens == 1 else "mốt", 5: "lăm"}.get(one, say[one])
        return f"{'mười' if tens == 1 else f'{say[tens]} mươi'} {last}".rstrip()
    unit, name = (1000, "nghìn") if number >= 1000 else (100, "trăm")
    count, rest = divmod(number, unit)
    if not rest:
        tail = ""
    elif unit == 1000 and rest < 100:
        tail = f"không trăm {_after_hundred(rest)}"
    else:
        tail = _after_hundred(rest)
    return f"{_vietnamese(count)} {name} {tail}".rstrip()


def _after_hundred(rest: int) -> str:
    return f"lẻ {_vietnamese(rest)}" if rest < 10 else _vietnamese(rest)


def _english(number: int) -> str:
    if number < 10:
        return _DIGITS["en"][number]
    if number < 20:
        return _TEENS[number - 10]
    if number < 100:
        tens, one = divmod(number, 10)
        return f"{_TENS[tens]}-{_DIGITS['en'][one]}" if one else _TENS[tens]
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    count, rest = divmod(number, unit)
    joint = " and " if rest < 100 else " "
    return f"{_english(count)} {name}" + (f"{joint}{_english(rest)}" if rest else "")


def decimal(value: float, places: int, lang: Lang) -> str:
    """A number with at most `places` decimals, each decimal said as a digit: 0.05 is "không phẩy không năm"."""
    text = f"{abs(value):.{places}f}"
    before, _, after = text.partition(".")
    after = after.rstrip("0")
    negative = value < 0 and text.strip("0.") != ""
    said = whole(-int(before) if negative and int(before) else int(before), lang)
    if negative and not int(before):
        said = f"{'âm' if lang == 'vi' else 'minus'} {said}"
    return f"{said} {'phẩy' if lang == 'vi' else 'point'} {digits(after, lang)}" if after else said


def measured(value: float, quantity: Quantity, lang: Lang) -> tuple[str, str] | None:
    """What was measured, and how much, in words: ("nước ngập đường sâu", "ba mươi hai xăng-ti-mét").

    Depths under 10 m in whole centimetres, rain in whole millimetres: an ear keeps no more. None: it is not told.
    """
    name = _QUANTITIES[lang].get(quantity.name)
    if name is None or quantity.unit not in _UNITS[lang]:
        return None
    unit, places = quantity.unit, quantity.decimals
    if quantity.name == "street_depth" and unit == "m" and abs(value) < 10:
        value, unit, places = value * 100, "cm", 0
    elif unit == "mm" and abs(value) >= 1:
        places = 0
    return name, f"{decimal(value, places, lang)} {_UNITS[lang][unit]}"


def span(ms: int, lang: Lang) -> str:
    unit_ms, vi, en = next((unit for unit in _SPANS if ms % unit[0] == 0), _SPANS[-1])
    count = ms // unit_ms
    said = whole(count, lang)
    return f"{said} {vi}" if lang == "vi" else f"{said} {en}{'' if count == 1 else 's'}"


def moment(ms: int, zone: ZoneInfo, lang: Lang) -> str:
    """`ms` UTC in the city's zone: "mười lăm giờ ba phút, ngày mười bốn tháng mười"."""
    then = datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone)
    if lang == "vi":
        month = "tư" if then.month == 4 else whole(then.month, "vi")
        return f"{clock(ms, zone, lang)}, ngày {whole(then.day, 'vi')} tháng {month}"
    return f"{clock(ms, zone, lang)} on {_MONTHS[then.month - 1]} the {_ordinal(then.day)}"


def clock(ms: int, zone: ZoneInfo, lang: Lang) -> str:
    """The time of day alone: "mười lăm giờ ba phút"."""
    then = datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone)
    if lang == "vi":
        minutes = f" {whole(then.minute, 'vi')} phút" if then.minute else ""
        return f"{whole(then.hour, 'vi')} giờ{minutes}"
    part = next(name for end, name in _PARTS_OF_DAY if then.hour < end)
    oh = "oh " if then.minute < 10 else ""
    minutes = f"{oh}{whole(then.minute, 'en')}" if then.minute else "o’clock"
    return f"{whole(then.hour % 12 or 12, 'en')} {minutes} {part}"


def _ordinal(day: int) -> str:
    if day > 20 and day % 10:
        return f"{_TENS[day // 10]}-{_ordinal(day % 10)}"
    return _ORDINALS.get(day) or (f"{_TENS[day // 10][:-1]}ieth" if day >= 20 else f"{whole(day, 'en')}th")


def spell(text: str, lang: Lang) -> str:
    """A text as it is said: numbers and common abbreviations in words, "; " as the end of a sentence, no other sign."""
    text = unicodedata.normalize("NFC", text)
    text = _SHORTENED.sub(lambda m: f"{_ABBREVIATIONS[m[1] or m[2]]} ", text)
    text = _NUMBER.sub(lambda m: f" {_counted(m[1], lang)} ", text)
    text = "".join(_sign(c, lang) for c in text)
    text = _CLAUSE.sub(lambda m: f". {m[1].upper()}", " ".join(text.split()))
    return _WEAK.sub(r"\1", _SPACED.sub("", text)).strip(" ,-:;")


def _counted(found: str, lang: Lang) -> str:
    """Two for "2"; one one two for "112", and so for long numbers. Other scripts have digits as well."""
    plain = "".join(str(unicodedata.digit(c)) for c in found)
    by_digit = plain in _PHONES or len(plain) > 4 or (len(plain) > 1 and plain[0] == "0")
    return digits(plain, lang) if by_digit else whole(int(plain), lang)


def _sign(char: str, lang: Lang) -> str:
    if char.isalpha() or char in _KEPT or char == "’":
        return char
    return _SIGNS[lang].get(char, ", " if char in "()[]–—…" else " ")
