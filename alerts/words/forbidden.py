"""Words that no text of ours may hold, in Vietnamese and English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

# Levels of the hydromet office: its alarm levels, its disaster-risk levels, its wind forces.
_SCALES: Final = r"\bcấp\s*(?:độ|\d|I|V|X|bão|gió)|báo động|\b(?:alarm|risk) level|\bbeaufort\b|\bBĐ\s*(?:\d|I)"
# What sensors observed is told, never what is to come: that is the office's to say.
_FORECASTS: Final = r"dự báo|dự kiến|dự đoán|\bsẽ\b|\bsắp\b|forecast|\bpredict|\bexpect|\bwill\b|\bimminent"
_OFFICE: Final = r"khí tượng|hydromet|weather service|meteorolog"
_EVACUATION: Final = r"sơ tán|di tản|\bevacuat"
_MARKUP: Final = r"<\s*[a-z/!?]|&(?:[a-z]+|#\d+);|```|\]\("

FORBIDDEN: Final[Mapping[str, re.Pattern[str]]] = {
    "an official scale": re.compile(_SCALES, re.IGNORECASE),
    "a forecast": re.compile(_FORECASTS, re.IGNORECASE),
    "the name of the hydromet office": re.compile(_OFFICE, re.IGNORECASE),
    "markup": re.compile(_MARKUP, re.IGNORECASE),
}
EVACUATION: Final = re.compile(_EVACUATION, re.IGNORECASE)


def forbidden(text: str, *, evacuation: bool = False) -> list[str]:
    """What of it `text` holds, as "a forecast: 'sẽ'". `evacuation`: an order to evacuate is allowed."""
    found = [(what, pattern.search(text)) for what, pattern in FORBIDDEN.items()]
    if not evacuation:
        found.append(("an order to evacuate", EVACUATION.search(text)))
    return [f"{what}: {match[0]!r}" for what, match in found if match is not None]
