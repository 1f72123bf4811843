"""A CAP document that somebody else made, read with suspicion: no DTD, no entities, no network, and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from alerts.words.cap import NAMESPACE

BYTES_MOST: Final = 65_536
DEPTH_MOST: Final = 8  # alert, info, area, geocode, value; a signature has a few more of its own and is not read
ELEMENTS_MOST: Final = 5_000
_SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_DECLARATIONS: Final = re.compile(r"<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_ENCODING: Final = re.compile(r"\A<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']")
_STATUSES: Final = ("Actual", "Exercise", "System", "Test", "Draft")
_MSG_TYPES: Final = ("Alert", "Update", "Cancel", "Ack", "Error")
_REQUIRED: Final = ("identifier", "sender", "sent", "status", "msgType", "scope")


class CapError(ValueError):
    """It is no CAP 1.2 document that we read; one line that says why, with nothing of the document's own markup."""


@dataclass(frozen=True, slots=True)
class CapArea:
    """As written. `geocodes`: (valueName, value)."""

    desc: str
    polygons: tuple[str, ...] = ()
    circles: tuple[str, ...] = ()
    geocodes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CapInfo:
    """One `info`; texts as written, "" where there is none. `language` en-US where it says none (section 3.2.2)."""

    language: str
    categories: tuple[str, ...]
    event: str
    response_types: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    event_codes: tuple[tuple[str, str], ...]
    effective: str
    onset: str
    expires: str
    sender_name: str
    headline: str
    description: str
    instruction: str
    web: str
    contact: str
    parameters: tuple[tuple[str, str], ...]
    areas: tuple[CapArea, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """One document. `signed`: it carries a signature, which nobody here has checked."""

    identifier: str
    sender: str
    sent: str
    status: str
    msg_type: str
    scope: str
    note: str
    references: tuple[str, ...]
    incidents: tuple[str, ...]
    infos: tuple[CapInfo, ...]
    signed: bool


def received(document: bytes) -> Received:
    """Raises CapError: too large, not UTF-8, with a DTD, not well-formed, too deep, no CAP 1.2 alert, or incomplete."""
    root = _root(document)
    if root.tag != f"{{{NAMESPACE}}}alert":
        raise CapError("not an alert of CAP 1.2")
    missing = [name for name in _REQUIRED if not _text(root, name)]
    if missing:
        raise CapError(f"no {missing[0]}")
    status, msg_type = _text(root, "status"), _text(root, "msgType")
    if status not in _STATUSES or msg_type not in _MSG_TYPES:
        raise CapError("a status or msgType that CAP 1.2 does not know")
    return Received(
        _text(root, "identifier"), _text(root, "sender"), _text(root, "sent"), status, msg_type, _text(root, "scope"),
        _text(root, "note"), tuple(_text(root, "references").split()), tuple(_text(root, "incidents").split()),
        tuple(_info(one) for one in _all(root, "info")), any(str(one.tag).startswith(_SIGNATURE) for one in root),
    )  # fmt: skip


def _root(document: bytes) -> etree._Element:
    if len(document) > BYTES_MOST:
        raise CapError(f"{len(document)} bytes, at most {BYTES_MOST}")
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CapError("not UTF-8") from None
    encoding = _ENCODING.match(text)
    if encoding is not None and encoding[1].lower() not in ("utf-8", "us-ascii"):
        raise CapError("an encoding other than UTF-8")
    if _DECLARATIONS.search(text):  # none ever reaches the parser: what it would make of them is no question
        raise CapError("with a DTD: no entities are taken")
    # The rest of the hardening is a second fence behind that one.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        huge_tree=False, recover=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise CapError(f"not well-formed XML at line {line}, column {column}") from None
    _within_limits(root)
    return root


def _within_limits(root: etree._Element) -> None:
    depth = elements = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        elements += event == "start"
        if depth > DEPTH_MOST:
            raise CapError(f"deeper than {DEPTH_MOST} elements")
        if elements > ELEMENTS_MOST:
            raise CapError(f"more than {ELEMENTS_MOST} elements")


def _info(info: etree._Element) -> CapInfo:
    if not _text(info, "event"):
        raise CapError("an info without event")
    return CapInfo(
        _text(info, "language") or "en-US", _texts(info, "category"), _text(info, "event"),
        _texts(info, "responseType"), _text(info, "urgency"), _text(info, "severity"), _text(info, "certainty"),
        _pairs(info, "eventCode"), _text(info, "effective"), _text(info, "onset"), _text(info, "expires"),
        _text(info, "senderName"), _text(info, "headline"), _text(info, "description"), _text(info, "instruction"),
        _text(info, "web"), _text(info, "contact"), _pairs(info, "parameter"),
        tuple(_area(one) for one in _all(info, "area")),
    )  # fmt: skip


def _area(area: etree._Element) -> CapArea:
    return CapArea(_text(area, "areaDesc"), _texts(area, "polygon"), _texts(area, "circle"), _pairs(area, "geocode"))


def _pairs(parent: etree._Element, name: str) -> tuple[tuple[str, str], ...]:
    return tuple((_text(one, "valueName"), _text(one, "value")) for one in _all(parent, name))


def _texts(parent: etree._Element, name: str) -> tuple[str, ...]:
    return tuple((one.text or "").strip() for one in _all(parent, name))


def _text(parent: etree._Element, name: str) -> str:
    return (parent.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()


def _all(parent: etree._Element, name: str) -> Iterator[etree._Element]:
    found: Iterator[etree._Element] = parent.iterchildren(f"{{{NAMESPACE}}}{name}")
    return found
