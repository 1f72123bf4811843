"""The one capability that stands in a URL: it ends one contact and can do nothing else (RFC 8058 wants it there).

Nothing of it is stored: it follows from the number of the contact and the key that addresses are sealed with. It opens
for as long as that key is used, so that the link of an old message still ends what the message came from.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from typing import Final

from alerts.residents.seal import Seal

_USE: Final = "end key"  # no channel is called so: no digest of an address is one of these
_MAC_BYTES: Final = 16
_KEY: Final = re.compile(r"([1-9][0-9]{0,17})-[A-Za-z0-9_-]{22}", re.ASCII)


def end_key(seal: Seal, contact: int) -> str:
    """Letters, digits, "-" and "_"."""
    mac = seal.digest(_USE, str(contact))[:_MAC_BYTES]
    return f"{contact}-{urlsafe_b64encode(mac).decode().rstrip('=')}"


def contact_of(seal: Seal, key: str) -> int | None:
    """The number of the contact that `key` ends; None: it is no key of ours."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    contact = int(match.group(1))
    return contact if hmac.compare_digest(end_key(seal, contact), key) else None
