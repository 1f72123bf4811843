"""The call of a gateway as its settings describe it: a body or a query with places, put in with the right escaping.

The template is read once, as JSON or as a form; only the texts in it are filled, in one pass. So no text of a warning
can end a value, add a field or be filled itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode

import msgspec

from alerts.given import Given, Section

Content: TypeAlias = Literal["json", "form", "query"]
PLACES: Final = ("to", "text", "key", "sender", "unicode", "token", "secret")
_PLACE: Final = re.compile(r"\{(" + "|".join(PLACES) + r")\}")
_OTHER: Final = re.compile(r"\{[a-z_]*\}")
_HEADER: Final = re.compile(r"([A-Za-z0-9-]{1,64}): ?([ -~]{1,500})")
_HEADER_PLACES: Final = frozenset(("{key}", "{token}", "{secret}"))  # never what others have written
_NOT_OURS: Final = ("content-length", "host", "transfer-encoding")
_DEPTH_MOST: Final = 8
_TYPES: Final[Mapping[Content, str]] = {
    "json": "application/json", "form": "application/x-www-form-urlencoded", "query": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """`data`: the body; `query`: what stands in the address in its place."""

    headers: Mapping[str, str] = field(repr=False)
    data: bytes | None = field(repr=False)
    query: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shape:
    """`body`: a JSON document, or the fields of a form or a query. `headers`: filled as well, for tokens."""

    content: Content
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    def filled(self, values: Mapping[str, str]) -> Call:
        """`values`: every one of PLACES."""
        headers = {name: _fill(text, values) for name, text in self.headers.items()}
        body = _fill(self.body, values)
        if self.content == "query":
            return Call(headers, None, body)
        headers = {"Content-Type": _TYPES[self.content], **headers}
        data = msgspec.json.encode(body) if self.content == "json" else urlencode(body).encode()
        return Call(headers, data, None)


def shape(section: Section) -> Shape:
    """From the keys `content`, `body` and `headers`. Raises ConfigError."""
    match section["content"].one_of("json", "form", "query"):
        case "json":
            return Shape("json", _json(section["body"]), _headers(section["headers"]))
        case "form":
            return Shape("form", _fields(section["body"]), _headers(section["headers"]))
    return Shape("query", _fields(section["body"]), _headers(section["headers"]))


def _json(given: Given) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(given.text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise _wrong_body(given, "a JSON object") from None
    if _deep(body) > _DEPTH_MOST:
        raise _wrong_body(given, f"JSON at most {_DEPTH_MOST} deep")
    return _checked(given, body)


def _fields(given: Given) -> dict[str, str]:
    try:
        pairs = parse_qsl(given.text, keep_blank_values=True, strict_parsing=True, max_num_fields=50)
    except ValueError:
        raise _wrong_body(given, 'fields such as "phone={to}&content={text}"') from None
    if len(dict(pairs)) != len(pairs):
        raise _wrong_body(given, "each field once")
    return _checked(given, dict(pairs))


def _checked(given: Given, body: dict[str, Any]) -> dict[str, Any]:
    texts = list(_texts(body))
    unknown = [place for text in texts for place in _OTHER.findall(_PLACE.sub("", text))]
    if unknown:
        raise _wrong_body(given, f"no places but {{{'}, {'.join(PLACES)}}}")
    for place in ("{to}", "{text}"):
        if not any(place in text for text in texts):
            raise _wrong_body(given, f"{place} in one of its values")
    return body


def _wrong_body(given: Given, expected: str) -> Exception:
    """Without what stands there: some write their secret into it."""
    return given.wrong(expected, shown="a template that does not fit")


def _headers(given: Given) -> dict[str, str]:
    """Lines of "Name: value"."""
    found: dict[str, str] = {}
    for line in given.text.splitlines():
        matched = _HEADER.fullmatch(line.strip())
        if matched is None or matched[1].lower() in _NOT_OURS or not _HEADER_PLACES.issuperset(_OTHER.findall(line)):
            raise given.wrong('lines such as "Authorization: Bearer {token}"', shown="a line that is no header")
        found[matched[1]] = matched[2]
    return found


def _fill(body: Any, values: Mapping[str, str]) -> Any:
    if isinstance(body, str):
        return _PLACE.sub(lambda place: values[place[1]], body)
    if isinstance(body, dict):
        return {name: _fill(value, values) for name, value in body.items()}
    return [_fill(value, values) for value in body] if isinstance(body, list) else body


def _texts(body: Any) -> list[str]:
    if isinstance(body, str):
        return [body]
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return [text for value in inner for text in _texts(value)]


def _deep(body: Any) -> int:
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return 1 + max((_deep(value) for value in inner), default=0)
