"""Messages of the city's Zalo Official Account to those who follow it.

An answer of the account ("tin tư vấn") reaches only those who were in touch with it within seven days; everybody else,
which before a flood is nearly everybody, is told by an approved template where the settings have one that fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from alerts.delivery import zalo_account as account
from alerts.delivery.channels.channel import Channel, Kind, Means, Quota, Reached
from alerts.delivery.parcel import Parcel
from alerts.delivery.provider import provider_url
from alerts.delivery.zalo_api import OA_CODES, URL, ZaloApi, ZaloError
from alerts.delivery.zns_templates import Templates
from alerts.given import Section

NAME: Final = "zalo"
TEXT_MOST: Final = 2000  # characters of an answer
OUT_OF_TOUCH: Final = ("-230", "-232")
_ANSWER: Final = "/v3.0/oa/message/cs"
_TEMPLATE: Final = "/v3.0/oa/message/template"
_USER: Final = re.compile(r"[0-9]{6,32}")


class ZaloChannel:
    """Zalo knows no key of ours here: a try whose answer is lost may reach somebody twice."""

    name: Final = NAME
    timeout_s: Final = account.TIMEOUT_S

    def __init__(self, url: str, api: ZaloApi, templates: Templates, quota: Quota, at_once: int) -> None:
        self._url, self._api, self._templates = url, api, templates
        self.quota, self.at_once = quota, at_once

    async def send(self, parcel: Parcel) -> str:
        answer = {"recipient": {"user_id": parcel.address}, "message": {"text": text_of(parcel)}}
        try:
            return await self._api.post(f"{self._url}{_ANSWER}", answer, "message_id")
        except ZaloError as error:
            if error.code not in OUT_OF_TOUCH or not self._templates.cells:
                raise
        template, words = self._templates.filled(parcel, NAME)
        by_template = {"user_id": parcel.address, "template_id": template, "template_data": words}
        return await self._api.post(f"{self._url}{_TEMPLATE}", by_template, "message_id", scope=template)

    async def tend(self) -> None:
        """Once an hour. Raises ChannelError."""
        await self._api.tend()

    def measured(self) -> Mapping[str, float]:
        return self._api.measured()

    async def close(self) -> None:
        await self._api.close()


def text_of(parcel: Parcel) -> str:
    """The long form with its paragraphs, where there is one and it fits."""
    texts: Mapping[str, str] = parcel.body.get("long") or parcel.body["texts"]
    long = texts[parcel.lang]
    return long if len(long) <= TEXT_MOST else parcel.body["texts"][parcel.lang][:TEXT_MOST]


def reach(text: str) -> Reached:
    """Zalo's number of a follower, which comes with what he writes to the account; nobody knows it by heart."""
    if not _USER.fullmatch(text.strip()):
        raise ValueError(
            "số của người quan tâm Zalo OA, toàn chữ số / the number of a follower of the account, digits alone"
        )
    return Reached(text.strip())


def _make(section: Section, means: Means) -> Channel | None:
    """None where no app is set up. Raises ConfigError."""
    if not section["app_id"].text:
        return None
    per_s, at_once = section["per_s"].number(0.1, 1000), section["at_once"].whole(1, 100)
    api = account.api(NAME, OA_CODES, section, means, at_once)
    quota = Quota(per_s, burst=max(1.0, per_s))
    return ZaloChannel(provider_url(section["url"]), api, account.templates(section), quota, at_once)


KIND: Final = Kind(
    NAME,
    "residents",
    _make,
    account.keys(URL),
    account.SECRETS,
    reach,
    lambda section: account.hook(section, answers=True),
)
