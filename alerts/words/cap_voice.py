"""In whose name documents are sent, where a deployment does not say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from alerts.words.cap import Voice
from alerts.words.names import Lang, one_line
from ingest.city import City

_NAMES: Final[Mapping[Lang, str]] = {"vi": "Hệ thống cảnh báo {city}", "en": "{city} warning system"}


def voice_of(city: City, sender: str = "", sender_name: str = "", contact: str = "", web: str = "") -> Voice:
    """`sender` "": canhbao@ and the city's name in letters that everybody can write; unique as long as the name is."""
    names: dict[Lang, str] = {
        lang: sender_name or name.format(city=one_line(city.name)) for lang, name in _NAMES.items()
    }
    return Voice(sender or f"canhbao@{_plain(city.name) or 'city'}", names, contact, web)


def _plain(name: str) -> str:
    """Đà Nẵng: da-nang."""
    letters = unicodedata.normalize("NFD", name.replace("Đ", "D").replace("đ", "d")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", letters.lower()).strip("-")
