"""A household's proxy is reminded, in every message, whom else to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.people.resident import PROXY_MOST
from alerts.words.names import Lang, one_line

_TELL: Final[Mapping[Lang, str]] = {"vi": "Xin báo giúp: {}", "en": "Please tell: {}"}


def with_proxy(text: str, lang: Lang, proxy_for: str) -> str:
    """`text` with a line for those without a phone; as it was where `proxy_for` is empty.

    It names persons: it belongs into the message to the proxy himself, and into no shared text, log or table.
    """
    whom = one_line(proxy_for, PROXY_MOST)
    return f"{text}\n{_TELL[lang].format(whom)}" if whom else text
