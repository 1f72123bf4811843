"""What is wrong with a CAP document of ours: what the official schema lets through and readers stumble over.

The schema says nothing of what elements mean together: it takes an Update without references, a polygon that is not
closed, two infos of one language. Each rule here is a sentence of the standard (OASIS CAP 1.2, section 3.2) or of
CONTRACTS section 6.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import combinations
from typing import Final
from zoneinfo import ZoneInfo

from alerts.words.cap import AREA_DESC_MOST, END_LIFE_MS, GEOCODE, LANGUAGES, LIFE_MS, OFFICIAL
from alerts.words.cap_area_rules import area_faults
from alerts.words.cap_event import CODES, OET
from alerts.words.cap_in import CapError, CapInfo, Received, received
from alerts.words.cap_place import Box
from alerts.words.texts import EXERCISE, HEADLINE_MOST

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\Z")  # the standard's: an offset, never Z
_FORBIDDEN: Final = re.compile(r"[\s,<&]")  # in identifier and sender
_MARKUP: Final = re.compile(r"</?[A-Za-z!]|&#?\w+;")
_REFERENCE_PARTS: Final = 3
_BY_LEVEL: Final = {
    ("Expected", "Minor"), ("Expected", "Moderate"), ("Immediate", "Severe"), ("Immediate", "Extreme")
}  # fmt: skip
_VALIDITY: Final = (OFFICIAL + ".coQuan", OFFICIAL + ".banTin", OFFICIAL + ".tu", OFFICIAL + ".den")


def faults(document: bytes, zone: ZoneInfo, box: Box | None = None) -> list[str]:
    """Each in one line; none: it may leave. `box`: what everything registered lies in; None: not looked at."""
    try:
        alert = received(document)
    except CapError as error:
        return [str(error)]
    found = [fault for rule in _ALERT_RULES for fault in rule(alert)]
    found += [fault for text in _times(alert) for fault in _time_faults(text, zone)]
    for info in alert.infos:
        found += [f"{info.language}: {fault}" for rule in _INFO_RULES for fault in rule(info)]
        for area in info.areas:
            found += [f"{info.language}: {fault}" for fault in area_faults(area, box)]
    if not found:  # times can be reckoned with
        found += [fault for info in alert.infos for fault in _lives(alert, info)]
    return found


def _identity(alert: Received) -> Iterator[str]:
    for name, text in (("identifier", alert.identifier), ("sender", alert.sender)):
        if not text or _FORBIDDEN.search(text):
            yield f"{name} {text!r} is empty, or has a space, a comma, < or &"
    if alert.status not in EXERCISE_STATUS:
        yield f"status {alert.status!r}, ours are Actual and Exercise"
    if alert.scope != "Public":
        yield f"scope {alert.scope!r}, ours are Public"
    if any(_FORBIDDEN.search(text) for text in alert.incidents):
        yield "incidents with a comma, < or &"


def _references(alert: Received) -> Iterator[str]:
    if alert.msg_type not in ("Alert", "Update", "Cancel"):
        yield f"msgType {alert.msg_type!r}"
    if (alert.msg_type == "Alert") == bool(alert.references):
        yield f"{alert.msg_type} {'with' if alert.references else 'without'} references"
    sent = _moment(alert.sent)
    for reference in alert.references:
        parts = reference.split(",")
        then = _moment(parts[-1])
        if len(parts) != _REFERENCE_PARTS or not all(parts) or then is None:
            yield f"references: {reference!r} is no sender,identifier,sent"
        elif parts[1] == alert.identifier:
            yield "it references itself"
        elif sent is not None and then > sent:
            yield f"references {parts[1]}, sent after it"
    yield from (f"references {text!r} {n} times" for text, n in Counter(alert.references).items() if n > 1)


def _languages(alert: Received) -> Iterator[str]:
    languages = sorted(info.language for info in alert.infos)
    if languages != sorted(LANGUAGES.values()):
        yield f"infos in {' '.join(languages) or 'no language'}, wanted: one each of {' '.join(LANGUAGES.values())}"
    for one, other in combinations(alert.infos, 2):
        for name in ("event", "headline", "description", "instruction"):
            if getattr(one, name) == getattr(other, name):
                yield f"the same {name} in {one.language} and {other.language}"
        if _grades(one) != _grades(other):
            yield f"{one.language} and {other.language} differ in what is no text"


def _exercise(alert: Received) -> Iterator[str]:
    """A drill that is taken for the real thing, and the other way round."""
    words = {LANGUAGES[lang]: word for lang, word in EXERCISE.items()}
    for info in alert.infos:
        word = words.get(info.language, "")
        for name in ("headline", "description", "instruction"):
            if getattr(info, name).startswith(word) != (alert.status == "Exercise"):
                yield f"{info.language}: status {alert.status}, and the {name} begins {getattr(info, name)[:20]!r}"


def _texts(info: CapInfo) -> Iterator[str]:
    texts = {"event": info.event, "senderName": info.sender_name, "headline": info.headline,
             "description": info.description, "instruction": info.instruction}  # fmt: skip
    for name, text in texts.items():
        if not text.strip():
            yield f"no {name}"
        if _MARKUP.search(text):
            yield f"markup in the {name}"
    if len(info.headline) > HEADLINE_MOST:
        yield f"a headline of {len(info.headline)} characters, at most {HEADLINE_MOST}"


def _codes(info: CapInfo) -> Iterator[str]:
    codes = [value for name, value in info.event_codes if name == OET]
    if len(codes) != 1 or codes[0] not in CODES:
        yield f"eventCode {OET}: {codes}, one of {' '.join(sorted(CODES))} is wanted"
    if not info.categories:
        yield "no category"
    if not info.areas:
        yield "no area"
    for area in info.areas:
        if not any(name == GEOCODE and value for name, value in area.geocodes):
            yield f"no geocode {GEOCODE}"
        if len(area.desc) > AREA_DESC_MOST:
            yield f"an areaDesc of {len(area.desc)} characters, at most {AREA_DESC_MOST}"


def _combination(info: CapInfo) -> Iterator[str]:
    said = (info.urgency, info.severity, info.certainty)
    if "AllClear" in info.response_types:
        if said != ("Past", "Minor", "Observed"):
            yield f"AllClear with {' '.join(said)}, wanted Past Minor Observed"
    elif info.urgency != "Past" and (said[:2] not in _BY_LEVEL or info.certainty not in ("Observed", "Likely")):
        yield f"{' '.join(said)} is none of our levels"
    if not info.response_types:
        yield "no responseType"


def _official(info: CapInfo) -> Iterator[str]:
    values = dict(info.parameters)
    level = values.get(OFFICIAL)
    if level is None:
        if any(name.startswith(OFFICIAL) for name in values):
            yield f"a {OFFICIAL} without its level"
        return
    if level not in ("1", "2", "3", "4", "5"):
        yield f"{OFFICIAL} {level!r}, 1 to 5"
    yield from (f"{OFFICIAL} without {name}" for name in _VALIDITY if not values.get(name))


def _times(alert: Received) -> Iterator[str]:
    yield alert.sent
    for info in alert.infos:
        yield from (info.effective, info.expires)


def _time_faults(text: str, zone: ZoneInfo) -> Iterator[str]:
    then = _moment(text)
    if then is None:
        yield f"time {text!r}, wanted one such as 2025-10-27T07:00:00+07:00"
    elif then.utcoffset() != then.astimezone(zone).utcoffset():
        yield f"time {text!r} is not with the offset of {zone.key}"


def _moment(text: str) -> datetime | None:
    """None: not in the standard's form, or no such moment."""
    try:
        return datetime.fromisoformat(text) if _TIME.match(text) else None
    except ValueError:
        return None


