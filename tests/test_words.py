"""What residents read: every text is short, names its area, and never sounds like somebody else's scale."""

import re
from dataclasses import replace
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents.incident import ENDS, Confirmation, Hand, Incident, Member, Notice, Reason, Withheld
from alerts.words.message import bare_message, message
from alerts.words.names import HAZARDS, LANGS, LEVELS, Lang, duration, number
from alerts.words.sentences import sentence, situation
from alerts.words.texts import TEXT_MOST
from ingest.city import DEFAULT_CITY_FILE, Area, City, Sensor, parse_city
from ingest.quantity import CATALOGUE
from processing.rules import Judgement, Rule, Rules, Statistic

AT = 1_665_734_580_000  # 15:03 on 14 October 2022 in Da Nang
NAN4 = (float("nan"),) * 4
AREA = Area("20242", "Hải Châu", "Hai Chau")


def sensor(quantity: str, **more: object) -> Sensor:
    known = CATALOGUE[quantity]
    return Sensor("s", known, AREA.code, (AREA.code,), place="Hồ Thạc Gián", public=known.public, **more)  # type: ignore[arg-type]


def city(*sensors: Sensor, area: Area = AREA, name: str = "Đà Nẵng") -> City:
    return City(name, ZoneInfo("Asia/Ho_Chi_Minh"), {area.code: area}, {}, {s.id: s for s in sensors})


def rules(statistic: Statistic, window_ms: int, hazard: str = "flood", quantity: str = "street_depth") -> Rules:
    return Rules((Rule("r", hazard, quantity, Judgement(statistic, window_ms, True, NAN4, NAN4)),))


def notice(reason: Reason, level: int, before: int = 0, hazard: str = "flood", value: float | None = 0.324) -> Notice:
    cause = None if reason in ENDS else Member("s", "r", level, AT, value)
    return Notice("i", 1, reason, hazard, AREA.code, level, before, AT, AT + 1_800_000, cause)


CASES = [
    (reason, level, before)
    for reason, level, before in product(Reason, range(5), range(5))
    if (reason is Reason.FIRST and level and not before)
    or (reason is Reason.WORSE and level > before > 0)
    or (reason is Reason.EASED and 0 < level < before)
    or (reason is Reason.OVER and not level and before)
]
QUANTITY = {"rain": "rain", "flood": "street_depth", "power": "voltage", "school": "co2", "toilet": "ammonia"}
ALL = [(hazard, *case) for hazard in (*HAZARDS["vi"], "sạt lở") for case in CASES]
# Words of others, orders that two persons give, and everything that speaks of what is still to come.
NEVER = re.compile(
    r"cấp\s*(\d|I|V)|báo động|sơ tán|evacuat|dự báo|dự kiến|forecast|expected|\bsẽ\b|\bwill\b|khí tượng|\n",
    re.IGNORECASE,
)


@pytest.mark.parametrize(("hazard", "reason", "level", "before"), ALL)
def test_every_text_is_short_names_its_area_and_keeps_to_our_own_words(
    hazard: str, reason: Reason, level: int, before: int
) -> None:
    quantity = QUANTITY.get(hazard, "water_level")
    town, law = city(sensor(quantity)), rules(Statistic.MEAN, 180_000, hazard, quantity)
    texts: dict[Lang, str] = {}
    for lang in LANGS:
        text = texts[lang] = sentence(notice(reason, level, before, hazard), town, law, lang)
        assert 40 < len(text) <= TEXT_MOST
        assert (AREA.name if lang == "vi" else AREA.name_en) in text
        assert LEVELS[lang][level] in text
        assert LEVELS[lang][before] in text or reason is Reason.OVER
        assert "14" in text
        assert "15:03" in text
        assert not NEVER.search(text)
    assert texts["vi"] != texts["en"]


