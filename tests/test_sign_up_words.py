"""What is said around a subscription: in both languages, short enough to be paid for once, naming nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from faces import town_city

from alerts.people.resident import FLOORS, Choice, Subscription, printable
from alerts.words.names import LANGS, Lang
from alerts.words.proxy import with_proxy
from alerts.words.sign_up import SAID, already_body, code_body, said, terms
from alerts.words.sms import sms

CITY = town_city()
CHOICE = Choice(tuple(Subscription("20242", hazard, floor) for hazard, floor in FLOORS.items()), proxy_for="bà Sáu")
URL = "https://canhbao.example.vn/subscribe#confirm=x"
AGREED: Mapping[Lang, str] = {lang: terms(CHOICE, ["mail"], CITY, lang) for lang in LANGS}


def test_a_code_is_one_short_message_and_stands_in_it_once() -> None:
    body = code_body("042137", CITY, 30, url=URL, linked=False, agreed=AGREED)
    for lang in LANGS:
        assert sms(body["texts"][lang]).segments == 1
        assert body["texts"][lang].count("042137") == 1
        assert "042137" not in body["subject"][lang]  # it is shown on locked screens
    assert (body["kind"], body["code"]) == ("confirm", "042137")


def test_without_an_address_of_ours_there_is_no_link() -> None:
    assert "\n" not in code_body("042137", CITY, 30, url="", linked=True, agreed=AGREED)["texts"]["vi"]
    assert already_body(CITY, 30, url="")["texts"]["en"].endswith("ignore this.")


def test_whoever_confirms_by_a_link_has_read_before_it_what_he_agrees_to() -> None:
    for lang in LANGS:
        text = code_body("042137", CITY, 30, url=URL, linked=True, agreed=AGREED)["texts"][lang]
        assert 0 < text.find(AGREED[lang]) < text.find(URL)


def test_the_same_choice_is_agreed_to_in_the_same_words_whatever_its_order() -> None:
    rows = tuple(Subscription(area, hazard, 2) for area in ("20242", "20227") for hazard in ("rain", "flood"))
    one, other = replace(CHOICE, subscriptions=rows), replace(CHOICE, subscriptions=rows[::-1])
    assert terms(one, ["sms"], CITY, "vi") == terms(other, ["sms"], CITY, "vi")


@pytest.mark.parametrize(("lang", "words"), [
    ("vi", ("Đà Nẵng", "Hải Châu", "ngập lụt", "mưa lớn", "sự cố điện", "tin nhắn SMS, Zalo", "mã hóa", "dừng", "xóa")),
    ("en", ("Đà Nẵng", "Hai Chau", "flooding", "heavy rain", "power trouble", "SMS, Zalo", "encrypted", "delete")),
])  # fmt: skip
def test_what_is_agreed_to_names_source_hazards_places_channels_and_the_way_out(
    lang: Lang, words: tuple[str, ...]
) -> None:
    text = terms(CHOICE, ["sms", "zalo"], CITY, lang)
    assert not [word for word in words if word not in text]
    assert "Sáu" not in text


def test_every_word_that_is_written_down_is_there_in_both_languages() -> None:
    assert all(set(texts) == set(LANGS) and all(texts.values()) for texts in SAID.values())
    assert said("ended", ["pigeon"], "en") == "I want no more warnings by pigeon."


def test_a_proxy_is_reminded_in_his_message_whom_else_to_tell() -> None:
    assert with_proxy("Ngập.", "vi", "nhà bà Sáu") == "Ngập.\nXin báo giúp: nhà bà Sáu"
    assert with_proxy("Flooding.", "en", "nhà bà Sáu") == "Flooding.\nPlease tell: nhà bà Sáu"
    assert with_proxy("Ngập.", "vi", "") == "Ngập."


def test_what_a_proxy_writes_is_one_line_of_print() -> None:
    assert printable("  bà\u0000 Sa\u0301u\n<b>đầu ngõ ") == "bà Sáu b đầu ngõ"
