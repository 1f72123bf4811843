"""Who comes in at the operators' part of the API, and who is let through (docs/decisions/0012).

All that is asked of an operator's call before its route stands here: routes take `operator_route` and `Who`.
"""

from __future__ import annotations

import hmac
import logging
import re
import threading
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from alerts.people.user import Role, User
from alerts.web.problems import shown_problems
from ingest.data_folder import FolderError, kept_random
from ingest.rate_limit import RateLimit

log = logging.getLogger(__name__)

HERE: Final = User("operator", Role.ADMIN)  # who sits at this machine and can read the data folder
# How /openapi.json shows what `operator_route` answers besides.
REFUSALS: Final = shown_problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
BODY_BYTES_MAX: Final = 131_072  # a payload of 65,536 bytes in base64 (87,384), or as text with its quotes escaped
WRONG_PER_S: Final = 1.0  # wrong tokens from one address, after the first few: then 429
WRONG_BURST: Final = 60.0
_FILE: Final = "operator_token"
_TOKEN: Final = re.compile("[0-9a-f]{32}")
_WITH_BODY: Final = ("POST", "PUT", "PATCH", "DELETE")


def operators_token(folder: Path) -> str:
    """128 random bits, made once and kept in the data folder, for its owner alone. Raises OSError, FolderError."""
    token = kept_random(folder / _FILE)
    if not _TOKEN.fullmatch(token):  # an empty one would let everybody in
        raise FolderError(f"{folder / _FILE}: this is no token of ours; delete the file, and a new one is made")
    return token


def known_token(folder: Path) -> str:
    """The token that the service has made. Raises OSError where there is none, or not for us."""
    return (folder / _FILE).read_text("ascii").strip()


class Door:
    """`token`: this machine's own, taken from this machine alone. `holder`: whose token it is, None: nobody's.

    From any thread. Wrong tokens are answered alike, whatever is wrong with them. Who sends many of them is told to
    wait; a right one is let in all the same, since others may come from the same address, and 256 bits are not guessed.
    """

    def __init__(
        self, token: str, holder: Callable[[str], User | None], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._token, self._holder, self._seconds = token.encode(), holder, seconds
        self._wrong, self._counting = RateLimit(WRONG_PER_S, WRONG_BURST), threading.Lock()

    def admit(self, request: Request) -> User:
        """Raises HTTPException."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        user = self._who(request, given.strip()) if kind.lower() == "bearer" else None
        if user is not None:
            return user
        client = request.client.host if request.client is not None else ""
        with self._counting:
            patient = self._wrong.admits(client, self._seconds())
        if not patient:
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens from this address", {"Retry-After": "5"}
            )
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED, "Authorization: Bearer and a token that is in force; canhbao user token makes one",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip

    def _who(self, request: Request, given: str) -> User | None:
        holder = self._holder(given)
        machines_own = hmac.compare_digest(given.encode(), self._token) and _from_here(request)
        return HERE if machines_own else holder


def operator_route(
    door: Door, *, read: Role = Role.VIEWER, write: Role = Role.OPERATOR, everywhere: bool = True,
    body_most: int = BODY_BYTES_MAX,
) -> type[APIRoute]:  # fmt: skip
    """For APIRouter's `route_class`: a route that refuses strangers before it reads what they send.

    `read`, `write`: the role that GET, and everything else, needs. `everywhere`: what the route shows or does is not
    cut to areas and hazards, so that it is for those alone whose scope is not either. `body_most`: bytes that it reads.
    """

    class OperatorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                user = door.admit(request)
                if why := _lacks(user, read if request.method == "GET" else write, everywhere=everywhere):
                    raise forbidden(user, request, why)
                check_body(request, body_most)
                request.state.user = user
                response = await handle(request)
                response.headers["Cache-Control"] = "no-store"
                return response

            return guarded

    return OperatorRoute


def forbidden(user: User, request: Request, why: str) -> HTTPException:
    """Logged by name: somebody tries what is not his, or lacks what he needs."""
    log.warning("%s was refused %s %s: %s", user.name, request.method, request.url.path, why)
    return HTTPException(HTTPStatus.FORBIDDEN, why)


async def _user(request: Request) -> User:
    user = request.state.user
    assert isinstance(user, User)
    return user


Who = Annotated[User, Depends(_user)]  # as a parameter of a handler: whose call it is


def _lacks(user: User, role: Role, *, everywhere: bool) -> str:
    if not user.role.covers(role):
        return f"this needs the role {role}; {user.name} is {user.role}"
    if everywhere and not user.everywhere:
        return f"this is not cut to areas or hazards, and {user.name} is limited to some"
    return ""


def check_body(request: Request, most: int) -> None:
    """Before it is read; `most` bytes. Raises HTTPException."""
    if request.method not in _WITH_BODY:
        return
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdecimal() or len(length) > 9:  # it could go on for ever
        raise HTTPException(HTTPStatus.LENGTH_REQUIRED, "the body's Content-Length is required")
    if int(length) > most:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most} bytes")


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
