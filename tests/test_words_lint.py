"""Every text that we make passes the linter, and the linter refuses every text that lacks something."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from worded import AREA, HANDS, MEASURED, STATES, by_hand, city, composed, notice, outage, rules, sensor
from words_table import PAGE, page

from alerts.incidents.incident import ENDS, Confirmation, Reason
from alerts.words.city_event import city_message
from alerts.words.hand import TEMPLATES
from alerts.words.lint import faults
from alerts.words.names import LANGS, Lang
from alerts.words.sms import Sms, sms
from alerts.words.subject import ELEMENTS, Subject, city_subject, subject
from alerts.words.texts import EXERCISE, TEXT_MOST, Texts
from ingest.city import Area

URL = "https://canhbao.danang.gov.vn/"
CODE = "Kiểm tra: https://canhbao.danang.gov.vn/v/ABCD2345"
# Whether its sensor is public, and by what it is confirmed.
HOW = (
    (True, Confirmation.NEIGHBOUR), (True, Confirmation.SOLE), (True, Confirmation.UNATTENDED),
    (False, Confirmation.SOLE),
)  # fmt: skip


@pytest.mark.parametrize("kind", MEASURED)
@pytest.mark.parametrize("drill", [False, True])
def test_whatever_sensors_measured_every_text_says_all_that_it_has_to(kind: str, drill: bool) -> None:
    hazard, quantity = MEASURED[kind]
    law = rules(hazard, quantity)
    made = set()
    for state in STATES:
        for public, by in HOW if state[0] not in ENDS else HOW[:1]:
            there = city(sensor(quantity, public=public))
            told = replace(notice(*state, hazard, by), drill=drill)
            texts = composed(told, there, law)
            assert not faults(texts, subject(told, there)), (told, texts)
            made.add(texts["vi"].short)
    assert len(made) > 45


@pytest.mark.parametrize("template", HANDS)
def test_whatever_a_person_says_from_a_template_is_whole(template: str) -> None:
    there = city()
    for reason, level, before in STATES:
        if level in TEMPLATES[template].levels or reason in ENDS:
            for drill in (False, True):
                told = replace(by_hand(template, reason, level, before), drill=drill)
                texts = composed(told, there, rules("rain", "rain"))
                assert not faults(texts, subject(told, there)), (told, texts)


PLANNED = (
    (Reason.PLANNED, False), (Reason.MOVED, False), (Reason.MOVED, True), (Reason.CALLED_OFF, False),
    (Reason.CALLED_OFF, True),
)  # fmt: skip


@pytest.mark.parametrize(
    "why", ["PC Đà Nẵng: thay máy biến áp T2 trạm Hòa Khánh 2, tuyến 471" * 3, "dự kiến sơ tán", "x"]
)
@pytest.mark.parametrize("place", ["", "Trạm biến áp Nguyễn Văn Linh số 2 dãy nhà phía sau chợ mới"])
@pytest.mark.parametrize("area", [AREA, Area("20242", "Phường Hòa Khánh Bắc cũ và cả khu dân cư mới phía tây")])
def test_of_a_planned_outage_every_text_says_all_that_it_has_to(why: str, place: str, area: Area) -> None:
    """However long, or unfit to be said, what an operator has written is."""
    there = city(sensor("power", place), area=area)
    for reason, late in PLANNED:
        for hours, again, drill in ((3.5, True, False), (30, False, False), (3.5, False, True)):
            told = outage(reason, hours=hours, late=late, why=why[:200], sensor="s" if place else "", again=again)
            told = replace(told, drill=drill)
            texts = composed(told, there, rules("power", "power"), page_url=URL, code=CODE)
            assert not faults(texts, subject(told, there)), (told, texts)
            assert texts["vi"].short.endswith(CODE)


@pytest.mark.parametrize("count", [2, 94])
@pytest.mark.parametrize(("reason", "late"), PLANNED)
def test_of_a_planned_outage_in_several_areas_one_message_names_them(count: int, reason: Reason, late: bool) -> None:
    areas = {str(n): Area(str(n), f"Phường số {n} có tên thật dài", f"Ward {n}") for n in range(count)}
    there = replace(city(), areas=areas)
    told = [replace(outage(reason, late=late), area=code, incident=f"outage-1.{code}") for code in areas]
    texts = {lang: city_message(told, there, lang, page_url=URL, code=CODE) for lang in LANGS}

    assert not faults(texts, city_subject(told, there)), texts
    assert ("nơi khác" in texts["vi"].short) == (count == 94)


def test_who_is_told_before_hears_who_says_so_from_when_until_when_and_when_next() -> None:
    there = city(sensor("power"))
    texts = composed(outage(Reason.PLANNED, again=True), there, rules("power", "power"), page_url=URL)
    assert texts["vi"].short == (
        "Báo trước: cắt điện theo kế hoạch ở một số nơi thuộc Hải Châu. Từ 08:00 đến 11:30 15/10, "
        "theo PC Đà Nẵng: thay máy biến áp. Nhắc lại 1 giờ trước khi cắt. Không có điện; thang máy, máy bơm ngừng. "
        "Sạc thiết bị y tế; trữ nước; ít mở tủ đông; không đi thang máy lúc cắt. Tin tiếp: https://canhbao.danang.gov.vn/"
    )
    assert "on October the fifteenth" in texts["en"].spoken
    assert "eight o’clock in the morning" in texts["en"].spoken


@pytest.mark.parametrize("by", [Confirmation.NEIGHBOUR, Confirmation.SOLE])
def test_what_has_overrun_says_so_in_every_form(by: Confirmation) -> None:
    there = city(sensor("voltage"))
    told = notice(Reason.FIRST, 2, hazard="power", by=by)
    assert told.cause is not None
    told = replace(told, cause=replace(told.cause, overran=told.at - 600_000))
    texts = composed(told, there, rules("power", "voltage"), page_url=URL, code=CODE)

    assert not faults(texts, subject(told, there)), texts
    for form in ("short", "long", "description", "spoken"):
        assert "quá giờ hẹn" in getattr(texts["vi"], form)
        assert "has overrun" in getattr(texts["en"], form)
    assert "qua gio hen" in texts["vi"].sms.text


@pytest.mark.parametrize("count", [1, 2, 5, 94])
@pytest.mark.parametrize("reason", [Reason.FIRST, Reason.OVER])
def test_one_message_for_a_city_event_names_what_fits_and_counts_the_rest(count: int, reason: Reason) -> None:
    areas = {str(n): Area(str(n), f"Phường số {n} có tên thật dài", f"Ward {n}") for n in range(count)}
    there = replace(city(), areas=areas)
    level = 4 if reason is Reason.FIRST else 0
    told = [replace(notice(reason, level, 3 * (not level)), area=code, event="e", cause=None) for code in areas]
    texts = {lang: city_message(told, there, lang, page_url="https://x.vn/") for lang in LANGS}

    assert not faults(texts, city_subject(told, there)), texts
    if count == 94:
        assert "nơi khác." in texts["vi"].short
        assert "nơi khác." in texts["vi"].spoken
        assert "more" in texts["en"].short
    if count == 2:
        assert "số 0" in texts["vi"].short
        assert "số 1" in texts["vi"].short


def test_of_a_city_event_the_worst_is_told_and_what_is_over_waits() -> None:
    there = replace(city(), areas={code: Area(code, f"Phường {code}") for code in "ABC"})
    told = [
        replace(notice(Reason.OVER, 0, 3, "rain"), area="A", event="e"),
        replace(notice(Reason.FIRST, 3, 0, "rain"), area="B", event="e"),
        replace(notice(Reason.WORSE, 4, 3, "flood"), area="C", event="e"),
    ]
    text = city_message(told, there, "vi", code="Mã: ABCD2345.").short

    assert text.startswith("Khẩn cấp: ngập lụt, mưa lớn ở một số nơi thuộc Phường C, Phường B. Cảm biến")
    assert "Phường A" not in text
    assert text.endswith("Mã: ABCD2345.")


# ---- what the linter refuses

FORMS = ("short", "long", "spoken", "sms")


def whole(*, drill: bool = False) -> tuple[dict[Lang, Texts], Subject]:
    there = city(sensor("street_depth"))
    told = replace(notice(Reason.FIRST, 3), drill=drill)
    return composed(told, there, rules("flood", "street_depth")), subject(told, there)


def changed(texts: Texts, form: str, change: Callable[[str], str]) -> Texts:
    if form == "sms":
        text = change(texts.sms.text)
        return replace(texts, sms=Sms(text, sms(text).segments))
    return replace(texts, **{form: change(getattr(texts, form))})


def without(text: str, phrases: tuple[str, ...]) -> str:
    for phrase in phrases:
        at = text.casefold().find(phrase.casefold())
        while at >= 0:
            text = text[:at] + text[at + len(phrase) :]
            at = text.casefold().find(phrase.casefold())
    return text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("lang", LANGS)
def test_a_missing_element_is_seen_in_every_form(element: str, form: str, lang: Lang) -> None:
    texts, said = whole()
    phrases = (said.spoken if form == "spoken" else said.written)[lang][element]
    if form == "sms":
        phrases = tuple(sms(phrase).text for phrase in phrases)
    texts[lang] = changed(texts[lang], form, lambda text: without(text, phrases))

    assert faults(texts, said) == [f"{lang} {form}: no {element}"]


@pytest.mark.parametrize(
    ("form", "element"),
    [("headline", "hazard"), ("headline", "place"), ("description", "source"), ("description", "impact"),
     ("description", "time"), ("instruction", "action"), ("instruction", "next")],
)  # fmt: skip
def test_so_it_is_in_what_cap_takes_apart(form: str, element: str) -> None:
    texts, said = whole()
    texts["en"] = changed(texts["en"], form, lambda text: without(text, said.written["en"][element]))

    assert faults(texts, said) == [f"en {form}: no {element}"]


def test_an_element_that_nobody_has_words_for_is_missing() -> None:
    texts, said = whole()
    empty = replace(said, written={lang: {**said.written[lang], "impact": ("",)} for lang in LANGS})

    assert "vi short: no impact" in faults(texts, empty)


def test_the_words_of_another_level_are_no_impact_and_no_action_of_this_one() -> None:
    _, said = whole()
    there = city(sensor("street_depth"))
    milder = composed(notice(Reason.FIRST, 2), there, rules("flood", "street_depth"))

    assert {"vi short: no impact", "vi spoken: no action"} <= set(faults(milder, said))


def test_a_missing_language_and_the_same_text_in_both_are_refused() -> None:
    texts, said = whole()

    assert faults({"vi": texts["vi"]}, said) == ["en: missing"]
    same = {"vi": texts["vi"], "en": texts["vi"]}
    assert "short: the same in both languages" in faults(same, said)
    assert "spoken: the same in both languages" in faults(same, said)


APPENDED = [
    ("short", " Báo động III.", "an official scale"),
    ("long", " Mưa cấp 3.", "an official scale"),
    ("description", " Rủi ro cấp độ 3.", "an official scale"),
    ("spoken", " Gió cấp tám.", ""),  # nobody counts so: only figures and the office's own words are looked for
    ("short", " Nước sẽ lên.", "a forecast"),
    ("spoken", " Water will rise.", "a forecast"),
    ("sms", " It is expected to rise.", "a forecast"),
    ("instruction", " Theo Đài Khí tượng.", "the name of the hydromet office"),
    ("short", " <b>x</b>", "markup"),
    ("long", " &nbsp;", "markup"),
    ("short", "\n", "a control character"),
    ("short", "\u202e", "a control character"),
    ("long", "\nx", "a control character"),
    ("headline", " " + "x" * 160, "at most 160"),
    ("short", " " + "x" * 200, f"at most {TEXT_MOST}"),
    ("long", " x" * 2000, "at most 4000"),
    ("spoken", " Gọi 114.", "'1' cannot be said"),
    ("spoken", " 50%", "cannot be said"),
    ("spoken", " Xem canhbao.vn", "an address or abbreviation"),
    ("sms", " ngập", "outside the alphabet of GSM"),
    ("sms", " x" * 90, "segments, at most 3"),
    ("short", " Hãy sơ tán.", "an order to evacuate"),
    ("spoken", " Evacuate now.", "an order to evacuate"),
    ("long", " Ngập lụt ở Hải Châu.", "a whole area"),
]


@pytest.mark.parametrize(("form", "more", "fault"), APPENDED)
def test_what_must_not_be_said_is_refused(form: str, more: str, fault: str) -> None:
    texts, said = whole()
    texts["vi"] = changed(texts["vi"], form, lambda text: text + more)
    found = faults(texts, said)

    assert bool(found) == bool(fault)
    assert all(line.startswith(f"vi {form}: ") for line in found)
    assert any(fault in line for line in found) or not fault


def test_a_wrong_count_of_segments_is_refused() -> None:
    texts, said = whole()
    texts["vi"] = replace(texts["vi"], sms=replace(texts["vi"].sms, segments=1))

    assert faults(texts, said) == ["vi sms: 1 segments, it has 2"]


@pytest.mark.parametrize("form", [*FORMS, "headline", "description", "instruction"])
def test_an_exercise_that_does_not_say_so_first_is_refused_and_so_is_a_real_warning_that_does(form: str) -> None:
    texts, said = whole(drill=True)
    word = "DIEN TAP" if form == "sms" else EXERCISE["vi"]
    texts["vi"] = changed(texts["vi"], form, lambda text: "Tin: " + text)
    assert faults(texts, said) == [f"vi {form}: {word} is not the first word"]

    real, said = whole()
    real["vi"] = changed(real["vi"], form, lambda text: f"{word}. {text}")
    assert faults(real, said) == [f"vi {form}: {word}, and it is none"]


@pytest.mark.parametrize("form", ["headline", *FORMS])
def test_nothing_at_all_is_refused(form: str) -> None:
    texts, said = whole()
    texts["vi"] = changed(texts["vi"], form, lambda _: " ")

    assert f"vi {form}: empty" in faults(texts, said)


def test_only_the_evacuation_may_say_it() -> None:
    told = by_hand("evacuation", Reason.FIRST, 4)
    texts = composed(told, city(), rules("rain", "rain"))
    as_storm = subject(replace(told, hand=replace(told.hand, template="storm")), city())  # type: ignore[type-var]

    assert any("an order to evacuate" in line for line in faults(texts, as_storm))


def test_names_may_hold_what_our_words_may_not() -> None:
    there = city(sensor("street_depth", "Trường cấp 3 Phan Châu Trinh"))
    told = notice(Reason.FIRST, 3)
    texts = composed(told, there, rules("flood", "street_depth"))

    assert "Trường cấp 3" in texts["vi"].short
    assert not faults(texts, subject(told, there))


# A name that looks like an address is refused, and rightly: a loudspeaker would read it out.
names = st.text(max_size=400).filter(lambda name: not re.search("http|www", name, re.IGNORECASE))
LONG = "Thôn Rất Dài " * 9


@given(st.tuples(names, names, names, names), st.sampled_from(STATES), st.floats(), st.sampled_from(HOW))
@example((LONG, LONG, LONG, LONG), (Reason.WORSE, 4, 3), 999_999.0, HOW[2])
@example(("M", "", "", ""), (Reason.FIRST, 1, 0), 0.0, HOW[0])
@example(("", "", "", ""), (Reason.FIRST, 1, 0), float("inf"), HOW[0])
@example((LONG, f"trạm {LONG}", LONG, "flood"), (Reason.WORSE, 3, 2), 1e9, HOW[2])
def test_no_name_and_no_value_makes_a_text_that_the_linter_refuses(
    given_names: tuple[str, str, str, str],
    state: tuple[Reason, int, int],
    value: float,
    how: tuple[bool, Confirmation],
) -> None:
    (area, place, town, hazard), (public, by) = given_names, how
    there = city(sensor("rain", place, public=public), area=Area(AREA.code, area), name=town)
    told = notice(*state, hazard, by)
    if told.cause is not None:
        told = replace(told, cause=replace(told.cause, value=value))
    texts = composed(told, there, rules(hazard, "rain"), page_url="https://example.vn/" + "x" * 60,
                     code="Kiểm tra: https://canhbao.danang.gov.vn/v/ABCD2345")  # fmt: skip

    assert not faults(texts, subject(told, there)), texts
    assert all(text.short.endswith("/v/ABCD2345") for text in texts.values())


@pytest.mark.parametrize("kind", MEASURED)
def test_the_longest_names_and_the_code_leave_every_element_in_the_short_text(kind: str) -> None:
    hazard, quantity = MEASURED[kind]
    there = city(sensor(quantity, LONG), area=Area(AREA.code, LONG, LONG), name=LONG)
    code = "Kiểm tra: https://canhbao.danang.gov.vn/v/ABCD2345"
    for state in STATES:
        told = replace(notice(*state, hazard, Confirmation.UNATTENDED), drill=True)
        texts = composed(told, there, rules(hazard, quantity), page_url="https://canhbao.danang.gov.vn/", code=code)
        assert not faults(texts, subject(told, there)), texts
        assert code in texts["vi"].short


def test_the_documented_texts_are_those_that_are_sent() -> None:
    text = PAGE.read_text("utf-8")

    assert page(text) == text, "python tests/words_table.py"
