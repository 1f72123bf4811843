"""Makes what a version says: words, a code by which anybody can ask for it, a signature. Once: the ledger keeps it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from alerts.incidents.incident import Notice
from alerts.ledger.codes import Codes
from alerts.ledger.store import LedgerError
from alerts.proof import code as short_code
from alerts.proof.keys import Keys
from alerts.proof.signature import signed
from alerts.words.code_line import check_url, code_lines
from alerts.words.message import bare_message
from processing.transitions import rfc3339

log = logging.getLogger(__name__)

ATTEMPTS_MOST: Final = 16  # of 2^35 codes a city has used some 10^5: even the second is hardly ever wanted

Words: TypeAlias = Callable[[Notice, str], dict[str, Any]]  # the message of a notice, its code in every text


class Notary:
    """Called by the one loop that makes messages: a code that is free here is still free when the ledger keeps it.

    `exercise`: nothing that this service says is real. `public_url`: as in alerts/words/code_line.py. `now_ms`: the
    wall's time, ms UTC.
    """

    def __init__(
        self, codes: Codes, keys: Keys, words: Words, *, now_ms: Callable[[], int], public_url: str = "",
        exercise: bool = False,
    ) -> None:  # fmt: skip
        self._codes, self._keys, self._words = codes, keys, words
        self._now_ms, self._public_url, self._exercise = now_ms, public_url, exercise

    def __call__(self, notice: Notice) -> dict[str, Any]:
        """Raises LedgerError: no text goes out that nobody could check."""
        code = self._free_code(notice)
        added = {"code": code, "check": check_url(code, self._public_url), "sent": rfc3339(self._now_ms())}
        try:
            return signed(self._words(notice, code) | added, self._keys.signing)
        except Exception:  # one text that cannot be made must not hold up the warnings behind it
            log.exception("the text of %s version %d cannot be made", notice.incident, notice.version)
        bare = bare_message(notice, exercise=self._exercise, code=code_lines(code, self._public_url))
        return signed(bare | added, self._keys.signing)

    def _free_code(self, notice: Notice) -> str:
        for attempt in range(ATTEMPTS_MOST):
            code = short_code.make(self._keys.code, notice.incident, notice.version, attempt)
            if not self._codes.taken(code):
                return code
        raise LedgerError(f"no code is free for {notice.incident} version {notice.version}")
