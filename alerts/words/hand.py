"""Warnings that a person gives: the templates, what each asks for, and whether it was given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerts.incidents.incident import Hand
from alerts.words.forbidden import forbidden
from alerts.words.names import HAND_HAZARDS, HAZARDS

_HAZARD: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")  # as the rules name theirs
EVACUATION: Final = "evacuation"  # the only one that may say so; it takes two persons (CONTRACTS section 6)
_ENGLISH: Final = "_en"  # a text may be given in English as well: where -> where_en

_EARLIEST_MS, _LATEST_MS = 946_684_800_000, 4_102_444_800_000  # 2000, 2100


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a template asks for: a text of one line, or a moment in RFC 3339 with its zone."""

    name: str
    most: int = 48  # characters
    required: bool = True
    moment: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """`hazard` "": the one that the warning is raised for."""

    hazard: str
    levels: tuple[int, ...]
    fields: tuple[Field, ...]


_WHERE: Final = Field("where")
TEMPLATES: Final[Mapping[str, Template]] = {
    # What staff have seen where no sensor stands, and drills of the measured hazards.
    "seen": Template("", (1, 2, 3, 4), (_WHERE,)),
    "storm": Template("storm", (2, 3, 4), (Field("name", 32), _WHERE, Field("from", required=False, moment=True))),
    "landslide": Template("landslide", (2, 3, 4), (_WHERE,)),
    "reservoir": Template(
        "reservoir", (2, 3, 4), (Field("name", 32), Field("river", 32), _WHERE, Field("from", moment=True))
    ),
    EVACUATION: Template(
        EVACUATION, (3, 4), (_WHERE, Field("shelter"), Field("before", required=False, moment=True))
    ),
    "school_closure": Template(
        "school_closure", (1, 2, 3), (_WHERE, Field("from", moment=True), Field("until", moment=True))
    ),
}  # fmt: skip


def check_hand(hand: Hand, hazard: str = "") -> str:
    """The hazard that it is of. `hazard`: what its giver named; "" where the template knows it.

    Raises ValueError for the first thing that is wrong: the field, what was found, what is expected.
    """
    template = TEMPLATES.get(hand.template)
    if template is None:
        raise _wrong("template", hand.template, f"one of {', '.join(TEMPLATES)}")
    if hand.level not in template.levels:
        raise _wrong("level", hand.level, f"one of {', '.join(map(str, template.levels))} for {hand.template}")
    _check_hazard(hand, hazard, template)
    if not _EARLIEST_MS <= hand.until < _LATEST_MS:
        raise _wrong("until", hand.until, "ms UTC: a warning by hand ends by itself")
    given = _given(hand, template)
    for field in template.fields:
        if field.required and not given.get(field.name, "").strip():
            raise _wrong(field.name, given.get(field.name, ""), "a moment" if field.moment else "a text, not empty")
    _check_order(given)
    return template.hazard or hazard


def _check_hazard(hand: Hand, hazard: str, template: Template) -> None:
    """What has a template of its own is not given by another: who may evacuate goes by the template."""
    if template.hazard:
        if hazard not in ("", template.hazard):
            raise _wrong("hazard", hazard, f"{template.hazard} for {hand.template}")
    elif hazard in HAND_HAZARDS["en"]:
        raise _wrong("hazard", hazard, f"the template of that name, not {hand.template}")
    elif not _HAZARD.match(hazard) or forbidden(hazard):
        raise _wrong("hazard", hazard, f"{', '.join(HAZARDS['en'])} or one of the rules' own")


def _given(hand: Hand, template: Template) -> dict[str, str]:
    known = {field.name: field for field in template.fields}
    known |= {f"{f.name}{_ENGLISH}": Field(f"{f.name}{_ENGLISH}", f.most) for f in template.fields if not f.moment}
    given: dict[str, str] = {}
    for name, text in hand.fields:
        if name not in known:
            raise _wrong(name[:40], "a field", f"for {hand.template} only {', '.join(known)}")
        if name in given:
            raise _wrong(name, "given twice", "each field once")
        _check_text(known[name], text, evacuation=hand.template == EVACUATION)
        given[name] = text
    return given


def _check_text(field: Field, text: str, *, evacuation: bool) -> None:
    if field.moment:
        if text:
            _moment(field.name, text)
        return
    if len(text) > field.most:
        raise _wrong(field.name, f"{len(text)} characters", f"at most {field.most}")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Cs") for c in text):
        raise _wrong(field.name, text, "one line of visible characters")
    if "<" in text or ">" in text:
        raise _wrong(field.name, text, "plain text without < and >")
    said = forbidden(text, evacuation=evacuation)
    if said:
        raise _wrong(field.name, text, f"a text without {said[0]}")


def _check_order(given: Mapping[str, str]) -> None:
    if given.get("from") and given.get("until") and _moment("until", given["until"]) <= _moment("from", given["from"]):
        raise _wrong("until", given["until"], f"a moment after from, {given['from']}")


def _moment(name: str, text: str) -> int:
    expected = "a moment with its zone, such as 2026-10-14T18:00:00+07:00"
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(name, text[:40], expected) from None
    if then.tzinfo is None or not 2000 < then.year < 2100:  # the first and last year would not survive another zone
        raise _wrong(name, text[:40], expected)
    return int(then.timestamp() * 1000)


def _wrong(field: str, found: object, expected: str) -> ValueError:
    shown = repr(found)
    return ValueError(f"{field}: found {shown if len(shown) <= 80 else shown[:79] + '…'}, expected {expected}")


def text_field(hand: Hand, name: str, lang: str) -> str:
    """The text of a field in a language; the Vietnamese one where no English was given. Empty: not given."""
    given = dict(hand.fields)
    return (given.get(f"{name}{_ENGLISH}", "") if lang == "en" else "") or given.get(name, "")


def moment_field(hand: Hand, name: str) -> int | None:
    """A moment in ms UTC; None where it was not given, or cannot be read (then the text goes without it)."""
    try:
        return _moment(name, dict(hand.fields).get(name, ""))
    except ValueError:
        return None
