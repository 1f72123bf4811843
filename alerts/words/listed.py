"""Several names in one sentence: the first of them, and how many there are besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from alerts.words.names import NAME_MOST
from alerts.words.voice import Voice
from ingest.city import City

_AREAS_NAMED: Final[Mapping[int, int]] = {NAME_MOST: 6, 28: 4, 18: 3, 12: 2}  # by how long names may be
_AREAS_SAID: Final = 4


def listed(names: Sequence[str], most: int, voice: Voice, *, more: str = "") -> str:
    """`more`: what the others are called after their number; without it they are other trouble."""
    named, rest = names[:most], len(names) - most
    text = ", ".join(named)
    if rest <= 0:
        return text
    if not more:
        return text + voice.pick(" và sự cố khác", " and other trouble")
    return voice.text(voice.pick(f"{text} và {rest} {more}", f"{text} and {rest} {more}"))


def listed_areas(codes: Sequence[str], city: City, voice: Voice) -> str:
    """The areas of those codes, each once."""
    most = _AREAS_SAID if voice.spoken else _AREAS_NAMED[voice.name_most]
    names = [voice.area(city, code) for code in dict.fromkeys(codes)]
    return listed(names, most if voice.detail else min(most, 4), voice, more=voice.pick("nơi khác", "more"))
