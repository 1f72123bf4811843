"""Why a message did not go out: apart from the channels, so that what they are built of can say it as well."""

from __future__ import annotations


class ChannelError(Exception):
    """The provider did not take the message. The text goes into the ledger and must hold no address.

    `permanent`: it never will, do not try again. `gone`: permanent, and nothing to this address ever will.
    `retry_after_s`: what the provider asked for. `everybody`: it refuses for now whatever we send (429, 503, a token
    that is no good): the other messages wait as well. `maybe`: it may have the message all the same (no answer came).
    """

    def __init__(
        self, message: str, *, permanent: bool = False, gone: bool = False, retry_after_s: float | None = None,
        everybody: bool = False, maybe: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.permanent, self.gone = permanent or gone, gone
        self.retry_after_s, self.everybody, self.maybe = retry_after_s, everybody, maybe
