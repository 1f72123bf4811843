"""A query's text as tokens, by the lexical rules of PromQL (https://prometheus.io/docs/prometheus/latest/querying/basics/)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

_TOKEN: Final = re.compile(
    r"""(?P<gap>[ \t\r\n]+|\#[^\r\n]*)
    |(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_.]))
    |(?P<number>0[xX][0-9a-fA-F]+|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'|`[^`]*`)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>={}()\[\],:@])""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL)
_PLAIN_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_DURATION: Final = re.compile(
    "(?=.)(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
_DURATION_MS: Final = (365 * 86_400_000, 7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_DURATION_MS_MOST: Final = (2**63 - 1) // 1_000_000  # Prometheus counts durations in nanoseconds of 63 bits

Kind = Literal["duration", "number", "name", "string", "sign", "end"]


class QueryError(ValueError):
    """Why a question has no answer. `kind` as in Prometheus's answers: `bad_data`, nobody can read it;
    `execution`: we do not carry it out.
    """

    def __init__(self, why: str, kind: Literal["bad_data", "execution"] = "bad_data") -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Token:
    """`text` as written; `at`: its first character, counted from 1."""

    kind: Kind
    text: str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """All of them, then one of kind `end`. Raises QueryError where no token begins."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            what = "an open string" if text[at] in "\"'`" else f"unexpected character {text[at]!r}"
            raise QueryError(f"1:{at + 1}: parse error: {what}")
        if match.lastgroup != "gap":
            yield Token(match.lastgroup, match[0], at + 1)  # type: ignore[arg-type]  # the groups' names are the kinds
        at = match.end()
    yield Token("end", "", len(text) + 1)


def string_value(token: Token) -> str:
    """What a string says, by Go's escapes, which are PromQL's. Raises QueryError."""
    quote, inside = token.text[0], token.text[1:-1]
    return inside if quote == "`" else _ESCAPE.sub(lambda match: _unescaped(match, quote, token.at), inside)


def _unescaped(match: re.Match[str], quote: str, at: int) -> str:
    code = match[1]
    if code == quote:
        return quote
    if len(code) == 1:
        if code not in _PLAIN_ESCAPES:
            raise QueryError(f"1:{at}: parse error: unknown escape \\{code} in a string")
        return _PLAIN_ESCAPES[code]
    point = int(code, 8) if code[0].isdigit() else int(code[1:], 16)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000 or (code[0] not in "uU" and point > 0x7F):
        raise QueryError(f"1:{at}: parse error: \\{code} in a string is no character")
    return chr(point)


def duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `5m` or `1h30m`; a year has 365 days. Raises QueryError."""
    match = _DURATION.fullmatch(text)
    if match is None or len(text) > 64:
        raise QueryError(f"not a valid duration: {text[:64]!r}")
    ms = sum(int(number or 0) * unit for number, unit in zip(match.groups(), _DURATION_MS, strict=True))
    if ms > _DURATION_MS_MOST:
        raise QueryError(f"duration out of range: {text!r}")
    return ms
