"""The CAP documents of what a story published: each version from a warning on, renewed at half life, with its chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from timeline.pipeline import Pipeline

from alerts.incidents.incident import ENDS, WARNING, Notice
from alerts.words.cap import LIFE_MS, Place, Reference, Telling, cap_time, document
from alerts.words.cap_place import circle_of
from alerts.words.cap_texts import cap_texts
from alerts.words.cap_voice import voice_of

HAZARDS: Final = ("rain", "flood", "power")


@dataclass(frozen=True, slots=True)
class Document:
    incident: str
    sent: int
    xml: bytes


def documents(pipeline: Pipeline, until: int) -> Iterator[Document]:
    """In the order of sending within an incident; what is open is renewed up to `until`, ms UTC."""
    by_incident: dict[str, list[Notice]] = defaultdict(list)
    for notice in pipeline.notices:
        by_incident[notice.incident].append(notice)
    for notices in by_incident.values():
        yield from _chain(pipeline, notices, until)


def _chain(pipeline: Pipeline, notices: Sequence[Notice], until: int) -> Iterator[Document]:
    """`sent` is whole seconds: two versions of one second are the same moment to a reader, so the first goes alone."""
    voice, zone = voice_of(pipeline.city), pipeline.city.timezone
    alive: list[Telling] = []
    for notice, following in pairwise([*notices, None]):
        if notice is None or notice.hazard not in HAZARDS or not (alive or notice.level >= WARNING):
            continue
        stop = following.arrival if following is not None else until
        for renewal, sent in enumerate(_moments(notice, stop)):
            alive = [one for one in alive if one.expires > sent]
            references = tuple(Reference(voice.id, one.identifier, cap_time(one.sent, zone)) for one in alive)
            sensors = [] if notice.cause is None else [notice.cause.sensor]
            place = Place(circle_of(sensors, notice.area, pipeline.city))
            telling = Telling(notice, renewal, sent, notice.drill, references, place)
            texts = cap_texts(notice, pipeline.city, pipeline.rules, exercise=notice.drill)
            yield Document(notice.incident, sent, document(telling, pipeline.city, voice, texts))
            alive.append(telling)
        if notice.reason in ENDS:
            alive = []


def _moments(notice: Notice, stop: int) -> range:
    """When it is sent: at once, and while it is open each half of its life."""
    return range(
        notice.arrival, notice.arrival + 1 if notice.reason in ENDS else max(stop, notice.arrival + 1), LIFE_MS // 2
    )
