"""The texts of a CAP document, by language: the ones that residents read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from alerts.incidents.incident import Notice
from alerts.words.names import LANGS, Lang, hazard_name
from alerts.words.texts import compose
from alerts.words.voice import capital
from ingest.city import City
from processing.rules import Rules

_OWN: Final[Mapping[Lang, str]] = {"vi": "sự cố {hazard}", "en": "{hazard} event"}  # a deployment's own hazard
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")  # typed by a person: receivers would take it for markup


@dataclass(frozen=True, slots=True)
class CapText:
    event: str
    headline: str
    description: str
    instruction: str


def cap_texts(
    notice: Notice, city: City, rules: Rules, *, page_url: str = "", exercise: bool = False
) -> dict[Lang, CapText]:
    """`page_url`, `exercise`: as alerts.words.texts.compose takes them."""
    return {lang: _text(notice, city, rules, lang, page_url, exercise=exercise) for lang in LANGS}


def _text(notice: Notice, city: City, rules: Rules, lang: Lang, page_url: str, *, exercise: bool) -> CapText:
    made = compose(notice, city, rules, lang, page_url=page_url, exercise=exercise)
    headline, description, instruction = (
        _ENTITY.sub("+", text) for text in (made.headline, made.description, made.instruction)
    )
    return CapText(capital(_event(notice.hazard, lang)), headline, description, instruction)


def _event(hazard: str, lang: Lang) -> str:
    """As inside a sentence; never the same in both languages."""
    names = {each: hazard_name(hazard, each) for each in LANGS}
    return names[lang] if len(set(names.values())) > 1 else _OWN[lang].format(hazard=names[lang])
