"""Warnings by hand: what each template asks for, what it says, and what is refused before anything is published."""

from dataclasses import replace

import pytest
from worded import AT, HANDS, by_hand, city, composed, notice, rules

from alerts.incidents.incident import Hand, Reason
from alerts.words.hand import TEMPLATES, check_hand
from alerts.words.hand_parts import hand_action
from alerts.words.hand_table import ROWS
from alerts.words.lint import faults
from alerts.words.names import HAND_HAZARDS, LANGS
from alerts.words.subject import subject

UNTIL = AT + 36_000_000


def hand(template: str, level: int = 3, **fields: str) -> Hand:
    return Hand(template, level, UNTIL, "an", tuple((HANDS[template] | fields).items()))


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_template_asks_for_is_enough_at_each_of_its_levels(template: str) -> None:
    for level in TEMPLATES[template].levels:
        hazard = TEMPLATES[template].hazard or "flood"
        assert check_hand(hand(template, level), hazard) == hazard


def test_every_template_has_its_rows_at_each_level_and_its_hazard_a_name() -> None:
    own = {name: template for name, template in TEMPLATES.items() if template.hazard}
    for lang in LANGS:
        assert set(ROWS[lang]) == set(own) == set(HAND_HAZARDS[lang])
        assert {name: set(row.levels) for name, row in ROWS[lang].items()} == {
            name: set(template.levels) for name, template in own.items()
        }


WRONG = [
    (replace(hand("storm"), template="volcano"), "template: found 'volcano', expected one of seen, storm"),
    (hand("school_closure", 4), "level: found 4, expected one of 1, 2, 3 for school_closure"),
    (hand("evacuation", 2), "level: found 2, expected one of 3, 4"),
    (replace(hand("storm"), until=0), "until: found 0, expected"),
    (replace(hand("storm"), fields=()), "name: found '', expected a text, not empty"),
    (hand("landslide", where="  "), "where: found '  ', expected a text"),
    (hand("reservoir", **{"from": ""}), "from: found '', expected a moment"),
    (hand("landslide", shelter="x"), "shelter: found 'a field', expected for landslide only where, where_en"),
    (replace(hand("landslide"), fields=(("where", "a"), ("where", "b"))), "where: found 'given twice'"),
    (hand("landslide", where="x" * 49), "where: found '49 characters', expected at most 48"),
    (hand("landslide", where="a\nb"), "where: found 'a\\nb', expected one line"),
    (hand("landslide", where="a\u202eb"), "where: found 'a\\u202eb', expected one line"),
    (hand("landslide", where="<b>a</b>"), "where: found '<b>a</b>', expected plain text"),
    (hand("landslide", where="đèo, cấp 3"), "where: found 'đèo, cấp 3', expected a text without an official scale"),
    (hand("storm", name="số 12, dự báo mạnh lên"), "expected a text without a forecast: 'dự báo'"),
    (hand("storm", where="sơ tán ven biển"), "expected a text without an order to evacuate: 'sơ tán'"),
    (hand("storm", where_en="evacuate the coast"), "where_en: found 'evacuate the coast'"),
    (hand("storm", **{"from": "18:00"}), "from: found '18:00', expected a moment with its zone"),
    (hand("storm", **{"from": "2022-10-14T18:00:00"}), "from: found '2022-10-14T18:00:00', expected a moment"),
    (hand("storm", **{"from": "0001-01-01T00:00:00+14:00"}), "expected a moment with its zone"),
    (hand("school_closure", until="2022-10-15T05:00:00+07:00"), "expected a moment after from"),
    (hand("landslide", where="x" * 5000), "where: found '5000 characters'"),
    (hand("landslide", **{"y" * 5000: "x"}), "found 'a field'"),
]


