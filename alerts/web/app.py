"""The web application, made from its sources: no globals, no clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerts.watch.ring import Ring, kept
from alerts.web.asking import Asking
from alerts.web.events import FanOut
from alerts.web.export import export_routes
from alerts.web.health import health_routes
from alerts.web.imports import import_routes
from alerts.web.letters import letter_routes
from alerts.web.machine import machine_routes, service_samples
from alerts.web.pages import page_routes
from alerts.web.past import past_routes
from alerts.web.problems import answer_with_problems
from alerts.web.prometheus.queries import Queries
from alerts.web.prometheus.regex import re2_matches
from alerts.web.prometheus.routes import prometheus_routes
from alerts.web.public import public_routes
from alerts.web.sources import Sources
from alerts.web.warnings import event_routes, warning_routes
from alerts.web.why import why_routes

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(sources: Sources) -> FastAPI:
    """The service's faces. `app.state.fan_out.stop()` (awaited on the app's loop) ends the streams of events: call it
    before the server stops, which otherwise waits for them.
    """
    fan_out, ring = FanOut(sources), Ring()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await fan_out.start()
        async with kept(ring, lambda: service_samples(sources, fan_out), sources.now_ms):
            yield
        await fan_out.stop()

    app = FastAPI(
        title="canhbao", version="1", lifespan=lifespan, docs_url=None, redoc_url=None,
        description="A city's warnings and the public readings that they stand on. Observations by sensors, "
        "not forecasts. Times are RFC 3339 with the city's offset; errors are problem details (RFC 9457).",
    )  # fmt: skip
    app.state.fan_out = fan_out
    app.add_middleware(_SafeHeaders)
    answer_with_problems(app)
    app.include_router(public_routes(sources))
    app.include_router(warning_routes(sources, fan_out))
    app.include_router(event_routes(fan_out))
    app.include_router(machine_routes(sources, fan_out))
    app.include_router(page_routes(sources, fan_out))
    asking = None if sources.history is None else Asking(sources.history)
    if sources.history is not None and asking is not None:
        app.include_router(past_routes(sources, asking))
        if sources.operators is not None:
            app.include_router(export_routes(sources, sources.operators, sources.history, asking))
    if sources.operators is not None:
        app.include_router(letter_routes(sources, sources.operators))
        app.include_router(health_routes(sources, sources.operators))
        app.include_router(why_routes(sources, sources.operators, asking))
        if sources.history is not None:
            queries = Queries(lambda: sources.view().city, sources.history, ring, re2_matches)
            app.include_router(prometheus_routes(queries, sources.now_ms, sources.operators.token))
        if sources.operators.imports is not None:
            app.include_router(import_routes(sources.operators, sources.operators.imports))
    return app


class _SafeHeaders:
    """The headers that hold a browser to what we serve ourselves, on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
