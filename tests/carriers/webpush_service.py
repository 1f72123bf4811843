"""A push service and the browsers behind it, on 127.0.0.1: strict where real ones are, and none of our code.

It refuses by RFC 8030 (TTL, Urgency, Topic), RFC 8188 (Content-Encoding, size) and RFC 8292 (who sends), keeps by topic
what waits for a browser that is off, and opens what arrives with http_ece, as browsers do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Any, Final, Self

import http_ece
from aiohttp import web
from carriers.own_certificate import made_for
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

_MOST: Final = 4096
_VAPID: Final = re.compile(r"vapid t=([\w.-]+), ?k=([\w-]+)")


@dataclass
class Browser:
    """`key`: the applicationServerKey that it subscribed with. `on`: whether it takes what comes, or that waits."""

    endpoint: str
    key: str
    on: bool = True
    gone: bool = False
    got: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    waiting: dict[str, bytes] = field(default_factory=dict)  # by topic
    unread: int = 0  # what it could not open: a browser says nothing then
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: token_urlsafe(16).encode()[:16])

    @property
    def subscription(self) -> str:
        point = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _b64(point), "auth": _b64(self.auth)}
        return json.dumps({"endpoint": self.endpoint, "expirationTime": None, "keys": keys})

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        try:
            plain = http_ece.decrypt(body, private_key=self.private, auth_secret=self.auth, version="aes128gcm")
        except (http_ece.ECEException, ValueError):
            self.unread += 1
        else:
            self.got.append(json.loads(plain))


@dataclass(frozen=True)
class Scripted:
    """What the service answers next. `then`: "hang" or "drop" in the place of an answer, once the message is taken."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    then: str = ""


class PushService:
    """In a thread of its own, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.script: deque[Scripted] = deque()
        self.asked = 0
        self.url = ""
        self._browsers: dict[str, Browser] = {}
        self._server_tls, self.tls = made_for(folder)
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def browser(self, key: str) -> Browser:
        """A new one, which has subscribed with `key`."""
        token = token_urlsafe(24)
        browser = self._browsers[token] = Browser(f"{self.url}/push/{token}", key)
        return browser

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024)
        app.router.add_post("/push/{token}", self._push)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._server_tls)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._ending.set()
        await self._runner.cleanup()

    async def _push(self, request: web.Request) -> web.Response:
        self.asked += 1
        body = await request.read()
        said = self.script.popleft() if self.script else Scripted()
        if said.status:
            return web.Response(status=said.status, headers=said.headers, text=f"no, {request.url}")
        browser = self._browsers.get(request.match_info["token"])
        if browser is None:
            return web.Response(status=404)
        if browser.gone:
            return web.Response(status=410)
        refused = self._refused(request.headers, body, browser)
        if refused is not None:
            return web.Response(status=refused[0], text=refused[1])
        self._accept(browser, request.headers, body)
        if said.then == "hang":
            await self._ending.wait()
        if said.then == "drop" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=201, headers={"Location": f"{self.url}/message/{token_urlsafe(12)}"})

    def _refused(self, headers: Mapping[str, str], body: bytes, browser: Browser) -> tuple[int, str] | None:
        if not headers.get("TTL", "").isdigit():
            return 400, "TTL"
        if headers.get("Urgency", "normal") not in ("very-low", "low", "normal", "high"):
            return 400, "Urgency"
        if not re.fullmatch(r"[\w-]{0,32}", headers.get("Topic", ""), re.ASCII):
            return 400, "Topic"
        if headers.get("Content-Encoding") != "aes128gcm":
            return 400, "Content-Encoding"
        if len(body) > _MOST:
            return 413, "too large"
        return self._who(headers.get("Authorization", ""), browser)

    def _who(self, header: str, browser: Browser) -> tuple[int, str] | None:
        matched = _VAPID.fullmatch(header)
        if matched is None:
            return 401, "no VAPID"
        token, key = matched.groups()
        if key != browser.key:
            return 403, "another key than the subscription's"
        try:
            whole = Vapid02.verify(f"vapid t={token},k={key}")
        except (ValueError, AssertionError):
            whole = False
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        faults = {
            "signature": not whole or head != {"typ": "JWT", "alg": "ES256"},
            "aud": claims["aud"] != self.url,
            "exp": not time.time() < claims["exp"] <= time.time() + 86_400,
            "sub": not re.match("mailto:.+@.+|https://.+", claims["sub"]),
        }
        return next(((403, name) for name, found in faults.items() if found), None)

    def _accept(self, browser: Browser, headers: Mapping[str, str], body: bytes) -> None:
        browser.headers.append(dict(headers))
        if browser.on:
            browser.take(body)
        elif int(headers["TTL"]):
            browser.waiting[headers.get("Topic", token_urlsafe(8))] = body

    def switch_on(self, browser: Browser) -> None:
        browser.on = True
        while browser.waiting:
            browser.take(browser.waiting.pop(next(iter(browser.waiting))))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
