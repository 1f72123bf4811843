"""A message under a title, as mails and notifications show it: of a notice (alerts/words/message.py) or an errand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from alerts.words.names import Lang

_TITLE_MOST: Final = 160  # characters


@dataclass(frozen=True, slots=True)
class Titled:
    """`texts`: the same in ever fewer words, each whole without the title, the fullest first; at least one."""

    title: str
    texts: tuple[str, ...]


def titled(body: Mapping[str, Any], lang: Lang) -> Titled:
    """The title is what an errand names as its subject; of a notice the first paragraph of its long text."""
    short = body["texts"][lang]
    if "subject" in body:
        return Titled(_cut(body["subject"][lang]), (short,))
    if "long" not in body:
        return Titled(_cut(short), (short,))
    head, _, rest = body["long"][lang].partition("\n\n")
    return Titled(_cut(head), (rest or head, short))


def _cut(text: str) -> str:
    """One line, cut between words."""
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_MOST else line[: _TITLE_MOST - 1].rpartition(" ")[0] + "…"
