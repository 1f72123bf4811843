"""JSON pointers (RFC 6901): where in a provider's answer something stands."""

from __future__ import annotations

from typing import Final

from alerts.given import Given

_TEXT_MOST: Final = 1000


def pointer(given: Given) -> tuple[str, ...]:
    """The tokens of a pointer; () where nobody has given one. Raises ConfigError."""
    if not given.text:
        return ()
    if not given.text.startswith("/") or len(given.text) > 200:
        raise given.wrong('a JSON pointer such as "/CodeResult" or "/data/0/id"')
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in given.text[1:].split("/"))


def text_at(document: object, tokens: tuple[str, ...]) -> str:
    """The text, number or truth value that stands there, as text; "" where there is none."""
    found = document if tokens else None
    for token in tokens:
        if isinstance(found, dict):
            found = found.get(token)
        elif isinstance(found, list) and token.isascii() and token.isdigit() and len(token) < 6:
            found = found[int(token)] if int(token) < len(found) else None
        else:
            return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)[:_TEXT_MOST] if isinstance(found, (str, int, float)) else ""
