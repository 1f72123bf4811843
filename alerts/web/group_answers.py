"""Where the leaders of ward groups answer: by their link's page, and by replies that providers bring.

Neither is for operators, so both count what is wrong by address and make who sends much of it wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from alerts.residents.group_desk import GroupDesk
from alerts.web.group_schemas import GivenOut, LinkIn
from alerts.web.groups import at
from alerts.web.operators import check_body
from alerts.web.pages import language, static_files, templates
from alerts.web.payloads import local_time
from alerts.web.problems import shown_problems
from alerts.web.sources import Sources
from alerts.words.group import PAGE
from ingest.rate_limit import RateLimit

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 16_384
WRONG_PER_S, WRONG_BURST = 0.2, 20.0  # from one address; a right one is let in all the same
ANSWERS_PER_S, ANSWERS_BURST = 0.1, 10.0  # by one link, right or wrong
_PROBLEMS: Final = shown_problems(
    HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
_Channel = Annotated[str, Path(max_length=32, examples=["sms"])]


class SmallRoute(APIRoute):
    """Refuses a large body before it is read; nobody keeps what it answers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            check_body(request, BODY_BYTES_MAX)
            response = await handle(request)
            response.headers["Cache-Control"] = "no-store"
            return response

        return guarded


class Patience:
    """How much one sender may get wrong. From any thread."""

    def __init__(self, per_s: float, burst: float, seconds: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._counting = RateLimit(per_s, burst), seconds, threading.Lock()

    def spend(self, sender: str) -> None:
        """Raises HTTPException."""
        with self._counting:
            if self._limit.admits(sender, self._seconds()):
                return
        raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, "too many of these; wait a while", {"Retry-After": "30"})


def group_answer_routes(sources: Sources, desk: GroupDesk | None) -> APIRouter:
    router = APIRouter(tags=["residents"], route_class=SmallRoute)
    by_sender, by_link = Patience(WRONG_PER_S, WRONG_BURST), Patience(ANSWERS_PER_S, ANSWERS_BURST)
    page = templates(static_files()).get_template("group.html")

    @router.post("/api/v1/groups/answer", summary="A leader answers by the link of his message", responses=_PROBLEMS)
    def answer(request: Request, sent: LinkIn) -> GivenOut:
        """The token stands in the body: it is in no address, and in no log."""
        by_link.spend(sent.token)
        given = at(desk).link(sent.token, sent.says, sent.note)
        if given is None:
            by_sender.spend(_sender(request))
            raise HTTPException(HTTPStatus.NOT_FOUND, "this link is not valid, or not any more")
        now = local_time(sources.now_ms(), sources.view().city.timezone)
        return GivenOut(group=given.name, area=given.area, says=given.says, at=now)

    @router.get("/g", include_in_schema=False)
    def asked(request: Request, lang: str = "") -> Response:
        """The same for everybody: the secret stands behind the #, which no browser sends."""
        chosen = language(lang[:40], request.headers.get("accept-language", ""))
        return Response(page.render(t=PAGE[chosen], lang=chosen), media_type="text/html")

    return router


def _sender(request: Request) -> str:
    return request.client.host if request.client is not None else ""
