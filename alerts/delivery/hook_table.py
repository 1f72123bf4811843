"""Which providers call us, by the name of their channel."""

from __future__ import annotations

from collections.abc import Mapping

from alerts.delivery import zalo_account
from alerts.delivery.channels.sms import SmsHook
from alerts.delivery.hooks import Hook
from alerts.given import Section


def hooks(sections: Mapping[str, Section]) -> dict[str, Hook]:
    """Of the channels that are set up and have a secret to be known by. Raises ConfigError."""
    found: dict[str, Hook] = {}
    if (sms := sections.get("sms")) is not None and sms["url"].text and sms.secrets["hook_secret"] is not None:
        found["sms"] = SmsHook(sms)
    for name in ("zalo", "zns"):
        section = sections.get(name)
        if section is not None and section["app_id"].text and section.secrets["webhook_secret"] is not None:
            found[name] = zalo_account.hook(section)
    return found


def answered(sections: Mapping[str, Section]) -> frozenset[str]:
    """The channels on which people can reply to a message, and are found again by the address that the reply names.

    Not ZNS: a reply to it comes from an account, and what we keep is a number. Raises ConfigError.
    """
    found = set(hooks(sections)) - {"zns"}
    sms = sections.get("sms")
    if sms is not None and not (sms["reply_from_at"].text and sms["reply_text_at"].text):
        found.discard("sms")
    return frozenset(found)
