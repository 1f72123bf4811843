"""What channels need while nothing is sent: a token that nobody uses for months must not die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol, runtime_checkable

from alerts.delivery.channel_error import ChannelError

log = logging.getLogger(__name__)

EACH_S: Final = 3600.0


@runtime_checkable
class Tended(Protocol):
    async def tend(self) -> None:
        """Raises ChannelError."""


@runtime_checkable
class Measured(Protocol):
    def measured(self) -> Mapping[str, float]:
        """Metric name -> since the start, or now."""


async def tend(channels: Iterable[object], stop: asyncio.Event, each_s: float = EACH_S) -> None:
    """At once and every `each_s`, those that want it, until `stop` is set."""
    tended = [channel for channel in channels if isinstance(channel, Tended)]
    while tended and not stop.is_set():
        for channel in tended:
            try:
                await channel.tend()
            except ChannelError as error:
                log.warning("%s", error)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), each_s)


def measured(channels: Iterable[object]) -> dict[str, float]:
    """Of all that measure something; of two that share a name (one token, two channels) the last."""
    return {name: value for one in channels if isinstance(one, Measured) for name, value in one.measured().items()}
