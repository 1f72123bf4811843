"""Is this warning genuine: /v/{code} for people, its JSON for programs, the QR code of its address, and our public key.

A look-up is three reads by index and two signatures, less than a page of warnings: no limit stands here beyond the
server's own. Who guesses codes finds one in 2^35 / versions tries, and then a public warning; unknown ones answer
alike.
"""

from __future__ import annotations

import io
import logging
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
import segno
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from jinja2 import Template
from starlette.exceptions import HTTPException

from alerts.proof.code import read
from alerts.proof.public_keys import KEY_PATH, document
from alerts.proof.verdict import Verdict
from alerts.web.check_labels import verdict_sentence
from alerts.web.check_model import CheckOut, CheckPage, asking_page, check, check_page
from alerts.web.pages import language, static_files, templates
from alerts.web.problems import problem, shown_problems
from alerts.web.rendered import FRESH, Rendered, as_json
from alerts.web.sources import Proof, Sources
from alerts.words.code_line import check_url

_log = logging.getLogger(__name__)

_VARY: Final = "Accept, Accept-Encoding, Accept-Language"
_QR_KEPT: Final = 256  # of codes that are looked at together; each is a kilobyte and some milliseconds
_STATUS: Final = {Verdict.UNKNOWN: HTTPStatus.NOT_FOUND, Verdict.NOT_A_CODE: HTTPStatus.UNPROCESSABLE_ENTITY}
_Typed = Annotated[str, Query(max_length=100)]
_Lang = Annotated[str, Query(max_length=40)]


def check_routes(sources: Sources, proof: Proof) -> APIRouter:
    """Handlers run in worker threads: the ledger is a file."""
    router = APIRouter()
    template = templates(static_files()).get_template("check.html")
    keys = Rendered.of(msgspec.json.encode(document(*proof.keys.values())))

    @router.get(
        "/api/v1/v/{code}", response_model=CheckOut, tags=["public"], summary="Is the warning with this code genuine",
        responses=shown_problems(*_STATUS.values()),
    )  # fmt: skip
    def check_for_programs(request: Request, code: str) -> Response:
        return _in_json(request, _look_up(proof, code, sources.now_ms()))

    @router.get("/v/{code}", include_in_schema=False)
    def check_for_people(request: Request, code: str, lang: _Lang = "") -> Response:
        found = _look_up(proof, code, sources.now_ms())
        accepted = request.headers.get("accept", "")
        if "application/json" in accepted and "text/html" not in accepted:
            return _in_json(request, found)
        view, chosen = sources.view(), language(lang, request.headers.get("accept-language", ""))
        if isinstance(found, Verdict):
            return _page(request, template, asking_page(view.city.name, chosen, found, code[:40]), _STATUS[found])
        url = check_url(found.code, proof.url)
        qr = f"/v/{found.code}/qr.svg" if url else ""
        return _page(request, template, check_page(found, view.city.name, view.city.timezone, chosen, qr=qr, url=url))

    @router.get("/v/{code}/qr.svg", include_in_schema=False)
    def qr_code(request: Request, code: str) -> Response:
        found = _look_up(proof, code, sources.now_ms())
        if isinstance(found, Verdict) or not proof.url:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no QR code of this")
        return Rendered.of(_qr(check_url(found.code, proof.url)), "image/svg+xml").response(
            request, "public, max-age=86400"
        )

    @router.get("/v", include_in_schema=False)
    def ask(request: Request, code: _Typed = "", lang: _Lang = "") -> Response:
        asked = read(code)
        if asked is not None:
            query = f"?lang={lang}" if lang in ("vi", "en") else ""
            return RedirectResponse(f"/v/{asked}{query}", HTTPStatus.SEE_OTHER)
        chosen = language(lang, request.headers.get("accept-language", ""))
        wrong = Verdict.NOT_A_CODE if code.strip() else None
        shown = asking_page(sources.view().city.name, chosen, wrong, code[:40])
        return _page(request, template, shown, _STATUS[wrong] if wrong else HTTPStatus.OK)

    @router.get(KEY_PATH, tags=["public"], summary="The public key that messages are signed with (JSON Web Key Set)")
    def public_key(request: Request) -> Response:
        return keys.response(request, "public, max-age=3600")

    return router


def _look_up(proof: Proof, typed: str, now_ms: int) -> CheckOut | Verdict:
    """What the code stands for; UNKNOWN or NOT_A_CODE where it stands for nothing."""
    code = read(typed)
    if code is None:
        return Verdict.NOT_A_CODE
    coded = proof.codes.find(code)
    if coded is None:
        return Verdict.UNKNOWN
    found = check(code, coded, proof.keys, now_ms)
    if found.verdict is Verdict.DAMAGED:
        notice = coded.said.notice
        _log.error("what is kept of %s version %d does not fit its signature", notice.incident, notice.version)
    return found


def _in_json(request: Request, found: CheckOut | Verdict) -> Response:
    if isinstance(found, Verdict):
        said = verdict_sentence(found, "en", exercise=False)
        return problem(request, _STATUS[found], said, headers={"Vary": _VARY}, verdict=found.value)
    return as_json(found).response(request, FRESH, _VARY)


def _page(request: Request, template: Template, page: CheckPage, status: HTTPStatus = HTTPStatus.OK) -> Response:
    body = template.render(page=page, t=page.labels).encode()
    if status is HTTPStatus.OK:
        return Rendered.of(body, "text/html").response(request, FRESH, _VARY)
    return Response(body, status, {"Cache-Control": "no-store", "Vary": _VARY}, media_type="text/html")


@lru_cache(_QR_KEPT)
def _qr(url: str) -> bytes:
    """Dark on light also where the page is dark: many readers want it so. A quarter of it may be dirty."""
    out = io.BytesIO()
    segno.make(url, error="q", micro=False, boost_error=False).save(
        out, kind="svg", border=4, light="#fff", xmldecl=False, nl=False, omitsize=True
    )
    return out.getvalue()