def test_a_warning_reads_as_a_person_would_say_it() -> None:
    town, law = city(sensor("street_depth")), rules(Statistic.MEAN, 180_000)

    assert sentence(notice(Reason.FIRST, 3), town, law, "vi") == (
        "Nguy hiểm: ngập lụt quanh Hồ Thạc Gián (Hải Châu). Cảm biến của thành phố đo được ngập đường 0,32 m "
        "(trung bình 3 phút) lúc 15:03 14/10. Ô tô con không an toàn; trẻ em, người già dễ bị nước cuốn. "
        "Không lội, không lái xe qua nước; ngắt điện tầng dưới; lên chỗ cao. Tin tiếp: trang cảnh báo của Đà Nẵng."
    )
    assert sentence(notice(Reason.WORSE, 3, 2), town, law, "en", page_url="https://x.vn/") == (
        "Danger: flooding around Hồ Thạc Gián (Hai Chau) is worse (before: Warning). A city sensor measured "
        "street depth 0.32 m (mean over 3 minutes) at 15:03, 14 Oct. Small cars are unsafe; water can sweep children "
        "and old people away. Do not walk or drive through water; cut downstairs power; go higher. "
        "Updates: https://x.vn/"
    )


def test_the_end_says_since_when_and_what_remains() -> None:
    over = notice(Reason.OVER, 0, 3)

    assert sentence(over, city(), Rules(), "vi").startswith(
        "Hết cảnh báo ngập lụt tại Hải Châu. Cảm biến của thành phố không còn ở mức cảnh báo từ 15:03 14/10. "
        "Nước, bùn hoặc dây điện hở có thể vẫn còn. Hãy cẩn thận"
    )
    assert "Water, mud or live wires may remain" in sentence(over, city(), Rules(), "en")
    assert "mud" not in sentence(replace(over, hazard="school"), city(), Rules(), "en")
    assert "mud" not in sentence(replace(over, previous_level=2), city(), Rules(), "en"), "it never was dangerous"
    assert "mud" in sentence(replace(over, previous_level=2, peak=3), city(), Rules(), "en"), "it was, before it eased"


def test_an_end_that_nobody_measured_does_not_say_that_it_is_safe() -> None:
    unmeasured = replace(notice(Reason.OVER, 0, 2), withheld=Withheld.UNMEASURED)

    assert "chưa thể nói là an toàn" in sentence(unmeasured, city(), Rules(), "vi")
    assert "không còn ở mức cảnh báo" not in sentence(unmeasured, city(), Rules(), "vi")


def test_an_end_by_a_person_says_so() -> None:
    assert "Trực ban của thành phố xác nhận đã hết" in sentence(
        replace(notice(Reason.OVER, 0, 2), by="an"), city(), Rules(), "vi"
    )


@pytest.mark.parametrize(
    ("statistic", "vi", "en"),
    [
        (Statistic.LAST, "53,7 mm lúc", "53.7 mm at"),
        (Statistic.SUM, "53,7 mm trong 1 giờ", "53.7 mm in 1 hour"),
        (Statistic.MAX, "53,7 mm (cao nhất trong 1 giờ)", "53.7 mm (highest in 1 hour)"),
        (Statistic.MIN, "53,7 mm (thấp nhất trong 1 giờ)", "53.7 mm (lowest in 1 hour)"),
        (Statistic.RISE, "tăng 53,7 mm mỗi giờ", "rising 53.7 mm per hour"),
        (Statistic.COUNT, "54 lần đo trong 1 giờ", "54 readings in 1 hour"),
    ],
)
def test_a_value_stands_with_its_unit_and_its_window(statistic: Statistic, vi: str, en: str) -> None:
    town, law = city(sensor("rain")), rules(statistic, 3_600_000, "rain", "rain")
    told = notice(Reason.FIRST, 3, hazard="rain", value=53.66)

    assert vi in sentence(told, town, law, "vi")
    assert en in sentence(told, town, law, "en")


def test_a_value_that_is_not_public_is_not_told_and_neither_is_its_place() -> None:
    told = notice(Reason.FIRST, 3, hazard="school", value=2600.0)
    text = sentence(told, city(sensor("co2")), rules(Statistic.MEAN, 900_000, "school", "co2"), "vi")

    assert "2600" not in text
    assert "Thạc Gián" not in text
    assert "ở một số nơi thuộc Hải Châu. Cảm biến của thành phố ghi nhận lúc 15:03 14/10." in text


def test_an_exercise_is_the_first_word() -> None:
    for lang, word in (("vi", "DIỄN TẬP"), ("en", "EXERCISE")):
        assert sentence(notice(Reason.OVER, 0, 1), city(), Rules(), lang, exercise=True).startswith(word)  # type: ignore[arg-type]
        assert word not in sentence(notice(Reason.OVER, 0, 1), city(), Rules(), lang)  # type: ignore[arg-type]


