"""The links in messages: the end by one click (RFC 8058), and the page that confirms and shows a subscription.

The key in the address of an end is the one capability that stands in a URL; it ends one contact and can do nothing
else. Opening the link ends nothing: mail scanners open every link. Only a POST that says so does.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from jinja2 import Template
from starlette.concurrency import run_in_threadpool

from alerts.ledger.store import LedgerError
from alerts.web.pages import language, static_files, templates
from alerts.web.sources import Sources
from alerts.web.subscription_labels import LABELS
from alerts.web.subscriptions import check_length, desk
from alerts.words.names import HAND_HAZARDS, HAZARDS, Lang
from alerts.words.sign_up import CHANNELS

_log = logging.getLogger(__name__)

END_PATH: Final = "/api/v1/subscriptions/end/{key}"
PAGE_PATH: Final = "/subscribe"
_BODY_BYTES_MAX: Final = 1_024  # "List-Unsubscribe=One-Click", as a form or in parts
_SAYS: Final = (b"List-Unsubscribe", b"One-Click")
_Key = Annotated[str, Path(max_length=64)]
_Lang = Annotated[str, Query(max_length=40)]


def one_click_routes(sources: Sources) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    made = templates(static_files())
    end_page, page = made.get_template("end.html"), made.get_template("subscribe.html")

    @router.get(END_PATH)
    async def ask_to_end(request: Request, key: _Key, lang: _Lang = "") -> Response:
        """The same for every key: it tells nothing, and changes nothing."""
        desk(sources)
        return _answer(end_page, "ask", _chosen(request, lang), HTTPStatus.OK, key)

    @router.post(END_PATH)
    async def end(request: Request, key: _Key, lang: _Lang = "") -> Response:
        residents, chosen = desk(sources), _chosen(request, lang)
        check_length(request, _BODY_BYTES_MAX)
        body = await request.body()
        if not all(word in body for word in _SAYS):
            return _answer(end_page, "ask", chosen, HTTPStatus.BAD_REQUEST, key)
        try:
            known = await run_in_threadpool(residents.book.end_by_key, key, sources.now_ms())
        except LedgerError as error:
            _log.error("an end could not be written down: %s", error)  # no fault of the code
            return _answer(end_page, "failed", chosen, HTTPStatus.SERVICE_UNAVAILABLE, key)
        if not known:
            return _answer(end_page, "unknown", chosen, HTTPStatus.NOT_FOUND, "")
        return _answer(end_page, "ended", chosen, HTTPStatus.OK, "")

    @router.get(PAGE_PATH)
    async def subscribe(request: Request, lang: _Lang = "") -> Response:
        return _answer(page, "subscribe", _chosen(request, lang), HTTPStatus.OK, "")

    return router


def _chosen(request: Request, lang: str) -> Lang:
    return language(lang, request.headers.get("accept-language", ""))


def _answer(template: Template, says: str, lang: Lang, status: HTTPStatus, key: str) -> Response:
    names = {**HAZARDS[lang], **HAND_HAZARDS[lang], **CHANNELS[lang]}
    body = template.render(says=says, lang=lang, t=LABELS[lang], both=LABELS, key=key, names=names).encode()
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Language", "X-Robots-Tag": "noindex"}
    return Response(body, status, headers, media_type="text/html")
