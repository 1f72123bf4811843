"""What a short reply means, and what the answers of a group say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.people.group_state import Said, Says, State, state_of
from alerts.words.group import ASKING, again, asked, asking, not_asked
from alerts.words.names import LANGS, Lang
from alerts.words.replies import REPLY_MOST, Meaning, meaning
from alerts.words.sms import gsm_segments, sms, ucs2_segments

TOLD = (
    "1", "1.", " (1) ", "１", "#1", "da bao", "Đã báo", "ĐÃ BÁO CÁC HỘ RỒI!", "1 da bao", "1: đã thông báo cho bà con",
    "1 dạ", "1 ok", "báo xong", "đã báo, không cần giúp", "told", "1 - households told",
    "Dạ em đã báo hết các hộ rồi ạ",
)  # fmt: skip
HELP = (
    "2", "2.", "２", "2 can giup cụ Hai số 12", "cần giúp", "CAN GIUP", "cứu với", "2 hộ chưa báo được", "1 cần giúp",
    "đã báo, cần giúp 2 người già", "help", "We need help at the market", "không báo được, cần cứu", "cần hỗ trợ xuồng",
    "cần giúp 1 cụ già, 2 cháu nhỏ", "2 nhà ngập, 1 người già", "2: 1 xuồng", "2 cần 1 xuồng",
)  # fmt: skip
BOTH = (
    "1 2", "2 hoặc 1", "1 nhà 2 cháu", "2 đã báo", "1 hay 2?", "2, 1", "Trả lời 1: đã báo các hộ; 2: cần giúp.",
    "2 không cần giúp", "đã báo 2 hộ",
)  # fmt: skip
# Nothing of this may be taken for "told": each can mean the opposite, or something that a person has to hear.
OTHER = (
    "", "?", "12", "0", "3", "1 người", "1 hộ", "1 nhà", "1 xe bơm nước", "1 nước ngập nhà", "1 không",
    "chưa báo", "không báo được", "đã báo 20 hộ", "đã báo 1 người", "đúng", "dừng", "nước lên nhanh quá", "ai đấy?",
    "không cần giúp", "no help needed", "báo", "đã", "ok", "chưa đã báo", "sẽ báo", "đang báo",
)  # fmt: skip
END = ("STOP", "tc", "Từ chối", "huỷ đăng ký", "Hủy")


@pytest.mark.parametrize(
    ("texts", "meant"),
    [
        (TOLD, Meaning.TOLD), (HELP, Meaning.NEEDS_HELP), (BOTH, Meaning.BOTH), (OTHER, Meaning.OTHER),
        (END, Meaning.END),
    ],
)  # fmt: skip
def test_what_replies_mean(texts: tuple[str, ...], meant: Meaning) -> None:
    assert {text: meaning(text) for text in texts} == dict.fromkeys(texts, meant)


NOISE = st.sampled_from([" ", "  ", ".", ",", "!", "-", ":", ";", "\n", "\t", "…", "(", ")"])


@given(st.sampled_from([*TOLD, *HELP, *BOTH, *END]), st.lists(NOISE, max_size=4), st.booleans(), st.booleans())
def test_case_accents_and_punctuation_change_nothing(text: str, noise: list[str], upper: bool, plain: bool) -> None:
    around = "".join(noise)
    said = sms(text).text if plain and "?" not in sms(text).text else text
    assert meaning(around + (said.upper() if upper else said) + around) is meaning(text)


@given(st.text(max_size=2 * REPLY_MOST))
def test_any_text_is_read(text: str) -> None:
    assert isinstance(meaning(text), Meaning)


WORDS = st.sampled_from(
    "1 2 da bao chua khong can giup cuu cac ho nguoi nha xong roi help told not nuoc len xe thuyen 3 20 va".split()  # noqa: SIM905  # words
)


@given(st.lists(WORDS, max_size=8))
def test_no_call_for_help_and_no_count_is_ever_taken_for_told(words: list[str]) -> None:
    if meaning(" ".join(words)) is Meaning.TOLD:
        assert not {"2", "3", "20", "chua", "cuu", "nuoc", "len", "xe", "thuyen", "not"} & set(words)
        assert words.count("1") <= 1
        assert "1" not in words[1:]
        assert "giup" not in words or "khong" in words


BODY = {
    "reason": "first", "texts": {"vi": "Nguy hiểm: ngập.", "en": "Danger: flooding."},
    "long": {"vi": "Nguy hiểm.", "en": "Danger."}, "spoken": {"vi": "nguy hiểm", "en": "danger"},
    "sms": {"vi": {"text": "Nguy hiem: ngap.", "segments": 1}, "en": {"text": "Danger: flooding.", "segments": 1}},
}  # fmt: skip
LINK = "https://canhbao.example.vn/g#1734-k5zq3h7b2m4xw6ta"


@pytest.mark.parametrize("lang", LANGS)
def test_the_line_that_asks_fits_into_half_a_short_message(lang: Lang) -> None:
    line = asked(BODY, lang, "", replies=True)
    assert "1" in line
    assert "2" in line
    assert len(sms(line).text) <= 80
    assert gsm_segments(sms(asked(BODY, lang, LINK, replies=False)).text) == 1


def test_the_body_asks_in_every_written_form_and_the_short_one_without_a_link_where_a_reply_will_do() -> None:
    made = asking(BODY, LINK, replies=True)
    assert made["texts"]["vi"] == f"Nguy hiểm: ngập. Trả lời 1: đã báo các hộ; 2: cần giúp. Hoặc: {LINK}"
    assert made["long"]["en"] == f"Danger.\n\nReply 1: households told; 2: need help. Or: {LINK}"
    assert made["sms"]["vi"] == {"text": "Nguy hiem: ngap. Tra loi 1: da bao cac ho; 2: can giup.", "segments": 1}
    assert made["spoken"] == BODY["spoken"]
    by_link = asking(BODY, LINK, replies=False)
    assert LINK in by_link["sms"]["en"]["text"]
    assert "Reply 1" not in str(by_link), "nobody reads replies there"
    assert asking(BODY, "", replies=False) == BODY
    for reason in ("eased", "over", "withdrawn", "stopped"):
        assert asking(BODY | {"reason": reason}, LINK, replies=True) == BODY | {"reason": reason}
    assert {reason.value for reason in ASKING} == {"first", "worse", "updated"}


@pytest.mark.parametrize("body", [again(), not_asked()], ids=["again", "not_asked"])
def test_what_is_said_back_is_one_short_message(body: dict[str, object]) -> None:
    texts, short = body["texts"], body["sms"]
    assert isinstance(texts, dict)
    assert isinstance(short, dict)
    for lang in LANGS:
        assert short[lang]["segments"] == 1
        assert ucs2_segments(texts[lang]) <= 2


def said(says: Says, version: int = 1, resident: int | None = 7) -> Said:
    return Said(0, says, version, "x", resident)


T, H, U = Says.TOLD, Says.NEEDS_HELP, Says.UNCLEAR


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([], State.NO_ANSWER),
        ([said(T, 2)], State.TOLD),
        ([said(T)], State.TOLD_BEFORE),
        ([said(H)], State.NEEDS_HELP),
        ([said(H), said(T, 2)], State.TOLD),
        ([said(H), said(T, 2, resident=8)], State.NEEDS_HELP),
        ([said(H), said(U, 2)], State.NEEDS_HELP),
        ([said(T, 2), said(U, 2)], State.UNCLEAR),
        ([said(U), said(T, 2)], State.TOLD),
        ([said(U), said(T, 2, resident=8)], State.UNCLEAR),
        ([said(H), said(U), said(T, 2, resident=None)], State.TOLD),
        ([said(H), said(T, 2, resident=None), said(H, 2)], State.NEEDS_HELP),
        ([said(T, 2, resident=None), said(T, 1)], State.TOLD),
    ],
)
def test_what_the_answers_of_a_group_say_together(answers: list[Said], state: State) -> None:
    """Version 2 asks for an answer."""
    assert state_of(answers, 2, reached=True) is state
    expected = State.NOT_REACHED if state is State.NO_ANSWER else state
    assert state_of(answers, 2, reached=False) is expected


def test_nobody_is_silent_who_was_not_asked() -> None:
    assert state_of([], 0, reached=False) is State.NOT_ASKED


ANSWERS = st.builds(said, st.sampled_from(list(Says)), st.integers(1, 3), st.sampled_from([None, 7, 8]))


@given(st.lists(ANSWERS, max_size=8), st.integers(1, 3), st.booleans())
def test_a_call_for_help_stands_until_he_or_a_user_says_otherwise(
    answers: list[Said], version: int, reached: bool
) -> None:  # fmt: skip
    calls = [n for n, one in enumerate(answers) if one.says is H]
    open_calls = [n for n in calls if not any(
        later.resident is None or (later.resident == answers[n].resident and later.says is T)
        for later in answers[n + 1 :]
    )]  # fmt: skip
    assert (state_of(answers, version, reached=reached) is State.NEEDS_HELP) == bool(open_calls)
