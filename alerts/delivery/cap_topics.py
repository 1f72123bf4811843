"""CAP on MQTT: every document once on its area's topic, and retained there what stands.

Retained is the newest document in force, one that warns before one that ends; the topic is emptied when it expires.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from alerts.delivery.channels.channel import Publisher
from alerts.ledger.cap import CapStore, Document

TOPIC: Final = "canhbao/v1/cap/{area}"
DRILL_TOPIC: Final = "canhbao/v1/drill/cap/{area}"


class Topics:
    """What the broker has been told, by topic. Nothing is known at first: then everything is told again."""

    def __init__(self, store: CapStore, publisher: Publisher) -> None:
        self._store, self._publisher = store, publisher
        self._retained: dict[str, str] | None = None  # topic -> identifier, "": emptied; None: unknown
        self._epoch = 0
        self._lock = threading.Lock()
        self.published = 0

    def forget(self) -> None:
        """The session was lost: what it had is unknown. From any thread."""
        with self._lock:
            self._epoch += 1
            self._retained = None

    def publish(self, now: int) -> None:
        """What has not gone out yet, in order, then what each topic retains. Raises what the publisher raises."""
        with self._lock:
            epoch, retained = self._epoch, self._retained
        if retained is None:
            retained = dict.fromkeys((_topic(*place) for place in self._store.places()), "?")
        standing = _retainable(self._store.standing(now))
        for one in self._store.unpublished():
            self._send(one, now, standing, retained)
        for topic in sorted(retained | standing):
            wanted = standing.get(topic)
            name = wanted.identifier if wanted is not None else ""
            if retained.get(topic, "") != name:
                self._publisher.publish(topic, wanted.xml.encode() if wanted is not None else b"", retain=True)
                retained[topic] = name
        with self._lock:
            if self._epoch == epoch:
                self._retained = retained

    def _send(self, one: Document, now: int, standing: dict[str, Document], retained: dict[str, str]) -> None:
        """What has expired meanwhile is not told any more."""
        topic = _topic(one.area, one.drill)
        if one.expires > now:
            stands = standing.get(topic)
            keeps = stands is not None and stands.identifier == one.identifier
            self._publisher.publish(topic, one.xml.encode(), retain=keeps)
            self.published += 1
            if keeps:
                retained[topic] = one.identifier
        self._store.mark_published([one.identifier])


def _retainable(newest_first: Iterable[Document]) -> dict[str, Document]:
    best: dict[str, Document] = {}
    for one in newest_first:
        topic = _topic(one.area, one.drill)
        if topic not in best or (best[topic].ends and not one.ends):
            best[topic] = one
    return best


def _topic(area: str, drill: bool) -> str:  # noqa: FBT001  # a column
    return (DRILL_TOPIC if drill else TOPIC).format(area=area)
