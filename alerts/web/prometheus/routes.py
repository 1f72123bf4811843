"""`/prometheus/api/v1`, for Grafana's Prometheus data source: read-only, for viewers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response

from alerts.people.user import Role
from alerts.promql.series import Series
from alerts.promql.tokens import QueryError
from alerts.web.operators import REFUSALS, Door, operator_route
from alerts.web.prometheus.gate import BusyError, Gate
from alerts.web.prometheus.metadata import BUILD, metadata
from alerts.web.prometheus.parameters import Parameters, limit, parameters, range_ms, selectors, text, time_ms
from alerts.web.prometheus.queries import Queries
from alerts.web.rendered import JSON
from ingest.history.store import StoreError

RETRY_S: Final = 10
_LABEL: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """The `data` of an answer, and what is to be known of it."""

    data: Any
    warnings: list[str] = field(default_factory=list)


class _Questions:
    """One method a path. All raise QueryError and StoreError."""

    def __init__(self, queries: Queries, now_ms: Callable[[], int]) -> None:
        self._queries, self._now_ms = queries, now_ms

    def instant(self, given: Parameters) -> Found:
        at = time_ms(given, "time", self._now_ms())
        return Found(self._queries.instant(text(given, "query"), at), self._queries.warnings)

    def over_time(self, given: Parameters) -> Found:
        return Found(self._queries.range(text(given, "query"), *range_ms(given)), self._queries.warnings)

    def labels(self, given: Parameters) -> Found:
        return _first(given, sorted({label for one in self._meant(given) for label in one.labels}))

    def values(self, given: Parameters, label: str) -> Found:
        if not _LABEL.fullmatch(label):
            raise QueryError(f"invalid label name: {label[:64]!r}")
        return _first(given, sorted({one.labels.get(label, "") for one in self._meant(given)} - {""}))

    def series(self, given: Parameters) -> Found:
        if not selectors(given):
            raise QueryError("no match[] parameter provided")
        return _first(given, [one.labels for one in self._meant(given)])

    def metadata(self, given: Parameters) -> Found:
        most, metric = limit(given), given.get("metric", [""])[0]
        wanted = [one for one in metadata(self._queries.city) if metric in ("", one.metric)]
        return Found({one.metric: [{"type": one.type, "help": one.help, "unit": one.unit}] for one in wanted[:most]})

    def _meant(self, given: Parameters) -> Sequence[Series]:
        return self._queries.series(selectors(given))


def prometheus_routes(queries: Queries, now_ms: Callable[[], int], door: Door) -> APIRouter:
    router = APIRouter(
        prefix="/prometheus/api/v1", tags=["operators"], route_class=operator_route(door, write=Role.VIEWER)
    )
    asked = _Questions(queries, now_ms)
    gate = Gate()

    def question(path: str, summary: str, find: Callable[[Parameters], Found], *, post: bool = False) -> None:
        async def answer(request: Request) -> Response:
            return await _answered(request, find, gate)

        router.add_api_route(path, answer, methods=["GET"], summary=summary, responses=REFUSALS)
        if post:  # the same as a form
            router.add_api_route(path, answer, methods=["POST"], include_in_schema=False)

    question("/query", "An expression at one time", asked.instant, post=True)
    question("/query_range", "An expression at many times", asked.over_time, post=True)
    question("/labels", "The names of labels", asked.labels, post=True)
    question("/series", "The labels of series", asked.series, post=True)
    question("/metadata", "What the metrics are", asked.metadata)
    question("/status/buildinfo", "What is imitated", lambda _: Found(BUILD))

    @router.get("/label/{name}/values", summary="The values of a label", responses=REFUSALS)
    async def values(request: Request, name: str) -> Response:
        return await _answered(request, lambda given: asked.values(given, name), gate)

    return router


async def _answered(request: Request, find: Callable[[Parameters], Found], gate: Gate) -> Response:
    try:
        given = await parameters(request)
        return Response(await gate.through(lambda: _success(find(given))), media_type=JSON)
    except QueryError as error:
        status = HTTPStatus.BAD_REQUEST if error.kind == "bad_data" else HTTPStatus.UNPROCESSABLE_ENTITY
        return _failed(status, error.kind, str(error))
    except BusyError as error:
        return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "timeout", str(error))
    except StoreError as error:
        return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"the history does not answer: {error}")


def _success(found: Found) -> bytes:
    warned = {"warnings": found.warnings} if found.warnings else {}
    return msgspec.json.encode({"status": "success", "data": found.data, **warned})


def _failed(status: HTTPStatus, kind: str, why: str) -> Response:
    body = msgspec.json.encode({"status": "error", "errorType": kind, "error": why})
    headers = {"Retry-After": str(RETRY_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return Response(body, status, headers, media_type=JSON)


def _first(given: Parameters, results: list[T]) -> Found:
    most = limit(given)
    if most is None or len(results) <= most:
        return Found(results)
    return Found(results[:most], ["results truncated due to limit"])
