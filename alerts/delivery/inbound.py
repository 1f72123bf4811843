"""What people send back, as their provider brings it to us over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

SECRET_HEADER: Final = "X-Canhbao-Secret"  # noqa: S105  # its name


class StrangerError(Exception):
    """It does not come from the provider. What is wrong with it is not told."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`address` as the channel keeps it; `id` the provider's own number of the message, "" where it gives none."""

    address: str = field(repr=False)
    text: str = field(repr=False)
    id: str


class Inbound(Protocol):
    def read(self, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """None: genuine, and nothing that a person wrote. Header names in small letters.

        Raises StrangerError, and ValueError for a body of another shape: its text repeats nothing of the body.
        """
