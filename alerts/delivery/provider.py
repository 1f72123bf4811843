"""A call of a provider over HTTP: its answer, or what went wrong as the sender of messages understands it.

No error here says more than a status or the kind of a failure: an address, a token or a URL is never in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

import aiohttp
import msgspec

from alerts.delivery.channel_error import ChannelError
from alerts.delivery.retry_after import retry_after_s
from alerts.given import Given

ANSWER_BYTES_MOST: Final = 64 * 1024  # a longer one is no answer of a gateway, and is not read
_CONNECT_S: Final = 5.0
_SPARE_S: Final = 5.0  # the sender gives up first; this ends what nobody waits for any more
_EVERYBODY: Final = (401, 403, 404, 405, 407, 429, 503)  # our key, our address, its load: not this message
_AGAIN: Final = (408, 409, 423, 425)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    retry_after_s: float | None

    def json(self, name: str) -> object:
        """Raises ChannelError: what cannot be read may be a message that was taken."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ChannelError(f"{name}: an answer that is no JSON", maybe=True) from None


class Provider:
    """One session towards one provider, made at its first call; no redirects, no cookies, no proxy of the environment.

    `timeout_s`: the channel's.
    """

    def __init__(self, name: str, timeout_s: float, at_once: int) -> None:
        self._name, self._at_once = name, at_once
        self._timeout = aiohttp.ClientTimeout(total=timeout_s + _SPARE_S, sock_connect=_CONNECT_S)
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, url: str, *, method: Literal["POST", "GET"] = "POST", headers: Mapping[str, str], data: bytes | None,
        query: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """The answer of any status. Raises ChannelError where there is none."""
        try:
            async with self._opened().request(
                method, url, params=query, data=data, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(ANSWER_BYTES_MOST + 1)
                while len(body) <= ANSWER_BYTES_MOST and (more := await answer.content.read(ANSWER_BYTES_MOST)):
                    body += more
                if len(body) > ANSWER_BYTES_MOST:
                    raise ChannelError(f"{self._name}: an answer beyond {ANSWER_BYTES_MOST} bytes", maybe=True)
                return Reply(answer.status, body, retry_after_s(answer.headers))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ChannelError(f"{self._name}: no connection ({type(error).__name__})", everybody=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ChannelError(f"{self._name}: no answer ({type(error).__name__})", maybe=True) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._at_once), cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout, trust_env=False,
            )  # fmt: skip
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def refused(name: str, reply: Reply) -> ChannelError | None:
    """What a status other than 2xx means; None for those."""
    status = reply.status
    if 200 <= status < 300:
        return None
    text = f"{name}: HTTP {status}"
    if status in _EVERYBODY or 300 <= status < 400:
        return ChannelError(text, everybody=True, retry_after_s=reply.retry_after_s)
    if status in _AGAIN:
        return ChannelError(text, retry_after_s=reply.retry_after_s)
    if status >= 500:  # behind a gateway that fails the message may have been taken
        return ChannelError(text, maybe=True, retry_after_s=reply.retry_after_s)
    return ChannelError(text, permanent=True)


def provider_url(given: Given) -> str:
    """Of a provider, without a last slash. Raises ConfigError: https, but for this machine; no user, no query."""
    expected = "https://host or https://host/path, without user, query and fragment (http:// for this machine alone)"
    try:
        url = urlsplit(given.text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise given.wrong(expected, shown="an address that cannot be read") from None
    if "@" in given.text:
        raise given.wrong(expected, shown="…@…")
    plain = url.scheme == "http" and host in _LOOPBACK
    printable = given.text.isascii() and given.text.isprintable() and " " not in given.text
    if not (url.scheme == "https" or plain) or not host or url.query or url.fragment or not printable:
        raise given.wrong(expected)
    return given.text.rstrip("/")
