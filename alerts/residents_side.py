"""What the service has towards residents: the post's process, their book, ward groups, what providers bring back.

One store a file for all of it: what the service writes there waits for its own lock, not for SQLite's polling.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final

from alerts.delivery.channels import KINDS, hooks
from alerts.delivery.channels.channel import Kind, Means
from alerts.delivery.hold import GIVEN_UP
from alerts.delivery.hooks import Hook, Receipt
from alerts.delivery.vapid_key import public_text, vapid_key
from alerts.given import NO_SECTION
from alerts.ledger.ledger import Ledger
from alerts.post.give_up import give_up
from alerts.post.process import Opening, PostProcess
from alerts.post.receipts import take_receipt
from alerts.post.store import open_post
from alerts.residents.book import Book
from alerts.residents.ground import Ground
from alerts.residents.group_desk import GroupDesk
from alerts.residents.limits import SignUpLimits
from alerts.residents.seal import Seal, SealError
from alerts.residents.staff_contacts import StaffContacts
from alerts.residents.store import open_residents
from alerts.settings import Settings
from alerts.staff import Staff
from alerts.view import View

WEB_PUSH: Final = "webpush"


class ResidentsSide:
    """`view`: the newest. `link_url`: where the service is reached. `held`: nothing may be sent.

    Raises ConfigError where a channel is set up wrongly, LedgerError, FolderError, SealError for a key that is none or
    another one than that of the file.
    """

    def __init__(
        self, settings: Settings, closing: ExitStack, ledger: Ledger, view: Callable[[], View], *, link_url: str,
        city_toml: str, held: Callable[[], bool], now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        if settings.residents_key is None:
            raise SealError("not set")
        self._settings, self._ledger, self._now_ms = settings, ledger, now_ms
        self._seal = Seal.of(settings.residents_key)
        self.kinds = _set_up(settings, now_ms)
        self.store, self.post_store = open_residents(settings.data_path), open_post(settings.data_path)
        closing.callback(self.store.close)
        closing.callback(self.post_store.close)
        arguments = [] if settings.file is None else ["--config", str(settings.file)]
        opening = Opening(city_toml, link_url, settings.log_level)
        self.post = PostProcess(arguments, lambda: opening, held)
        self.book = Book(self.store, self._seal, SignUpLimits(time.monotonic), link_url, self.post.wake)
        self.hooks: Mapping[str, Hook] = hooks(settings.channels)
        self.groups = self._groups(view)
        self.push_key = public_text(vapid_key(settings.data_path)) if WEB_PUSH in self.kinds else ""
        closing.callback(self.post.stop)
        self.post.start()

    def staff_contacts(self, staff: Staff) -> StaffContacts:
        reach = {name: kind.reach for name, kind in self.kinds.items()}
        return StaffContacts(self.store, self._ledger.store, self._seal, reach, staff, self._now_ms)

    def receipt(self, channel: str, receipt: Receipt) -> bool:
        """Whether there is such a message; it is on disk then. Raises LedgerError."""
        return take_receipt(self.post_store, channel, receipt.id, receipt.received, receipt.error, self._now_ms())

    def give_up(self, until: int) -> int:
        """What was called for up to then is not told any more. Raises LedgerError. While the post is held."""
        return give_up(self.post_store, self._ledger, until, GIVEN_UP, self._now_ms())

    def _groups(self, view: Callable[[], View]) -> GroupDesk:
        ground = Ground(
            self.store, self._ledger.store, self._seal, self.kinds, lambda: view().city, lambda: view().rules.hazards,
            self._now_ms,
        )  # fmt: skip
        desk = GroupDesk(ground, self.post_store)
        desk.groups.keep_aim()  # rules may know other hazards than at the last start
        return desk


def _set_up(settings: Settings, now_ms: Callable[[], int]) -> dict[str, Kind]:
    """The channels by which residents can be reached here. Raises ConfigError."""
    means = Means(settings.data_path, settings.public_url, now_ms)
    return {
        name: kind
        for name, kind in KINDS.items()
        if kind.serves == "residents" and kind.made(settings.channels.get(name, NO_SECTION), means)
    }
