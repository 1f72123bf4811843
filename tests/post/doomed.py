"""The post as a process that can die at named moments, any number of times.

A zygote imports everything once. Each line on its standard input is a life: it forks a child that runs the real post
with the storm's clock and channels, and says on its standard output how that ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, Final

from chaos.mortal import die_with_parent
from chaos.mutations import patched
from post.lives import Life
from post.mutations import mutated
from post.pace import Pace
from post.sink import TIMEOUT_S, Sink, kinds
from post.town import KEY

from alerts.delivery import send
from alerts.delivery.channels.channel import Means
from alerts.given import Section
from alerts.ledger.ledger import Ledger
from alerts.ledger.outbox import Outbox
from alerts.post import claiming, expand, post, queue
from alerts.post.compose import Composer
from alerts.post.follow import Follower
from alerts.post.post import Post, PostParts
from alerts.post.store import open_post
from alerts.residents.seal import Seal
from ingest.city import DEFAULT_CITY_FILE, City, parse_city

# Of the wall's clock, for a storm's runs a hundred times as fast; and chunks so small that each notice has several.
HURRY: Final = ((send, "POLL_S", 0.02), (post, "POLL_S", 0.02), (post, "SWEEP_S", 20.0))
CHUNK: Final = 25


class Moments:
    """Counts the times that the moment planned for this life is reached, and ends it."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._reached: Counter[str] = Counter()

    def reach(self, moment: str) -> None:
        self._reached[moment] += 1
        if moment == self._life.moment and self._reached[moment] >= self._life.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    def pause(self) -> None:
        """After the wrong step of a mutation, which is a moment like any other."""
        self.reach("wrong_step")

    def around(
        self, owner: type | ModuleType, name: str, before: str, after: str
    ) -> tuple[type | ModuleType, str, Any]:
        old = getattr(owner, name)

        @wraps(old)
        def hooked(*args: Any, **named: Any) -> Any:
            self.reach(before)
            result = old(*args, **named)
            self.reach(after)
            return result

        @wraps(old)
        async def awaited(*args: Any, **named: Any) -> Any:
            self.reach(before)
            result = await old(*args, **named)
            self.reach(after)
            return result

        return owner, name, awaited if asyncio.iscoroutinefunction(old) else hooked


def live(life: Life) -> None:
    """The post in this process, until somebody kills it."""
    moments = Moments(life)
    with ExitStack() as undo:
        hooks = [
            moments.around(Follower, "turn", "before_follow", "after_follow"),
            moments.around(expand, "_fill", "in_chunk", "in_chunk"),  # within the transaction
            moments.around(expand.Expander, "turn", "before_chunk", "after_chunk"),
            moments.around(queue.PostQueue, "claim", "before_claim", "after_claim"),
            moments.around(claiming.Round, "write", "in_claim", "in_claim"),
            moments.around(queue.PostQueue, "settle", "before_settle", "after_settle"),
            moments.around(queue, "fall_back", "in_settle", "in_settle"),
            moments.around(Sink, "send", "before_send", "after_send"),
        ]
        for owner, name, new in (*HURRY, *hooks):
            undo.enter_context(patched(owner, name, new))
        if life.mutation:
            undo.enter_context(mutated(life.mutation, moments.pause))
        asyncio.run(_run(life))


async def _run(life: Life) -> None:
    data, pace = Path(life.data), Pace.of(life.pace)
    store, ledger = open_post(data), Ledger.open(data / "ledger.sqlite")
    city = _city()
    means = Means(data, "", pace.now_ms)
    made = {name: kind.make(Section({}, {}), means) for name, kind in kinds(life.provider, TIMEOUT_S).items()}
    composer = Composer(Contents(ledger), Seal(bytes.fromhex(KEY)), lambda: city, public_url="https://canhbao.example/")
    channels = {name: channel for name, channel in made.items() if channel is not None}
    whole = Post(PostParts(store, ledger, composer, city, channels, pace.now_ms, Random(os.getpid())))
    whole._expander._chunk = CHUNK
    await whole.run(asyncio.Event())


class Contents:
    """The reading side of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.notice = ledger.notice
        self.content = Outbox(ledger.store).content


def _city() -> City:
    return parse_city(DEFAULT_CITY_FILE.read_text("utf-8"))


def zygote() -> None:
    """Until its standard input ends: a life a line."""
    die_with_parent()
    _say(ready=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _end(Life.from_json(line))
        _say(pid=pid)
        _, status = os.waitpid(pid, 0)
        _say(ended=os.waitstatus_to_exitcode(status))


def _end(life: Life) -> None:
    """The child: lives, and ends without the zygote's own end."""
    try:
        die_with_parent()
        os.close(0)
        os.close(1)
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
        live(life)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(70)


def _say(**what: Any) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


if __name__ == "__main__":
    zygote()
