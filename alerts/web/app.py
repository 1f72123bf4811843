"""The web application, made from its sources: no globals, no clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerts.watch.ring import Ring, kept
from alerts.web.asking import Asking
from alerts.web.bench import Bench
from alerts.web.by_hand import hand_routes
from alerts.web.cap import cap_routes, received_routes
from alerts.web.checking import check_routes
from alerts.web.deliveries import delivery_routes
from alerts.web.events import FanOut
from alerts.web.export import export_routes
from alerts.web.group_alerts import group_alert_routes
from alerts.web.group_answers import group_answer_routes
from alerts.web.groups import group_import_routes, group_routes
from alerts.web.health import health_routes
from alerts.web.imports import import_routes
from alerts.web.letters import letter_routes
from alerts.web.machine import machine_routes, service_samples
from alerts.web.one_click import one_click_routes
from alerts.web.operators import Door
from alerts.web.pages import page_routes
from alerts.web.past import past_routes
from alerts.web.people import audit_routes, people_routes
from alerts.web.problems import answer_with_problems
from alerts.web.prometheus.queries import Queries
from alerts.web.prometheus.regex import re2_matches
from alerts.web.prometheus.routes import prometheus_routes
from alerts.web.public import public_routes
from alerts.web.push_key import push_key_routes
from alerts.web.receipts import receipt_routes
from alerts.web.sources import Desks, Sources
from alerts.web.standing import official_routes, standing_routes
from alerts.web.subscriptions import subscription_routes
from alerts.web.verbs import verb_routes
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
    door = None if sources.operators is None else _door(sources.operators)

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
    app.include_router(warning_routes(sources, fan_out, door))
    app.include_router(official_routes(sources))
    app.include_router(event_routes(fan_out))
    app.include_router(machine_routes(sources, fan_out))
    app.include_router(page_routes(sources, fan_out))
    app.include_router(subscription_routes(sources))
    app.include_router(one_click_routes(sources))
    app.include_router(receipt_routes(sources.providers))
    asking = None
    if sources.proof is not None:
        app.include_router(check_routes(sources, sources.proof))
    if sources.cap is not None:
        app.include_router(cap_routes(sources, sources.cap))
    if sources.push_key:
        app.include_router(push_key_routes(sources.push_key))
    if sources.history is not None:
        asking = Asking(sources.history)
        app.include_router(past_routes(sources, asking))
    if sources.operators is not None and door is not None:
        for router in _operators(sources, sources.operators, door, asking, ring):
            app.include_router(router)
    return app


def _operators(
    sources: Sources, desks: Desks, door: Door, asking: Asking | None, ring: Ring
) -> Iterator[APIRouter]:  # fmt: skip
    yield letter_routes(sources, desks, door)
    yield health_routes(sources, door)
    if desks.deliveries:
        yield delivery_routes(sources, desks.deliveries, door)
    yield why_routes(sources, door, asking)
    yield group_answer_routes(sources, desks.groups)
    yield group_import_routes(desks.groups, door)
    yield group_routes(sources, desks.groups, door)
    yield group_alert_routes(sources, desks.groups, door)
    if sources.cap is not None:
        yield received_routes(sources, sources.cap, door)
    if sources.history is not None and asking is not None:
        yield export_routes(sources, door, sources.history, asking)
        queries = Queries(lambda: sources.view().city, sources.history, ring, re2_matches)
        yield prometheus_routes(queries, sources.now_ms, door)
    if desks.imports is not None:
        yield import_routes(door, desks.imports)
    if desks.people is not None:
        yield people_routes(sources, desks.people.staff, desks.people.contacts, door)
        yield audit_routes(sources, desks.people.audit, door)
        bench = Bench(sources, desks.people.act)
        yield standing_routes(sources, desks.people.audit, bench, door)
        yield verb_routes(sources, desks.people.staff, bench, door)
        yield hand_routes(bench, door)


def _door(desks: Desks) -> Door:
    return Door(desks.token, (lambda _: None) if desks.people is None else desks.people.staff.holder)


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
