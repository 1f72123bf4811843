"""What an operator who is called reads: what waits, where, since when, where he answers, and who is next."""

from __future__ import annotations

from typing import Any, Final

from alerts.incidents.decision import Call
from alerts.incidents.incident import Incident
from alerts.words.names import LANGS, Lang, area_name, area_of, hazard_name, level_word, local_time
from alerts.words.sms import sms
from ingest.city import City

CALL: Final = "call"  # the kind of the errand
_SUBJECTS: Final[dict[Lang, str]] = {
    "vi": "Trực ban: có việc chờ trả lời",
    "en": "On duty: something awaits your answer",
}
_TEXTS: Final[dict[Lang, str]] = {
    "vi": "Trực ban: {asks} {level} – {hazard}, {area}, từ {since}. Trả lời bằng bảng điều hành{where}. "
    "Đến {next} chưa ai trả lời thì gọi tiếp.",
    "en": "On duty: {asks} {level} – {hazard}, {area}, since {since}. Answer on the console{where}. "
    "Unanswered by {next}, others are called.",
}
_ASKS: Final[dict[Lang, dict[str, str]]] = {
    "vi": {"approve": "cần duyệt", "acknowledge": "cần xác nhận đã nhận tin"},
    "en": {"approve": "to approve:", "acknowledge": "to acknowledge:"},
}


def call_body(call: Call, incident: Incident, city: City, public_url: str, next_at: int) -> dict[str, Any]:
    """Plain data, as errands carry it. `public_url`: with its last slash, "" unknown; `next_at` ms UTC: then the next
    step is called.
    """
    texts = {lang: _text(call, incident, city, lang, public_url, next_at) for lang in LANGS}
    short = {lang: sms(text) for lang, text in texts.items()}
    return {
        "kind": CALL, "subject": dict(_SUBJECTS), "texts": texts, "incident": call.incident, "asks": call.asks,
        "level": call.level, "sms": {lang: {"text": made.text, "segments": made.segments}
                                     for lang, made in short.items()},
    }  # fmt: skip


def _text(call: Call, incident: Incident, city: City, lang: Lang, public_url: str, next_at: int) -> str:
    zone = city.timezone
    return _TEXTS[lang].format(
        asks=_ASKS[lang][call.asks], level=level_word(call.level, lang), hazard=hazard_name(incident.hazard, lang),
        area=area_name(area_of(city, incident.area), lang), since=local_time(incident.opened_at, zone, lang),
        where=f": {public_url}ioc" if public_url else "", next=local_time(next_at, zone, lang),
    )  # fmt: skip
