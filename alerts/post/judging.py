"""What becomes of a message whose turn it is: sent, held, or closed for a reason that stands beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from alerts.delivery.parcel import Status
from alerts.post.telling import Telling

WAIT_MS: Final = 500  # until something else of the same contact, or of the same incident, is settled


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the post keeps it. `got`: its recipient has it, or may have it."""

    id: int
    seq: int
    contact: int
    status: Status
    attempts: int
    heard_only: bool
    created_at: int
    since: int
    next_try_at: int | None
    expires_at: int
    got: bool
    leader: int | None = None  # the message that it is told with

    @property
    def waits(self) -> bool:
        return self.status in (Status.QUEUED, Status.FAILED)

    @property
    def open(self) -> bool:
        """Nobody has it yet, by itself or with the message that it is told with."""
        return self.waits or (self.status is Status.MERGED and not self.got)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`send`: the row to send, which may be a newer one of the same incident in its place. `close`: what ends unsent,
    with what and why. `later`: rows to look at again at `at`.
    """

    send: Row | None = None
    close: tuple[tuple[Row, Status, str], ...] = ()
    later: tuple[Row, ...] = ()
    at: int = 0


def judge(row: Row, own: Sequence[Row], tellings: Mapping[int, Telling], now: int, *, capped: bool = False) -> Verdict:
    """`own`: every message to the same contact of the same incident, in the order of versions. `tellings`: of that
    incident, by number. `capped`: this contact has had its number of messages today.

    Older versions give way to the newest, which takes their place; nothing overtakes what is under way to the contact.
    """
    newest, last = max(tellings), own[-1]
    after = tellings[newest].after
    being_made = last.seq < newest and after is not None and after < row.contact
    if being_made or any(one.status is Status.SENDING for one in own):
        return Verdict(later=(row,), at=now + WAIT_MS)
    old = tuple((one, Status.SUPERSEDED, f"by notice {newest}") for one in own if one.open and one.seq < newest)
    if last.seq < newest or not last.waits:  # the newest version is nothing for this contact, or done with
        return Verdict(close=old)
    if (end := _end(last, own[:-1], tellings, now, capped=capped)) is not None:
        return Verdict(close=(*old, (last, *end)))
    if last.next_try_at is not None and last.next_try_at > now:  # held over the night, or to be tried again later
        return Verdict(close=old)
    return Verdict(last, old)


def _end(
    last: Row, before: Sequence[Row], tellings: Mapping[int, Telling], now: int, *, capped: bool
) -> tuple[Status, str] | None:
    """Why the newest version is not to be sent any more; None: it is."""
    if now >= last.expires_at:
        return Status.DEAD, "expired before it could be sent"
    if last.heard_only and not _heard(before, tellings):
        return Status.UNHEARD, "nothing of this incident had reached them"
    if capped and not last.attempts and tellings[last.seq].holdable:
        return Status.CAPPED, "beyond the number of messages a day"
    return None


def _heard(before: Sequence[Row], tellings: Mapping[int, Telling]) -> bool:
    """Whether the last thing that reached the contact was no end."""
    got = [one for one in before if one.got]
    return bool(got) and not tellings[got[-1].seq].ends
