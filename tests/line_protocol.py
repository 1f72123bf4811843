"""InfluxDB's line protocol, as strictly as InfluxDB 2 reads it; the words of its refusals are the real one's."""

from __future__ import annotations

import re
from typing import NamedTuple

_ATOM = r"(?:\\.|[^\\,= ])+"
_STRING = r'"(?:\\.|[^"\\])*"'
_FIELD = rf"{_ATOM}=(?:{_STRING}|[^, \"]+)"
_LINE = re.compile(rf"((?:\\.|[^\\, ])+)((?:,{_ATOM}={_ATOM})*) ({_FIELD}(?:,{_FIELD})*) (-?\d+)")
_TAG = re.compile(rf",({_ATOM})=({_ATOM})")
_ONE_FIELD = re.compile(rf"({_ATOM})=({_STRING}|[^, \"]+)")
_FLOAT = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_BOOLEANS = {**dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
             **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False)}  # fmt: skip
_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_OLDEST, _NEWEST = -9223372036854775806, 9223372036854775806

Value = float | int | str | bool


class LineError(ValueError):
    """One line cannot be read; the message names it."""


class Point(NamedTuple):
    """`tags` sorted; `fields` by name; `t` ns UTC."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: dict[str, Value]
    t: int


def parse(line: str, precision: str) -> Point:
    """Raises LineError. A time is asked for: the real one puts in its own, which none of ours may leave to it."""

    def refused(why: str) -> LineError:
        return LineError(f"unable to parse '{line}': {why}")

    match = _LINE.fullmatch(line)
    if match is None:
        if " " not in line.replace("\\ ", ""):
            raise refused("missing fields")
        raise refused("missing tag value" if re.search(r",[^=]+=[, ]", line) else "invalid field format or timestamp")
    tags = [(_plain(key), _plain(value)) for key, value in _TAG.findall(match[2])]
    if len({key for key, _ in tags}) < len(tags):
        raise refused("duplicate tags")
    fields: dict[str, Value] = {}
    for name, text in _ONE_FIELD.findall(match[3]):
        try:
            fields[_plain(name)] = _value(text)
        except ValueError:
            raise refused("invalid number") from None
    t = int(match[4]) * _NS[precision]
    if not _OLDEST <= t <= _NEWEST:
        raise refused(f"time outside range {_OLDEST} - {_NEWEST}")
    return Point(re.sub(r"\\([, ])", r"\1", match[1]), tuple(sorted(tags)), fields, t)


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def _value(text: str) -> Value:
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text.endswith("i"):
        return int(text[:-1])
    if _FLOAT.fullmatch(text) is None:
        raise ValueError(text)
    return float(text)
