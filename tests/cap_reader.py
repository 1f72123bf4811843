"""A receiver of CAP, written from the standard (OASIS CAP 1.2, section 3.2) and from none of our code.

It keeps what it is sent. An Update replaces, a Cancel takes back, every message that it references; a reference is the
triple sender,identifier,sent, to the letter. A message is in force from `sent` until `expires`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

Key: TypeAlias = tuple[str, str, str]
_NAMESPACE: Final = "{urn:oasis:names:tc:emergency:cap:1.2}"


@dataclass
class Held:
    """One message; `replaced`: by a later one."""

    key: Key
    kind: str
    sent: datetime
    expires: datetime
    warns: bool
    severity: str
    references: list[Key]
    status: str
    replaced: bool = False


@dataclass
class Receiver:
    """`problems`: what a receiver cannot make sense of."""

    held: dict[Key, Held] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, document: bytes) -> Held:
        one = _read(document)
        if one.key in self.held:
            return self.held[one.key]  # sent again: the same message
        if (one.kind == "Alert") == bool(one.references):
            self.problems.append(f"{one.key[1]}: {one.kind} with {len(one.references)} references")
        for key in one.references:
            if key not in self.held:
                self.problems.append(f"{one.key[1]} references {key}, never sent")
            else:
                self.held[key].replaced = True
        alive = {key for key, other in self.held.items() if other.sent <= one.sent < other.expires}
        if forgotten := alive - set(one.references):
            self.problems.append(f"{one.key[1]} forgets {sorted(forgotten)}")
        self.held[one.key] = one
        return one

    def in_force(self, now: datetime) -> list[Held]:
        """What warns people at `now`."""
        return [one for one in self.held.values() if one.warns and not one.replaced and one.sent <= now < one.expires]


def _read(document: bytes) -> Held:
    alert = ET.fromstring(document)
    infos = alert.findall(f"{_NAMESPACE}info")
    expires = {datetime.fromisoformat(_text(info, "expires")) for info in infos}
    answers = {_text(info, "responseType") for info in infos}
    (severity,) = {_text(info, "severity") for info in infos}
    (until,) = expires
    kind, sent = _text(alert, "msgType"), _text(alert, "sent")
    references = [_key(text) for text in (alert.findtext(f"{_NAMESPACE}references") or "").split()]
    key = (_text(alert, "sender"), _text(alert, "identifier"), sent)
    warns = kind != "Cancel" and "AllClear" not in answers
    return Held(key, kind, datetime.fromisoformat(sent), until, warns, severity, references, _text(alert, "status"))


def _key(text: str) -> Key:
    sender, identifier, sent = text.split(",")
    return sender, identifier, sent


def _text(element: ET.Element, name: str) -> str:
    text = element.findtext(f"{_NAMESPACE}{name}")
    assert text, name
    return text
