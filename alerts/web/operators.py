"""Who is an operator, until there are users and roles: whoever sits at this machine and can read the data folder.

All that is asked of an operator's call stands here (docs/decisions/0008); routes take `operator_route` and `BY`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from alerts.web.problems import shown_problems
from ingest.data_folder import FolderError, kept_random

BY: Final = "operator"  # nobody is known by name yet
# How /openapi.json shows what `operator_route` answers besides.
REFUSALS: Final = shown_problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
BODY_BYTES_MAX: Final = 131_072  # a payload of 65,536 bytes in base64 (87,384), or as text with its quotes escaped
_FILE: Final = "operator_token"
_TOKEN: Final = re.compile("[0-9a-f]{32}")


def operators_token(folder: Path) -> str:
    """128 random bits, made once and kept in the data folder, for its owner alone. Raises OSError, FolderError."""
    token = kept_random(folder / _FILE)
    if not _TOKEN.fullmatch(token):  # an empty one would let everybody in
        raise FolderError(f"{folder / _FILE}: this is no token of ours; delete the file, and a new one is made")
    return token


def known_token(folder: Path) -> str:
    """The token that the service has made. Raises OSError where there is none, or not for us."""
    return (folder / _FILE).read_text("ascii").strip()


def operator_route(token: str) -> type[APIRoute]:
    """For APIRouter's `route_class`: a route that refuses strangers before it reads what they send."""

    class OperatorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                _admit(request, token)
                response = await handle(request)
                response.headers["Cache-Control"] = "no-store"
                return response

            return guarded

    return OperatorRoute


def _admit(request: Request, token: str) -> None:
    """Raises HTTPException."""
    if not _from_here(request):
        raise HTTPException(HTTPStatus.FORBIDDEN, "operators' calls are taken from this machine only")
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED, f"Authorization: Bearer and the token in the data folder's {_FILE}",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
    if request.method == "POST":
        length = request.headers.get("content-length", "")
        if not length.isdecimal():  # a body that does not say how long it is could go on for ever
            raise HTTPException(HTTPStatus.LENGTH_REQUIRED, "the body's Content-Length is required")
        if int(length) > BODY_BYTES_MAX:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {BODY_BYTES_MAX} bytes")


def _from_here(request: Request) -> bool:
    """Over loopback, or, where only another address is listened on, from that address to itself."""
    client, server = request.client, request.scope.get("server")
    if client is None:
        return False
    try:
        loopback = ip_address(client.host).is_loopback
    except ValueError:
        return False
    return loopback or (server is not None and client.host == server[0])
