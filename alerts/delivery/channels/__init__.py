"""The table of channels: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.delivery.channels import console, mail, mqtt, sms, speak, webhook, webpush, zalo, zns
from alerts.delivery.channels.channel import Kind

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
