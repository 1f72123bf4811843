"""The public registry and readings (CONTRACTS section 5): no account, and only sensors of public quantities."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from alerts.view import View
from alerts.web import payloads
from alerts.web.problems import shown_problems
from alerts.web.rendered import FRESH, Shelf, as_json
from alerts.web.schemas import AreaList, LatestList, SensorDetail, SensorList
from alerts.web.sources import Sources

_REGISTRY: Final = "public, max-age=60"


def public_routes(sources: Sources) -> APIRouter:
    """Handlers run in worker threads: rendering a city takes milliseconds. Each answer is made once a position."""
    router = APIRouter(prefix="/api/v1", tags=["public"])
    shelf = Shelf(most=3)

    def answer(request: Request, make: Callable[[View], BaseModel], cache_control: str) -> Response:
        view = sources.view()
        rendered = shelf.get(request.url.path, view.position, lambda: as_json(make(view)))
        return rendered.response(request, cache_control)

    @router.get("/areas", response_model=AreaList, summary="The areas that people are told by")
    def areas(request: Request) -> Response:
        return answer(request, payloads.areas, _REGISTRY)

    @router.get("/sensors", response_model=SensorList, summary="The public sensors")
    def sensors(request: Request) -> Response:
        return answer(request, payloads.sensors, _REGISTRY)

    @router.get(
        "/sensors/{id}", response_model=SensorDetail, summary="One public sensor and its newest reading",
        responses=shown_problems(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
    )  # fmt: skip
    def sensor(request: Request, id: str) -> Response:  # noqa: A002  # the name in the path is the API's
        found = payloads.sensor_detail(sources.view(), id)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no public sensor {id!r}")
        return as_json(found).response(request, FRESH)

    @router.get("/latest", response_model=LatestList, summary="The newest reading of every public sensor")
    def latest(request: Request) -> Response:
        return answer(request, payloads.latest, FRESH)

    return router
