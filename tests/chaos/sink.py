"""The channel to the receivers' process: a stand-in for what reaches people, put into the table of channels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from alerts.delivery.channels.channel import ChannelError, Quota
from alerts.delivery.parcel import Parcel
from alerts.incidents.incident import Notice

RECIPIENTS: Final = ("ioc", "ward")
ANSWER_S: Final = 1.5  # no answer for so long: the message is sent again


class Sink:
    """The channel: every version of every incident to two recipients."""

    name: Final = "sink"
    carries_state: Final = False
    at_once: Final = 4
    timeout_s: Final = 30.0
    quota: Final = Quota()

    def __init__(self, address: str) -> None:
        self._host, _, port = address.partition(":")
        self._port = int(port)

    def recipients(self, _notice: Notice) -> Sequence[str]:
        return RECIPIENTS

    async def send(self, message: Parcel) -> str:
        key = [message.incident, message.version, message.recipient]
        line = json.dumps({"key": key, "body": message.body}, sort_keys=True).encode() + b"\n"
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    writer.write(line)
                    answer = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise ChannelError(f"the receiver: {error or 'no answer'}") from error
        if answer != b"ok\n":
            raise ChannelError(f"the receiver says {answer!r}")
        return ""

    async def close(self) -> None:
        pass
