"""The process of the post, a child of the service: `python -m alerts.post --help`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from alerts import settings
from alerts.delivery.channels import KINDS, hooks
from alerts.delivery.channels.channel import Channel, Kind, Means
from alerts.given import NO_SECTION
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.ledger.store import LedgerError, Store
from alerts.post.calls import Calls
from alerts.post.compose import Composer
from alerts.post.post import Post, PostParts
from alerts.post.process import Opening
from alerts.post.store import open_post
from alerts.residents.seal import Seal, SealError
from alerts.settings import Settings
from alerts.watch.logs import set_up
from ingest.city import ConfigError, parse_city
from ingest.disk import LOCAL
from ingest.priority import stand_back

log = logging.getLogger(__name__)

NICE: Final = 2  # whatever decides warnings comes first
SAY_S: Final = 1.0  # between two lines of counters
LINE_BYTES_MOST: Final = 16 * 1024 * 1024  # the registry of a country in one line


def main(kinds: Mapping[str, Kind] = KINDS) -> int:
    """`kinds`: the table of channels."""
    given = _arguments()
    try:
        chosen = settings.load(given.config, os.environ)
        opening = msgspec.json.decode(sys.stdin.buffer.readline(LINE_BYTES_MOST), type=Opening)
        logs = set_up(chosen.log_format, opening.log_level or chosen.log_level)
        stand_back(NICE)
        post, close = _post(chosen, opening, kinds)
    except (ConfigError, LedgerError, SealError, msgspec.DecodeError) as error:
        print(f"post: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(post))
    finally:
        close()
        logs.close()
    return 0


class _Contents:
    """The reading side of the ledger: its writer is the service."""

    def __init__(self, ledger: Ledger) -> None:
        self.notice, self.content = ledger.notice, Outbox(ledger.store).content


def _post(chosen: Settings, opening: Opening, kinds: Mapping[str, Kind]) -> tuple[Post, Callable[[], None]]:
    if chosen.residents_key is None:
        raise SealError("residents.key_file: not set")
    seal, city = Seal.of(chosen.residents_key), parse_city(opening.city_toml)
    ledger = Ledger(Store(chosen.data_path / "ledger.sqlite", LOCAL))
    store = open_post(chosen.data_path)
    replies = [name for name, hook in hooks(chosen.channels).items() if hook.answers]
    contents, url = _Contents(ledger), opening.public_url
    composer = Composer(contents, seal, lambda: city, public_url=url, replies=replies)
    channels = made(kinds, chosen, opening.public_url)
    calls = Calls(store, ledger, seal, lambda: city, opening.public_url)
    return Post(PostParts(store, ledger, composer, city, channels, _now_ms, Random(), calls)), store.close


def made(kinds: Mapping[str, Kind], chosen: Settings, public_url: str) -> dict[str, Channel]:
    """The channels to residents that the deployment has set up. Raises ConfigError."""
    means = Means(chosen.data_path, public_url, _now_ms)
    serving = [kind for kind in kinds.values() if kind.serves == "residents"]
    channels = [one for kind in serving for one in kind.made(chosen.channels.get(kind.name, NO_SECTION), means)]
    return {channel.name: channel for channel in channels}


async def _serve(post: Post) -> None:
    """Until standard input ends: so does the post when the service is killed."""
    stop, lines = asyncio.Event(), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def listen() -> None:
        while await lines.readline():
            post.wake()
        stop.set()
        post.wake()

    async def say() -> None:
        while not stop.is_set():
            print(json.dumps(post.counters), flush=True)
            await asyncio.sleep(SAY_S)

    saying = asyncio.create_task(say())
    listening = asyncio.create_task(listen())
    await post.run(stop)
    for task in (saying, listening):
        task.cancel()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m alerts.post",
        description="Sends residents what the ledger's notices call for. The service starts it, tells it the registry"
        " in one line on standard input and wakes it with further lines; it ends when standard input does, and says its"
        " counters on standard output, a line of JSON each second.",
        epilog="example: python -m alerts.post --config canhbao.toml",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the settings of the service")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
