"""Vietnamese mobile numbers, as people write them and as they are kept."""

from __future__ import annotations

import re
from typing import Final

# Ten digits since 2018: 03, 05, 07, 08, 09 (Circular 22/2014/TT-BTTTT as changed by Decision 798/QD-BTTTT of 2018).
_MOBILE: Final = re.compile(r"(?:\+84|0084|84|0)([35789][0-9]{8})")
_BETWEEN: Final = re.compile(r"[ .\-()\u00a0]")
EXPECTED: Final = (
    "số di động Việt Nam gồm 10 chữ số, như 0912 345 678 / "
    "a Vietnamese mobile number of 10 digits, such as 0912 345 678"
)


def mobile(text: str) -> str:
    """E.164: +84912345678. Raises ValueError for whatever is no Vietnamese mobile number.

    Other countries are not taken: numbers that somebody else earns by are how strangers empty an account (SMS pumping).
    """
    found = _MOBILE.fullmatch(_BETWEEN.sub("", text.strip()))
    if found is None or len(text) > 40:
        raise ValueError(EXPECTED)
    return f"+84{found[1]}"
