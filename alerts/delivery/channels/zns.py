"""ZNS: an approved template of Zalo to a phone number, whether or not its owner follows the account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from alerts.delivery import zalo_account as account
from alerts.delivery.channels.channel import Channel, Kind, Means, Quota, Reached
from alerts.delivery.parcel import Parcel
from alerts.delivery.phone import mobile
from alerts.delivery.provider import provider_url
from alerts.delivery.zalo_api import ZNS_CODES, ZaloApi
from alerts.delivery.zns_templates import Templates
from alerts.given import Section

NAME: Final = "zns"
URL: Final = "https://business.openapi.zalo.me"
_TEMPLATE: Final = "/message/template"


class ZnsChannel:
    name: Final = NAME
    timeout_s: Final = account.TIMEOUT_S

    def __init__(self, url: str, api: ZaloApi, templates: Templates, quota: Quota, at_once: int) -> None:
        self._url, self._api, self._templates = url, api, templates
        self.quota, self.at_once = quota, at_once

    async def send(self, parcel: Parcel) -> str:
        """`tracking_id` is the message's key, at every try the same; Zalo's receipts carry it as well."""
        template, words = self._templates.filled(parcel, NAME)
        message = {
            "phone": parcel.address.removeprefix("+"), "template_id": template, "template_data": words,
            "tracking_id": parcel.key,
        }  # fmt: skip
        return await self._api.post(f"{self._url}{_TEMPLATE}", message, "msg_id", scope=template)

    async def tend(self) -> None:
        """Once an hour. Raises ChannelError."""
        await self._api.tend()

    def measured(self) -> Mapping[str, float]:
        return self._api.measured()

    async def close(self) -> None:
        await self._api.close()


def reach(text: str) -> Reached:
    return Reached(mobile(text))


def _make(section: Section, means: Means) -> Channel | None:
    """None where no app is set up. Raises ConfigError."""
    if not section["app_id"].text:
        return None
    if not section["templates_file"].text:
        raise section["templates_file"].wrong("a file with the templates that Zalo has approved")
    per_s, at_once = section["per_s"].number(0.1, 1000), section["at_once"].whole(1, 100)
    api = account.api(NAME, ZNS_CODES, section, means, at_once)
    quota = Quota(per_s, burst=max(1.0, per_s))
    return ZnsChannel(provider_url(section["url"]), api, account.templates(section), quota, at_once)


KIND: Final = Kind(
    NAME,
    "residents",
    _make,
    account.keys(URL),
    account.SECRETS,
    reach,
    lambda section: account.hook(section, answers=False),
)