def test_a_station_is_the_source_and_low_places_by_the_river_are_the_place() -> None:
    gauge = replace(sensor("water_level"), place="trạm Cẩm Lệ, sông Hàn")
    told = notice(Reason.FIRST, 3, value=2.55)
    text = sentence(told, city(gauge), rules(Statistic.LAST, 0, quantity="water_level"), "vi")

    assert text.startswith(
        "Nguy hiểm: nước sông lên cao ở nơi thấp ven sông thuộc Hải Châu. "
        "Trạm Cẩm Lệ, sông Hàn đo được mực nước sông 2,55 m lúc 15:03 14/10. Nước có thể vào nhà"
    )
    elsewhere = replace(sensor("rain"), area="B", affects=("B", AREA.code))
    text = sentence(replace(told, hazard="rain"), city(elsewhere), Rules(), "vi")
    assert "mưa lớn ở một số nơi thuộc Hải Châu. Cảm biến của thành phố tại Hồ Thạc Gián đo được" in text


@pytest.mark.parametrize(
    ("by", "vi", "en"),
    [
        (Confirmation.SOLE, "Chỉ một trạm ghi nhận, chưa có trạm khác", "One station only, not confirmed by others."),
        (Confirmation.UNATTENDED, "Chỉ một trạm ghi nhận, người trực chưa", "One station only, not yet checked"),
        (Confirmation.NEIGHBOUR, "", ""),
    ],
)
def test_one_station_alone_is_told(by: Confirmation, vi: str, en: str) -> None:
    told = notice(Reason.FIRST, 2)
    assert told.cause is not None
    told = replace(told, cause=replace(told.cause, by=by))
    for lang, words in (("vi", vi), ("en", en)):
        text = sentence(told, city(sensor("street_depth")), rules(Statistic.LAST, 0), lang)  # type: ignore[arg-type]
        assert words in text
        assert ("một trạm" in text or "One station" in text) == bool(words)


def test_what_is_taken_back_is_called_an_error_with_an_apology() -> None:
    text = sentence(replace(notice(Reason.WITHDRAWN, 0, 3), by="an"), city(), Rules(), "vi")

    assert text.startswith("Rút lại cảnh báo ngập lụt tại Hải Châu. Cảnh báo đó là nhầm, thành thật xin lỗi. Trực ban")


def test_a_drill_that_stops_says_that_there_is_a_real_warning() -> None:
    text = sentence(notice(Reason.STOPPED, 0, 3), city(), Rules(), "vi")

    assert text.startswith("DIỄN TẬP. Dừng diễn tập ngập lụt tại Hải Châu.")
    assert "Hiện có cảnh báo thật ở đây. Hãy làm theo cảnh báo thật" in text


def test_a_vanished_area_sensor_or_rule_leaves_the_text_readable() -> None:
    empty = City("Town", ZoneInfo("UTC"))

    assert sentence(notice(Reason.FIRST, 2), empty, Rules(), "vi").startswith(
        "Đề phòng: ngập lụt ở một số nơi thuộc 20242. Cảm biến"
    )
    assert "0,32 m lúc" in sentence(notice(Reason.FIRST, 2), city(sensor("street_depth")), Rules(), "vi")


named = st.text(max_size=400)


@given(st.tuples(named, named, named, named), st.sampled_from(CASES), st.floats(allow_nan=False, allow_infinity=False))
def test_no_name_makes_a_text_long_or_breaks_its_line(
    names: tuple[str, str, str, str], case: tuple[Reason, int, int], value: float
) -> None:
    area, place, town, hazard = names
    there = city(replace(sensor("rain"), place=place), area=Area(AREA.code, area), name=town)
    told = notice(*case, hazard, value)

    for lang in LANGS:
        text = sentence(told, there, rules(Statistic.SUM, 600_000), lang, page_url="https://example.vn/" + "x" * 60)
        assert 0 < len(text) <= TEXT_MOST
        assert text.isprintable()
    assert situation(Area("x", area), [], "vi").isprintable()


def test_the_longest_names_are_cut_and_what_to_do_is_not() -> None:
    long = "Rất dài " * 50
    there = city(replace(sensor("rain"), place=long), area=Area(AREA.code, long), name=long)
    text = sentence(notice(Reason.WORSE, 4, 1, long), there, rules(Statistic.SUM, 600_000), "vi")

    assert len(text) <= TEXT_MOST
    assert "Tránh xa ngay" in text


