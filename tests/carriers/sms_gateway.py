"""A gateway for short messages in the manner of Vietnamese ones: refusals are codes inside HTTP 200.

It takes JSON or a form or a query, wants its key, a registered sender, a number of an operator, a text of one kind of
letters as it was announced, and gives one number to one request id.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from carriers.served import served

TAKEN, WRONG_KEY, NO_MONEY, NO_SENDER, WRONG_NUMBER, AGAIN_ID, BUSY, BLOCKED = (
    "100", "101", "103", "104", "108", "124", "5", "99",
)  # fmt: skip
FIELDS = {"ApiKey", "SecretKey", "Phone", "Content", "Brandname", "SmsType", "IsUnicode", "RequestId"}
KEY, SECRET, SENDER = "key-3f9c", 'secret-"quoted"&=', "DA NANG"


@dataclass
class SmsGateway:
    """`taken`: what it has taken, by request id. `answers`: codes that it gives first, whatever comes."""

    url: str = ""
    taken: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    lose_answers: int = 0  # it takes so many messages and hangs up

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.statuses:
            status, headers = self.statuses.pop(0)
            return web.Response(status=status, headers=headers, text="<html>no</html>")
        if request.method == "GET":
            got: dict[str, Any] = dict(request.query)
        elif request.content_type == "application/x-www-form-urlencoded":
            got = dict(await request.post())
        else:
            got = json.loads(await request.text())
        self.calls.append(got)
        code = self.answers.pop(0) if self.answers else self._code(got)
        answer: dict[str, Any] = {"CodeResult": code, "CountRegenerate": 0}
        if code == TAKEN:
            self.taken[got["RequestId"]] = got
            answer["SMSID"] = f"id-{len(self.taken)}"
            if self.lose_answers:
                self.lose_answers -= 1
                assert request.transport is not None
                request.transport.abort()
                await asyncio.sleep(0)
        else:
            answer["ErrorMessage"] = f"refused: {got.get('Phone')}"  # as real ones do: with the number in it
        return web.json_response(answer)

    def _code(self, got: dict[str, Any]) -> str:
        """The first refusal that holds."""
        wrong = {
            "110": set(got) != FIELDS,
            WRONG_KEY: (got.get("ApiKey"), got.get("SecretKey")) != (KEY, SECRET),
            NO_SENDER: got.get("Brandname") != SENDER,
            WRONG_NUMBER: not re.fullmatch(r"84[35789][0-9]{8}", got.get("Phone", "")),
            BLOCKED: got.get("Phone") in self.blocked,
            AGAIN_ID: got.get("RequestId") in self.taken,
            "119": got.get("IsUnicode") == "0" and not got.get("Content", "").isascii(),
        }
        return next((code for code, is_so in wrong.items() if is_so), TAKEN)


@contextmanager
def sms_gateway() -> Iterator[SmsGateway]:
    gateway = SmsGateway()
    app = web.Application()
    app.router.add_route("*", "/send", gateway.handle)
    with served(app) as url:
        gateway.url = f"{url}/send"
        yield gateway
