"""The sentences of why: one for each decision and each reason, in both languages, fit for a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest
from faces import AREAS, NOW, RULES, town_city
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents.decision import Decided, Decision
from alerts.incidents.incident import Confirmation, Reason, Withheld
from alerts.incidents.verbs import EndSilence, OfficialLevel, Silence, Verb
from alerts.words.names import LANGS, Lang
from alerts.words.why import why_sentence
from processing.rules import parse_rules

ENDS = '[hazard.rain]\nends_when = { statistic = "sum", window = "1h", below = 5, for = "2h" }\n'
CITY, RULES_NOW = town_city(), parse_rules(RULES + ENDS)
RAIN = f"rain-{next(iter(AREAS))}-0"
OF_NO_INCIDENT = (Silence, EndSilence, OfficialLevel)
DETAIL = {"version": 3, "by": "lan", "why": "tôi thấy", "witness": "tower-9", "to": ["lan", "minh"], "number": 1,
          "value": 53.74, "measured_at": NOW}  # fmt: skip
REASONS = ("sole_not_yet", "sole_above_warning", "others_are_calm tower-2 tower-3", "silenced s-1", "by hand")


def reasons(what: Decided) -> list[str]:
    """Every reason that a decision can have."""
    return {
        Decided.ROSE: ["", "not measured"],
        Decided.FELL: ["", "not measured"],
        Decided.CONFIRMED: [by.value for by in Confirmation if by],
        Decided.ASKED: list(REASONS),
        Decided.CALLED: ["approve", "acknowledge"],
        Decided.UNATTENDED: ["nobody answered"],
        Decided.PUBLISHED: [reason.value for reason in Reason],
        Decided.ACTED: [verb.__name__.lower() for verb in get_args(Verb) if verb not in OF_NO_INCIDENT],
        Decided.JOINED: ["city.20221014T1123Z"],
        Decided.UNCONFIRMED: list(REASONS[:-1]),
        Decided.WAITS: [""],
        Decided.CALM: ["sum below 5"],
        Decided.SILENCED: ["s-1"],
        Decided.HELD_OPEN: ["silenced", "gone tower-1", "not_heard tower-1", "linked rain"],
        Decided.WITHHELD: [why.value for why in Withheld if why],
    }[what]


def every() -> Iterator[Decision]:
    for what in Decided:
        for because in reasons(what):
            for level in range(5):
                yield Decision("i", NOW, what, because, RAIN, "rain-1h", level, DETAIL)


@pytest.mark.parametrize("lang", LANGS)
def test_every_decision_for_every_reason_is_one_plain_sentence(lang: Lang) -> None:
    for one in every():
        text = why_sentence(one, CITY, RULES_NOW, lang)
        assert "\n" not in text
        assert not set("{}<>") & set(text), text
        assert text.endswith((".", "”")), text
        assert "  " not in text, text
        assert "None" not in text, text
        assert "?" not in text, text
        assert "_" not in text, f"a code stands in it: {text}"
        assert not re.search("(?<!khẩn )cấp|báo động", text.lower()), f"an official word: {text}"


def test_the_languages_differ_and_so_do_the_reasons() -> None:
    texts = {lang: [why_sentence(one, CITY, RULES_NOW, lang) for one in every()] for lang in LANGS}
    assert not set(texts["vi"]) & set(texts["en"])
    for what in Decided:
        own = {why_sentence(Decision("i", NOW, what, because, RAIN, "rain-1h", 3, DETAIL), CITY, RULES_NOW, "en")
               for because in reasons(what)}  # fmt: skip
        assert len(own) == len(reasons(what)), what


def test_a_level_says_what_was_measured_over_which_time() -> None:
    rose = Decision("i", NOW, Decided.ROSE, "", RAIN, "rain-1h", 3, {"value": 53.74, "measured_at": NOW})
    assert why_sentence(rose, CITY, RULES_NOW, "en") == (
        f"{RAIN} rose to Danger under rain-1h: 53.7 mm (sum, 1 hour), measured 18:23, 14 Oct."
    )
    assert why_sentence(rose, CITY, RULES_NOW, "vi") == (
        f"{RAIN} lên mức Nguy hiểm theo quy tắc rain-1h: 53,7 mm (tổng, 1 giờ), đo lúc 18:23 14/10."
    )


def test_who_holds_it_open_no_more_is_told_with_what_ends_when_saw() -> None:
    calm = Decision("i", NOW, Decided.CALM, "sum below 5", RAIN, "rain-1h", 2)
    assert why_sentence(calm, CITY, RULES_NOW, "en") == (
        f"{RAIN} holds it open no more until it rises again: below 5.0 mm (sum, 1 hour) for 2 hours."
    )
    assert why_sentence(calm, CITY, RULES_NOW, "vi") == (
        f"{RAIN} không còn giữ cảnh báo mở cho đến khi tăng trở lại: dưới 5,0 mm (tổng, 1 giờ) trong 2 giờ."
    )
    assert "sum below 5" in why_sentence(calm, CITY, parse_rules(RULES), "en"), "the rules have changed since"


def test_hazards_are_named_as_people_call_them() -> None:
    confirmed = Decision("i", NOW, Decided.CONFIRMED, "hazard", RAIN, "rain-1h", 2, {"witness": "flood"})
    assert "a warning of flooding" in why_sentence(confirmed, CITY, RULES_NOW, "en")
    assert "cảnh báo ngập lụt" in why_sentence(confirmed, CITY, RULES_NOW, "vi")
    linked = Decision("i", NOW, Decided.HELD_OPEN, "linked rain")
    assert "mưa lớn" in why_sentence(linked, CITY, RULES_NOW, "vi")


def test_what_the_table_does_not_know_is_shown_as_it_is() -> None:
    for lang in LANGS:
        for what in Decided:
            if "because" in _forms(what):
                text = why_sentence(Decision("i", NOW, what, "something new"), CITY, RULES_NOW, lang)
                assert "something new" in text, what


def _forms(what: Decided) -> str:
    """Whose sentence shows its reason."""
    shown = (Decided.CONFIRMED, Decided.ASKED, Decided.PUBLISHED, Decided.ACTED, Decided.JOINED, Decided.UNCONFIRMED,
             Decided.CALM, Decided.SILENCED, Decided.HELD_OPEN, Decided.WITHHELD)  # fmt: skip
    return "because" if what in shown else ""


@given(st.sampled_from(list(Decided)), st.text(max_size=400), st.text(max_size=400), st.sampled_from(LANGS))
def test_whatever_people_write_stays_on_one_bounded_line(what: Decided, name: str, text: str, lang: Lang) -> None:
    detail = {"by": name, "why": text, "witness": name, "to": [name] * 100, "number": 0, "version": 1}
    said = why_sentence(Decision("i", NOW, what, text, name, name, 3, detail), CITY, RULES_NOW, lang)
    assert "\n" not in said
    assert len(said) < 1_500
