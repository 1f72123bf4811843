"""Two channels to the provider of a storm: the bell, which several providers carry, and the horn, which one does.

Written as any channel is: the post knows them by their KIND alone.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Final

import aiohttp

from alerts.delivery.channels.channel import ChannelError, Kind, Quota, Reached
from alerts.delivery.parcel import Parcel

TIMEOUT_S: Final = 0.25  # of the wall's clock: less than a provider that hangs takes, and less than a lease
_QUOTA: Final = Quota(per_s=5_000, burst=5_000)
_ADDRESS: Final = re.compile(r"(?:(east|west):)?\+84[0-9]{9}")


@dataclass(slots=True)
class Sink:
    """`timeout_s` in seconds of the wall's clock, as the Sender counts them."""

    name: str
    url: str
    timeout_s: float
    at_once: int = 8
    quota: Quota = _QUOTA
    _session: aiohttp.ClientSession | None = None

    async def send(self, parcel: Parcel) -> str:
        body = {"to": parcel.address, "incident": parcel.incident, "version": parcel.version, "level": parcel.level,
                "reason": parcel.body["reason"], "text": parcel.body["texts"][parcel.lang], "silent": parcel.silent,
                "about": parcel.body.get("areas", [parcel.body.get("area")])}  # fmt: skip
        provider = parcel.address.partition(":")[0] if ":" in parcel.address else self.name
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(
                f"{self.url}/{provider}", json=body, headers={"Idempotency-Key": parcel.key}
            ) as answer:
                text = await answer.text()
        except aiohttp.ClientError as error:
            raise ChannelError(f"no answer: {type(error).__name__}", maybe=True) from None
        return _id(answer.status, text, answer.headers.get("Retry-After"))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)


def _id(status: int, text: str, retry_after: str | None) -> str:
    match status:
        case 200:
            return str(json.loads(text)["id"])
        case 410:
            raise ChannelError("410", gone=True)
        case 400:
            raise ChannelError("400", permanent=True)
        case 429:
            raise ChannelError("429", retry_after_s=float(retry_after or 1))
        case 503:
            raise ChannelError("503", everybody=True)
    raise ChannelError(str(status))


def reach(text: str) -> Reached:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError("a number such as +84905123456, with east: or west: before it")
    return Reached(text, found[1] or "")


def kinds(url: str, timeout_s: float) -> dict[str, Kind]:
    """The table of channels of a storm, towards the provider at `url`."""

    def make(name: str) -> Kind:
        return Kind(name, "residents", lambda _section, _means: Sink(name, url, timeout_s), reach=reach)

    return {name: make(name) for name in ("bell", "horn")}
