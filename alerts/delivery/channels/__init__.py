"""The table of channels: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.delivery.channels.channel import Channel, ChannelError
from alerts.delivery.channels.console import Console
from alerts.delivery.channels.mqtt import Mqtt

CHANNELS: Final[Mapping[str, type[Channel]]] = {"console": Console, "mqtt": Mqtt}

__all__ = ["CHANNELS", "Channel", "ChannelError", "Console", "Mqtt"]
