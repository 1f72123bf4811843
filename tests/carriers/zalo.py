"""Zalo as far as we use it: tokens that rotate, answers of the account, templates by user and by phone.

Errors come inside HTTP 200. A refresh token is dead at its first use, an access token when the next one is given out;
a template wants exactly its parameters, each within its length; more than `per_s` calls in a second are too many; the
same tracking id is the same message.
"""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from aiohttp import web
from carriers.served import served

APP_ID, SECRET, OA_SECRET = "360846524840903967", "4GWZ-app-secret", "oa-secret-9"
FIRST_REFRESH = "refresh-0-of-a-person"
BAD_TOKEN, NOT_FOLLOWING, OUT_OF_TOUCH, TOO_FAST, BAD_PARAMETER, TOO_LONG = -216, -213, -230, -32, -201, -210
_TRACKING = re.compile(r"[A-Za-z0-9_-]{1,48}")
_PHONE = re.compile(r"\+?84[35789][0-9]{8}")


@dataclass
class Zalo:
    """`followers`: by number of the user, whether he was in touch within seven days. `templates`: by number the
    parameters with their lengths. `refused`: codes that the next calls are answered with, whatever they say.
    """

    url: str = ""
    followers: dict[str, bool] = field(default_factory=dict)
    phones: set[str] = field(default_factory=set)
    templates: dict[str, dict[str, int]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)  # tracking id -> number of the message
    access: str = ""
    refresh: str = FIRST_REFRESH
    rotations: int = 0
    asked: list[str] = field(default_factory=list)  # refresh tokens, as they came
    seen: list[str] = field(default_factory=list)  # access tokens, as they came
    expires_in: str = "90000"
    refused: list[int] = field(default_factory=list)
    lose_answers: int = 0  # it gives out so many pairs and hangs up
    down: bool = False
    rotated: threading.Event = field(default_factory=threading.Event)
    per_s: int = 20
    _calls: deque[float] = field(default_factory=deque)

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if self.down:
            return web.Response(status=503)
        if request.headers.get("secret_key") != SECRET or form.get("app_id") != APP_ID:
            return web.json_response({"error": -14002, "error_name": "Invalid appId"})
        given = str(form.get("refresh_token"))
        self.asked.append(given)
        if form.get("grant_type") != "refresh_token" or given != self.refresh:
            return web.json_response({"error": -14014, "error_name": "Invalid refresh token", "ref_doc": given})
        self.rotations += 1
        self.rotated.set()
        self.access, self.refresh = f"access-{self.rotations}", f"refresh-{self.rotations}"
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(
            {"access_token": self.access, "refresh_token": self.refresh, "expires_in": self.expires_in}
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        got = json.loads(await request.text())
        user, text = got["recipient"]["user_id"], got["message"]["text"]
        code = self._refusal(request, BAD_TOKEN) or self._user(user)
        code = code or (OUT_OF_TOUCH if not self.followers.get(user) else 0) or (TOO_LONG if len(text) > 2000 else 0)
        return self._taken(code, got, "message_id")

    async def by_user(self, request: web.Request) -> web.StreamResponse:
        got = json.loads(await request.text())
        code = self._refusal(request, BAD_TOKEN) or self._user(got["user_id"]) or self._template(got)
        if set(got) != {"user_id", "template_id", "template_data"}:
            code = code or BAD_PARAMETER
        return self._taken(code, got, "message_id")

    async def by_phone(self, request: web.Request) -> web.StreamResponse:
        got = json.loads(await request.text())
        code = self._refusal(request, -124)
        code = code or (-108 if not _PHONE.fullmatch(got.get("phone", "")) else 0)
        code = code or (-132 if not _TRACKING.fullmatch(got.get("tracking_id", "")) else 0) or self._template(got)
        code = code or (-118 if got["phone"] not in self.phones else 0)
        return self._taken(code, got, "msg_id", tracking=got.get("tracking_id", ""))

    def _refusal(self, request: web.Request, bad_token: int) -> int:
        token = request.headers.get("access_token", "")
        self.seen.append(token)
        if self.refused:
            return self.refused.pop(0)
        now = time.monotonic()
        self._calls.append(now)
        while self._calls[0] < now - 1:
            self._calls.popleft()
        if len(self._calls) > self.per_s:
            return TOO_FAST
        return bad_token if token != self.access or "Authorization" in request.headers else 0

    def _user(self, user: object) -> int:
        if not isinstance(user, str) or not user.isdigit():
            return BAD_PARAMETER
        return 0 if user in self.followers else NOT_FOLLOWING

    def _template(self, got: dict[str, Any]) -> int:
        params, data = self.templates.get(got.get("template_id", "")), got.get("template_data")
        if params is None:
            return -109
        if not isinstance(data, dict) or not data:
            return -111
        if set(data) != set(params):
            return -1122
        return -1121 if any(len(text) > params[name] for name, text in data.items()) else 0

    def _taken(self, code: int, got: dict[str, Any], key: str, *, tracking: str = "") -> web.StreamResponse:
        if code:
            return web.json_response({"error": code, "message": f"refused {got}"})  # a real one repeats what it got
        number = self.messages.get(tracking) or f"{sha256(str(len(self.sent)).encode()).hexdigest()[:20]}"
        if tracking not in self.messages:
            self.sent.append(got)
        if tracking:
            self.messages[tracking] = number
        return web.json_response(
            {"error": 0, "message": "Success", "data": {key: number, "sent_time": "1626926349402"}}
        )


@contextmanager
def zalo() -> Iterator[Zalo]:
    fake = Zalo()
    app = web.Application()
    app.router.add_post("/v4/oa/access_token", fake.token)
    app.router.add_post("/v3.0/oa/message/cs", fake.answer)
    app.router.add_post("/v3.0/oa/message/template", fake.by_user)
    app.router.add_post("/message/template", fake.by_phone)
    with served(app) as url:
        fake.url = url
        yield fake


def event(name: str, **more: Any) -> tuple[dict[str, str], bytes]:
    """Headers and body, as Zalo sends them: escaped letters, a space after each sign, all numbers as texts."""
    body = json.dumps({"app_id": APP_ID, "event_name": name, "timestamp": "1790000000000", **more}).encode()
    mac = sha256(APP_ID.encode() + body + b"1790000000000" + OA_SECRET.encode()).hexdigest()
    return {"x-zevent-signature": f"mac={mac}"}, body
