"""The residents' page and its files. The page is whole without JavaScript; page.js only asks for it again in time."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException

from alerts.web import page_model, payloads
from alerts.web.events import FanOut
from alerts.web.rendered import Rendered, Shelf
from alerts.web.sources import Sources
from alerts.words.names import LANGS, Lang

_HERE: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PAGES_KEPT: Final = 200  # every ward in both languages, some kilobytes each
_PAGE_AGE_MS: Final = 5_000  # readings on the page may be so old; a new version of a warning makes it anew at once
_DELAYED_MS: Final = 60_000  # the journal ticks every 10 s: a view older than this says that the service stands still
_FOR_EVER: Final = "public, max-age=31536000, immutable"  # their addresses carry the hash of their content


def page_routes(sources: Sources, fan_out: FanOut) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    files = static_files()
    template, pages = templates(files).get_template("residents.html"), Shelf(_PAGES_KEPT)

    @router.get("/")
    def residents(
        request: Request,
        lang: Annotated[str, Query(max_length=40)] = "",
        area: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        view = sources.view()
        code = area if area in view.city.areas else payloads.WHOLE_CITY
        chosen = language(lang, request.headers.get("accept-language", ""))
        delayed = not payloads.simulated(view) and sources.now_ms() - view.arrival > _DELAYED_MS
        mark = (fan_out.last_seq, view.arrival // _PAGE_AGE_MS, delayed)

        def make() -> Rendered:
            shown = page_model.page(sources.view(), sources.ledger.open_incidents(), code, chosen, delayed=delayed)
            return Rendered.of(
                template.render(page=shown, t=shown.labels, city=payloads.WHOLE_CITY).encode(), "text/html"
            )

        return pages.get((code, chosen), mark, make).response(request, "no-cache", "Accept-Encoding, Accept-Language")

    @router.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no file {name!r}")
        return files[name].response(request, _FOR_EVER)

    return router


def static_files() -> dict[str, Rendered]:
    """By name; they are part of the program."""
    return {
        path.name: Rendered.of(path.read_bytes(), _MEDIA_TYPES[path.suffix]) for path in (_HERE / "static").iterdir()
    }


def templates(files: Mapping[str, Rendered]) -> Environment:
    """`files`: those that pages may name."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=select_autoescape(), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals["asset"] = lambda name: f"/static/{name}?v={files[name].etag[3:15]}"
    return made


def language(asked: str, accept_language: str) -> Lang:
    """The language asked for, else the one of ours that the browser likes best, else Vietnamese."""
    for lang in LANGS:
        if asked == lang:
            return lang
    liked = {lang: _liking(lang, accept_language) for lang in LANGS}
    return max(LANGS, key=lambda lang: liked[lang])  # the first of equals: Vietnamese


def _liking(lang: Lang, accept_language: str) -> float:
    """The highest q of `lang` in an Accept-Language header, 0 where it is not named (RFC 9110 section 12.5.4)."""
    best = 0.0
    for part in accept_language.split(",")[:20]:
        tag, _, q = part.strip().lower().partition(";")
        if tag.split("-")[0].strip() == lang:
            try:
                best = max(best, float(q.strip().removeprefix("q=") or 1))
            except ValueError:
                continue
    return best
