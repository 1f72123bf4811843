"""What providers bring to an address of ours: that a message arrived or did not, and what somebody answered."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from alerts.given import Secret

BODY_BYTES_MOST: Final = 64 * 1024
TEXT_MOST: Final = 1000  # characters of an answer; the rest is cut
ID_MOST: Final = 200
SECRET_HEADER: Final = "X-Canhbao-Secret"  # noqa: S105  # its name; of providers that sign nothing


class StrangerError(Exception):
    """It does not come from the provider. What is wrong with it is not told."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`address` as the channel keeps it; `id` the provider's own number of the message, "" where it gives none."""

    address: str = field(repr=False)
    text: str = field(repr=False)
    id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """`id`: the provider's number of the message. `error`: why it did not arrive, in our words."""

    id: str
    received: bool
    error: str = ""


Brought: TypeAlias = Receipt | Reply


class Hook(Protocol):
    """One provider, as it calls us."""

    @property
    def answers(self) -> bool:
        """Whether people's replies come this way, from an address as the channel keeps it."""

    def read(self, headers: Mapping[str, str], body: bytes) -> Brought | None:
        """None: genuine, and of no concern to us. Header names in small letters.

        Raises StrangerError, and ValueError for a body of no shape that we know; its text repeats nothing of it.
        """


def fits(given: str, secret: Secret | None) -> bool:
    """Whether it is the secret, in constant time; nothing fits where none is set up."""
    return secret is not None and hmac.compare_digest(given.encode(), secret.reveal().encode())


def document(body: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    if len(body) > BODY_BYTES_MOST:
        raise ValueError(f"beyond {BODY_BYTES_MOST} bytes")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("no JSON object") from None
