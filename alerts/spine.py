"""The spine: one turn of the loop, in the order that DESIGN gives, and nowhere else."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from alerts.acting import Acted
from alerts.brought import Bring, Brought, Refused
from alerts.driving import Asked, Drive, Driven
from alerts.folds import RecoveryError
from alerts.incidents.escalating import Steps
from alerts.incidents.life_cycle import nobody
from alerts.incidents.verbs import Act, RefusedError
from alerts.intake import Offer, Taken, offer, offer_decoded, take
from alerts.ledger.marks import Marks
from alerts.view import View
from alerts.watch.histogram import Histogram
from alerts.way import Clock, Link, Stores, Way
from ingest.city import parse_city
from ingest.entries import ORIGIN, TICK_MS, Configuration, DeadLetter, Start, Tick
from ingest.formats import Decoded, is_backfill
from ingest.gateways import GatewayBook
from ingest.inbox import Message
from ingest.letter_quota import DAY_MS, LetterQuota
from ingest.lookup import Lookup
from ingest.networks import Networks, owner
from ingest.overlay import Overlay
from ingest.readings import NO_SIGNS
from processing.engine import Engine
from processing.plan import compile_plan, next_ids

log = logging.getLogger(__name__)

AHEAD_MS_MAX: Final = 300_000  # beyond, readings that are fresh would count as old: operators are told
WAIT_S: Final = 0.5  # a turn without messages: how late a tick, or the end of the service, may be seen
VIEW_S: Final = 0.2  # between two views while nothing is decided: pages need no more
TIMELESS_MOST: Final = 1_000  # messages held until a first reading tells the time; older ones come again

NONE_READ: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Texts:
    """The registry and the rules that the service was started with."""

    city_toml: str
    rules_toml: str


class Spine:
    """Takes what comes and sends it its way (alerts/way.py); every method belongs to one thread.

    `drain(wait_s)`: the messages that have come. `told`: called after every turn that swapped the view. `asked`: the
    dead letters that operators want driven again, a few a turn; `brought`: the readings that they import; `acts`: what
    they do to warnings. `prefixes`: of the topics of other networks. `chain_of(hazard, area)`: who is called.
    """

    def __init__(
        self, drain: Callable[[float], Sequence[Message]], link: Link, stores: Stores, texts: Texts, clock: Clock,
        told: Callable[[View], None], *, asked: Callable[[], Sequence[Asked[Drive, Driven]]] = tuple,
        brought: Callable[[], Sequence[Asked[Bring, Brought]]] = tuple,
        acts: Callable[[], Sequence[Asked[Act, Acted]]] = tuple,
        prefixes: Mapping[str, str] = NONE_READ, chain_of: Callable[[str, str], Steps] = nobody,
    ) -> None:  # fmt: skip
        """Recovers the folds. Raises RecoveryError, JournalError, LedgerError, and ConfigError for wrong texts."""
        self._drain, self._link, self._texts, self._told, self._asked = drain, link, texts, told, asked
        self._brought, self._acts = brought, acts
        self.way = Way(stores, link, clock, chain_of, self._show)
        self._marks = Marks(stores.ledger.store)
        self._clock, self._now_ms, self._seconds = clock, clock.now_ms, clock.seconds
        self._viewed = 0.0
        self._timeless: list[Message] = []  # with the data's clock: came before the first reading told the time
        city = parse_city(texts.city_toml)
        was = self.way.journal.configuration
        self._ids = next_ids(was.sensor_ids if was is not None else (), city)
        compile_plan(self._wanted(0))  # a wrong text is refused here: in the journal it would be wrong for ever
        self._lookup = Lookup(city, self._ids)
        self._networks = Networks.of(city, prefixes)
        self._quota = LetterQuota([*city.gateways, *map(owner, self._networks.topics)])
        today = self.way.arrival // DAY_MS * DAY_MS
        self._quota.begin(self.way.arrival, self.way.journal.dead_letter_bytes(today))
        self._overlay = Overlay(city, self._ids)
        self._gateways, self._devices = GatewayBook(city.gateways), GatewayBook(self._networks.devices)
        self.counters, self.commits = self.way.counters, self.way.commits
        self.turns, self.decisions = Histogram("canhbao_turn_seconds"), Histogram("canhbao_decision_seconds")
        self.view: View | None = None

    def begin(self) -> None:
        """Decide what the journal has beyond the ledger, then write down that the collector starts.

        With the data's clock an empty journal is begun by the first reading: no time is known before it.
        """
        self.way.catch_up()
        if self._clock.arrival == "wall":
            if self.ahead_ms > AHEAD_MS_MAX:
                raise RecoveryError(
                    f"{self.way.journal.folder}: its newest entry lies {self.ahead_ms / 1000:.0f} s ahead of the "
                    "clock of this machine, nothing would be fresh: set it right, or start with a new data folder"
                )
            self._start(max(self.way.arrival, self._now_ms()))
        elif self.way.journal.last != ORIGIN:
            self._start(self.way.arrival)
        self._show()

    @property
    def ahead_ms(self) -> int:
        """How far the newest arrival lies ahead of the wall's clock, which must have been set back; else 0 or less."""
        return self.way.arrival - self._now_ms() if self._clock.arrival == "wall" else 0

    def turn(self, wait_s: float = WAIT_S) -> None:
        """Messages in, warnings out. Raises StoppedError."""
        messages = self._drain(self._until_tick(wait_s))
        began = self._seconds()
        now = self._now_ms() if self._clock.arrival == "wall" else self.way.arrival
        if messages:
            self._take(messages, now)
        for asked in self._asked():
            self._drive(asked, now)
        for bring in self._brought():
            self._bring(bring, now)
        if self._clock.arrival == "wall" and now // TICK_MS > self.way.arrival // TICK_MS:
            self.way.enter(Tick(now // TICK_MS * TICK_MS))  # also while only what is known already arrives
        for act in self._acts():
            self._act(act, now)
        if messages:
            self._time(messages, began)
        if self._seconds() - self._viewed >= VIEW_S:
            self._show()

    def end(self) -> None:
        """After the last turn."""
        self.way.end()

    @property
    def fault(self) -> str:
        """Why the last write was refused; "" while the disk takes everything."""
        return self.way.fault

    def _time(self, messages: Sequence[Message], began: float) -> None:
        """What is old waits for its turn by design, and says nothing of how soon a warning is decided."""
        ended = self._seconds()
        self.turns.observe(ended - began)
        came = [one.came_s for one in messages if one.came_s is not None and not is_backfill(one.topic)]
        if came:
            self.decisions.observe(ended - min(came))

    # -- in ------------------------------------------------------------------------------------------------------

    def _take(self, messages: Sequence[Message], now: int) -> None:
        messages = [*self._timeless, *messages]
        offered = self._offer(messages, now, overlay=self._overlay)
        if self._clock.arrival == "data" and self.way.journal.last == ORIGIN and not offered.has_readings:
            self._timeless = messages[-TIMELESS_MOST:]  # unacknowledged, so that the broker keeps those as well
            return
        self._timeless = []
        for fault in offered.faults:
            self.counters['canhbao_errors_total{loop="intake"}'] += 1
            log.error("a message could not be read; it is a dead letter", exc_info=fault)
        if self.way.journal.last == ORIGIN:
            self._start(offered.first_arrival)
            offered = self._offer(messages, now, overlay=self._overlay)
        taken = take(offered, self.way.folds.acceptance, self.way.folds.engine.heard)
        self._overlay.keep(offered.stood)
        self.counters["canhbao_messages_total"] += len(messages)
        self._count(taken)
        self._note(offered, taken)
        for reason, count in (offered.reasons + Counter(out_of_bounds=taken.out_of_bounds)).items():
            self.counters[f'canhbao_refused_total{{reason="{reason}"}}'] += count
        batch = replace(taken.batch, refused=self._within_quota(taken.batch.refused))
        if len(batch.readings) or batch.headers or batch.refused or len(batch.signs):
            self.way.enter(batch, messages)
        else:
            self._link.acknowledge(messages)  # nothing in them that is not on disk already

    def _note(self, offered: Offer, taken: Taken) -> None:
        """Who said what, on the wall's time under either clock; a clock is measured only where time is the wall's."""
        now = self._now_ms()
        for book in (self._gateways, self._devices):  # each leaves alone who is not in it
            for who, online in offered.online:
                book.status(who, online=online, now=now)
            for one in offered.heard:
                newest_t = one.newest_t if self._clock.arrival == "wall" else None
                who = one.device or one.gateway
                book.message(who, now, readings=one.readings, refused=one.refused, newest_t=newest_t)
            for who in taken.duplicates | taken.conflicts:
                book.repeated(who, duplicates=taken.duplicates[who], conflicts=taken.conflicts[who])

    def _drive(self, asked: Asked[Drive, Driven], now: int) -> None:
        """A dead letter once more: the way of any message, arriving now; then its mark, then the answer.

        Its number is not counted. It was when the letter was written, and a receipt is a gateway's leave to delete: no
        person's correction may give it. What is refused again makes no second letter, the first is still there. It is
        old: nothing that stands is laid under it, nor it over that, and it is no sign of its sensor's life.
        """
        drive = asked.what
        message = Message(drive.topic, drive.payload, retained=False, qos=0, mid=0, epoch=0)
        offered = self._offer([message], now, came_at=drive.came_at)
        for fault in offered.faults:
            log.error("dead letter %d could not be read", drive.letter, exc_info=fault)
        taken = take(offered, self.way.folds.acceptance, self.way.folds.engine.heard)
        self._count(taken)
        self.counters["canhbao_driven_total"] += 1
        readings = taken.batch.readings
        position = (
            self.way.enter(replace(taken.batch, headers=(), refused=(), signs=NO_SIGNS)) if len(readings) else None
        )
        refused = {
            reason: n for reason, n in (offered.reasons + Counter(out_of_bounds=taken.out_of_bounds)).items() if n
        }
        driven = Driven(
            max(now, self.way.arrival), drive.by, drive.corrected, position, len(readings) - taken.out_of_bounds,
            taken.duplicates.total(), taken.conflicts.total(), refused,
        )  # fmt: skip
        self.way.until_done(lambda: self._marks.mark(drive, driven), "the ledger")
        asked.answer.set_result(driven)

    def _act(self, asked: Asked[Act, Acted], now: int) -> None:
        """An operator's act, at the service's own time."""
        at = max(now, self.way.arrival)
        try:
            acted = self.way.act(replace(asked.what, at=at))
        except RefusedError as error:
            asked.answer.set_exception(error)
        else:
            asked.answer.set_result(acted)

    def _bring(self, asked: Asked[Bring, Brought], now: int) -> None:
        """Readings out of files: the way of any message, arriving now. What is refused stays in its file."""
        offered = self._offer_decoded(asked.what.parts, now)
        if (
            self.way.journal.last == ORIGIN and offered.has_readings
        ):  # with the data's clock: the first to tell the time
            self._start(offered.first_arrival)
            offered = self._offer_decoded(asked.what.parts, now)
        new = duplicates = conflicts = 0
        if offered.has_readings:
            taken = take(offered, self.way.folds.acceptance, self.way.folds.engine.heard)
            self._count(taken)
            new, duplicates = len(taken.batch.readings), taken.duplicates.total()
            conflicts = taken.conflicts.total()
            self.counters["canhbao_imported_total"] += new
            if new:
                self.way.enter(replace(taken.batch, headers=(), refused=(), signs=NO_SIGNS))
        refused = [Refused(asked.what.rows[one.index or 0], one.reason, one.detail) for one in offered.refusals]
        asked.answer.set_result(Brought(new, duplicates, conflicts, refused))

    def _offer_decoded(self, parts: Sequence[Decoded], now: int) -> Offer:
        return offer_decoded(parts, self._lookup, self._clock.arrival, now=now, last_arrival=self.way.arrival)

    def _count(self, taken: Taken) -> None:
        self.counters["canhbao_readings_total"] += len(taken.batch.readings)
        self.counters["canhbao_late_total"] += int(taken.batch.readings.late.sum())
        self.counters["canhbao_duplicates_total"] += taken.duplicates.total()
        self.counters["canhbao_conflicts_total"] += taken.conflicts.total()
        for (test, flag), count in taken.doubts.items():
            self.counters[f'canhbao_quality_total{{test="{test}",flag="{flag}"}}'] += count

    def _offer(
        self, messages: Sequence[Message], now: int, *, overlay: Overlay | None = None, came_at: int | None = None
    ) -> Offer:
        return offer(
            messages, self._lookup, self._clock.arrival, now=now, last_arrival=self.way.arrival,
            networks=self._networks, overlay=overlay, came_at=came_at,
        )  # fmt: skip

    def _within_quota(self, letters: Sequence[DeadLetter]) -> tuple[DeadLetter, ...]:
        kept = self._quota.keep(letters)
        for gateway in kept.full:
            log.warning("gateway %s: no more room for its dead letters today", gateway or "unknown")
        for gateway, count in kept.dropped.items():
            self.counters[f'canhbao_dead_letters_dropped_total{{gateway="{gateway or "unknown"}"}}'] += count
        return kept.letters

    def _start(self, arrival: int) -> None:
        wanted = self._wanted(arrival)
        if self.way.journal.last == ORIGIN:
            self.way.enter(wanted)
        self.way.enter(Start(arrival))
        was = self.way.journal.configuration
        if was is not None and (was.city_toml, was.rules_toml) != (wanted.city_toml, wanted.rules_toml):
            self.way.enter(wanted)

    def _wanted(self, arrival: int) -> Configuration:
        return Configuration(arrival, self._texts.city_toml, self._texts.rules_toml, self._ids, self._clock.arrival)

    # -- out -----------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        if self.way.journal.last == ORIGIN:
            self.view = _nothing_yet(self._wanted(0))
        else:
            plan, position = self.way.folds.engine.plan, int(self.way.folds.position)
            self.view = View(
                self.way.arrival, self._clock.arrival, plan.city, plan.rules, plan.configuration.sensor_ids,
                *self.way.folds.engine.latest(), position, dict(self.counters), self._gateways.states(),
                self._devices.states(),
            )  # fmt: skip
        self._viewed = self._seconds()
        self._told(self.view)

    def _until_tick(self, wait_s: float) -> float:
        if self._clock.arrival == "data":
            return wait_s
        return min(wait_s, (TICK_MS - self._now_ms() % TICK_MS) / 1000)


def _nothing_yet(configuration: Configuration) -> View:
    """What is shown before the first message where time is that of the data: the city, and no news of it."""
    engine = Engine()
    engine.step(configuration)
    plan, ids = engine.plan, configuration.sensor_ids
    t, value, flag, _, level, status = engine.latest()
    return View(0, configuration.clock, plan.city, plan.rules, ids, t, value, flag, t, level, status)
