"""Where providers bring what became of a message; Zalo brings answers of people to the same address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from alerts.delivery.hooks import Receipt, StrangerError
from alerts.web.group_answers import WRONG_BURST, WRONG_PER_S, Patience, SmallRoute
from alerts.web.problems import shown_problems
from alerts.web.sources import Providers

log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0  # a receipt may be here before the answer is written down; Zalo waits two seconds
_PROBLEMS: Final = shown_problems(
    HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
_Channel = Annotated[str, Path(max_length=32, examples=["zalo"])]


def receipt_routes(providers: Providers | None) -> APIRouter:
    router = APIRouter(tags=["residents"], route_class=SmallRoute)
    by_sender = Patience(WRONG_PER_S, WRONG_BURST)

    async def brought(request: Request, channel: _Channel) -> None:
        """The same answer whether or not the message is one of ours; answered once it is on disk."""
        if providers is None:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "nothing is sent to residents: residents.key_file")
        hook = providers.hooks.get(channel)
        if hook is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no receipts are taken for this channel")
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            found = hook.read(headers, await request.body())
        except StrangerError:
            by_sender.spend(request.client.host if request.client is not None else "")
            raise HTTPException(HTTPStatus.FORBIDDEN, "not from this channel's provider") from None
        except ValueError as error:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        if isinstance(found, Receipt):
            await _take(channel, found, providers.receipt)
        elif found is not None:
            taken = await run_in_threadpool(providers.reply, channel, found.address, found.text, found.id)
            log.info("a reply by %s: %s", channel, taken.outcome)

    for path, summary in (
        ("/api/v1/receipts/{channel}", "What a provider says of a message that it took"),
        ("/api/v1/replies/{channel}", "What a provider was sent by those whom we told; the same door"),
    ):
        router.add_api_route(path, brought, methods=["POST"], status_code=HTTPStatus.NO_CONTENT, summary=summary,
                             responses=_PROBLEMS)  # fmt: skip
    return router


async def _take(channel: str, found: Receipt, receipt: Callable[[str, Receipt], bool]) -> None:
    if await run_in_threadpool(receipt, channel, found):
        return
    await asyncio.sleep(_AGAIN_S)
    if not await run_in_threadpool(receipt, channel, found):
        log.info("a receipt by %s of no message of ours", channel)
