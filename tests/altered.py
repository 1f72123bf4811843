"""`canhbao run` with one thing altered, for stories that need a service that is slow or wrong: altered.py NAME…"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from alerts.__main__ import main
from alerts.folds import Folds
from alerts.spine import Spine
from alerts.way import Way
from ingest.entries import Entry, Position
from ingest.inbox import Message
from ingest.journal import Journal
from ingest.mqtt import connection, source
from ingest.rate_limit import RateLimit

PAUSE_S = 0.03
SLOW_S = 0.1  # a message


def slow() -> None:
    real = Spine._take

    def take(spine: Spine, messages: Sequence[Message], now: int) -> None:
        time.sleep(SLOW_S * len(messages))
        real(spine, messages, now)

    Spine._take = take


def short_keepalive() -> None:
    connection.KEEPALIVE_S = 2


def strict() -> None:
    source.RateLimit = partial(RateLimit, per_s=4, burst=20)


def answers_first() -> None:
    """Receipt and acknowledgement before the commit: what must never be."""
    real = Journal.append

    def enter(way: Way, entry: Entry, messages: Sequence[Message] = ()) -> Position:
        way.answer(way.folds.answer(entry, way.clock.now_ms(), heard=True))
        way._link.acknowledge(messages)
        time.sleep(PAUSE_S)
        position = real(way.journal, entry)
        way.arrival = max(way.arrival, entry.arrival)
        before = way.folds.engine.alive
        way._decide(position, entry, Folds.judge(way.folds, position, entry), before)
        return position

    Way.enter = enter


ALTERATIONS: dict[str, Callable[[], Any]] = {f.__name__: f for f in (slow, short_keepalive, strict, answers_first)}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        ALTERATIONS[name]()
    sys.exit(main(["run"]))
