"""The provider of a storm: a strict HTTP server in a process of its own that accepts messages, and does it badly.

`POST /{provider}` with {"to", "text", …} and the header Idempotency-Key. A message is accepted when its line stands in
the file, which is one write: whoever is killed then has it, or has not. What a strict provider refuses is refused here,
and its errors repeat the address, as real ones do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from chaos.mortal import die_with_parent
from post.faults import HANG_S, HAS_IT, RETRY_AFTER_S, Fault, Plan
from post.pace import Pace

KEY: Final = re.compile(r"[0-9a-f]{32}")
WANTED: Final = {"to": str, "text": str, "incident": str, "version": int, "reason": str, "level": int, "silent": bool}


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message as it stands in the provider's file, in the order of the file. `at` ms of the storm's clock."""

    at: int
    provider: str
    key: str
    to: str
    incident: str
    version: int
    reason: str
    level: int
    silent: bool
    body: str  # a hash of all that was said; not how loud: an end that is tried again after ten is silent
    fault: str


class Provider:
    def __init__(self, file: Path, plan: Plan, pace: Pace) -> None:
        self._fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._plan, self._pace = plan, pace
        self._came: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 16)
        app.router.add_post("/{provider}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.StreamResponse:
        provider = request.match_info["provider"]
        if self._plan.is_down(provider, self._pace.now_ms()):
            raise web.HTTPServiceUnavailable(text="down for maintenance")
        key, told = request.headers.get("Idempotency-Key", ""), await request.json()
        self._check(key, told)
        self._came[key] += 1
        fault = self._plan.fault(key, self._came[key])
        if fault in HAS_IT:
            self._accept(provider, key, told, fault)
        if fault is Fault.TWICE:
            self._accept(provider, key, told, fault)
        return await self._answer(request, key, fault)

    def _check(self, key: str, told: dict[str, Any]) -> None:
        if not KEY.fullmatch(key):
            raise self._refused(web.HTTPBadRequest, "Idempotency-Key is missing")
        for name, kind in WANTED.items():
            if not isinstance(told.get(name), kind):
                raise self._refused(web.HTTPBadRequest, f"{name} is missing")
        if told["to"] in self._plan.gone:
            raise self._refused(web.HTTPGone, f"{told['to']} is no subscriber of ours")
        if told["to"] in self._plan.refused:
            raise self._refused(web.HTTPBadRequest, f"cannot deliver to {told['to']}")

    def _refused(self, kind: type[web.HTTPError], why: str) -> web.HTTPError:
        self.refusals[why] += 1
        return kind(text=why)

    def _accept(self, provider: str, key: str, told: dict[str, Any], fault: Fault) -> None:
        words = {name: value for name, value in told.items() if name not in ("to", "silent")}
        line = {name: told[name] for name in WANTED if name != "text"} | {
            "at": self._pace.now_ms(), "provider": provider, "key": key, "fault": fault,
            "body": hashlib.blake2b(json.dumps(words, sort_keys=True).encode(), digest_size=8).hexdigest(),
        }  # fmt: skip
        os.write(self._fd, f"{json.dumps(line)}\n".encode())

    async def _answer(self, request: web.Request, key: str, fault: Fault) -> web.StreamResponse:
        match fault:
            case Fault.FAIL:
                raise web.HTTPInternalServerError(text="try again")
            case Fault.BUSY:
                raise web.HTTPTooManyRequests(headers={"Retry-After": str(RETRY_AFTER_S)}, text="slow down")
            case Fault.HANG:
                await asyncio.sleep(self._pace.wall_s(HANG_S))
                raise web.HTTPGatewayTimeout
            case Fault.LATE:
                await asyncio.sleep(self._pace.wall_s(HANG_S))
            case Fault.CUT:
                assert request.transport is not None
                request.transport.close()
        return web.json_response({"id": f"m-{key[:12]}"})


def accepted(file: Path) -> list[Accepted]:
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [Accepted(**json.loads(line)) for line in lines]


async def serve(provider: Provider, port: int) -> None:
    runner = web.AppRunner(provider.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    die_with_parent()
    file, port, plan, pace = sys.argv[1:]
    asyncio.run(serve(Provider(Path(file), Plan.from_json(Path(plan).read_text("utf-8")), Pace.of(pace)), int(port)))
