"""The short text of a notice, and the one sentence on how an area stands."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.incidents.incident import Incident, Notice
from alerts.words.names import Lang, area_name, hazard_name, level_word
from alerts.words.texts import TEXT_MOST, compose
from ingest.city import Area, City
from processing.rules import Rules

__all__ = ["TEXT_MOST", "sentence", "situation"]


def sentence(
    notice: Notice, city: City, rules: Rules, lang: Lang, *, page_url: str = "", exercise: bool = False, proof: str = ""
) -> str:
    """The short text of a notice, at most TEXT_MOST characters, on one line (alerts/words/texts.py).

    `proof`: the line by which it proves itself, its last words.
    """
    return compose(notice, city, rules, lang, page_url=page_url, exercise=exercise, code=proof).short


def situation(area: Area, incidents: Sequence[Incident], lang: Lang) -> str:
    """How an area stands, in one plain sentence. Of `incidents` only what is public and real of the area counts:
    open, published, no drill.
    """
    real = (i for i in incidents if i.area == area.code and i.closed_at is None and i.version > 0 and not i.drill)
    here = sorted(real, key=lambda i: (-i.level, i.id))
    name = area_name(area, lang)
    if not here:
        return f"Hiện không có cảnh báo nào ở {name}." if lang == "vi" else f"No warnings in {name} right now."
    parts = [_state(incident, lang) for incident in here]
    return f"{name}: {'; '.join(parts)}."


def _state(incident: Incident, lang: Lang) -> str:
    text = f"{level_word(incident.level, lang)} – {hazard_name(incident.hazard, lang)}"
    if incident.members or incident.hand is not None:
        return text
    return text + (
        " (cảm biến không còn ở mức cảnh báo)" if lang == "vi" else " (sensors now out of the warning range)"
    )
