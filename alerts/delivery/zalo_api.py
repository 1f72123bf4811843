"""A call of Zalo's API: a token in a bare header, and errors inside HTTP 200.

Codes: docs/reference/channels.md has them with their sources, and which of them nobody has confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from alerts.delivery.channel_error import ChannelError
from alerts.delivery.fate import Fate, Fates
from alerts.delivery.hooks import ID_MOST
from alerts.delivery.provider import Provider, refused
from alerts.delivery.zalo_token import ZaloToken

BAD_TOKEN: Final = frozenset(("-216", "-220", "-124"))  # renewed once, and tried again
URL: Final = "https://openapi.zalo.me"
_P, _G, _W, _S, _A = Fate.PERMANENT, Fate.GONE, Fate.WAIT, Fate.SHUT, Fate.AGAIN
_OWN: Final = "the account may not send: its app, tier, permission or verification"

OA_CODES: Final[Mapping[str, tuple[Fate, str]]] = MappingProxyType({
    "-32": (_W, "too many calls"),
    "-200": (_A, "not sent, Zalo says not why"),
    "-201": (_P, "a parameter that Zalo does not take"),
    "-204": (_S, _OWN), "-205": (_S, _OWN), "-209": (_S, _OWN), "-212": (_S, _OWN), "-219": (_S, _OWN),
    "-221": (_S, _OWN), "-223": (_S, _OWN), "-224": (_S, _OWN), "-235": (_S, _OWN), "-320": (_S, _OWN),
    "-210": (_P, "longer than Zalo allows"),
    "-211": (_S, "the account has used up its number of messages"),
    "-213": (_G, "does not follow the account any more"),
    "-217": (_G, "has blocked the account"),
    "-218": (_P, "has had as many messages as Zalo allows"),
    "-227": (_P, "banned, or not on Zalo for 45 days"),
    "-230": (_P, "has not been in touch for 7 days"),
    "-232": (_P, "has not been in touch for too long"),
    "-233": (_P, "a kind of message that the account may not send"),
    "-234": (_P, "not at night"),
    "-240": (_S, "this way of sending has been shut down"),
    "-242": (_W, "the proof of the app's secret is not taken"),
    "-244": (_G, "does not want messages of this kind"),
    "-248": (_P, "against Zalo's rules"),
    "-249": (_P, "a template that goes to phone numbers only"),
    "-321": (_S, "the account has no money left"),
})  # fmt: skip
ZNS_CODES: Final[Mapping[str, tuple[Fate, str]]] = MappingProxyType({
    "-100": (_A, "unknown to Zalo itself"),
    "-101": (_S, _OWN), "-102": (_S, _OWN), "-103": (_S, _OWN), "-104": (_S, _OWN), "-105": (_S, _OWN),
    "-120": (_S, _OWN), "-125": (_S, _OWN), "-135": (_S, _OWN), "-1351": (_S, _OWN), "-136": (_S, _OWN),
    "-138": (_S, _OWN), "-1381": (_S, _OWN), "-32": (_W, "too many calls"),
    "-108": (_G, "no phone number that Zalo knows"),
    "-109": (_P, "no such template"), "-117": (_P, "a template of another account"),
    "-131": (_P, "a template that is not approved"), "-145": (_P, "a kind of template that may not be sent"),
    "-146": (_P, "a template that Zalo has switched off"),
    "-110": (_P, "an app of Zalo that is too old"),
    "-111": (_P, "a template without its words"), "-112": (_P, "a word of another kind"),
    "-1121": (_P, "a word that is too long"), "-1122": (_P, "a word that is missing"),
    "-1124": (_P, "a word of another form"), "-116": (_P, "words that Zalo does not take"),
    "-132": (_P, "a parameter that Zalo does not take"),
    "-114": (_P, "cannot be reached: account, choice or an old app"), "-119": (_P, "cannot receive it"),
    "-118": (_G, "is not on Zalo"),
    "-139": (_G, "does not want this kind"), "-141": (_G, "does not want messages of the account"),
    "-140": (_P, "may not be sent this kind"),
    "-115": (_S, "the account has no money left"), "-137": (_S, "the account has no money left"),
    "-126": (_S, "no money left for trials"), "-127": (_P, "a trial that goes to administrators only"),
    "-133": (_P, "not at night"),
    "-144": (_S, "the account has used up its day"), "-147": (_S, "the template has used up its day"),
    "-1471": (_P, "has had as many as Zalo allows"), "-1472": (_P, "has had as many as Zalo allows"),
    "-1241": (_W, "the proof of the app's secret is not taken"),
})  # fmt: skip


class ZaloApi:
    """`name`: of the channel, as its errors begin."""

    def __init__(
        self, name: str, token: ZaloToken, fates: Fates, now_ms: Callable[[], int], *, timeout_s: float, at_once: int
    ) -> None:
        self._name, self._token, self._fates, self._now_ms = name, token, fates, now_ms
        self._provider = Provider(name, timeout_s, at_once)

    async def post(self, url: str, payload: Mapping[str, Any], id_key: str, *, scope: str = "") -> str:
        """What stands under `id_key`: Zalo's number of the message. Raises ChannelError, ZaloError for its own codes.

        `scope`: the template, where a day's number may be its own.
        """
        now = self._now_ms()
        self._fates.check(now, scope)
        token = await self._token.access()
        code, data, after_s = await self._call(url, payload, token)
        if code in BAD_TOKEN:
            code, data, after_s = await self._call(url, payload, await self._token.renewed(token))
        if code in BAD_TOKEN:
            raise ChannelError(f"{self._name} {code}: the token is not taken, nor is a new one", everybody=True)
        if code != "0" and self._fates.of(code) is not Fate.TAKEN:
            scope = scope if code == "-147" else ""
            raise ZaloError(code, self._fates.error(code, now, scope=scope, after_s=after_s))
        found = data.get(id_key, "")
        return found[:ID_MOST] if isinstance(found, str) else ""

    async def _call(
        self, url: str, payload: Mapping[str, Any], token: str
    ) -> tuple[str, dict[str, Any], float | None]:  # fmt: skip
        """The code, "0" where it was taken, and what else stands there. Raises ChannelError."""
        headers = {"access_token": token, "Content-Type": "application/json"}
        reply = await self._provider.call(url, headers=headers, data=msgspec.json.encode(payload))
        if (error := refused(self._name, reply)) is not None:
            raise error
        answer = reply.json(self._name)
        code = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or isinstance(code, bool) or not isinstance(code, (int, str)):
            raise ChannelError(f"{self._name}: an answer without a code", maybe=True)
        data = answer.get("data")
        return str(code), data if isinstance(data, dict) else {}, reply.retry_after_s

    async def tend(self) -> None:
        """Once an hour: the token stays fresh in weeks in which nothing is sent. Raises ChannelError."""
        await self._token.access()

    def measured(self) -> Mapping[str, float]:
        return self._token.measured()

    async def close(self) -> None:
        await self._token.close()
        await self._provider.close()


class ZaloError(ChannelError):
    """With Zalo's own code."""

    def __init__(self, code: str, as_told: ChannelError) -> None:
        super().__init__(
            str(as_told), permanent=as_told.permanent, gone=as_told.gone, retry_after_s=as_told.retry_after_s,
            everybody=as_told.everybody, maybe=as_told.maybe,
        )  # fmt: skip
        self.code = code
