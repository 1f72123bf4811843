"""The end of a client: over TLS each side waits for the farewell of the other, and no library waits for that."""

from __future__ import annotations

import asyncio
from typing import Any


async def closed(channel: Any) -> None:
    """`channel` is closed, and no socket of this loop is left."""
    await channel.close()
    loop: Any = asyncio.get_running_loop()
    while len(loop._selector.get_map()) > 1:  # noqa: ASYNC110  # one is the loop's own
        await asyncio.sleep(0.01)
