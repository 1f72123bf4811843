"""The table of channels: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from alerts.delivery.channels.channel import Channel, ChannelError
from alerts.delivery.channels.console import Console
from alerts.delivery.channels.mqtt import Mqtt, Publisher
from alerts.words.names import Lang


@dataclass(frozen=True, slots=True)
class Means:
    """What channels are made of."""

    stream: TextIO
    lang: Lang
    publisher: Publisher


CHANNELS: Final[Mapping[str, Callable[[Means], Channel]]] = {
    Console.name: lambda means: Console(means.stream, means.lang),
    Mqtt.name: lambda means: Mqtt(means.publisher),
}

__all__ = ["CHANNELS", "Channel", "ChannelError", "Console", "Means", "Mqtt"]
