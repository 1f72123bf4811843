"""Lines as the `data` of Prometheus's answers: times in seconds, values as text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from alerts.promql.evaluate import Line
from ingest.readings import Int64


def vector(lines: Sequence[Line], at: Int64) -> dict[str, Any]:
    """The values at the only time in `at`."""
    seconds = _seconds(at)
    return {
        "resultType": "vector",
        "result": [{"metric": line.labels, "value": [seconds[0], number(float(line.value[0]))]} for line in lines],
    }


def matrix(lines: Sequence[Line], at: Int64) -> dict[str, Any]:
    """The values at each time in `at`, where there are some."""
    return {
        "resultType": "matrix",
        "result": [{"metric": line.labels, "values": _values(line, at)} for line in lines],
    }


def scalar(value: float, at: Int64) -> dict[str, Any]:
    return {"resultType": "scalar", "result": [_seconds(at)[0], number(value)]}


def number(value: float) -> str:
    """The shortest digits that are this number, without an exponent."""
    if value != value:  # NaN  # noqa: PLR0124  # the plainest test there is
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def _values(line: Line, at: Int64) -> list[tuple[float, str]]:
    found = line.value[line.there].tolist()
    return list(zip(_seconds(at[line.there]), map(number, found), strict=True))


def _seconds(at: Int64) -> list[float]:
    return [ms // 1000 if ms % 1000 == 0 else ms / 1000 for ms in at.tolist()]
