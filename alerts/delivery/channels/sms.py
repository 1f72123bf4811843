"""Short messages through the HTTP gateway of a provider; gateways differ, so its shape is set up, not programmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from alerts.delivery.channels.channel import ChannelError, Kind, Means, Quota, Reached
from alerts.delivery.fate import KEYS, Fate, Fates
from alerts.delivery.gateway import Shape, shape
from alerts.delivery.hooks import (
    ID_MOST,
    SECRET_HEADER,
    TEXT_MOST,
    Brought,
    Receipt,
    Reply,
    StrangerError,
    document,
    fits,
)
from alerts.delivery.parcel import Parcel
from alerts.delivery.phone import mobile
from alerts.delivery.pointed import pointer, text_at
from alerts.delivery.provider import Provider, provider_url, refused
from alerts.delivery.provider import Reply as Answer
from alerts.given import Given, Secret, Section
from alerts.words.sms import Sms, sms, ucs2_segments

NAME: Final = "sms"
_TIMEOUT_S: Final = 20.0
_HOOK_POINTERS: Final = ("receipt_id_at", "receipt_status_at", "reply_from_at", "reply_text_at", "reply_id_at")
_FORMS: Final = ("+84", "84", "0")  # how the gateway wants a number to begin


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where the gateway's answer says what became of it: pointers; `accepted` empty: a status of 2xx is enough."""

    code_at: tuple[str, ...]
    accepted: frozenset[str]
    id_at: tuple[str, ...]


class SmsChannel:
    """`counted`: segments and messages that the gateway has taken; each segment has its price."""

    name: Final = NAME
    timeout_s: Final = _TIMEOUT_S

    def __init__(
        self, url: str, shape: Shape, verdict: Verdict, fates: Fates, now_ms: Callable[[], int], *, at_once: int,
        quota: Quota, places: Mapping[str, str], number: str, accents: bool,
    ) -> None:  # fmt: skip
        """`places`: those of the template that are the same for all: sender, token, secret."""
        self._url, self._shape, self._verdict, self._fates, self._now_ms = url, shape, verdict, fates, now_ms
        self.at_once, self.quota = at_once, quota
        self._places, self._number, self._accents = places, number, accents
        self._provider = Provider(NAME, _TIMEOUT_S, at_once)
        self._messages = self._segments = 0

    async def send(self, parcel: Parcel) -> str:
        """The key goes along at every try: where a gateway knows it again, nobody gets the message twice."""
        self._fates.check(self._now_ms())
        said = text_of(parcel, accents=self._accents)
        number = f"{self._number}{parcel.address.removeprefix('+84')}"
        unicode = "1" if self._accents else "0"
        values = {**self._places, "to": number, "text": said.text, "key": parcel.key, "unicode": unicode}
        call = self._shape.filled(values)
        reply = await self._provider.call(
            self._url, method="GET" if call.query is not None else "POST", headers=call.headers, data=call.data,
            query=call.query,
        )  # fmt: skip
        found = self._read(reply)
        self._messages, self._segments = self._messages + 1, self._segments + said.segments
        return found

    def _read(self, reply: Answer) -> str:
        """The gateway's number of the message. Raises ChannelError where it did not take it."""
        answer = _document(reply)
        code = text_at(answer, self._verdict.code_at)
        if code and code not in self._verdict.accepted and self._fates.of(code) is not Fate.TAKEN:
            raise self._fates.error(code, self._now_ms(), after_s=reply.retry_after_s)
        if (error := refused(NAME, reply)) is not None:
            raise error
        if self._verdict.accepted and not code:
            raise ChannelError(f"{NAME}: an answer without the code that was set up", maybe=True)
        return text_at(answer, self._verdict.id_at)[:ID_MOST]

    def measured(self) -> Mapping[str, float]:
        return {"canhbao_sms_messages_total": self._messages, "canhbao_sms_segments_total": self._segments}

    async def close(self) -> None:
        await self._provider.close()


