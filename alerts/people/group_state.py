"""What the answers of a group say together. Pure.

Each leader speaks for himself: that one has told his households does not take back that another one asked for help.
What a user wrote down after talking to them counts over all that they had said before. An answer to an earlier version
does not count for a worse one, but a call for help stands until somebody says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Says(StrEnum):
    TOLD = "told"
    NEEDS_HELP = "needs_help"
    UNCLEAR = "unclear"  # it was a reply, and the note has it


class State(StrEnum):
    """In the order in which somebody has to see to it."""

    NEEDS_HELP = "needs_help"
    UNCLEAR = "unclear"  # a reply that a person has to read
    NOT_REACHED = "not_reached"  # no message to any of its leaders has gone out
    NO_ANSWER = "no_answer"
    TOLD_BEFORE = "told_before"  # answered an earlier version, and not the newest
    TOLD = "told"
    NOT_ASKED = "not_asked"  # no version has asked for an answer yet


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `resident` None: a user's. `version`: the newest that asked for an answer when it was given."""

    at: int
    says: Says
    version: int
    by: str
    resident: int | None = None
    note: str = ""


@dataclass(slots=True)
class _Voice:
    clear: Said | None = None
    unclear: bool = False


_USERS: Final = None


def state_of(said: Iterable[Said], asked: int, *, reached: bool) -> State:
    """`said` in the order in which it was said. `asked`: the newest version that asks for an answer; 0: none does."""
    voices: dict[int | None, _Voice] = {}
    for one in said:
        if one.resident is _USERS:
            voices.clear()
        voice = voices.setdefault(one.resident, _Voice())
        if one.says is Says.UNCLEAR:
            voice.unclear = True
        else:
            voice.clear, voice.unclear = one, False
    clear = [voice.clear for voice in voices.values() if voice.clear is not None]
    if any(one.says is Says.NEEDS_HELP for one in clear):
        return State.NEEDS_HELP
    if any(voice.unclear for voice in voices.values()):
        return State.UNCLEAR
    if clear:
        return State.TOLD if max(one.version for one in clear) >= asked else State.TOLD_BEFORE
    if not asked:
        return State.NOT_ASKED
    return State.NO_ANSWER if reached else State.NOT_REACHED