@pytest.mark.parametrize(("given", "why"), WRONG)
def test_what_does_not_fit_is_refused_with_field_found_and_expected(given: Hand, why: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        check_hand(given)
    assert why in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_template_is_for_its_own_hazard() -> None:
    assert check_hand(hand("seen"), "chay-rung") == "chay-rung"
    assert check_hand(hand("storm")) == "storm"
    with pytest.raises(ValueError, match="hazard: found 'rain', expected storm for storm"):
        check_hand(hand("storm"), "rain")


@pytest.mark.parametrize("hazard", ["", "evacuation", "storm", "evacuate-now", "a/b", "#", "Mưa", "x" * 65])
def test_no_other_template_gives_an_order_to_evacuate_and_no_hazard_breaks_a_topic(hazard: str) -> None:
    with pytest.raises(ValueError, match="hazard: found"):
        check_hand(hand("seen"), hazard)


def test_no_rule_gives_an_order_to_evacuate_by_its_name() -> None:
    told = notice(Reason.FIRST, 4, hazard="evacuation")
    texts = composed(told, city(), rules("evacuation", "rain"))

    assert not faults(texts, subject(told, city()))
    assert "sơ tán" not in texts["vi"].long + texts["vi"].spoken
    assert "evacuat" not in texts["en"].long


def test_an_evacuation_says_from_where_to_where_and_by_when_in_every_form() -> None:
    texts = composed(by_hand("evacuation", Reason.FIRST, 4), city(), rules("rain", "rain"))

    assert texts["vi"].short.startswith(
        "Khẩn cấp: yêu cầu sơ tán khỏi tổ 12, 13 (Hải Châu). Trực ban của thành phố thông báo lúc 15:03 14/10. "
    )
    assert "Đến Trường THCS Lê Lợi trước 18:00 14/10. Đi ngay;" in texts["vi"].short
    assert "Đến Trường trung học cơ sở Lê Lợi trước mười tám giờ, ngày mười bốn tháng mười." in texts["vi"].spoken
    assert "Den Truong THCS Le Loi truoc 18:00 14/10." in texts["vi"].sms.text
    assert "Go to Trường THCS Lê Lợi before 18:00, 14 Oct. Go now;" in texts["en"].instruction


def test_what_is_given_in_english_stands_in_the_english_text_alone() -> None:
    texts = composed(by_hand("landslide", Reason.FIRST, 3), city(), rules("rain", "rain"))

    assert texts["en"].headline == "Danger: landslide at Hai Van pass, km 905 (Hai Chau)"
    assert texts["vi"].headline == "Nguy hiểm: sạt lở đất ở đèo Hải Vân, km 905 (Hải Châu)"


def test_the_kind_of_thing_is_not_said_twice_and_moments_are_told() -> None:
    storm = composed(by_hand("storm", Reason.FIRST, 3), city(), rules("rain", "rain"))["vi"].short
    water = composed(by_hand("reservoir", Reason.WORSE, 4, 3), city(), rules("rain", "rain"))["vi"].short

    assert storm.startswith("Nguy hiểm: bão số 12 (Kalmaegi) ở ven biển (Hải Châu).")
    assert "Từ 18:00 14/10. Có hiệu lực đến 01:03 15/10 nếu không có tin mới." in storm
    assert water.startswith("Khẩn cấp, nặng hơn")
    assert "hồ A Vương xả nước xuống hạ du (Hải Châu)." in water
    assert "Xả xuống sông Vu Gia từ 18:00 14/10." in water


def test_the_end_of_an_evacuation_sends_nobody_home_by_itself() -> None:
    text = composed(by_hand("evacuation", Reason.OVER, 0, 4), city(), rules("rain", "rain"))["vi"].short

    assert text.startswith("Hết hiệu lực: yêu cầu sơ tán khỏi tổ 12, 13")
    assert "Chỉ về nhà khi người phụ trách nơi tránh trú cho phép." in text
    assert "Đến Trường" not in text


def test_a_level_that_a_template_does_not_know_has_words_nevertheless() -> None:
    """A person may ease it below what it was made for; a record of the past may lack a field."""
    eased = by_hand("evacuation", Reason.EASED, 1, 4)
    bare = replace(eased, hand=Hand("storm", 4, UNTIL, "an"))

    assert "sơ tán" in composed(eased, city(), rules("rain", "rain"))["vi"].short
    assert "bão" in composed(bare, city(), rules("rain", "rain"))["vi"].short
    assert hand_action(hand("seen"), "flood", 3, "en").startswith("Do not walk")
