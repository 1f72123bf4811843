"""What people send back, as their provider brings it to us over HTTP."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from alerts.given import Secret

if TYPE_CHECKING:
    from alerts.delivery.channels.channel import Reached  # channels read what their providers bring

SECRET_HEADER: Final = "X-Canhbao-Secret"  # noqa: S105  # its name
SECRET_LEAST: Final = 16  # characters


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


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    sender: str
    text: str
    id: str = ""


class PlainInbound:
    """For gateways that send what they are told to: {"from", "text", "id"} as JSON, and a secret in a header."""

    def __init__(self, secret: Secret, reach: Callable[[str], Reached]) -> None:
        """Raises ValueError for a secret that could be guessed."""
        if len(secret.reveal()) < SECRET_LEAST:
            raise ValueError(f"at least {SECRET_LEAST} characters")
        self._secret, self._reach = secret, reach

    def read(self, headers: Mapping[str, str], body: bytes) -> Reply | None:
        given = headers.get(SECRET_HEADER.lower(), "")
        if not hmac.compare_digest(given.encode(), self._secret.reveal().encode()):
            raise StrangerError
        try:
            said = msgspec.json.decode(body, type=_Body)
        except msgspec.DecodeError:
            raise ValueError('JSON: {"from": "…", "text": "…", "id": "…"}') from None
        return Reply(self._reach(said.sender).address, said.text, said.id)
