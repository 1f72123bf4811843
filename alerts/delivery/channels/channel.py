"""What a channel is: one way to reach people or machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from alerts.incidents.incident import Notice
from alerts.ledger.outbox import Message


class ChannelError(Exception):
    """The provider did not take the message. `permanent`: it never will (the address is wrong), do not try again."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Channel(Protocol):
    """One file a channel, and one line in the table of them."""

    @property
    def name(self) -> str: ...

    @property
    def carries_state(self) -> bool:
        """True: a recipient holds the newest state only, so a newer message takes the place of an older one."""

    @property
    def at_once(self) -> int:
        """Sends under way at the same time; the others wait in the ledger."""

    def recipients(self, notice: Notice) -> Sequence[str]:
        """Whom a notice concerns here, sorted; none: nobody is sent anything."""

    async def send(self, message: Message) -> None:
        """Returns when the provider has it. Raises ChannelError; the key may come again after a crash."""

    def close(self) -> None: ...
