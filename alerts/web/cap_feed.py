"""CAP documents as an Atom feed (RFC 4287): one entry each, with a link to the document itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from lxml import etree

from alerts.ledger.cap import Document
from alerts.words.cap import MEDIA_TYPE, Voice
from alerts.words.cap_in import CapInfo, received

ATOM: Final = "http://www.w3.org/2005/Atom"
ATOM_TYPE: Final = "application/atom+xml"
PATH: Final = "/api/v1/cap"
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"


def feed(documents: Sequence[Document], voice: Voice, name: str, updated: str) -> bytes:
    """`name`: that of the feed's file; `updated`: when the newest document was sent, as CAP and RFC 3339 say it."""
    root = etree.Element(_name("feed"), nsmap={None: ATOM})
    root.set(_LANG, "vi")
    here = f"{voice.web.rstrip('/')}{PATH}"
    _put(root, "id", _id(voice.id, name))
    _put(root, "title", voice.names["vi"])
    _put(root, "subtitle", voice.names["en"])
    _put(root, "updated", updated)
    _put(etree.SubElement(root, _name("author")), "name", voice.names["vi"])
    _link(root, "self", f"{here}/{name}", ATOM_TYPE)
    for document in documents:
        _entry(root, document, f"{here}/{quote(document.identifier)}.xml")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _entry(root: etree._Element, document: Document, address: str) -> None:
    entry, infos = etree.SubElement(root, _name("entry")), received(document.xml.encode()).infos
    _put(entry, "id", _id(document.sender, document.identifier))
    _put(entry, "title", infos[0].headline)
    _put(entry, "updated", document.sent_text)
    _put(entry, "published", document.sent_text)
    _link(entry, "alternate", address, MEDIA_TYPE)
    for category in infos[0].categories:
        etree.SubElement(entry, _name("category"), term=category)
    _put(entry, "summary", "\n".join(_summary(info) for info in infos))


def _summary(info: CapInfo) -> str:
    return f"{info.headline}. {info.instruction}"


def _link(parent: etree._Element, rel: str, address: str, media_type: str) -> None:
    etree.SubElement(parent, _name("link"), rel=rel, href=address, type=media_type)


def _id(sender: str, name: str) -> str:
    """The same for the same document wherever the service stands."""
    return uuid5(NAMESPACE_URL, f"{sender},{name}").urn


def _put(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _name(name)).text = text


def _name(name: str) -> str:
    return f"{{{ATOM}}}{name}"