def incident(level: int, hazard: str, **more: object) -> Incident:
    member = Member("s", "r", level, AT, 0.3)
    row = Incident(f"{hazard}-1", hazard, AREA.code, level, level, 1, AT, AT, None, (member,))
    return replace(row, **more)  # type: ignore[arg-type]


def test_the_situation_is_one_sentence_the_worst_first() -> None:
    here = [incident(1, "rain"), incident(3, "flood"), incident(4, "power", closed_at=AT), incident(4, "x", area="B")]

    assert situation(AREA, here, "vi") == "Hải Châu: Nguy hiểm – ngập lụt; Chú ý – mưa lớn."
    assert situation(AREA, here, "en") == "Hai Chau: Danger – flooding; Advisory – heavy rain."
    assert situation(AREA, [], "vi") == "Hiện không có cảnh báo nào ở Hải Châu."
    assert situation(AREA, [], "en") == "No warnings in Hai Chau right now."


def test_the_situation_knows_neither_drills_nor_what_nobody_published() -> None:
    hidden = [incident(3, "flood", version=0), incident(3, "rain", drill=True)]

    assert situation(AREA, hidden, "vi") == "Hiện không có cảnh báo nào ở Hải Châu."


def test_what_a_person_said_is_not_taken_for_quiet_sensors() -> None:
    by_hand = incident(3, "storm", members=(), hand=Hand("storm", 3, AT, "an"))

    assert situation(AREA, [by_hand], "vi") == "Hải Châu: Nguy hiểm – bão."


def test_the_situation_says_when_sensors_have_fallen_quiet() -> None:
    assert situation(AREA, [incident(3, "flood", members=())], "vi") == (
        "Hải Châu: Nguy hiểm – ngập lụt (cảm biến không còn ở mức cảnh báo)."
    )


def test_every_area_of_the_default_city_has_its_sentence() -> None:
    default = parse_city(DEFAULT_CITY_FILE.read_text(encoding="utf-8"))
    for area in default.areas.values():
        told = replace(notice(Reason.FIRST, 4), area=area.code)
        for lang in LANGS:
            assert (area.name_en if lang == "en" else area.name) in sentence(told, default, Rules(), lang)


def test_numbers_and_spans_are_written_as_people_write_them() -> None:
    assert [number(-0.04, 1, "vi"), number(1234.56, 1, "en"), number(7.0, 0, "vi")] == ["0,0", "1234.6", "7"]
    assert [duration(ms, "vi") for ms in (600_000, 86_400_000, 90_000)] == ["10 phút", "24 giờ", "90 giây"]
    assert [duration(ms, "en") for ms in (60_000, 3_600_000)] == ["1 minute", "1 hour"]


def test_a_message_carries_both_languages_and_local_time() -> None:
    body = message(notice(Reason.FIRST, 2), city(sensor("street_depth")), rules(Statistic.LAST, 0), exercise=True)

    assert (body["incident"], body["version"], body["reason"], body["level"]) == ("i", 1, "first", 2)
    assert body["at"] == "2022-10-14T15:03:00.000+07:00"
    assert body["exercise"] is True
    assert set(body["texts"]) == set(body["long"]) == set(body["spoken"]) == {"vi", "en"}
    assert body["texts"]["vi"].startswith("DIỄN TẬP. Đề phòng: ngập lụt")
    assert body["sms"]["vi"]["text"].startswith("DIEN TAP. De phong: ngap lut quanh Ho Thac Gian (Hai Chau).")
    assert body["sms"]["vi"]["segments"] == 2


def test_a_bare_message_needs_nothing_but_the_notice() -> None:
    body = bare_message(notice(Reason.WORSE, 4, 2))

    assert body["texts"] == {"vi": "Khẩn cấp: ngập lụt, 20242.", "en": "Emergency: flooding, 20242."}
    drill = bare_message(replace(notice(Reason.WORSE, 4, 2), drill=True))["texts"]
    assert drill == {"vi": "DIỄN TẬP. Khẩn cấp: ngập lụt, 20242.", "en": "EXERCISE. Emergency: flooding, 20242."}
