"""A mail as bytes: what all recipients of a text have in common is made once, what is a recipient's own is put before.

Plain text and nothing else: it reads on every phone and every reader for the blind, costs the least where the network
is at its worst, and shows no link that leads elsewhere than it says. All is ASCII on the way (quoted-printable and
encoded words, RFC 2045 and 2047): no server has to change it, which would break the city's signature (DKIM).
"""

from __future__ import annotations

import quopri
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from alerts.delivery.parcel import Lane, Parcel
from alerts.words.names import Lang
from alerts.words.titled import titled

_TEMPLATES_MOST: Final = 64  # texts that are being sent at the same time
_END: Final[Mapping[Lang, str]] = {"vi": "Ngừng nhận thư này: ", "en": "To end these mails: "}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes: a name for people, an address, and where answers go ("": to the address)."""

    name: str
    address: str
    reply_to: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def letter(parcel: Parcel, sender: Sender) -> bytes:
    """The whole message, lines ending in CRLF. The same parcel gives the same bytes at every try.

    `body["end_url"]`, where there is one, ends the subscription by one click (RFC 8058).
    """
    said = titled(parcel.body, parcel.lang)
    made_at = format_datetime(datetime.fromtimestamp(parcel.created_at // 1000, UTC))
    own = [
        f"Date: {made_at}",
        f"To: <{parcel.address}>",
        f"Message-ID: <{parcel.key}@{sender.domain}>",
    ]
    if parcel.seq >= 0:
        thread = f"<{_thread(parcel)}@{sender.domain}>"
        own += [f"In-Reply-To: {thread}", f"References: {thread}"]
    if parcel.lane is Lane.URGENT:
        own.append("Importance: high")
    end_url = str(parcel.body.get("end_url", ""))
    if end_url:
        own += [f"List-Unsubscribe: <{end_url}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    head = "\r\n".join(own)
    if not head.isascii() or head.count("\n") != len(own) - 1:
        raise ValueError("a header of a mail that is more than one line")  # and says no address
    common = _common(said.title, said.texts[0], parcel.lang, sender)
    end = _printable(f"\n-- \n{_END[parcel.lang]}{end_url}\n") if end_url else b""
    return b"".join((head.encode(), b"\r\n", common, end))


@lru_cache(_TEMPLATES_MOST)
def _common(title: str, text: str, lang: Lang, sender: Sender) -> bytes:
    """The headers that are the same for everybody, and the text."""
    made = EmailMessage(SMTP)
    made["From"] = formataddr((sender.name, sender.address))
    if sender.reply_to:
        made["Reply-To"] = sender.reply_to
    made["Subject"] = title
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    made["Content-Language"] = lang
    made["MIME-Version"] = "1.0"
    made["Content-Type"] = 'text/plain; charset="utf-8"'
    made["Content-Transfer-Encoding"] = "quoted-printable"
    return made.as_bytes().rstrip(b"\r\n") + b"\r\n\r\n" + _printable(f"{title}\n\n{text}\n")


def _printable(text: str) -> bytes:
    lines = "".join(f"{line}\n" for line in text.splitlines())  # whatever ends a line: a bare CR is no mail
    return quopri.encodestring(lines.encode()).replace(b"\n", b"\r\n")


def _thread(parcel: Parcel) -> str:
    """One for all versions of an incident, and another for its drill."""
    what: tuple[Any, ...] = (parcel.incident, bool(parcel.body.get("exercise")))
    return blake2b(repr(what).encode(), digest_size=16).hexdigest()
