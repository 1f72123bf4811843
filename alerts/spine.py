"""The spine: one turn of the loop, in the order that DESIGN gives, and nowhere else."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

import msgspec
from structlog.contextvars import bound_contextvars

from alerts.brought import Bring, Brought, Refused
from alerts.decisions import log_decisions
from alerts.driving import Asked, Drive, Driven
from alerts.folds import RecoveryError, recover
from alerts.health import health_lines, late_lines
from alerts.incidents.incident import Notice
from alerts.intake import Offer, Taken, offer, offer_decoded, take
from alerts.ledger.ledger import Ledger
from alerts.ledger.marks import Marks
from alerts.ledger.store import LedgerError
from alerts.snapshots import KEPT, Snapshots
from alerts.view import View
from alerts.watch.histogram import Histogram
from ingest.city import parse_city
from ingest.entries import ORIGIN, TICK_MS, ClockMode, Configuration, DeadLetter, Entry, Position, Start, Tick
from ingest.formats import Decoded, is_backfill
from ingest.gateways import GatewayBook
from ingest.inbox import Message
from ingest.journal import Journal, JournalError
from ingest.letter_quota import DAY_MS, LetterQuota
from ingest.lookup import Lookup
from ingest.networks import Networks, owner
from ingest.overlay import Overlay
from ingest.readings import NO_SIGNS
from ingest.receipts import Owed
from processing.engine import Engine
from processing.plan import compile_plan, next_ids
from processing.rules import is_ending
from processing.transitions import LateBreach, StepResult

log = logging.getLogger(__name__)

SNAPSHOT_ENTRIES: Final = 10_000  # between two snapshots, minutes at full load: some seconds of replay after a crash
KEEP_DAYS: Final = 400  # of the journal: a year back there was a storm to compare with; older days are unlinked whole
AHEAD_MS_MAX: Final = 300_000  # beyond, readings that are fresh would count as old: operators are told
WAIT_S: Final = 0.5  # a turn without messages: how late a tick, or the end of the service, may be seen
VIEW_S: Final = 0.2  # between two views while nothing is decided: pages need no more
TIMELESS_MOST: Final = 1_000  # messages held until a first reading tells the time; older ones come again
RETRY_S: Final = 1.0  # between two tries of a write that the disk refused; without end, since going on would lose it

NONE_READ: Final[Mapping[str, str]] = MappingProxyType({})

T = TypeVar("T")


class Link(Protocol):
    """The connection that messages come over: ingest.mqtt.source.MqttSource, or a simulated one."""

    @property
    def connected(self) -> bool: ...
    def acknowledge(self, messages: Sequence[Message]) -> None: ...
    def publish(self, topic: str, payload: bytes) -> bool: ...


class StoppedError(Exception):
    """The service ends while a write is refused: nothing of that turn was acknowledged."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The registry and the rules that the service was started with."""

    city_toml: str
    rules_toml: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, made in app.py and handed down: `arrival` says whose time readings arrive in.

    `now_ms`: the wall's, ms UTC. `seconds`: only moves forward. `pause(s)`: waits; True: the service ends.
    """

    arrival: ClockMode
    now_ms: Callable[[], int]
    seconds: Callable[[], float]
    pause: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Stores:
    """What is on disk."""

    journal: Journal
    ledger: Ledger
    snapshots: Snapshots


class Spine:
    """Owns the journal, the ledger's writing side and the folds; every method belongs to one thread.

    `drain(wait_s)`: the messages that have come. `told`: called after every turn that swapped the view. `asked`: the
    dead letters that operators want driven again, a few a turn; `brought`: the readings that they import. `prefixes`:
    of the topics of other networks.
    """

    def __init__(
        self, drain: Callable[[float], Sequence[Message]], link: Link, stores: Stores, texts: Texts, clock: Clock,
        told: Callable[[View], None], *, asked: Callable[[], Sequence[Asked[Drive, Driven]]] = tuple,
        brought: Callable[[], Sequence[Asked[Bring, Brought]]] = tuple,
        prefixes: Mapping[str, str] = NONE_READ,
    ) -> None:  # fmt: skip
        """Recovers the folds. Raises RecoveryError, JournalError, LedgerError, and ConfigError for wrong texts."""
        self._drain, self._link, self._texts, self._told, self._asked = drain, link, texts, told, asked
        self._brought = brought
        self._journal, self._ledger, self._snapshots = stores.journal, stores.ledger, stores.snapshots
        self._marks = Marks(stores.ledger.store)
        self._clock, self._now_ms, self._seconds = clock, clock.now_ms, clock.seconds
        self._folds, self._incidents = recover(stores.journal, stores.ledger, stores.snapshots)
        self._arrival = self._journal.last_arrival
        self._snapshot_at = self._folds.position
        self._viewed = 0.0
        self._timeless: list[Message] = []  # with the data's clock: came before the first reading told the time
        city = parse_city(texts.city_toml)
        was = self._journal.configuration
        self._ids = next_ids(was.sensor_ids if was is not None else (), city)
        compile_plan(self._wanted(0))  # a wrong text is refused here: in the journal it would be wrong for ever
        self._lookup = Lookup(city, self._ids)
        self._networks = Networks.of(city, prefixes)
        self._quota = LetterQuota([*city.gateways, *map(owner, self._networks.topics)])
        today = self._arrival // DAY_MS * DAY_MS
        self._quota.begin(self._arrival, self._journal.dead_letter_bytes(today))
        self._overlay = Overlay(city, self._ids)
        self._gateways, self._devices = GatewayBook(city.gateways), GatewayBook(self._networks.devices)
        self.counters: defaultdict[str, float] = defaultdict(float)  # metric name -> since the start
        self.turns, self.commits = Histogram("canhbao_turn_seconds"), Histogram("canhbao_journal_commit_seconds")
        self.decisions = Histogram("canhbao_decision_seconds")
        self.fault = ""  # why the last write was refused; "" while the disk takes everything
        self.view: View | None = None

    def begin(self) -> None:
        """Decide what the journal has beyond the ledger, then write down that the collector starts.

        With the data's clock an empty journal is begun by the first reading: no time is known before it.
        """
        for position, entry in self._journal.read(self._folds.position):
            before = self._folds.engine.alive
            with bound_contextvars(entry=position):
                self._decide(position, entry, self._folds.recall(position, entry), before)
        if self._clock.arrival == "wall":
            if self.ahead_ms > AHEAD_MS_MAX:
                raise RecoveryError(
                    f"{self._journal.folder}: its newest entry lies {self.ahead_ms / 1000:.0f} s ahead of the "
                    "clock of this machine, nothing would be fresh: set it right, or start with a new data folder"
                )
            self._start(max(self._arrival, self._now_ms()))
        elif self._journal.last != ORIGIN:
            self._start(self._arrival)
        self._show()

    @property
    def ahead_ms(self) -> int:
        """How far the newest arrival lies ahead of the wall's clock, which must have been set back; else 0 or less."""
        return self._arrival - self._now_ms() if self._clock.arrival == "wall" else 0

    def turn(self, wait_s: float = WAIT_S) -> None:
        """Messages in, warnings out. Raises StoppedError."""
        messages = self._drain(self._until_tick(wait_s))
        began = self._seconds()
        now = self._now_ms() if self._clock.arrival == "wall" else self._arrival
        if messages:
            self._take(messages, now)
        for asked in self._asked():
            self._drive(asked, now)
        for bring in self._brought():
            self._bring(bring, now)
        if self._clock.arrival == "wall" and now // TICK_MS > self._arrival // TICK_MS:
            self._enter(Tick(now // TICK_MS * TICK_MS))  # also while only what is known already arrives
        if messages:
            self._time(messages, began)
        if self._seconds() - self._viewed >= VIEW_S:
            self._show()

    def end(self) -> None:
        """After the last turn: a snapshot, so that the next start has nothing to replay."""
        if self._folds.position > self._ledger.position():
            self._record(self._folds.position, self._arrival, StepResult(), [], snapshot=True)

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
        if self._clock.arrival == "data" and self._journal.last == ORIGIN and not offered.has_readings:
            self._timeless = messages[-TIMELESS_MOST:]  # unacknowledged, so that the broker keeps those as well
            return
        self._timeless = []
        for fault in offered.faults:
            self.counters['canhbao_errors_total{loop="intake"}'] += 1
            log.error("a message could not be read; it is a dead letter", exc_info=fault)
        if self._journal.last == ORIGIN:
            self._start(offered.first_arrival)
            offered = self._offer(messages, now, overlay=self._overlay)
        taken = take(offered, self._folds.acceptance, self._folds.engine.heard)
        self._overlay.keep(offered.stood)
        self.counters["canhbao_messages_total"] += len(messages)
        self._count(taken)
        self._note(offered, taken)
        for reason, count in (offered.reasons + Counter(out_of_bounds=taken.out_of_bounds)).items():
            self.counters[f'canhbao_refused_total{{reason="{reason}"}}'] += count
        batch = replace(taken.batch, refused=self._within_quota(taken.batch.refused))
        if len(batch.readings) or batch.headers or batch.refused or len(batch.signs):
            self._enter(batch, messages)
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
        taken = take(offered, self._folds.acceptance, self._folds.engine.heard)
        self._count(taken)
        self.counters["canhbao_driven_total"] += 1
        readings = taken.batch.readings
        position = self._enter(replace(taken.batch, headers=(), refused=(), signs=NO_SIGNS)) if len(readings) else None
        refused = {
            reason: n for reason, n in (offered.reasons + Counter(out_of_bounds=taken.out_of_bounds)).items() if n
        }
        driven = Driven(
            max(now, self._arrival), drive.by, drive.corrected, position, len(readings) - taken.out_of_bounds,
            taken.duplicates.total(), taken.conflicts.total(), refused,
        )  # fmt: skip
        self._until_done(lambda: self._marks.mark(drive, driven), "the ledger")
        asked.answer.set_result(driven)

    def _bring(self, asked: Asked[Bring, Brought], now: int) -> None:
        """Readings out of files: the way of any message, arriving now. What is refused stays in its file."""
        offered = self._offer_decoded(asked.what.parts, now)
        if self._journal.last == ORIGIN and offered.has_readings:  # with the data's clock: the first to tell the time
            self._start(offered.first_arrival)
            offered = self._offer_decoded(asked.what.parts, now)
        new = duplicates = conflicts = 0
        if offered.has_readings:
            taken = take(offered, self._folds.acceptance, self._folds.engine.heard)
            self._count(taken)
            new, duplicates = len(taken.batch.readings), taken.duplicates.total()
            conflicts = taken.conflicts.total()
            self.counters["canhbao_imported_total"] += new
            if new:
                self._enter(replace(taken.batch, headers=(), refused=(), signs=NO_SIGNS))
        refused = [Refused(asked.what.rows[one.index or 0], one.reason, one.detail) for one in offered.refusals]
        asked.answer.set_result(Brought(new, duplicates, conflicts, refused))

    def _offer_decoded(self, parts: Sequence[Decoded], now: int) -> Offer:
        return offer_decoded(parts, self._lookup, self._clock.arrival, now=now, last_arrival=self._arrival)

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
            messages, self._lookup, self._clock.arrival, now=now, last_arrival=self._arrival, networks=self._networks,
            overlay=overlay, came_at=came_at,
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
        if self._journal.last == ORIGIN:
            self._enter(wanted)
        self._enter(Start(arrival))
        was = self._journal.configuration
        if was is not None and (was.city_toml, was.rules_toml) != (wanted.city_toml, wanted.rules_toml):
            self._enter(wanted)

    def _wanted(self, arrival: int) -> Configuration:
        return Configuration(arrival, self._texts.city_toml, self._texts.rules_toml, self._ids, self._clock.arrival)

    # -- the way of an entry -------------------------------------------------------------------------------------

    def _enter(self, entry: Entry, messages: Sequence[Message] = ()) -> Position:
        """Journal; then receipts and acknowledgements; then what it means; then the ledger. Where it stands."""
        began = self._seconds()
        position = self._until_done(lambda: self._journal.append(entry), "the journal")
        self.commits.observe(self._seconds() - began)
        self._arrival = max(self._arrival, entry.arrival)
        with bound_contextvars(entry=position):  # in every line that is said of it from here on
            self._answer(self._folds.answer(entry, self._now_ms(), heard=self._link.connected))
            self._link.acknowledge(messages)
            before = self._folds.engine.alive
            result = self._folds.judge(position, entry)
            late = self._decide(position, entry, result, before)
            self._tell_operators(result, late)
        return position

    def _tell_operators(self, result: StepResult, late: Sequence[LateBreach]) -> None:
        """After the ledger has it: what a night shift has to see to, and residents never hear of."""
        if result.health:
            plan, status = self._folds.engine.plan, self._folds.engine.latest()[-1]
            of_sensor = dict(zip(plan.configuration.sensor_ids, status, strict=True))
            for line in health_lines(result.health, plan.city, of_sensor):
                log.warning("%s", line)
        for line in late_lines(late):
            log.warning("%s", line)

    def _decide(self, position: Position, entry: Entry, result: StepResult, alive_before: int) -> Sequence[LateBreach]:
        """Returns the late breaches that nobody has been told of."""
        plan = self._folds.engine.plan
        down_ms = entry.arrival - alive_before if isinstance(entry, Start) else 0
        notices = self._incidents.step(result.transitions, entry.arrival, plan.city, plan.rules, down_ms=down_ms)
        due = position - self._snapshot_at >= SNAPSHOT_ENTRIES
        found = result.transitions or result.health or result.late_breaches or notices or self._incidents.changed
        if found or due:  # an entry that decides nothing is judged again after a crash, with the same result
            late = self._record(position, entry.arrival, result, notices, snapshot=due)
            log_decisions(entry, result.transitions, notices)
            return late
        return ()

    def _record(
        self, position: Position, arrival: int, result: StepResult, notices: Sequence[Notice], *, snapshot: bool
    ) -> Sequence[LateBreach]:
        name = self._snapshot(position) if snapshot else None

        def write() -> Sequence[LateBreach]:
            if self.fault and self._ledger.position() == position:
                return result.late_breaches  # the write before, that seemed refused, was not
            return self._ledger.record(
                position, arrival, transitions=result.transitions, incidents=self._incidents.changed,
                notices=notices, snapshot=name, late_breaches=result.late_breaches, health=result.health,
            )  # fmt: skip

        late = self._until_done(write, "the ledger")
        if name is not None:
            self._forget_old()
        self.counters["canhbao_transitions_total"] += sum(not is_ending(one.rule) for one in result.transitions)
        self.counters["canhbao_notices_total"] += len(notices)
        if result.transitions or notices:
            self._show()
        return late

    def _snapshot(self, position: Position) -> str | None:
        """Its name; None where there is no room for it: a start replays more, nothing else is lost."""
        self._snapshot_at = position
        try:
            return self._snapshots.write(position, self._folds.to_state())
        except OSError as error:
            self.counters['canhbao_errors_total{loop="snapshot"}'] += 1
            log.error("no snapshot, a start will take longer: %s", error)  # noqa: TRY400  # the cause is in it
            return None

    def _forget_old(self) -> None:
        """Unlink old snapshots and day files. Recorded days that are played on the data's clock are kept whole."""
        self._snapshots.prune()
        if self._clock.arrival == "data":
            return
        _, needed_from = self._ledger.snapshots(limit=KEPT)[-1]
        try:
            self._journal.retain(KEEP_DAYS, self._arrival, needed_from)
        except JournalError as error:
            log.warning("old day files of the journal stay: %s", error)

    def _answer(self, owed: Owed) -> None:
        for receipt in owed.receipts:
            self._link.publish(f"canhbao/v1/{receipt.gateway}/receipt", msgspec.json.encode(receipt.payload))
        self.counters["canhbao_receipts_total"] += len(owed.receipts)
        for lost in owed.lost:
            log.warning(
                "gateway %s, boot %s: messages %d to %d never came", lost.gateway, lost.boot, lost.low, lost.high
            )
        for gateway in owed.alternating:
            log.warning("gateway %s: two boots take turns; do two devices share its id?", gateway)

    def _until_done(self, write: Callable[[], T], what: str) -> T:
        """Try until the disk takes it. Nothing is read meanwhile, so the brokers and the gateways keep what waits."""
        while True:
            try:
                done = write()
            except (JournalError, LedgerError, OSError) as error:
                if self.fault != str(error):
                    log.error("%s cannot be written, trying again every %g s: %s", what, RETRY_S, error)  # noqa: TRY400  # the cause is in it
                self.fault = str(error)
                self.counters['canhbao_errors_total{loop="spine"}'] += 1
                if self._clock.pause(RETRY_S):
                    raise StoppedError(str(error)) from error
            else:
                if self.fault:
                    log.info("%s can be written again", what)
                self.fault = ""
                return done

    # -- out -----------------------------------------------------------------------------------------------------

    def _show(self) -> None:
        if self._journal.last == ORIGIN:
            self.view = _nothing_yet(self._wanted(0))
        else:
            plan, position = self._folds.engine.plan, int(self._folds.position)
            self.view = View(
                self._arrival, self._clock.arrival, plan.city, plan.rules, plan.configuration.sensor_ids,
                *self._folds.engine.latest(), position, dict(self.counters), self._gateways.states(),
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
