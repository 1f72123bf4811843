"""The secret in a leader's link: it can do nothing but answer one warning for one contact.

Nothing of it is kept. It is the number of the contact and a message authentication code over that number and the
incident, by a key that lies outside the data folder. Which incident is meant is found among those that the contact was
told of lately: a link grows too old by itself, and is short enough for a message.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from typing import Final

from alerts.residents.seal import Seal

KEY_MOST: Final = 40
_BYTES: Final = 10  # 80 bits in 16 letters: guessed at some tries a second, for three days
_USE: Final = "answer key"  # no channel has a blank in its name: never the digest of an address
_KEY: Final = re.compile(r"([1-9][0-9]{0,17})-([a-z2-7]{16})\Z")


def answer_key(seal: Seal, contact: int, incident: str) -> str:
    """Such as "1734-k5zq3h7b2m4xw6ta"."""
    code = seal.digest(_USE, f"{contact}\n{incident}")[:_BYTES]
    return f"{contact}-{b32encode(code).decode().lower()}"


def contact_in(key: str) -> int | None:
    """Whose key it says that it is; None: it is none."""
    match = _KEY.match(key)
    return None if match is None else int(match[1])


def opens(seal: Seal, key: str, contact: int, incident: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(key.encode(), answer_key(seal, contact, incident).encode())
