"""When a provider wants to be asked again: the header Retry-After (RFC 9110 section 10.2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

WAIT_MOST_S: Final = 24 * 3600.0


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds, at most WAIT_MOST_S. A date counts from the answer's own `Date`; None where nothing that counts is said.

    `headers` find their names in any spelling.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), WAIT_MOST_S)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError, OverflowError):  # one zone said and the other not; no date; a year of five digits
        return None
    return min(max(wait.total_seconds(), 0.0), WAIT_MOST_S)
