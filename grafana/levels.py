"""Levels as colours and thresholds. Pure.

The colours are those of the residents' page in the dark: none of the five of the official risk levels (light blue,
light yellow, orange, red, purple). No colour stands alone: a word stands beside each.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final

from grafana.words import FLAGS, LEVELS, Tree, Words
from processing.rules import Judgement

COLOURS: Final = ("#8e979f", "#5cc9c4", "#d9a866", "#ff86bd", "#ffffff")  # by level, 0 first
PLAIN: Final = "#a9b8c4"  # what has no level
TROUBLE: Final = COLOURS[3]
FLAG_COLOURS: Final[Mapping[int, str]] = {1: "#4f6b6a", 2: "#5a6068", 3: COLOURS[2], 4: COLOURS[3], 9: "#343a40"}


def ladder(judgements: Collection[Judgement]) -> list[tuple[float, int]]:
    """The levels of one statistic under all these judgements: (from this value on, the highest level reached), rising.

    "Reaches" is CONTRACTS section 4's: below means s <= x + ε, so the level ends at x + ε.
    """
    found = [(-math.inf, _level(judgements, -math.inf))]
    for cut in sorted({cut for judgement in judgements for cut in _cuts(judgement)}):
        level = _level(judgements, cut)
        if level != found[-1][1]:
            found.append((cut, level))
    return found


def steps(judgements: Collection[Judgement]) -> list[Tree]:
    """The ladder as Grafana's threshold steps."""
    return [{"value": None if math.isinf(start) else start, "color": COLOURS[k]} for start, k in ladder(judgements)]


def words_of(judgements: Collection[Judgement]) -> list[Tree]:
    """The ladder as Grafana's value mappings: a number becomes the word of its level.

    Of two ranges that meet, the first that is listed has the value where they meet: the upper one.
    """
    rungs = ladder(judgements)
    ends = [start for start, _ in rungs[1:]] + [math.inf]
    return [
        {
            "type": "range",
            "options": {
                "from": None if math.isinf(start) else start,
                "to": None if math.isinf(end) else end,
                "result": {"text": LEVELS[k], "color": COLOURS[k], "index": n},
            },
        }
        for n, ((start, k), end) in enumerate(reversed(list(zip(rungs, ends, strict=True))))
    ]


def _cuts(judgement: Judgement) -> list[float]:
    known = [x for x in judgement.thresholds if not math.isnan(x)]
    return known if judgement.above else [x + 1e-9 * max(1.0, abs(x)) for x in known]


def _level(judgements: Collection[Judgement], value: float) -> int:
    """The highest level that `value`, and whatever lies a hair above it, reaches."""
    return max(
        (
            k
            for judgement in judgements
            for k, x in enumerate(judgement.thresholds, start=1)
            if not math.isnan(x) and (value >= x if judgement.above else value < x)
        ),
        default=0,
    )


def worst_of(trouble_from: float) -> list[Tree]:
    """Steps of a figure that should stay below `trouble_from`."""
    return [{"value": None, "color": PLAIN}, {"value": trouble_from, "color": TROUBLE}]


PLAIN_STEPS: Final[list[Tree]] = [{"value": None, "color": PLAIN}]


def legend(judgements: Collection[Judgement], unit: str) -> Words:
    """The thresholds in words: "Chú ý 20, Đề phòng 30 …", for the panel's description."""
    parts = [
        (k, ("≥" if judgement.above else "≤") + f" {x:g}" + (f" {unit}" if unit else ""))
        for judgement in judgements
        for k, x in enumerate(judgement.thresholds, start=1)
        if not math.isnan(x)
    ]
    return Words(*(", ".join(f"{LEVELS[k].said(lang)} {text}" for k, text in parts) for lang in ("vi", "en")))


def mapping(rows: Mapping[str, tuple[Words, str]]) -> Tree:
    """Grafana's value mapping: value -> word and colour."""
    options = {
        value: {"text": text, "color": colour, "index": n} for n, (value, (text, colour)) in enumerate(rows.items())
    }
    return {"type": "value", "options": options}


FLAG_MAPPING: Final = mapping({str(flag): (text, FLAG_COLOURS[flag]) for flag, text in FLAGS.items()})
ON_OFF: Final = mapping({"0": (Words("Mất điện", "Off"), COLOURS[2]), "1": (Words("Có điện", "On"), COLOURS[0])})
THERE: Final = mapping({"0": (Words("Vắng", "Away"), TROUBLE), "1": (Words("Có mặt", "There"), COLOURS[0])})
READY: Final = mapping({"0": (Words("Chưa sẵn sàng", "Not ready"), TROUBLE), "1": (Words("Sẵn sàng", "Ready"), PLAIN)})
CLOCK: Final = mapping(
    {
        "0": (Words("Giờ thật", "Real time"), PLAIN),
        "1": (Words("MÔ PHỎNG: diễn tập", "SIMULATED: an exercise"), TROUBLE),
    }
)
