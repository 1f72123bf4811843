"""CAP 1.2 (OASIS, 1 July 2010): one version of an incident as the XML that other systems take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from lxml import etree

from alerts.incidents.acting import EVACUATION
from alerts.incidents.incident import ENDS, Notice, Reason
from alerts.incidents.verbs import OfficialLevel
from alerts.words.cap_event import OET, event_of
from alerts.words.cap_place import DECIMALS, Circle, Ring
from alerts.words.cap_texts import CapText
from alerts.words.names import LANGS, Lang, area_name, area_of, one_line
from ingest.city import City

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE: Final = "application/cap+xml"  # as IPAWS and WMO serve it
LIFE_MS: Final = 2 * 3_600_000  # sent to expires; renewed at half of it
END_LIFE_MS: Final = 3_600_000  # of what ends a warning
AREA_DESC_MOST: Final = 50  # characters
GEOCODE: Final = "vn-dvhc"  # administrative units of Viet Nam, by their five-digit codes
OFFICIAL: Final = "vn:capDoRuiRo"  # disaster-risk level of the hydromet office
LANGUAGES: Final[Mapping[Lang, str]] = {"vi": "vi-VN", "en": "en-US"}
MsgType: TypeAlias = Literal["Alert", "Update", "Cancel"]
_BY_LEVEL: Final = {  # urgency, severity, responseType (CONTRACTS section 6)
    1: ("Expected", "Minor", "Monitor"),
    2: ("Expected", "Moderate", "Prepare"),
    3: ("Immediate", "Severe", "Avoid"),
    4: ("Immediate", "Extreme", "Execute"),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks. `id`: sender, unique in the world; `names` by language; `contact`, `web`: "" leaves them out."""

    id: str
    names: Mapping[Lang, str]
    contact: str = ""
    web: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier document, to the letter: `sent` exactly as it stands in it."""

    sender: str
    identifier: str
    sent: str

    def __str__(self) -> str:
        return f"{self.sender},{self.identifier},{self.sent}"


@dataclass(frozen=True, slots=True)
class Place:
    """Of the document's one area. Polygons closed, (lat, lon)."""

    circle: Circle | None = None
    polygons: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """What one document says. `sent` ms UTC; `references`: all unexpired predecessors, the oldest first."""

    notice: Notice
    renewal: int
    sent: int
    exercise: bool
    references: tuple[Reference, ...] = ()
    place: Place = field(default_factory=Place)
    official: OfficialLevel | None = None

    @property
    def identifier(self) -> str:
        """Unique for the sender: incident, version, how often that was renewed. Neither space, comma, < nor &."""
        return f"{self.notice.incident}.{self.notice.version}.{self.renewal}"

    @property
    def msg_type(self) -> MsgType:
        if self.notice.reason is Reason.WITHDRAWN:
            return "Cancel"
        return "Update" if self.references else "Alert"

    @property
    def expires(self) -> int:
        return self.sent + (END_LIFE_MS if self.notice.reason in ENDS else LIFE_MS)


def cap_time(ms: int, zone: ZoneInfo) -> str:
    """Whole seconds with the city's offset: "2025-10-27T07:00:00+07:00"; CAP forbids Z."""
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone).isoformat(timespec="seconds")


def document(telling: Telling, city: City, voice: Voice, texts: Mapping[Lang, CapText]) -> bytes:
    """The whole XML in UTF-8. Raises ValueError for a text that XML cannot hold."""
    notice, zone = telling.notice, city.timezone
    alert = etree.Element(_name("alert"), nsmap={None: NAMESPACE})
    _put(alert, "identifier", telling.identifier)
    _put(alert, "sender", voice.id)
    _put(alert, "sent", cap_time(telling.sent, zone))
    _put(alert, "status", "Exercise" if telling.exercise else "Actual")
    _put(alert, "msgType", telling.msg_type)
    _put(alert, "scope", "Public")
    if telling.references:
        _put(alert, "references", " ".join(map(str, telling.references)))
    if notice.event:
        _put(alert, "incidents", notice.event)
    for lang in LANGS:
        info = etree.SubElement(alert, _name("info"))
        _grade(info, telling, lang, texts[lang])
        _say(info, telling, voice, texts[lang], zone, lang)
        if telling.official is not None:
            _official(info, telling.official, zone)
        _area(info, telling, city, lang)
    return bytes(etree.tostring(alert, xml_declaration=True, encoding="UTF-8"))


