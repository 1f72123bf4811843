"""Warnings as signed JSON to an operations centre and agencies: a channel each, so that none waits for another."""

from __future__ import annotations

import errno
import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_network
from ssl import SSLContext
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from alerts.delivery.channels.channel import Channel, ChannelError, Kind, Means, Quota
from alerts.delivery.endpoints import Endpoint, read_endpoints
from alerts.delivery.guard import Guard, Network, RefusedError
from alerts.delivery.parcel import Parcel
from alerts.given import Given, Section
from alerts.incidents.incident import Notice
from ingest.tls import tls_context

ANSWER_BYTES_MOST: Final = 4096  # read of an answer; the connection of a longer one is closed
_LEFT_OUT: Final = ("sms", "spoken")  # forms of the text for other channels
_RETRY_AFTER_MOST_S: Final = 3600.0
# What these say holds for whatever we send: the others wait as well. The rest may be about this event alone.
_EVERYBODY: Final = (401, 403, 404, 405, 429, 502, 503, 504)
_NEVER: Final = (HTTPStatus.GONE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def payload(parcel: Parcel) -> bytes:
    """The body, the same at every try: JSON of docs/how-to/webhooks.md."""
    alert = {name: value for name, value in parcel.body.items() if name not in _LEFT_OUT}
    made = datetime.fromtimestamp(parcel.created_at // 1000, UTC).replace(microsecond=parcel.created_at % 1000 * 1000)
    return msgspec.json.encode({
        "event_id": parcel.key,
        "sequence": parcel.seq,
        "type": "drill" if parcel.body["exercise"] else "alert",
        "created_at": made.isoformat(timespec="milliseconds"),
        "alert": alert,
    })  # fmt: skip


def signature(secrets: Sequence[bytes], timestamp: str, body: bytes) -> str:
    """`v1=` and HMAC-SHA256 (RFC 2104) over timestamp, a point and the body, in hex; one for each secret."""
    signed = timestamp.encode() + b"." + body
    return ", ".join(f"v1={hmac.new(secret, signed, sha256).hexdigest()}" for secret in secrets)


class Webhook:
    carries_state: Final = False
    at_once: Final = 64  # of one incident one: the desk's queue sees to that
    timeout_s: Final = 10.0
    quota: Final = Quota(per_s=20_000, burst=20_000)  # the receiver says when it is too much (429)

    def __init__(
        self, endpoint: Endpoint, connector: Callable[[], aiohttp.TCPConnector], *, now_ms: Callable[[], int],
        lineage: Callable[[str], Sequence[str]],
    ) -> None:  # fmt: skip
        self.name: Final = f"webhook:{endpoint.name}"
        self._endpoint, self._connector, self._now_ms, self._lineage = endpoint, connector, now_ms, lineage
        self._url = URL(endpoint.url.reveal())
        self._secrets = [secret.reveal().encode() for secret in endpoint.secrets]
        self._session: aiohttp.ClientSession | None = None

    def recipients(self, notice: Notice) -> Sequence[str]:
        return (self._endpoint.name,) if self._endpoint.wants(notice, self._lineage(notice.area)) else ()

    async def send(self, parcel: Parcel) -> str:
        body = payload(parcel)
        timestamp = str(self._now_ms() // 1000)
        headers = {
            "Canhbao-Event-Id": parcel.key,
            "Canhbao-Timestamp": timestamp,
            "Canhbao-Signature": signature(self._secrets, timestamp, body),
        }
        try:
            async with self._opened().post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                _judge(answer.status, answer.headers, self._now_ms() / 1000)
                with suppress(aiohttp.ClientError, TimeoutError):  # it has it, whatever becomes of the rest
                    await answer.content.read(ANSWER_BYTES_MOST)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _failed(error) from None  # its text may hold the address
        return ""

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                headers={
                    hdrs.CONTENT_TYPE: "application/json",
                    hdrs.USER_AGENT: "canhbao",
                    hdrs.ACCEPT_ENCODING: "identity",
                },
                auto_decompress=False,  # a small answer may be a large one packed
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _judge(status: int, headers: Mapping[str, str], now_s: float) -> None:
    """Raises ChannelError for what is no 2xx.

    Only 410 and 413 are for ever: an endpoint that is set up wrongly must not lose what is told while it is mended.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise ChannelError(f"answered {status}: redirects are not followed", everybody=True)
    raise ChannelError(
        f"answered {status}", permanent=status in _NEVER, everybody=status in _EVERYBODY,
        retry_after_s=_retry_after_s(headers.get(hdrs.RETRY_AFTER, ""), now_s),
    )  # fmt: skip


def _retry_after_s(text: str, now_s: float) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date; None: none that can be read."""
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), _RETRY_AFTER_MOST_S)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - now_s), _RETRY_AFTER_MOST_S)
    except (ValueError, OverflowError):
        return None


def _failed(error: aiohttp.ClientError | TimeoutError) -> ChannelError:
    """Without a word of the library's, which may name the address."""
    if isinstance(error, TimeoutError):
        return ChannelError(f"no answer for {Webhook.timeout_s:g} s", maybe=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ChannelError("its certificate is not believed", everybody=True)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ChannelError("its name is not known", everybody=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        cause: Any = error.os_error
        said = str(cause) if isinstance(cause, RefusedError) else errno.errorcode.get(cause.errno or 0, "TLS")
        return ChannelError(f"no connection: {said}", everybody=True)
    return ChannelError(f"no whole answer: {type(error).__name__}", maybe=True)


def _make(section: Section, means: Means) -> Sequence[Channel]:
    if not section["file"].text:
        return ()
    guard = Guard(_networks(section["allow_networks"]), _ports(section["ports"]), _yes(section["allow_insecure"]))
    tls = _tls(section["ca_file"])
    endpoints = read_endpoints(section["file"].path(), guard, means.city() if means.city is not None else None)

    def lineage(area: str) -> Sequence[str]:
        return (area,) if means.city is None else means.city().lineage(area)

    def connector() -> aiohttp.TCPConnector:
        return guard.connector(tls=tls, limit=Webhook.at_once)

    return [Webhook(endpoint, connector, now_ms=means.now_ms, lineage=lineage) for endpoint in endpoints]


def _networks(given: Given) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(text) for text in given.text.split())
    except ValueError:
        raise given.wrong('networks with blanks between, such as "10.20.0.0/16 10.30.7.5/32"') from None


def _ports(given: Given) -> frozenset[int]:
    texts = given.text.split()
    if not all(text.isascii() and text.isdecimal() and 1 <= int(text) <= 65_535 for text in texts):
        raise given.wrong('ports with blanks between, such as "8443"')
    return frozenset(map(int, texts))


def _yes(given: Given) -> bool:
    return given.one_of("yes", "no") == "yes"


def _tls(given: Given) -> SSLContext | None:
    if not given.text:
        return None
    try:
        return tls_context(given.path())
    except OSError:
        raise given.wrong("a file of certificates in PEM") from None


KIND: Final = Kind(
    "webhook", "desk", _make,
    keys={"file": "", "allow_networks": "", "ports": "", "ca_file": "", "allow_insecure": "no"},
)  # fmt: skip
