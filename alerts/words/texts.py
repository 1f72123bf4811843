"""The texts of a version in both languages: short, long, spoken, SMS, and what CAP asks for apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from alerts.incidents.incident import Notice, Reason
from alerts.words.hand_parts import hand_parts
from alerts.words.measured import measured_parts
from alerts.words.names import NAME_MOST, Lang
from alerts.words.parts import Parts
from alerts.words.planned import planned_parts
from alerts.words.sms import Sms, sms
from alerts.words.voice import BEFORE, CAVEAT, VALUE, Voice, capital
from ingest.city import City
from processing.rules import Rules

TEXT_MOST: Final = 360  # characters of the short form
HEADLINE_MOST: Final = 160  # what CAP 1.2 recommends
URL_MOST: Final = 64  # a longer address is named and not written out: the short form has no room for it
EXERCISE: Final[Mapping[Lang, str]] = {"vi": "DIỄN TẬP", "en": "EXERCISE"}
# How long names may be, and how much is said: the first that fits is taken. Never cut: what to do.
BUDGETS: Final = (
    (NAME_MOST, BEFORE), (NAME_MOST, CAVEAT), (NAME_MOST, VALUE), (NAME_MOST, 0), (28, 0), (18, 0), (12, 0),
)  # fmt: skip
_NAMELESS_BELOW: Final = 18  # where names have to be so short, the page does without the city's

Speak: TypeAlias = Callable[[Voice], Parts]


@dataclass(frozen=True, slots=True)
class Texts:
    """One language. All but `long`, `description` and `instruction` are one line; those have paragraphs.

    `short` has at most TEXT_MOST characters. `spoken` has neither digits, signs nor addresses. `sms` is `short` without
    accents.
    """

    headline: str
    short: str
    long: str
    description: str
    instruction: str
    spoken: str
    sms: Sms


def compose(
    notice: Notice, city: City, rules: Rules, lang: Lang, *, page_url: str = "", exercise: bool = False, code: str = ""
) -> Texts:
    """What people read of a version in a language.

    `page_url`: where the next word comes; the city's page by name where empty. `exercise`: nothing of this is real
    (whatever runs on the data's clock; drills know it themselves); then it is the first word of every form. `code`: the
    line by which a text proves itself, never left out but by loudspeakers.
    """

    def speak(voice: Voice) -> Parts:
        after = next_word(city, page_url, voice)
        if notice.planned is not None:
            return planned_parts([notice], notice.planned, city, voice, after)
        if notice.hand is not None:
            return hand_parts(notice, notice.hand, city, voice, after)
        return measured_parts(notice, city, rules, voice, after)

    return assemble(speak, city, lang, drill=is_exercise(notice, exercise=exercise), code=code)


def is_exercise(notice: Notice, *, exercise: bool) -> bool:
    return exercise or notice.drill or notice.reason is Reason.STOPPED


def assemble(speak: Speak, city: City, lang: Lang, *, drill: bool, code: str = "") -> Texts:
    """The forms of what `speak` says in a voice."""
    zone, start = city.timezone, f"{EXERCISE[lang]}. " if drill else ""
    parts = speak(Voice(lang, zone))
    description = _joined(parts.observed, parts.caveat, parts.impact)
    instruction = "\n\n".join(filter(None, (_joined(parts.action, parts.more), _joined(parts.after, code))))
    headline = _fitting(speak, zone, lang, HEADLINE_MOST, lambda said: start + said.head.removesuffix("."))
    short = _fitting(speak, zone, lang, TEXT_MOST, lambda said: start + _short(said, code))
    long = "\n\n".join((start + parts.head, description, instruction))
    spoken = _spoken(speak(Voice(lang, zone, spoken=True)), city, lang, drill=drill)
    return Texts(headline, short, long, start + description, start + instruction, spoken, sms(short))


def _fitting(speak: Speak, zone: ZoneInfo, lang: Lang, most: int, form: Callable[[Parts], str]) -> str:
    """The fullest form of at most `most` characters."""
    text = ""
    for name_most, detail in BUDGETS:
        text = form(speak(Voice(lang, zone, name_most=name_most, detail=detail)))
        if len(text) <= most:
            return text
    return text


def _short(said: Parts, code: str) -> str:
    return _joined(said.head, said.observed, said.caveat, said.impact, said.action, said.after, code)


def _spoken(parts: Parts, city: City, lang: Lang, *, drill: bool) -> str:
    """As loudspeakers do: call for attention, say it, say the heart of it again. An exercise says so at both ends."""
    voice = Voice(lang, city.timezone, spoken=True)
    name = voice.city(city)
    called = voice.pick(
        f"Chú ý, chú ý! Đây là thông báo của hệ thống cảnh báo {name}.",
        f"Attention, attention! This is the warning system of {name}.",
    )
    drilled = voice.pick("Đây là thông báo diễn tập.", "This is an announcement of a drill.")
    exercise = f"{EXERCISE[lang]}, {EXERCISE[lang].lower()}! {drilled}" if drill else ""
    again = voice.pick("Xin nhắc lại.", "I repeat.")
    head = capital(parts.head)
    body = (called, head, parts.observed, parts.caveat, parts.impact, parts.action, parts.after)
    return _joined(exercise, *(_stopped(part) for part in (*body, again, head, parts.action)), exercise)


def _stopped(sentence: str) -> str:
    return sentence if not sentence or sentence[-1] in ".!?" else f"{sentence}."


def _joined(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def next_word(city: City, page_url: str, voice: Voice) -> str:
    """Where to look for the next word."""
    name = voice.city(city)
    if voice.spoken:
        return voice.pick(f"Tin tiếp theo có trên trang cảnh báo của {name}.",
                          f"The next word is on the warning page of {name}.")  # fmt: skip
    if voice.name_most <= _NAMELESS_BELOW:
        return voice.pick("Tin tiếp: trang cảnh báo.", "Updates: the warning page.")
    if page_url and len(page_url) <= URL_MOST:
        return voice.pick(f"Tin tiếp: {page_url}", f"Updates: {page_url}")
    return voice.pick(f"Tin tiếp: trang cảnh báo của {name}.", f"Updates: the warning page of {name}.")
