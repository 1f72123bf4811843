"""The message of a notice: what every channel carries, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from alerts.incidents.incident import Notice
from alerts.words.measured import kind_of
from alerts.words.names import LANGS, Lang, area_name, area_of, hazard_name, level_word
from alerts.words.planned import HAZARD
from alerts.words.texts import EXERCISE, compose
from ingest.city import City
from processing.rules import Rules

PLANNED: Final = "planned"


def message(
    notice: Notice,
    city: City,
    rules: Rules,
    *,
    page_url: str = "",
    exercise: bool = False,
    code: Mapping[Lang, str] | None = None,
) -> dict[str, Any]:
    """As it goes out in JSON; `at` is RFC 3339 in the city's zone, `url` empty where the service has no address.

    `texts` short, `long` and `spoken` by language, `sms` without accents with its segments. `code`: by language the
    line by which a text proves itself. `kind`: the hazard, "river" or "planned"; `headline` and `area_name`: for
    channels whose texts are approved beforehand, with a few words left open.
    """  # fmt: skip
    made = {
        lang: compose(notice, city, rules, lang, page_url=page_url, exercise=exercise, code=code[lang] if code else "")
        for lang in LANGS
    }
    return {
        "incident": notice.incident,
        "version": notice.version,
        "reason": notice.reason.value,
        "hazard": notice.hazard,
        "area": notice.area,
        "level": notice.level,
        "exercise": exercise or notice.drill,
        "kind": PLANNED if notice.planned is not None else kind_of(notice, city),
        "area_name": {lang: area_name(area_of(city, notice.area), lang) for lang in LANGS},
        "headline": {lang: texts.headline for lang, texts in made.items()},
        "texts": {lang: texts.short for lang, texts in made.items()},
        "long": {lang: texts.long for lang, texts in made.items()},
        "spoken": {lang: texts.spoken for lang, texts in made.items()},
        "sms": {lang: {"text": texts.sms.text, "segments": texts.sms.segments} for lang, texts in made.items()},
        "at": _local(notice.at, city),
        "url": page_url,
        **_of_outage(notice, city),
    }


def _of_outage(notice: Notice, city: City) -> dict[str, Any]:
    """From when until when, of what is planned; the announced end that has been overrun."""
    if notice.planned is not None:
        begins, until = _local(notice.planned.begins, city), _local(notice.planned.until, city)
        return {"planned": {"begins": begins, "until": until, "reason": notice.planned.reason}}
    return {"overran": _local(notice.overran, city)} if notice.overran else {}


def bare_message(notice: Notice, *, exercise: bool = False, code: Mapping[Lang, str] | None = None) -> dict[str, Any]:
    """Says the little that needs neither registry nor rules: better than silence where the full text cannot be made."""
    exercise = exercise or notice.drill

    def text(lang: Lang) -> str:
        level = level_word(notice.level, lang) or notice.reason.value
        hazard = hazard_name(notice.hazard, lang) if notice.planned is None else HAZARD[lang]
        said = f"{level}: {hazard}, {notice.area}."
        return f"{EXERCISE[lang] + '. ' if exercise else ''}{said} {code[lang] if code else ''}".rstrip()

    return {
        "incident": notice.incident,
        "version": notice.version,
        "reason": notice.reason.value,
        "hazard": notice.hazard,
        "area": notice.area,
        "level": notice.level,
        "exercise": exercise,
        "texts": {lang: text(lang) for lang in LANGS},
    }


def _local(ms: int, city: City) -> str:
    whole = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    return whole.astimezone(city.timezone).isoformat(timespec="milliseconds")
