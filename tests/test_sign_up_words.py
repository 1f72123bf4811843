"""What is said around a subscription: in both languages, short enough to be paid for once, naming nobody."""

from __future__ import annotations

import pytest
from faces import town_city

from alerts.people.resident import FLOORS, Choice, Subscription, printable
from alerts.words.names import LANGS, Lang
from alerts.words.proxy import with_proxy
from alerts.words.sign_up import SAID, already_body, code_body, said, terms
from alerts.words.sms import sms

CITY = town_city()
CHOICE = Choice(tuple(Subscription("20242", hazard, floor) for hazard, floor in FLOORS.items()), proxy_for="bà Sáu")


def test_a_code_is_one_short_message_and_stands_in_it_once() -> None:
    body = code_body("042137", CITY, 30, url="https://canhbao.example.vn/subscribe#confirm=x", linked=False)
    for lang in LANGS:
        assert sms(body["texts"][lang]).segments == 1
        assert body["texts"][lang].count("042137") == 1
        assert "042137" not in body["subject"][lang]  # it is shown on locked screens
    assert (body["kind"], body["code"]) == ("confirm", "042137")


def test_without_an_address_of_ours_there_is_no_link() -> None:
    assert "\n" not in code_body("042137", CITY, 30, url="", linked=True)["texts"]["vi"]
    assert already_body(CITY, 30, url="")["texts"]["en"].endswith("ignore this.")


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
