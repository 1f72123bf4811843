"""The table of channels: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.delivery.channels import console, mail, mqtt, sms, speak, webhook, webpush, zalo, zns
from alerts.delivery.channels.channel import Kind
from alerts.delivery.hooks import Hook
from alerts.given import Section

_ALL: Final = (
    console.KIND,
    mqtt.KIND,
    webhook.KIND,
    speak.KIND,
    webpush.KIND,
    mail.KIND,
    sms.KIND,
    zalo.KIND,
    zns.KIND,
)
KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}


def hooks(sections: Mapping[str, Section]) -> dict[str, Hook]:
    """Of the channels whose providers call us back, by name. Raises ConfigError."""
    found = {name: kind.hook(sections[name]) for name, kind in KINDS.items() if name in sections}
    return {name: hook for name, hook in found.items() if hook is not None}
