"""Where providers bring what became of a message; Zalo brings answers of people to the same address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from alerts.delivery.hooks import Hook, Receipt
from alerts.delivery.inbound import StrangerError
from alerts.web.group_answers import WRONG_BURST, WRONG_PER_S, Patience, SmallRoute
from alerts.web.problems import shown_problems

log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0  # a receipt may be here before the answer is written down; Zalo waits two seconds
_PROBLEMS: Final = shown_problems(
    HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)  # fmt: skip
_Channel = Annotated[str, Path(max_length=32, examples=["zalo"])]
TakeReceipt: TypeAlias = Callable[[str, Receipt], bool]  # channel; whether there is such a message
TakeReply: TypeAlias = Callable[[str, str, str, str], Any]  # channel, address, text, the provider's number


def receipt_routes(hooks: Mapping[str, Hook], receipt: TakeReceipt, reply: TakeReply | None) -> APIRouter:
    """`reply` None: nobody is there for what people write."""
    router = APIRouter(tags=["residents"], route_class=SmallRoute)
    by_sender = Patience(WRONG_PER_S, WRONG_BURST)

    @router.post(
        "/api/v1/receipts/{channel}", status_code=HTTPStatus.NO_CONTENT, responses=_PROBLEMS,
        summary="What a provider says of a message that it took",
    )  # fmt: skip
    async def brought(request: Request, channel: _Channel) -> None:
        """The same answer whether or not the message is one of ours; answered once it is on disk."""
        hook = hooks.get(channel)
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
            await _take(channel, found, receipt)
        elif found is not None and reply is not None:
            await run_in_threadpool(reply, channel, found.address, found.text, found.id)

    return router


async def _take(channel: str, found: Receipt, receipt: TakeReceipt) -> None:
    if await run_in_threadpool(receipt, channel, found):
        return
    await asyncio.sleep(_AGAIN_S)
    if not await run_in_threadpool(receipt, channel, found):
        log.info("a receipt by %s of no message of ours", channel)
