"""What machines ask of the service: is it alive, is it ready, how does it do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field

from alerts.residents.group_desk import Alerts
from alerts.watch.metrics import CONTENT_TYPE, Sample, labelled, metrics_text, of_counters, of_view
from alerts.web.events import FanOut
from alerts.web.problems import problem, shown_problems
from alerts.web.rendered import JSON
from alerts.web.schemas import Shape
from alerts.web.sources import Sources

_ALERTS_COUNTED: Final = 200  # open warnings whose groups are counted; older ones are left out


class PartOut(Shape):
    ready: bool
    lag_s: float | None = Field(description="how far behind, seconds; null where that says nothing")
    detail: str


class ReadyOut(Shape):
    ready: bool
    parts: dict[str, PartOut] = Field(
        examples=[
            {
                "mqtt": {"ready": True, "lag_s": 0.02, "detail": ""},
                "ledger": {"ready": True, "lag_s": 0.0, "detail": ""},
            }
        ]
    )


def machine_routes(sources: Sources, fan_out: FanOut) -> APIRouter:
    router = APIRouter(tags=["machine"])

    @router.get("/healthz", response_class=PlainTextResponse, summary="The process answers")
    async def alive() -> Response:
        return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})

    @router.get("/readyz", response_model=ReadyOut, summary="Every part and its lag", responses=_UNREADY)
    def ready(request: Request) -> Response:
        found = sources.health()
        parts = {name: PartOut(ready=part.ready, lag_s=None if part.lag_ms is None else part.lag_ms / 1000,
                               detail=part.detail) for name, part in found.items()}  # fmt: skip
        unready = [name for name, part in found.items() if part.needed and not part.ready]
        if unready:
            shown = {name: part.model_dump() for name, part in parts.items()}
            return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "not ready: " + ", ".join(unready), parts=shown)
        body = ReadyOut(ready=True, parts=parts).model_dump_json()
        return Response(body, headers={"Cache-Control": "no-store"}, media_type=JSON)

    @router.get("/metrics", response_class=PlainTextResponse, summary="Prometheus text format 0.0.4")
    def metrics() -> Response:
        return Response(
            metrics_text(service_samples(sources, fan_out)),
            headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE},
        )

    return router


def service_samples(sources: Sources, fan_out: FanOut) -> list[Sample]:
    """The service's own metrics, now."""
    return [
        *of_counters(sources.counters()), *of_view(sources.view()), *_of_parts(sources), *_of_events(fan_out),
        *_of_groups(sources),
    ]  # fmt: skip


def _of_parts(sources: Sources) -> list[Sample]:
    samples = []
    for name, part in sources.health().items():
        samples.append(Sample(labelled("canhbao_part_ready", part=name), part.ready))
        if part.lag_ms is not None:
            samples.append(Sample(labelled("canhbao_part_lag_seconds", part=name), part.lag_ms / 1000))
    return samples


def _of_events(fan_out: FanOut) -> list[Sample]:
    return [
        Sample("canhbao_listeners", fan_out.streams),
        Sample("canhbao_listeners_dropped_total", fan_out.dropped),
        Sample("canhbao_events_errors_total", fan_out.errors),
        Sample("canhbao_notice_seq", fan_out.last_seq),
    ]


def _of_groups(sources: Sources) -> list[Sample]:
    """Of the ward groups, by how they stand to the newest open warnings; no name, no address."""
    desk = None if sources.operators is None else sources.operators.groups
    if desk is None:
        return []

    def alerts() -> Alerts:
        newest = sorted(sources.ledger.open_incidents(), key=lambda one: one.updated_at)[-_ALERTS_COUNTED:]
        return [(one, [notice for _, notice in sources.ledger.notices_of(one.id)]) for one in newest]

    taken, refused = desk.links()
    return [
        *(Sample(labelled("canhbao_group_alerts", state=state.value), n) for state, n in desk.totals(alerts).items()),
        *(Sample(labelled("canhbao_group_replies_total", outcome=outcome.value), n)
          for outcome, n in desk.counters().items()),
        Sample(labelled("canhbao_group_links_total", outcome="answered"), taken),
        Sample(labelled("canhbao_group_links_total", outcome="refused"), refused),
    ]  # fmt: skip


_UNREADY: Final = shown_problems(HTTPStatus.SERVICE_UNAVAILABLE)
