"""The linter of texts: what is missing, too long, the same in both languages, or never to be said.

It refuses in tests and where texts are made by hand; it never holds up a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from alerts.words.forbidden import forbidden
from alerts.words.names import LANGS, Lang
from alerts.words.sms import gsm_segments, outside_gsm, sms
from alerts.words.subject import ELEMENTS, Subject
from alerts.words.texts import EXERCISE, HEADLINE_MOST, TEXT_MOST, Texts

# Form -> its most characters, and the elements that it must have. A headline of an end names its area alone.
_FORMS: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "headline": (HEADLINE_MOST, ("hazard", "place")),
    "short": (TEXT_MOST, ELEMENTS),
    "long": (4000, ELEMENTS),
    "description": (2000, ("source", "impact", "time")),
    "instruction": (2000, ("action", "next")),
    "spoken": (3000, ELEMENTS),
    "sms": (TEXT_MOST + 99, ELEMENTS),  # an ellipsis is three dots there
}
_PARAGRAPHS: Final = ("long", "description", "instruction")
_SEGMENTS_MOST: Final = 3
_UNSPEAKABLE: Final = re.compile(r"[^\W\d_]\.[^\W\d_]|\b(?:https?|www)\b")
_SAID: Final = frozenset(" .,!?:;-’'")


def faults(texts: Mapping[Lang, Texts], subject: Subject) -> list[str]:
    """What is wrong with the texts of a version, each as "vi short: …"; nothing: []."""
    found = [f"{lang}: missing" for lang in LANGS if lang not in texts]
    names = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, subject.names)) or '(?!)'})(?!\w)")
    for lang in LANGS:
        if lang in texts:
            for form in _FORMS:
                found += [f"{lang} {form}: {fault}" for fault in _of_form(form, texts[lang], lang, subject, names)]
            found += [f"{lang} sms: {fault}" for fault in _of_sms(texts[lang])]
    return found + list(_same(texts))


def _of_form(form: str, texts: Texts, lang: Lang, subject: Subject, names: re.Pattern[str]) -> Iterator[str]:
    text, (most, elements) = _text(texts, form), _FORMS[form]
    if not text.strip():
        yield "empty"
        return
    if len(text) > most:
        yield f"{len(text)} characters, at most {most}"
    wanted, folded = (subject.spoken if form == "spoken" else subject.written)[lang], _folded(text)
    yield from (f"no {element}" for element in elements if not _has(folded, wanted[element], form))
    # What is forbidden in our words may stand in names.
    yield from forbidden(names.sub("·", text), evacuation=subject.evacuation)
    for phrase in subject.whole[lang]:
        if re.search(rf"(?<!\w){re.escape(_folded(phrase))}(?!\w)", folded):
            yield f"a whole area: {phrase!r}"
    yield from _shape(text, form)
    yield from _exercise(text, form, lang, subject)


def _text(texts: Texts, form: str) -> str:
    return texts.sms.text if form == "sms" else str(getattr(texts, form))


def _has(folded: str, phrases: Iterable[str], form: str) -> bool:
    """Whether one of them stands there. An empty phrase is no element: it would stand in every text."""
    given = (sms(phrase).text if form == "sms" else phrase for phrase in phrases if phrase.strip())
    return any(_folded(phrase) in folded for phrase in given)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _shape(text: str, form: str) -> Iterator[str]:
    lines = text.replace("\n\n", " ") if form in _PARAGRAPHS else text
    odd = sorted({c for c in lines if not c.isprintable()})
    if odd:
        yield f"a control character: {odd[0]!r}"
    if "<" in text:
        yield "markup: '<'"
    if form != "spoken":
        return
    odd = sorted({c for c in text if not c.isalpha() and c not in _SAID})
    if odd:
        yield f"{odd[0]!r} cannot be said"
    address = _UNSPEAKABLE.search(text)
    if address:
        yield f"an address or abbreviation: {address[0]!r}"


def _exercise(text: str, form: str, lang: Lang, subject: Subject) -> Iterator[str]:
    word = sms(EXERCISE[lang]).text if form == "sms" else EXERCISE[lang]
    if text.startswith(word) != subject.exercise:
        yield f"{word} is not the first word" if subject.exercise else f"{word}, and it is none"


def _of_sms(texts: Texts) -> Iterator[str]:
    """Besides what every form is asked for."""
    message = texts.sms
    odd = outside_gsm(message.text)
    if odd:
        yield f"{odd!r} outside the alphabet of GSM"
    elif message.segments != gsm_segments(message.text):
        yield f"{message.segments} segments, it has {gsm_segments(message.text)}"
    if message.segments > _SEGMENTS_MOST:
        yield f"{message.segments} segments, at most {_SEGMENTS_MOST}"


def _same(texts: Mapping[Lang, Texts]) -> Iterator[str]:
    if all(lang in texts for lang in LANGS):
        vi, en = (texts[lang] for lang in LANGS)
        yield from (f"{form}: the same in both languages" for form in _FORMS if _text(vi, form) == _text(en, form))