def _grade(info: etree._Element, telling: Telling, lang: Lang, text: CapText) -> None:
    notice = telling.notice
    event = event_of(notice)
    urgency, severity, response, certainty = _graded(notice)
    _put(info, "language", LANGUAGES[lang])
    _put(info, "category", event.category)
    _put(info, "event", text.event)
    _put(info, "responseType", response)
    _put(info, "urgency", urgency)
    _put(info, "severity", severity)
    _put(info, "certainty", certainty)
    _named(info, "eventCode", OET, event.code)


def _graded(notice: Notice) -> tuple[str, str, str, str]:
    """Urgency, severity, responseType, certainty."""
    if notice.reason is Reason.WITHDRAWN:
        return "Past", "Minor", "None", "Unlikely"
    if notice.reason in ENDS:
        return "Past", "Minor", "AllClear", "Observed"
    urgency, severity, response = _BY_LEVEL[max(1, notice.level)]
    if notice.hand is None:
        return urgency, severity, response, "Likely" if notice.sole else "Observed"
    # A person's word about what may come is no observation.
    return urgency, severity, "Evacuate" if notice.hand.template == EVACUATION else response, "Likely"


def _say(info: etree._Element, telling: Telling, voice: Voice, text: CapText, zone: ZoneInfo, lang: Lang) -> None:
    _put(info, "effective", cap_time(telling.sent, zone))
    _put(info, "expires", cap_time(telling.expires, zone))
    _put(info, "senderName", voice.names[lang])
    _put(info, "headline", text.headline)
    _put(info, "description", text.description)
    _put(info, "instruction", text.instruction)
    for name, value in (("web", voice.web), ("contact", voice.contact)):
        if value:
            _put(info, name, value)


def _official(info: etree._Element, level: OfficialLevel, zone: ZoneInfo) -> None:
    """Announced by the hydromet office, carried by us: never without who said it, where, and until when."""
    rows = {"": str(level.level), ".coQuan": level.issuer, ".banTin": level.bulletin,
            ".tu": cap_time(level.valid_from, zone), ".den": cap_time(level.valid_until, zone)}  # fmt: skip
    for suffix, value in rows.items():
        _named(info, "parameter", OFFICIAL + suffix, value)


def _area(info: etree._Element, telling: Telling, city: City, lang: Lang) -> None:
    area, place = etree.SubElement(info, _name("area")), telling.place
    registered = area_of(city, telling.notice.area)
    _put(area, "areaDesc", one_line(area_name(registered, lang), AREA_DESC_MOST))
    for ring in place.polygons:
        _put(area, "polygon", " ".join(f"{lat:.{DECIMALS}f},{lon:.{DECIMALS}f}" for lat, lon in ring))
    if place.circle is not None:
        circle = place.circle
        _put(area, "circle", f"{circle.lat:.{DECIMALS}f},{circle.lon:.{DECIMALS}f} {circle.km:.1f}")
    _named(area, "geocode", GEOCODE, registered.code)


def concerns(level: OfficialLevel, notice: Notice, city: City) -> bool:
    """Whether it was announced for the notice's hazard, and for its area or one that this is part of."""
    here = not level.areas or any(area in level.areas for area in city.lineage(notice.area))
    return here and level.hazard in ("", notice.hazard)


def _put(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _name(name)).text = text


def _named(parent: etree._Element, name: str, value_name: str, value: str) -> None:
    pair = etree.SubElement(parent, _name(name))
    _put(pair, "valueName", value_name)
    _put(pair, "value", value)


def _name(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
