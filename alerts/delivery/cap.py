"""The CAP desk: one document a version, checked, kept, then published; renewed at half life while its incident is open.

It follows the ledger's notices with a cursor of its own, so that nothing here holds up the channels, nor they this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from alerts.delivery.cap_topics import Topics
from alerts.delivery.channels.channel import Publisher
from alerts.incidents.incident import ENDS, WARNING, Incident, Notice, Withheld
from alerts.ledger.cap import CapStore, Document
from alerts.view import View
from alerts.words.cap import LIFE_MS, Place, Reference, Telling, Voice, cap_time, concerns, document
from alerts.words.cap_event import is_public
from alerts.words.cap_in import received
from alerts.words.cap_place import Box, Circle, Ring, box_of, circle_of
from alerts.words.cap_rules import faults
from alerts.words.cap_texts import cap_texts
from alerts.words.cap_voice import voice_of
from alerts.words.texts import is_exercise
from ingest.city import City

log = logging.getLogger(__name__)

POLL_S: Final = 5.0  # how late a renewal or an expiry may be seen, and how soon a turn that failed is tried again
CHUNK: Final = 100  # notices a turn
HALF_LIFE_MS: Final = LIFE_MS // 2


class Notices(Protocol):
    """The reading side of the ledger that the desk needs."""

    def notices(self, after_seq: int, limit: int) -> Sequence[tuple[int, Notice]]: ...
    def notices_of(self, incident: str) -> Sequence[tuple[int, Notice]]: ...
    def incident(self, id_: str) -> Incident | None: ...


@dataclass(frozen=True, slots=True)
class CapMeans:
    """What a deployment sets. `outlines`: rings by area code."""

    sender: str = ""
    sender_name: str = ""
    contact: str = ""
    page_url: str = ""
    outlines: Mapping[str, tuple[Ring, ...]] = field(default_factory=dict)


class CapDesk:
    """`look`: the newest view; `now_ms`: the service's clock (that of the data where readings bring their own).

    `shut`: whether delivery is held, then nothing is made and nothing published.
    """

    def __init__(
        self, store: CapStore, ledger: Notices, publisher: Publisher, look: Callable[[], View], means: CapMeans, *,
        now_ms: Callable[[], int], shut: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._store, self._ledger, self._look, self._means = store, ledger, look, means
        self._now_ms, self._shut = now_ms, shut
        self._topics = Topics(store, publisher)
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._box: tuple[City, Box | None] | None = None
        self._made = self._renewed = self._faulty = self._failures = 0

    @property
    def voice(self) -> Voice:
        means = self._means
        return voice_of(self._look().city, means.sender, means.sender_name, means.contact, means.page_url)

    @property
    def counters(self) -> dict[str, float]:
        """Metric name -> since the start."""
        return {
            "canhbao_cap_documents_total": self._made,
            "canhbao_cap_renewals_total": self._renewed,
            "canhbao_cap_faulty_total": self._faulty,
            "canhbao_cap_published_total": self._topics.published,
            'canhbao_errors_total{loop="cap"}': self._failures,
        }

    def wake(self) -> None:
        """There is something new in the ledger. From any thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has closed just now
                loop.call_soon_threadsafe(self._wake.set)

    def session_lost(self) -> None:
        """What the broker still has is unknown. From any thread."""
        self._topics.forget()
        self.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        self._loop = asyncio.get_running_loop()
        stopping = asyncio.create_task(self._end(stop))
        while not stop.is_set():
            self._wake.clear()
            try:
                if await asyncio.to_thread(self.turn):
                    continue
            except Exception:  # the loop that owns the work: it says so, counts it, and goes on after a while
                self._failures += 1
                log.exception("cap")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
        await stopping

    def turn(self) -> int:
        """Documents for new versions and for those at half life, then what is to be published; how much was made.

        Raises LedgerError and what the publisher raises: what is in the ledger by then goes out the next time.
        """
        if self._shut():
            return 0
        now = self._now_ms()
        followed = self._ledger.notices(self._store.cursor(), CHUNK)
        for seq, notice in followed:
            self._store.keep(self._for_version(notice, now), cursor=seq)
        renewed = 0 if followed else sum(self._renew(old, now) for old in self._store.to_renew(now))
        if renewed:
            self._store.forget(now)
        self._topics.publish(now)
        return len(followed) + renewed

    async def _end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    # -- what there is to say --------------------------------------------------------------------------------------

    def _for_version(self, notice: Notice, now: int) -> Document | None:
        """None: the version calls for none."""
        last, incident = self._store.newest(notice.incident), self._ledger.incident(notice.incident)
        told = last is not None and not last.ends
        if notice.reason in ENDS:
            # An end that nobody measured is no all-clear: what was said runs out by itself.
            wanted = told and notice.withheld is not Withheld.UNMEASURED
        else:
            wanted = told or (is_public(notice) and notice.level >= WARNING)
        if not wanted or incident is None or (incident.version > notice.version and now - notice.arrival > LIFE_MS):
            return None  # the last: hours behind, and newer ones follow
        made = self._made_of(notice, incident, 0, last, max(now, notice.arrival))
        self._made += made is not None
        return made

    def _renew(self, old: Document, now: int) -> int:
        """1, or 0 where the incident is over, or has a version that came out without a document."""
        incident = self._ledger.incident(old.incident)
        notice = next((n for _, n in self._ledger.notices_of(old.incident) if n.version == old.version), None)
        if incident is None or notice is None or incident.version != old.version:  # its end is a version as well
            self._store.let_expire(old.identifier)
            return 0
        made = self._made_of(notice, incident, old.renewal + 1, old, now)
        if made is None:
            self._store.let_expire(old.identifier)
            return 0
        self._store.keep(made)
        self._renewed += 1
        return 1

    def _made_of(
        self, notice: Notice, incident: Incident, renewal: int, last: Document | None, now: int
    ) -> Document | None:
        """Checked; None where it cannot be made, or is faulty even without its polygons: logged and counted."""
        sent = max(now, last.sent if last is not None else 0)
        circle = circle_of(_sensors(notice, incident), notice.area, self._look().city) or (last and _circle(last))
        references = self._references(notice, last, sent)
        official = self._store.official(sent)
        if official is not None and not concerns(official, notice, self._look().city):
            official = None
        exercise = is_exercise(notice, exercise=self._look().clock == "data")
        for polygons in dict.fromkeys((self._means.outlines.get(notice.area, ()), ())):
            place = Place(circle or None, polygons)
            telling = Telling(notice, renewal, sent, exercise, references, place, official)
            made = self._checked(telling)
            if made is not None:
                return made
        return None

    def _references(self, notice: Notice, last: Document | None, sent: int) -> tuple[Reference, ...]:
        """All unexpired predecessors; for an end, where there is none any more, the last one that was."""
        before = self._store.unexpired(notice.incident, sent)
        if not before and last is not None and notice.reason in ENDS:
            before = [last]
        return tuple(Reference(one.sender, one.identifier, one.sent_text) for one in before)

    def _checked(self, telling: Telling) -> Document | None:
        view, voice, notice = self._look(), self.voice, telling.notice
        try:
            texts = cap_texts(notice, view.city, view.rules, page_url=voice.web, exercise=telling.exercise)
            xml = document(telling, view.city, voice, texts)
            wrong = faults(xml, view.city.timezone, self._box_of(view.city))
        except Exception:  # one document that cannot be made must not hold up those behind it
            self._faulty += 1
            log.exception("the CAP document %s cannot be made", telling.identifier)
            return None
        if wrong:
            self._faulty += 1
            log.error("the CAP document %s is faulty and stays here: %s", telling.identifier, "; ".join(wrong))
            return None
        return self._row(telling, voice.id, xml)

    def _box_of(self, city: City) -> Box | None:
        """Reckoned once a registry."""
        if self._box is None or self._box[0] is not city:
            self._box = city, box_of(city, self._means.outlines)
        return self._box[1]

    def _row(self, telling: Telling, sender: str, xml: bytes) -> Document:
        notice, ends = telling.notice, telling.notice.reason in ENDS
        return Document(
            telling.identifier, notice.incident, notice.version, telling.renewal, notice.area, notice.drill, ends,
            sender, telling.sent, cap_time(telling.sent, self._look().city.timezone), telling.expires,
            None if ends else telling.sent + HALF_LIFE_MS, xml.decode(),
        )  # fmt: skip


def _sensors(notice: Notice, incident: Incident) -> list[str]:
    """What measured it: those that hold it up now, and the one that drove the version, which may have fallen since."""
    cause = [notice.cause.sensor] if notice.cause is not None else []
    return [member.sensor for member in incident.members if not member.silenced] + cause


def _circle(last: Document) -> Circle | None:
    """What ends a warning holds where the warning held."""
    circles = received(last.xml.encode()).infos[0].areas[0].circles
    if not circles:
        return None
    centre, radius = circles[0].split()
    lat, lon = centre.split(",")
    return Circle(float(lat), float(lon), float(radius))
