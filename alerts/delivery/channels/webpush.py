"""Web push to browsers: RFC 8030, encrypted by RFC 8291, signed by VAPID (RFC 8292)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey, generate_private_key
from yarl import URL

from alerts.delivery.channels.channel import ChannelError, Kind, Means, Quota, Reached
from alerts.delivery.parcel import Lane, Parcel
from alerts.delivery.retry_after import retry_after_s
from alerts.delivery.vapid_key import vapid_key
from alerts.delivery.webpush_crypto import (
    CURVE,
    PLAIN_MOST,
    SALT_BYTES,
    Vapid,
    base64url,
    browser_keys,
    encrypt,
)
from alerts.given import Section
from alerts.words.titled import titled

# Where browsers' subscriptions point: Chrome and its kin, Firefox, Edge, Safari. No other host is ever called, so that
# nobody can subscribe a victim's server, or one of our own network. A new service is one more line.
SERVICES: Final = ("fcm.googleapis.com", "push.services.mozilla.com", "notify.windows.com", "push.apple.com")
_ENDPOINT_MOST: Final = 2048  # characters; Microsoft's have some 600
_TTL_MOST_S: Final = 28 * 86_400  # Google refuses more
_ANSWER_MOST: Final = 1024  # bytes of it that are read
_ANSWER_S: Final = 10.0
_CONNECT_S: Final = 5.0
_CONNECTIONS: Final = 400  # over all hosts; further sends wait for one
# From so many recipients of a service who were refused in a row on, the fault is ours (key, clock) and not theirs: a
# single one can be made by anybody who subscribes with a key that is not our own.
_OUR_FAULT_FROM: Final = 20
# RFC 8030 section 5.3: high is for what is to arrive also on a low battery; low may wait for power or Wi-Fi.
_URGENCY: Final = {Lane.URGENT: "high", Lane.WARNING: "high", Lane.NEWS: "normal", Lane.LATER: "low"}


class _Keys(msgspec.Struct):
    p256dh: str
    auth: str


class _Subscription(msgspec.Struct):
    """PushSubscription.toJSON() of the Push API; what else it holds is left out."""

    endpoint: str
    keys: _Keys


_subscription: Final = msgspec.json.Decoder(_Subscription)


class WebPush:
    name: Final = "webpush"
    at_once: Final = 100
    timeout_s: Final = 12.0
    quota: Final = Quota(per_s=2_000.0, burst=2_000.0)

    def __init__(self, vapid: Vapid, now_ms: Callable[[], int], *, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: whom to believe; None: whom this machine believes."""
        self._vapid, self._now_ms, self._tls = vapid, now_ms, tls
        self._session: aiohttp.ClientSession | None = None
        self._refused: dict[str, set[str]] = {}  # service -> recipients since it last took anything

    async def send(self, parcel: Parcel) -> str:
        """A digest of the message's address at the push service, which itself would let anybody take it back."""
        to = _subscription.decode(parcel.address)
        keys = browser_keys(to.keys.p256dh, to.keys.auth)
        body = encrypt(_payload(parcel), keys, generate_private_key(CURVE), os.urandom(SALT_BYTES))
        url = URL(to.endpoint, encoded=True)
        service = _service(url.host or "") or "the push service"
        now = self._now_ms()
        headers = {
            "Authorization": self._vapid.authorization(str(url.origin()), now // 1000),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(max(0, min((parcel.expires_at - now) // 1000, _TTL_MOST_S))),
            "Urgency": "low" if parcel.silent else _URGENCY[parcel.lane],
            "Topic": _topic(parcel),
        }
        try:
            async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.content.read(_ANSWER_MOST)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ChannelError(f"{service}: {type(error).__name__}") from None
        except (aiohttp.ClientError, TimeoutError) as error:  # anywhere between the first byte and the answer
            raise ChannelError(f"{service}: {type(error).__name__}", maybe=True) from None
        if not 200 <= answer.status <= 299:
            raise self._refusal(service, parcel.recipient, answer.status, retry_after_s(answer.headers))
        self._refused.pop(service, None)
        location = answer.headers.get("Location", "")
        return blake2b(location.encode(), digest_size=12).hexdigest() if location else ""

    def _refusal(self, service: str, recipient: str, status: int, wait_s: float | None) -> ChannelError:
        said = f"{service} answers {status}"
        if status in (404, 410):  # and by nothing else: what is deleted is a way to a person
            return ChannelError(said, gone=True)
        if status in (400, 401, 403):
            refused = self._refused.setdefault(service, set())
            if len(refused) < _OUR_FAULT_FROM:
                refused.add(recipient)
            return ChannelError(said, everybody=len(refused) >= _OUR_FAULT_FROM, retry_after_s=wait_s)
        if status == 413 or 300 <= status <= 399:  # a redirect could lead anywhere
            return ChannelError(said, permanent=True)
        return ChannelError(said, everybody=status in (429, 503), retry_after_s=wait_s)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=_CONNECTIONS, limit_per_host=self.at_once, ssl=True if self._tls is None else self._tls
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _payload(parcel: Parcel) -> bytes:
    """What the service worker gets (docs/reference/webpush-and-mail.md), in as many words as fit."""
    body, lang = parcel.body, parcel.lang
    said = titled(body, lang)
    shown: dict[str, Any] = {
        "title": said.title, "lang": lang, "level": parcel.level, "tag": _topic(parcel), "silent": parcel.silent,
        "renotify": not parcel.silent, "exercise": body.get("exercise", False),
    }  # fmt: skip
    shown |= {key: body[key] for key in _PASSED_ON if key in body}
    for text in said.texts:
        packed = msgspec.json.encode(shown | {"text": text})
        if len(packed) <= PLAIN_MOST:
            return packed
    while len(packed) > PLAIN_MOST:
        text = text[: len(text) * 9 // 10]
        packed = msgspec.json.encode(shown | {"text": f"{text}…"})
    return packed


_PASSED_ON: Final = ("kind", "incident", "version", "reason", "hazard", "area", "at", "code", "check", "url")


def _topic(parcel: Parcel) -> str:
    """32 characters of base64url (RFC 8030 section 5.4).

    A newer message of an incident takes the place of an older one that has not arrived; never one of a drill that of
    another, and no errand that of anything.
    """
    what = parcel.key if parcel.seq < 0 else f"{parcel.incident}\n{bool(parcel.body.get('exercise'))}"
    return base64url(blake2b(what.encode(), digest_size=24).digest())


def _service(host: str) -> str:
    """Of SERVICES, the one that `host` is of; "" of none."""
    return next((name for name in SERVICES if host == name or host.endswith(f".{name}")), "")


def reach(text: str) -> Reached:
    """A PushSubscription as JSON. Raises ValueError."""
    try:
        asked = _subscription.decode(text)
        url = urlsplit(asked.endpoint)
        port = url.port
        keys = browser_keys(asked.keys.p256dh, asked.keys.auth)
        EllipticCurvePublicKey.from_encoded_point(CURVE, keys.point)
    except (msgspec.DecodeError, ValueError):
        raise ValueError("a subscription as browsers write it: endpoint, keys.p256dh and keys.auth") from None
    service = _service(url.hostname or "")
    plain = asked.endpoint.isascii() and asked.endpoint.isprintable() and not set(asked.endpoint) & set(' "<>\\^`{|}#@')
    if url.scheme != "https" or not service or not plain or port not in (None, 443):
        raise ValueError(f"an https address of one of the push services {', '.join(SERVICES)}")
    if len(asked.endpoint) > _ENDPOINT_MOST:
        raise ValueError(f"an address of at most {_ENDPOINT_MOST} characters")
    # One way to write each: an address is known again, and not sent codes anew, by its characters.
    endpoint = f"https://{url.hostname}{url.path}" + (f"?{url.query}" if url.query else "")
    kept = _Subscription(endpoint, _Keys(base64url(keys.point), base64url(keys.auth)))
    return Reached(msgspec.json.encode(kept).decode(), service)


def _make(section: Section, means: Means) -> WebPush | None:
    """None without `webpush.contact`. Raises ConfigError, FolderError."""
    contact = section["contact"]
    if not contact.text:
        return None
    if not contact.text.startswith(("mailto:", "https://")):
        raise contact.wrong("a mailto: or https: address where push services reach you")
    return WebPush(Vapid(vapid_key(means.data), contact.text), means.now_ms)


KIND: Final = Kind(WebPush.name, "residents", _make, {"contact": ""}, reach=reach)
