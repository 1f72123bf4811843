"""The public key that browsers subscribe to web push with: `applicationServerKey` of the Push API."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import Field

from alerts.web.rendered import Rendered
from alerts.web.schemas import Shape


class PushKeyOut(Shape):
    key: str = Field(description="the uncompressed point on P-256 in base64url (RFC 8292 section 3.2)")


def push_key_routes(key: str) -> APIRouter:
    """`key`: as alerts/delivery/vapid_key.py says it. It is the same for as long as the data folder is kept."""
    router = APIRouter(tags=["public"])
    answer = Rendered.of(msgspec.json.encode({"key": key}))

    @router.get("/api/v1/push-key", response_model=PushKeyOut, summary="The key that browsers subscribe with")
    def push_key(request: Request) -> Response:
        return answer.response(request, "public, max-age=3600")

    return router
