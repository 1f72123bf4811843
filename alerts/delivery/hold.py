"""Delivery held back after a restore, until an operator says what is to become of the messages that wait.

A restored folder knows what its backup knew. What was sent since is due in it once more, and what it decides from its
journal may be hours old: only a person can know whether anybody should still hear of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec

from alerts.ledger.outbox import Outbox
from alerts.ledger.store import LedgerError
from ingest.data_folder import write_private
from processing.transitions import rfc3339

log = logging.getLogger(__name__)

FILE: Final = "delivery-hold.json"
GIVEN_UP: Final = "given up at the release after a restore"


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times ms UTC. `restoring`: the folder is not whole yet, or never became so. `released_at` None: held.

    `unsent`: what was called for up to the release is given up.
    """

    taken_at: int  # when the backup was
    restoring: bool = False
    released_at: int | None = None
    unsent: bool = False


def read_hold(folder: Path) -> Hold | None:
    """None: delivery is free. A file that cannot be read holds: silence for a while can be mended, a false word not."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Hold)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.error("%s cannot be read, delivery stays held: %s", folder / FILE, error)  # noqa: TRY400  # the cause is in it
        return Hold(0)


def write_hold(folder: Path, hold: Hold) -> None:
    """On disk when it returns. Raises OSError."""
    write_private(folder / FILE, msgspec.json.encode(hold).decode())


class Gate:
    """Between what is due and those who send it. Shut where the folder was restored and not yet released.

    `give_up(until)`: what residents were to be told up to then (ms UTC) is given up; how many messages that was.
    """

    def __init__(self, folder: Path, outbox: Outbox, give_up: Callable[[int], int] = lambda _until: 0) -> None:
        self._folder, self._outbox, self._give_up = folder, outbox, give_up
        self._lock = threading.Lock()  # every channel asks, and only one may open
        self._hold = read_hold(folder)

    @property
    def shut(self) -> bool:
        return self._hold is not None

    def look(self, personal: Collection[str]) -> bool:
        """Whether messages may go out; opened by a release that was written since. From any thread.

        `personal`: the channels that carry no state; what is given up is theirs. A state is the newest there is,
        whenever it is told. Raises LedgerError, OSError: still shut.
        """
        with self._lock:
            if self._hold is None:
                return True
            hold = read_hold(self._folder)
            if hold is not None and not self._settled(hold, personal):
                return False
            (self._folder / FILE).unlink(missing_ok=True)
            self._hold = None
        log.warning("delivery goes on after a restore")
        return True

    def says(self) -> str:
        """For operators, in one line; "" where it is open."""
        hold = self._hold
        if hold is None:
            return ""
        return (f"held: restored from a backup of {rfc3339(hold.taken_at)}; {self._waiting()}; "
                "when nothing else sends for this city: canhbao restore --release")  # fmt: skip

    def _waiting(self) -> str:
        try:
            count, oldest = self._outbox.waiting()
        except LedgerError as error:
            return f"how many messages wait cannot be read: {error}"
        since = f", the oldest called for at {rfc3339(oldest)}" if oldest is not None else ""
        return f"{count} messages wait{since}"

    def _settled(self, hold: Hold, personal: Collection[str]) -> bool:
        if hold.released_at is None:
            return False
        if not hold.unsent:
            return True
        pending = self._outbox.pending()
        if pending is not None and pending.notice.arrival <= hold.released_at:
            return False  # it would be sent as soon as its messages are made
        given_up = self._give_up(hold.released_at) + self._outbox.give_up(personal, hold.released_at, GIVEN_UP)
        log.warning("%d messages from before the release are given up", given_up)
        return True
