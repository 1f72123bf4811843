"""What operators do, on its way to the spine and back: the answer is given when it is in the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Acted:
    """What became of an act: the incidents that it was about and the versions that it made. `at` ms UTC.

    `already`: the same person's same key had done it before; nothing was done again.
    """

    at: int
    incidents: tuple[str, ...] = ()
    versions: tuple[tuple[str, int], ...] = ()
    already: bool = False

    def again(self) -> Acted:
        return replace(self, already=True)