def text_of(parcel: Parcel, *, accents: bool) -> Sms:
    """What goes out, with its segments: without accents it is one message where it would be three."""
    text = parcel.body["texts"][parcel.lang]
    if accents:
        return Sms(text, ucs2_segments(text))
    made = parcel.body.get("sms", {}).get(parcel.lang)
    return sms(text) if made is None else Sms(made["text"], made["segments"])


def _document(reply: Answer) -> object:
    try:
        return msgspec.json.decode(reply.body) if reply.body else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def reach(text: str) -> Reached:
    return Reached(mobile(text))


class SmsHook:
    """The gateway's calls at our address, in the shape that is set up, with a secret in a header."""

    def __init__(self, section: Section) -> None:
        """Raises ConfigError."""
        self._secret = section.secrets["hook_secret"]
        self._at = {key: pointer(section[key]) for key in _HOOK_POINTERS}
        self._received = frozenset(section["receipt_received"].text.split())
        self._failed = frozenset(section["receipt_failed"].text.split())
        self.answers = bool(section["reply_from_at"].text and section["reply_text_at"].text)

    def read(self, headers: Mapping[str, str], body: bytes) -> Brought | None:
        """As in alerts/delivery/hooks.py; None also for a state between, such as "on its way"."""
        if not fits(headers.get(SECRET_HEADER.lower(), ""), self._secret):
            raise StrangerError
        brought = document(body)
        found = {key: text_at(brought, at) for key, at in self._at.items()}
        if found["reply_from_at"] and found["reply_text_at"]:
            number = mobile(found["reply_from_at"])
            return Reply(number, found["reply_text_at"][:TEXT_MOST], found["reply_id_at"][:ID_MOST])
        number, status = found["receipt_id_at"][:ID_MOST], found["receipt_status_at"]
        if not number or not status:
            raise ValueError("neither a receipt nor an answer of the shape that is set up")
        if status in self._received:
            return Receipt(number, received=True)
        failed = status in self._failed
        return (
            Receipt(number, received=False, error=f"{NAME}: the gateway says that it did not arrive")
            if failed
            else None
        )


def _make(section: Section, means: Means) -> SmsChannel | None:
    """None where no gateway is set up. Raises ConfigError."""
    if not section["url"].text:
        return None
    SmsHook(section)  # what is wrong with it is said at the start
    per_s = section["per_s"].number(0.1, 1000)
    per_day = section["per_day"].whole(0, 10_000_000)
    return SmsChannel(
        provider_url(section["url"]), shape(section), _verdict(section), Fates(NAME, {}, section), means.now_ms,
        at_once=section["at_once"].whole(1, 100),
        quota=Quota(per_s, burst=max(1.0, per_s), per_day=per_day or None),
        places={
            "sender": section["sender"].text, "token": _revealed(section.secrets["token"]),
            "secret": _revealed(section.secrets["secret"]),
        },
        number=section["number"].one_of(*_FORMS), accents=section["accents"].one_of("no", "yes") == "yes",
    )  # fmt: skip


def _verdict(section: Section) -> Verdict:
    accepted: Given = section["accepted"]
    verdict = Verdict(pointer(section["code_at"]), frozenset(accepted.text.split()), pointer(section["id_at"]))
    if bool(verdict.code_at) != bool(verdict.accepted):
        raise accepted.wrong('the codes that mean "taken", together with sms.code_at, or neither')
    return verdict


def _revealed(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()


KIND: Final = Kind(
    NAME,
    "residents",
    _make,
    {
        "url": "", "content": "json", "headers": "", "body": "", "sender": "", "number": "84", "accents": "no",
        "code_at": "", "accepted": "", "id_at": "", "per_s": "20", "per_day": "0", "at_once": "8",
        "receipt_received": "", "receipt_failed": "", **dict.fromkeys(_HOOK_POINTERS, ""), **KEYS,
    },
    ("token", "secret", "hook_secret"),
    reach,
    lambda section: SmsHook(section) if section["url"].text and section.secrets["hook_secret"] is not None else None,
)  # fmt: skip
