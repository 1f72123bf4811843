"""Numbers, units, times and names as loudspeakers say them; short messages as networks count them."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worded import AT, city, composed, notice, rules, sensor

from alerts.incidents.incident import Reason
from alerts.words.sms import GSM, gsm_segments, sms, ucs2_segments
from alerts.words.spelled import decimal, measured, moment, span, spell, whole
from ingest.quantity import CATALOGUE

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")


def test_the_loudspeaker_of_a_ward_says_it_so() -> None:
    there = city(sensor("street_depth", "K12/34 Nguyễn Văn Linh"))
    texts = composed(notice(Reason.FIRST, 4), there, rules("flood", "street_depth"), page_url="https://x.vn/")

    assert texts["vi"].spoken == (
        "Chú ý, chú ý! Đây là thông báo của hệ thống cảnh báo Đà Nẵng. "
        "Cảnh báo mức khẩn cấp: ngập lụt quanh K mười hai trên ba mươi bốn Nguyễn Văn Linh, thuộc Hải Châu. "
        "Cảm biến của thành phố đo được nước ngập đường sâu ba mươi hai xăng-ti-mét "
        "lúc mười lăm giờ ba phút, ngày mười bốn tháng mười. "
        "Nước sâu nguy hiểm cho tất cả mọi người và mọi loại xe. "
        "Lên chỗ cao ngay. Tránh xa dòng nước, dây điện. Gọi một một bốn nếu mắc kẹt. "
        "Tin tiếp theo có trên trang cảnh báo của Đà Nẵng. Xin nhắc lại. "
        "Cảnh báo mức khẩn cấp: ngập lụt quanh K mười hai trên ba mươi bốn Nguyễn Văn Linh, thuộc Hải Châu. "
        "Lên chỗ cao ngay. Tránh xa dòng nước, dây điện. Gọi một một bốn nếu mắc kẹt."
    )
    assert "thirty-two centimetres at three oh three in the afternoon on October the fourteenth" in texts["en"].spoken


@pytest.mark.parametrize(
    ("number", "vi", "en"),
    [
        (0, "không", "zero"),
        (10, "mười", "ten"),
        (15, "mười lăm", "fifteen"),
        (21, "hai mươi mốt", "twenty-one"),
        (55, "năm mươi lăm", "fifty-five"),
        (101, "một trăm lẻ một", "one hundred and one"),
        (115, "một trăm mười lăm", "one hundred and fifteen"),
        (405, "bốn trăm lẻ năm", "four hundred and five"),
        (1005, "một nghìn không trăm lẻ năm", "one thousand and five"),
        (2022, "hai nghìn không trăm hai mươi hai", "two thousand and twenty-two"),
        (12_345, "mười hai nghìn ba trăm bốn mươi lăm", "twelve thousand three hundred and forty-five"),
        (-7, "âm bảy", "minus seven"),
        (1_000_000, "một không không không không không không", "one zero zero zero zero zero zero"),
    ],
)
def test_whole_numbers(number: int, vi: str, en: str) -> None:
    assert (whole(number, "vi"), whole(number, "en")) == (vi, en)


def test_a_decimal_is_read_digit_by_digit() -> None:
    assert decimal(0.05, 2, "vi") == "không phẩy không năm"
    assert decimal(5.62, 2, "vi") == "năm phẩy sáu hai"
    assert decimal(9.10, 2, "en") == "nine point one"
    assert [decimal(value, 2, "vi") for value in (-0.001, -0.5, -3.2)] == [
        "không",
        "âm không phẩy năm",
        "âm ba phẩy hai",
    ]


def test_an_ear_is_told_centimetres_of_a_street_whole_millimetres_of_rain_and_metres_of_a_river() -> None:
    assert measured(0.324, CATALOGUE["street_depth"], "vi") == ("nước ngập đường sâu", "ba mươi hai xăng-ti-mét")
    assert measured(53.7, CATALOGUE["rain"], "vi") == ("lượng mưa", "năm mươi bốn mi-li-mét")
    assert measured(2.55, CATALOGUE["water_level"], "en") == ("a river level of", "two point five five metres")
    assert measured(1.0, CATALOGUE["ammonia"], "vi") is None
    assert (span(3_600_000, "vi"), span(600_000, "en")) == ("một giờ", "ten minutes")


def test_times_of_the_day() -> None:
    on_the_hour, after_midnight = AT - 180_000, AT + 9 * 3_600_000
    assert moment(AT, ZONE, "vi") == "mười lăm giờ ba phút, ngày mười bốn tháng mười"
    assert moment(on_the_hour, ZONE, "vi") == "mười lăm giờ, ngày mười bốn tháng mười"
    assert moment(on_the_hour, ZONE, "en") == "three o’clock in the afternoon on October the fourteenth"
    assert moment(after_midnight, ZONE, "vi") == "không giờ ba phút, ngày mười lăm tháng mười"
    assert moment(after_midnight, ZONE, "en") == "twelve oh three at night on October the fifteenth"
    in_april = AT + 173 * 86_400_000
    assert moment(in_april, ZONE, "vi").endswith("ngày năm tháng tư")
    days = [moment(AT + n * 86_400_000, ZONE, "en").rpartition(" ")[2] for n in (6, 7, 8, 16, 17)]
    assert days == ["twentieth", "twenty-first", "twenty-second", "thirtieth", "thirty-first"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("P. Hòa Cường, TP. Đà Nẵng", "phường Hòa Cường, thành phố Đà Nẵng"),
        ("UBND P. An Hải (cổng sau)", "Ủy ban nhân dân phường An Hải, cổng sau"),
        ("đường 2/9", "đường hai trên chín"),
        ("Đường số 7A; gọi 0905123", "Đường số bảy A. Gọi không chín không năm một hai ba"),
        ("50% – còn lại", "năm mươi phần trăm, còn lại"),
        ("a <b> {c} @ #", "a b c"),
        ("٣", "ba"),
        ("đường 05", "đường không năm"),
    ],
)
def test_names_and_signs(text: str, said: str) -> None:
    assert spell(text, "vi") == said


@given(st.text(max_size=200))
def test_whatever_is_spelled_can_be_said(text: str) -> None:
    for said in (spell(text, "vi"), spell(text, "en")):
        assert all(c.isalpha() or c in " .,!?:;-’" for c in said)
        assert not any(c.isdigit() for c in said)


# ---- short messages


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Đề phòng: ngập lụt ở Hải Châu.", "De phong: ngap lut o Hai Chau."),
        ("Nguyễn Thị Minh Khai – 25 µg/m3, 31 °C, CO₂…", "Nguyen Thi Minh Khai - 25 ug/m3, 31 oC, CO2..."),
        ("[a] {b} ~ | \\ ^ €", "(a) (b) - / /   EUR"),
        ("\u1ea1 a\u0323 中 🌊", "a a ? ?"),
    ],
)
def test_accents_go_and_the_letters_stay(text: str, plain: str) -> None:
    assert sms(text).text == plain


@given(st.text(max_size=500))
def test_a_short_message_is_always_in_the_alphabet_and_counted(text: str) -> None:
    message = sms(text)

    assert set(message.text) <= GSM
    assert message.segments == (-(-len(message.text) // 153) if len(message.text) > 160 else min(len(message.text), 1))


def test_segments_of_gsm_and_of_ucs2() -> None:
    assert [gsm_segments("a" * n) for n in (0, 1, 160, 161, 306, 307, 459, 460)] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert [gsm_segments("€" * n) for n in (80, 81)] == [1, 2], "two septets each"
    assert gsm_segments("a" * 152 + "€" + "a" * 152) == 3, (
        "no character is cut in two: 152, then 1 + 151, then the rest"
    )
    assert [ucs2_segments("ở" * n) for n in (0, 1, 70, 71, 134, 135)] == [0, 1, 1, 2, 2, 3]
    assert ucs2_segments("🌊" * 35) == 1
    assert ucs2_segments("🌊" * 36) == 2
    assert ucs2_segments("🌊" * 67) == 3, "33 pairs to a segment: a pair is never cut in two"


def test_what_accents_would_cost() -> None:
    text = composed(notice(Reason.FIRST, 3), city(sensor("street_depth")), rules("flood", "street_depth"))["vi"]

    assert (text.sms.segments, ucs2_segments(text.short)) == (2, 5)
