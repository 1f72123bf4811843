"""Short messages: a text without accents in the alphabet of GSM, and how many segments it costs.

Alphabet and sizes: 3GPP TS 23.038 (GSM 7 bit default alphabet, section 6.2.1, and its extension table) and TS 23.040
(concatenated messages: six octets of every segment are a header).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED: Final = frozenset("^{}\\[~]|€\f")  # two septets each
_ONE, _PART = 160, 153  # septets of a single message, of a part of a longer one
_ONE_UCS2, _PART_UCS2 = 70, 67  # UTF-16 units
_PLAIN: Final[Mapping[str, str]] = {
    "đ": "d", "Đ": "D", "–": "-", "—": "-", "−": "-", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'", "°": "o",
    "µ": "u", "μ": "u", "₂": "2", "²": "2", "³": "3", "·": ".", "•": "-", "×": "x", "`": "'", "[": "(", "]": ")",
    "{": "(", "}": ")", "\\": "/", "~": "-", "^": " ", "|": "/", "€": "EUR",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sms:
    """`segments`: messages that the network sends and counts for it."""

    text: str
    segments: int


def sms(text: str) -> Sms:
    """`text` without accents, in the basic alphabet of GSM alone. What it has no letter for is a question mark."""
    plain = "".join(_plain(c) for c in unicodedata.normalize("NFC", text))
    return Sms(plain, gsm_segments(plain))


def _plain(char: str) -> str:
    if char in _PLAIN:
        return _PLAIN[char]
    if char.isspace():
        return " "
    base = unicodedata.normalize("NFD", char)[0]
    return base if base.isascii() and base in GSM else "?"


def outside_gsm(text: str) -> str:
    """The characters of `text` that GSM's alphabet lacks, each once."""
    return "".join(sorted(set(text) - GSM - GSM_EXTENDED))


def gsm_segments(text: str) -> int:
    """Segments of a text of GSM's alphabet."""
    return _segments((2 if c in GSM_EXTENDED else 1 for c in text), _ONE, _PART)


def ucs2_segments(text: str) -> int:
    """Segments of a text with its accents: one letter outside GSM's alphabet makes all of them two octets long."""
    return _segments((2 if ord(c) > 0xFFFF else 1 for c in text), _ONE_UCS2, _PART_UCS2)


def _segments(costs: Iterable[int], one: int, part: int) -> int:
    """No character is cut in two by the end of a segment."""
    count = used = total = 0
    for cost in costs:
        total += cost
        if not count or used + cost > part:
            count, used = count + 1, 0
        used += cost
    return min(count, 1) if total <= one else count
