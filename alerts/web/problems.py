"""Every error as problem details (RFC 9457): what, why, and nothing about our inside."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from ingest.history.store import StoreError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "5"  # a restart of the history takes about one
_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """Problem details for HTTP APIs (RFC 9457); `type` about:blank: the title says all that the status means."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no warning 'flood-1'",
                          "instance": "/api/v1/alerts/flood-1"}]
        }
    )  # fmt: skip
    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str


def problem(
    request: Request, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """`more`: extension members, such as `errors` of a call with wrong parameters."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
               "instance": request.url.path, **more}  # fmt: skip
    return Response(
        msgspec.json.encode(content), status, {"Cache-Control": "no-store", **(headers or {})}, media_type=MEDIA_TYPE
    )


def shown_problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """How /openapi.json shows these errors."""
    shape = {"content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
    return {int(status): {"description": status.phrase, **shape} for status in statuses}


def answer_with_problems(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _wrong_call)
    app.add_exception_handler(StoreError, _no_history)
    app.add_exception_handler(Exception, _unforeseen)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(request, error.status_code, error.detail, headers=error.headers)


async def _wrong_call(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"in": row["loc"][0], "name": ".".join(map(str, row["loc"][1:])),
               "detail": row["msg"].removeprefix("Value error, ")}  # a validator of ours, as pydantic introduces it
              for row in error.errors()]  # fmt: skip
    detail = "; ".join(f"{row['name']}: {row['detail']}" for row in errors)
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


async def _no_history(request: Request, error: Exception) -> Response:
    _log.info("%s waits for the history: %s", request.url.path, error)
    return problem(
        request, HTTPStatus.SERVICE_UNAVAILABLE, "the history cannot answer now; ask again, or for less at a time",
        headers={"Retry-After": RETRY_AFTER_S},
    )  # fmt: skip


async def _unforeseen(request: Request, error: Exception) -> Response:
    # The route as it is written: in the address of an end stands a key.
    route = getattr(request.scope.get("route"), "path", "a route that is none")
    _log.error("%s %s failed: %s", request.method, route, type(error).__name__)
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed to answer; it has been logged")
