"""What a provider's own codes mean: for the message, for the others, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from alerts.delivery.channel_error import ChannelError
from alerts.given import Section

WAIT_S: Final = 15.0  # where a provider says "too fast", and not for how long
SHUT_MS: Final = 10 * 60_000  # so long nothing is asked of an account that has used up its day or its money
_CODE_MOST: Final = 16  # characters
_SCOPES_MOST: Final = 256


class Fate(StrEnum):
    TAKEN = "taken"  # it has the message: from now on, or from an earlier try
    PERMANENT = "permanent"  # never this message
    GONE = "gone"  # never anything to this address
    AGAIN = "again"  # this message, later
    WAIT = "wait"  # nothing for a moment, whatever we send
    SHUT = "shut"  # nothing for long: the day's number, the money, the account. The message is given up at once


KEYS: Final[Mapping[str, str]] = MappingProxyType({f"codes_{fate}": "" for fate in Fate})


class Fates:
    """`known`: by code its fate and our own words for it; the provider's would carry addresses into the ledger."""

    def __init__(self, name: str, known: Mapping[str, tuple[Fate, str]], section: Section) -> None:
        """Codes of the section go before the known ones. Raises ConfigError."""
        self._name = name
        said = {code: fate for fate in Fate for code in _codes(section, fate)}
        words = {code: known.get(code, (fate, "as set up"))[1] for code, fate in said.items()}
        self._table = {**known, **{code: (fate, words[code]) for code, fate in said.items()}}
        self._shut: dict[str, tuple[int, str]] = {}  # by scope: until when, by which code

    def of(self, code: str) -> Fate:
        """What nobody has described is tried again: it ends with the message's time, and is seen by its code."""
        return self._table.get(code, (Fate.AGAIN, ""))[0]

    def check(self, now_ms: int, scope: str = "") -> None:
        """Raises ChannelError while the account, or that part of it, is known to be shut: no call is made for it."""
        for part in {"", scope}:
            until, code = self._shut.get(part, (0, ""))
            if now_ms < until:
                raise self._shut_error(code)

    def error(self, code: str, now_ms: int, *, scope: str = "", after_s: float | None = None) -> ChannelError:
        """`scope`: what a SHUT is limited to, such as a template. `after_s`: what the provider asked for."""
        fate = self.of(code)
        if fate is Fate.SHUT:
            if len(self._shut) >= _SCOPES_MOST:
                self._shut.clear()
            self._shut[scope] = (now_ms + SHUT_MS, code)
            return self._shut_error(code)
        return ChannelError(
            self._text(code), permanent=fate is Fate.PERMANENT, gone=fate is Fate.GONE, everybody=fate is Fate.WAIT,
            retry_after_s=after_s if after_s is not None else WAIT_S if fate is Fate.WAIT else None,
        )  # fmt: skip

    def _shut_error(self, code: str) -> ChannelError:
        """A warning does not wait for the next day: it is given up at once, so that another channel takes it over."""
        return ChannelError(self._text(code), permanent=True)

    def _text(self, code: str) -> str:
        shown = code if _shown(code) else "a code that is not shown"
        words = self._table.get(code, (Fate.AGAIN, "unknown"))[1]
        return f"{self._name} {shown}: {words}"


def _codes(section: Section, fate: Fate) -> list[str]:
    given = section[f"codes_{fate}"]
    codes = given.text.split()
    if any(len(code) > _CODE_MOST or not code.isascii() for code in codes):
        raise given.wrong(f"codes of the provider with spaces between, each at most {_CODE_MOST} characters")
    return codes


def _shown(code: str) -> bool:
    """Not where it may be a number that somebody is called by: what stands there is the provider's to say."""
    digits = sum(char.isdigit() for char in code)
    return len(code) <= _CODE_MOST and code.isascii() and code.isprintable() and digits < 7
