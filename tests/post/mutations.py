"""The mistakes that the storms must catch: each takes one promise out of the real post, and puts it back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias

from chaos.mutations import patched
from sqlalchemy import bindparam, or_, update

from alerts.delivery.parcel import Answer, Parcel, Status
from alerts.delivery.send import Sender
from alerts.post import claiming, judging, post, queue, schema
from alerts.post.compose import Recipient
from alerts.post.judging import Row, Verdict
from alerts.post.telling import Telling

# Called right after the wrong step, so that a kill finds the gap.
Pause: TypeAlias = Callable[[], None]
Mutation: TypeAlias = Callable[[Pause], AbstractContextManager[None]]
_NEVER: Final = 1 << 62


def mutated(name: str, pause: Pause) -> AbstractContextManager[None]:
    """The post with the mistake `name`, in this process, until the block ends."""
    return MUTATIONS[name](pause)


@contextmanager
def _mark_before_send(pause: Pause) -> Iterator[None]:
    send = Sender._send

    async def marked_first(self: Sender, parcel: Parcel) -> None:
        early = Answer(parcel, Status.SENT, self._now_ms())
        await asyncio.to_thread(self._queue.settle, [early])
        pause()
        await send(self, parcel)

    with patched(Sender, "_send", marked_first):
        yield


@contextmanager
def _no_key(_: Pause) -> Iterator[None]:
    with patched(Parcel, "key", property(lambda _: secrets.token_hex(16))):
        yield


@contextmanager
def _all_clear_to_everybody(_: Pause) -> Iterator[None]:
    with patched(judging, "_heard", lambda *_: True):
        yield


@contextmanager
def _quiet_hours_on_danger(_: Pause) -> Iterator[None]:
    with patched(Telling, "holdable", property(lambda self: not self.ends)):
        yield


@contextmanager
def _claim_without_lease(_: Pause) -> Iterator[None]:
    write, table = claiming.Round.write, schema.message
    settled = update(table).where(table.c.id == bindparam("key")).values(
        {name: bindparam(f"new_{name}") for name in queue._FIELDS} | {"maybe": or_(table.c.maybe, bindparam("perhaps"))}
    )  # fmt: skip

    def unleased(self: Any, lease_until: int, _send: Iterable[int]) -> None:
        write(self, lease_until, ())

    with patched(claiming.Round, "write", unleased), patched(queue, "_SETTLED", settled):
        yield


@contextmanager
def _judged(change: Callable[..., Verdict]) -> Iterator[None]:
    with patched(claiming, "judge", change):
        yield


@contextmanager
def _expiry_ignored(_: Pause) -> Iterator[None]:
    def judge(row: Row, own: Sequence[Row], tellings: Mapping[int, Telling], now: int, **more: Any) -> Verdict:
        verdict = judging.judge(row, [replace(one, expires_at=_NEVER) for one in own], tellings, now, **more)
        return verdict if verdict.send is None else replace(verdict, send=replace(verdict.send, expires_at=_NEVER))

    with _judged(judge), patched(post, "expire", lambda *_: 0):
        yield


def _place_not_taken(_: Pause) -> AbstractContextManager[None]:
    def judge(*told: Any, **more: Any) -> Verdict:
        verdict = judging.judge(*told, **more)
        if verdict.send is None or not verdict.close:
            return verdict
        return Verdict(close=(*verdict.close, (verdict.send, Status.SUPERSEDED, "by a newer one")))

    return _judged(judge)


def _older_after_newer(_: Pause) -> AbstractContextManager[None]:
    def judge(row: Row, _own: Sequence[Row], _tellings: object, _now: int, **_more: Any) -> Verdict:
        return Verdict(row)

    return _judged(judge)


@contextmanager
def _fallback_never(_: Pause) -> Iterator[None]:
    with (
        patched(queue, "fall_back", lambda *_: 0),
        patched(claiming, "fall_back", lambda *_: 0),
        patched(post, "fall_back_late", lambda *_: 0),
    ):
        yield


@contextmanager
def _ended_all_the_same(_: Pause) -> Iterator[None]:
    with patched(Recipient, "wants", lambda *_: True):
        yield


@contextmanager
def _not_released(_: Pause) -> Iterator[None]:
    with patched(post, "release", lambda *_: 0):
        yield


MUTATIONS: Final[dict[str, Mutation]] = {
    "mark_before_send": _mark_before_send,
    "no_key": _no_key,
    "all_clear_to_everybody": _all_clear_to_everybody,
    "quiet_hours_on_danger": _quiet_hours_on_danger,
    "claim_without_lease": _claim_without_lease,
    "expiry_ignored": _expiry_ignored,
    "place_not_taken": _place_not_taken,
    "older_after_newer": _older_after_newer,
    "fallback_never": _fallback_never,
    "ended_all_the_same": _ended_all_the_same,
    "not_released": _not_released,
}
