"""The parts of a text, in the order in which they are said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parts:
    """Whole sentences of one language and voice. `caveat` and `more` may be empty; `tail`: what never is cut off."""

    head: str  # hazard and place, with the level or what has become of it
    observed: str  # source and time
    impact: str
    action: str
    after: str  # where the next word is
    caveat: str = ""  # how sure it is
    more: str = ""  # what only the long forms have room for