def _lives(alert: Received, info: CapInfo) -> Iterator[str]:
    sent, effective, expires = (datetime.fromisoformat(t) for t in (alert.sent, info.effective, info.expires))
    ends = "AllClear" in info.response_types or alert.msg_type == "Cancel"
    life = timedelta(milliseconds=END_LIFE_MS if ends else LIFE_MS)
    if effective != sent:
        yield f"{info.language}: effective {info.effective}, sent {alert.sent}"
    if expires != sent + life:
        yield f"{info.language}: expires {info.expires}, wanted {life} after it was sent"
    if "AllClear" in info.response_types and alert.msg_type != "Update":
        yield f"{info.language}: AllClear in an {alert.msg_type}"
    if (info.urgency == "Past") != ends:
        yield f"{info.language}: urgency {info.urgency} in what {'ends' if ends else 'does not end'} a warning"


def _grades(info: CapInfo) -> tuple[object, ...]:
    return (info.urgency, info.severity, info.certainty, info.response_types, info.categories, info.event_codes,
            info.effective, info.expires, info.parameters,
            tuple((area.polygons, area.circles, area.geocodes) for area in info.areas))  # fmt: skip


EXERCISE_STATUS: Final = ("Actual", "Exercise")
_ALERT_RULES: Final[tuple[Callable[[Received], Iterator[str]], ...]] = (_identity, _references, _languages, _exercise)
_INFO_RULES: Final[tuple[Callable[[CapInfo], Iterator[str]], ...]] = (_texts, _codes, _combination, _official)
