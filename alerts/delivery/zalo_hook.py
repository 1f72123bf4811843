"""The events that Zalo brings to the one address of an app: answers of people, receipts of messages.

Signed by mac = sha256(app id + body as it came + timestamp + the account's secret), a plain digest, in the header
X-ZEvent-Signature (docs.zaloplatforms.com, webhooks). Zalo wants its 200 within two seconds, and comes again after
30 s, 5, 15, 30 and 60 min otherwise: the same event may come several times.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from alerts.delivery.hooks import BODY_BYTES_MOST, ID_MOST, TEXT_MOST, Brought, Receipt, Reply, StrangerError, document
from alerts.given import Secret

SIGNATURE_HEADER: Final = "x-zevent-signature"
_FIELD_MOST: Final = 64


class ZaloHook:
    """`answers`: not by ZNS, where a reply comes from an account, and what we keep is a number."""

    def __init__(self, app_id: str, secret: Secret, *, answers: bool) -> None:
        self._app_id, self._secret, self.answers = app_id, secret, answers

    def read(self, headers: Mapping[str, str], body: bytes) -> Brought | None:
        """As in alerts/delivery/hooks.py."""
        if len(body) > BODY_BYTES_MOST:
            raise StrangerError
        try:
            event = document(body)
        except ValueError:
            raise StrangerError from None  # what cannot be read cannot be signed
        expected = signature(self._app_id, body, _text(event, "timestamp"), self._secret)
        if not hmac.compare_digest(headers.get(SIGNATURE_HEADER, "").encode(), expected.encode()):
            raise StrangerError
        return _read(event)


def signature(app_id: str, body: bytes, timestamp: str, secret: Secret) -> str:
    """What the header has to be. The digest is of the body's own bytes: other spaces make another one."""
    return f"mac={sha256(app_id.encode() + body + timestamp.encode() + secret.reveal().encode()).hexdigest()}"


def _read(event: Mapping[str, Any]) -> Brought | None:
    sender, message = _inner(event, "sender"), _inner(event, "message")
    match event.get("event_name"):
        case "user_send_text" if (user := _text(sender, "id")).isascii() and user.isdigit():
            text = message.get("text")
            return Reply(user, text[:TEXT_MOST], _text(message, "msg_id")) if isinstance(text, str) else None
        case "user_received_message" if number := _text(message, "msg_id"):
            return Receipt(number, received=True)
    return None


def _inner(event: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = event.get(key)
    return found if isinstance(found, dict) else {}


def _text(found: Mapping[str, Any], key: str) -> str:
    """Zalo's numbers are texts; a number as JSON has them is taken as well."""
    value = found.get(key, "")
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text[: ID_MOST if key == "msg_id" else _FIELD_MOST]
